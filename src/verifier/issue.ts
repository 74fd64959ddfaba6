/**
 * What a trust domain issues: SVID CA and X.509-SVIDs, WITs, key bindings and the signed bundle.
 * Time is passed in, in seconds; keys, serial numbers and token ids are random.
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
import { type AgentJwk, jwkOf } from '../core/keys.ts';
import { type AgentId, type IdPattern, trustDomainOf } from '../core/spiffe-id.ts';
import { mintBundle, mintRoles } from '../core/trust/bundle.ts';
import { type KeyBinding, mintKeyBinding, mintWit } from '../core/trust/wit.ts';
import type { SigningKey } from '../edge/keys/signing-key.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;
/** A fresh certificate is valid at once on a machine whose clock is a little behind. */
const BACKDATED_SECONDS = 60;

/** 16 random octets, base64url: a `jti`. */
export const makeTokenId = (): string => randomBytes(16).toString('base64url');

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
export interface Authority {
  readonly trustDomain: string;
  readonly key: KeyObject;
  readonly certificatePem: string;
  readonly certificateDer: Buffer;
  readonly subject: string;
  /** Seconds. */
  readonly notAfter: number;
}

/** An authority from its stored certificate and key. */
export const readAuthority = (trustDomain: string, certificatePem: string, key: KeyObject): Authority => {
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
export const issueAuthority = async (
  trustDomain: string,
  { now, ttlSeconds }: { readonly now: number; readonly ttlSeconds: number },
): Promise<Authority> => {
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
  return readAuthority(trustDomain, `${certificate.toString('pem')}\n`, key);
};

export interface SvidOptions {
  readonly id: AgentId;
  /** ECDSA P-256; the private or the public half. */
  readonly key: KeyObject;
  readonly now: number;
  readonly ttlSeconds: number;
}

/**
 * Issues an X.509-SVID (X509-SVID §4): one URI SAN, no CA, digitalSignature, serverAuth and clientAuth.
 * It ends with its CA at the latest. Throws when the ID is of another trust domain or the CA has expired.
 */
export const issueSvid = async (
  authority: Authority,
  { id, key, now, ttlSeconds }: SvidOptions,
): Promise<{ readonly pem: string; readonly notAfter: number }> => {
  if (trustDomainOf(id) !== authority.trustDomain)
    throw new RangeError(`${id} is not of the trust domain ${authority.trustDomain}`);
  if (authority.notAfter <= now) throw new RangeError(`the SVID CA of ${authority.trustDomain} has expired`);
  const notAfter = Math.min(now + ttlSeconds, authority.notAfter);
  const certificate = await makeCertificate({
    subject: distinguished(authority.trustDomain),
    issuer: authority.subject,
    subjectKey: key,
    signer: authority.key,
    uri: id,
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

export interface TokenOptions {
  readonly id: AgentId;
  /** Public agent key, base64url of 32 octets. */
  readonly agentX: string;
  /** Public audit key, base64url of 32 octets. */
  readonly auditX: string;
  readonly now: number;
  /** That of the SVID, so that neither outlives the other. */
  readonly exp: number;
  readonly attested?: Readonly<Record<string, string>>;
}

/** Issues a WIT and the key binding that goes with it; both end at `exp`. */
export const issueTokens = (
  issuer: SigningKey,
  { id, agentX, auditX, now, exp, attested }: TokenOptions,
): { readonly wit: string; readonly keyBinding: KeyBinding } => ({
  wit: mintWit(
    { sub: id, agentX, auditX, iat: now, exp, jti: makeTokenId(), ...(attested && { attested }) },
    issuer.sign,
    issuer.thumbprint,
  ),
  keyBinding: mintKeyBinding(id, agentX, exp, issuer.sign, issuer.thumbprint),
});

/** An anchor as a bundle carries it (SPEC.md section 9). */
export interface AnchorEntry {
  readonly kind: 'principal' | 'root-issuer';
  readonly jwk: AgentJwk;
  readonly principals: readonly string[];
  readonly human: boolean;
  readonly delegatees: readonly IdPattern[];
  readonly domains: readonly string[];
  readonly scope: readonly string[];
  /** Seconds. */
  readonly max_ttl: number;
  readonly max_depth: number;
}

/** A revocation as a bundle carries it (SPEC.md section 9). */
export type RevocationEntry =
  | { readonly link: string }
  | { readonly link: string; readonly parent: string; readonly delegatee: AgentId }
  | { readonly key: string }
  | { readonly agent: AgentId }
  | { readonly task: string; readonly principal: string }
  | { readonly principal: string; readonly before: number };

export interface BundleOptions {
  readonly root: SigningKey;
  readonly policy: SigningKey;
  readonly trustDomain: string;
  readonly epoch: number;
  readonly seq: number;
  readonly now: number;
  readonly ttlSeconds: number;
  /** SVID CA certificates (DER) and public WIT issuer keys (base64url) by trust domain. */
  readonly domains: Readonly<
    Record<string, { readonly x509: readonly Buffer[]; readonly issuers: readonly string[] }>
  >;
  readonly anchors: readonly AnchorEntry[];
  readonly revoked: readonly RevocationEntry[];
}

/** Signs the roles with the root key and the bundle with the policy key; both end together. */
export const issueBundle = (options: BundleOptions): string => {
  const { root, policy, trustDomain, epoch, seq, now } = options;
  const exp = now + options.ttlSeconds;
  const roles = mintRoles(
    { trust_domain: trustDomain, epoch, iat: now, exp, root: jwkOf(root.x), policy: [jwkOf(policy.x)] },
    root.sign,
    root.thumbprint,
  );
  const domains = Object.fromEntries(
    Object.entries(options.domains).map(([name, { x509, issuers }]) => [
      name,
      { x509: x509.map((der) => der.toString('base64url')), issuers: issuers.map(jwkOf) },
    ]),
  );
  return mintBundle(
    {
      trust_domain: trustDomain,
      epoch,
      seq,
      iat: now,
      exp,
      roles,
      domains,
      anchors: options.anchors,
      revoked: options.revoked,
    },
    policy.sign,
    policy.thumbprint,
  );
};
