/**
 * The certificates of a trust domain: its SVID CA, X.509-SVIDs and the verifier's own.
 * Time is passed in, in seconds; keys and serial numbers are random.
 */
import 'reflect-metadata';
import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  type webcrypto,
} from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { type AgentId, trustDomainOf } from '../../core/spiffe-id.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;
/** A fresh certificate is valid at once on a machine whose clock is a little behind. */
export const BACKDATED_SECONDS = 60;

/** An ECDSA P-256 key pair. */
export const makeTlsKey = (): KeyObject =>
  generateKeyPairSync('ec', { namedCurve: P256.namedCurve }).privateKey;

// RFC 5280 §4.1.2.2: positive, at most 20 octets. The first octet keeps it so, without a leading zero.
const makeSerial = (): string => {
  const octets = randomBytes(16);
  octets[0] = ((octets[0] ?? 0) & 0x3f) | 0x40;
  return octets.toString('hex');
};

/** X.520 caps a name at 64 characters; a trust domain has up to 255. */
const distinguished = (trustDomain: string, commonName?: string): string =>
  `O=${trustDomain.slice(0, 64)}${commonName === undefined ? '' : `, CN=${commonName}`}`;

const timeOf = (seconds: number): Date => new Date(seconds * 1000);

const publicHalf = (key: KeyObject): webcrypto.CryptoKey =>
  (key.type === 'public' ? key : createPublicKey(key)).toCryptoKey(P256, true, ['verify']);

interface CertificateContent {
  readonly subject: string;
  readonly issuer: string;
  readonly subjectKey: KeyObject;
  readonly signer: KeyObject;
  readonly uri: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly extensions: readonly Extension[];
}

const makeCertificate = async (content: CertificateContent): Promise<X509Certificate> => {
  const publicKey = publicHalf(content.subjectKey);
  return X509CertificateGenerator.create({
    serialNumber: makeSerial(),
    subject: content.subject,
    issuer: content.issuer,
    notBefore: timeOf(content.notBefore),
    notAfter: timeOf(content.notAfter),
    publicKey,
    signingKey: content.signer.toCryptoKey(P256, true, ['sign']),
    signingAlgorithm: SIGNATURE,
    extensions: [
      ...content.extensions,
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(publicHalf(content.signer)),
      new SubjectAlternativeNameExtension([{ type: 'url', value: content.uri }]),
    ],
  });
};

/** The SVID CA of a trust domain. */
export interface SvidCa {
  readonly trustDomain: string;
  readonly key: KeyObject;
  readonly certificatePem: string;
  readonly certificateDer: Buffer;
  readonly subject: string;
  /** Seconds. */
  readonly notAfter: number;
}

/** A CA from its stored certificate and key. */
export const readSvidCa = (trustDomain: string, certificatePem: string, key: KeyObject): SvidCa => {
  const certificate = new X509Certificate(certificatePem);
  return {
    trustDomain,
    key,
    certificatePem,
    certificateDer: Buffer.from(certificate.rawData),
    subject: certificate.subject,
    notAfter: Math.floor(certificate.notAfter.getTime() / 1000),
  };
};

/** Makes a self-signed SVID CA (X509-SVID §3.1, §4.1): path length 0, keyCertSign, URI name `spiffe://<td>`. */
export const issueSvidCa = async (
  trustDomain: string,
  { now, ttlSeconds }: { readonly now: number; readonly ttlSeconds: number },
): Promise<SvidCa> => {
  const key = makeTlsKey();
  const subject = distinguished(trustDomain, 'Hopgate SVID CA');
  const certificate = await makeCertificate({
    subject,
    issuer: subject,
    subjectKey: key,
    signer: key,
    uri: `spiffe://${trustDomain}`,
    notBefore: now - BACKDATED_SECONDS,
    notAfter: now + ttlSeconds,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    ],
  });
  return readSvidCa(trustDomain, `${certificate.toString('pem')}\n`, key);
};

export interface SvidOptions {
  readonly id: AgentId;
  /** ECDSA P-256; the private or the public half. */
  readonly key: KeyObject;
  readonly now: number;
  readonly ttlSeconds: number;
}

/** A certificate and when it ends, in seconds. */
export interface Issued {
  readonly pem: string;
  readonly notAfter: number;
}

/**
 * Issues an X.509-SVID (X509-SVID §4): one URI SAN, no CA, digitalSignature, serverAuth and clientAuth.
 * It ends with its CA at the latest. Throws when the ID is of another trust domain or the CA has expired.
 */
export const issueSvid = async (ca: SvidCa, options: SvidOptions): Promise<Issued> => {
  if (trustDomainOf(options.id) !== ca.trustDomain)
    throw new RangeError(`${options.id} is not of the trust domain ${ca.trustDomain}`);
  return issueLeaf(ca, options.id, options);
};

/** The name by which sidecars know their verifier. No agent can have it: it is no agent ID. */
export const verifierIdOf = (trustDomain: string): string => `spiffe://${trustDomain}/verifier`;

/** Issues the verifier's own certificate, in the form of an SVID. */
export const issueVerifierCertificate = (ca: SvidCa, options: Omit<SvidOptions, 'id'>): Promise<Issued> =>
  issueLeaf(ca, verifierIdOf(ca.trustDomain), options);

const issueLeaf = async (
  ca: SvidCa,
  uri: string,
  { key, now, ttlSeconds }: Omit<SvidOptions, 'id'>,
): Promise<Issued> => {
  if (ca.notAfter <= now) throw new RangeError(`the SVID CA of ${ca.trustDomain} has expired`);
  const notAfter = Math.min(now + ttlSeconds, ca.notAfter);
  const certificate = await makeCertificate({
    subject: distinguished(ca.trustDomain),
    issuer: ca.subject,
    subjectKey: key,
    signer: ca.key,
    uri,
    notBefore: now - BACKDATED_SECONDS,
    notAfter,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    ],
  });
  return { pem: `${certificate.toString('pem')}\n`, notAfter };
};
