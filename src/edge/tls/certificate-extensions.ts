/** What Node does not show of a certificate: basic keyUsage, the CA flag by itself, names as they stand there (RFC 5280 §4.2). */
import { contentOf, DER, type DerValue, valuesIn } from './der.ts';

export interface CertificateExtensions {
  readonly uriSans: readonly string[];
  /** `cA` of basicConstraints. */
  readonly isCa: boolean;
  readonly keyUsage:
    | { readonly digitalSignature: boolean; readonly keyCertSign: boolean; readonly cRLSign: boolean }
    | undefined;
}

/** Object identifiers in hex: 2.5.29.17, .15, .19. */
const SUBJECT_ALT_NAME = '551d11';
const KEY_USAGE = '551d0f';
const BASIC_CONSTRAINTS = '551d13';

/** `[3]` of TBSCertificate. */
const EXTENSIONS = 0xa3;
/** `[6] IMPLICIT IA5String` of GeneralName. */
const URI_NAME = 0x86;

const fault = (what: string): never => {
  throw new RangeError(`a certificate with ${what}`);
};

const extensionsIn = (certificate: Buffer): ReadonlyMap<string, Buffer> => {
  const [tbs] = valuesIn(contentOf(certificate, DER.sequence));
  if (tbs?.tag !== DER.sequence) return fault('no content');
  const found = valuesIn(tbs.content).filter(({ tag }) => tag === EXTENSIONS);
  const extensions = new Map<string, Buffer>();
  if (found[0] === undefined) return extensions;
  if (found.length > 1) fault('two lists of extensions');
  for (const { tag, content } of valuesIn(contentOf(found[0].content, DER.sequence))) {
    const parts: readonly DerValue[] = tag === DER.sequence ? valuesIn(content) : [];
    const [id, ...rest] = parts;
    const value = rest.at(-1);
    const isCritical = rest.length === 2 && rest[0]?.tag === DER.boolean;
    if (id?.tag !== DER.oid || value?.tag !== DER.octetString || (rest.length !== 1 && !isCritical))
      return fault('an extension that is none');
    const name = id.content.toString('hex');
    // RFC 5280 §4.2: readers differ in which of two they take.
    if (extensions.has(name)) fault('the same extension twice');
    extensions.set(name, value.content);
  }
  return extensions;
};

const uriNames = (octets: Buffer): string[] =>
  valuesIn(contentOf(octets, DER.sequence)).flatMap(({ tag, content }) => {
    if (tag !== URI_NAME) return [];
    if (content.some((octet) => octet >= 0x80)) return fault('a name that is not ASCII');
    return [content.toString('latin1')];
  });

/** The first octet of a bit string: bit 0 is its highest. */
const firstBits = (octets: Buffer): number => {
  const content = contentOf(octets, DER.bitString);
  const unused = content[0] ?? 8;
  const last = content.length > 1 ? (content.at(-1) ?? 0) : 0;
  if (unused > 7 || (content.length === 1 && unused > 0) || (last & ((1 << unused) - 1)) !== 0)
    fault('a bit string that is none');
  return content[1] ?? 0;
};

/** BER knows other truths than DER's: any of them makes it a CA, which refuses it. */
const caFlag = (octets: Buffer): boolean => {
  const [flag] = valuesIn(contentOf(octets, DER.sequence));
  return flag?.tag === DER.boolean && flag.content.some((octet) => octet !== 0);
};

/** Throws on what can be read in more than one way. */
export const readExtensions = (certificate: Buffer): CertificateExtensions => {
  const extensions = extensionsIn(certificate);
  const names = extensions.get(SUBJECT_ALT_NAME);
  const usage = extensions.get(KEY_USAGE);
  const constraints = extensions.get(BASIC_CONSTRAINTS);
  const bits = usage && firstBits(usage);
  return {
    uriSans: names === undefined ? [] : uriNames(names),
    isCa: constraints !== undefined && caFlag(constraints),
    keyUsage:
      bits === undefined
        ? undefined
        : {
            digitalSignature: (bits & 0x80) !== 0,
            keyCertSign: (bits & 0x04) !== 0,
            cRLSign: (bits & 0x02) !== 0,
          },
  };
};
