/**
 * The three fields of a request proof (RFC 9421 §4, RFC 9530 §2), as a closed grammar and not as structured fields at large
 * (RFC 9651): one signature, one spelling, nothing that two parsers could read in two ways (SPEC.md section 12.1).
 */
import { MAX_TIME } from '../limits.ts';
import { deny, grant, type Verdict } from '../verdict.ts';

/** The one label that a proof has, and its tag: both as the WIMSE profile names them. */
export const PROOF_LABEL = 'wimse';
export const PROOF_TAG = 'wimse-workload-to-workload';

/** What `Signature-Input` says: **not** verified. */
export interface SignatureInput {
  /** Names of what is signed, in the order of the signature base. */
  readonly components: readonly string[];
  /** Seconds. */
  readonly created: number;
  readonly expires: number;
  readonly nonce: string;
  readonly audience: string;
  /** Inner list and parameters as sent: the last line of the signature base. */
  readonly parameters: string;
}

/** A digest for each algorithm that is named, 32 or 64 octets as base64; at least one. */
export interface ContentDigest {
  readonly sha256: string | undefined;
  readonly sha512: string | undefined;
}

const MAX_INPUT_BYTES = 4096;
const MEMBER = /^wimse=(\(([^()]*)\)((?:;[^;]+)*))$/;
const COMPONENT = /^"(@?[a-z][a-z-]*)"$/;
const TIME = /^[1-9][0-9]{0,11}$/;
/** No escapes: nothing that stands here needs one. */
const TEXT = /^"([\x20\x21\x23-\x5b\x5d-\x7e]*)"$/;
const NONCE = /^[A-Za-z0-9_-]{16,64}$/;
const PARAMETERS = ['created', 'expires', 'nonce', 'tag', 'wimse-aud'] as const;

const malformed = (detail: string) => deny('request_proof_malformed', detail);

/** Members of `;name=value`, each once; undefined when one is foreign, missing or there twice. */
const parseParameters = (text: string): ReadonlyMap<string, string> | undefined => {
  const found = new Map<string, string>();
  for (const part of text.slice(1).split(';')) {
    const [name = '', value = ''] = part.split('=', 2);
    if (found.has(name) || part !== `${name}=${value}`) return undefined;
    found.set(name, value);
  }
  return found.size === PARAMETERS.length && PARAMETERS.every((name) => found.has(name)) ? found : undefined;
};

const timeOf = (text = ''): number | undefined =>
  TIME.test(text) && Number(text) <= MAX_TIME ? Number(text) : undefined;
const textOf = (text = ''): string | undefined => TEXT.exec(text)?.[1];

/** Refuses with `request_proof_malformed`. */
export const parseSignatureInput = (text: string): Verdict<SignatureInput> => {
  if (text.length > MAX_INPUT_BYTES) return malformed(`Signature-Input of ${text.length} octets`);
  const [, parameters = '', list = '', rest = ''] = MEMBER.exec(text) ?? [];
  if (parameters === '') return malformed('Signature-Input is not one signature with the label wimse');
  const components = list.split(' ').map((item) => COMPONENT.exec(item)?.[1] ?? '');
  if (components.includes('') || new Set(components).size !== components.length)
    return malformed('Signature-Input does not name each component once, without parameters');
  const given = parseParameters(rest);
  const created = timeOf(given?.get('created'));
  const expires = timeOf(given?.get('expires'));
  const nonce = textOf(given?.get('nonce'));
  const audience = textOf(given?.get('wimse-aud'));
  if (created === undefined || expires === undefined || nonce === undefined || audience === undefined)
    return malformed(`the parameters of Signature-Input are not ${PARAMETERS.join(', ')}, each once`);
  if (!NONCE.test(nonce)) return malformed('the nonce is not 16–64 of A–Z a–z 0–9 - _');
  if (textOf(given?.get('tag')) !== PROOF_TAG) return malformed(`the tag is not ${PROOF_TAG}`);
  return grant({ components, created, expires, nonce, audience, parameters });
};

const SIGNATURE = /^wimse=:([A-Za-z0-9+/]{86}==):$/;

/** Octets of base64 in its one canonical spelling. */
const decodeBase64 = (text: string): Buffer | undefined => {
  const octets = Buffer.from(text, 'base64');
  return octets.toString('base64') === text ? octets : undefined;
};

/** 64 octets. Refuses with `request_proof_malformed`. */
export const parseSignature = (text: string): Verdict<Buffer> => {
  const octets = decodeBase64(SIGNATURE.exec(text)?.[1] ?? '');
  return octets?.length === 64
    ? grant(octets)
    : malformed('Signature is not one of 64 octets with the label wimse');
};

const DIGEST = /^sha-(256|512)=:([A-Za-z0-9+/]+={0,2}):$/;
const LENGTH: Readonly<Record<string, number>> = { 256: 32, 512: 64 };

/** `Content-Digest` of one or both of the algorithms that are still good. Refuses with `request_proof_digest`. */
export const parseContentDigest = (text: string): Verdict<ContentDigest> => {
  const found = new Map<string, string>();
  for (const member of text.split(', ')) {
    const [, bits = '', value = ''] = DIGEST.exec(member) ?? [];
    if (found.has(bits) || decodeBase64(value)?.length !== LENGTH[bits])
      return deny('request_proof_digest', 'Content-Digest is not sha-256, sha-512 or both, each once');
    found.set(bits, value);
  }
  return grant({ sha256: found.get('256'), sha512: found.get('512') });
};
