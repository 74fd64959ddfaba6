/** Certificates with any fault in them, by any authority. */
import 'reflect-metadata';
import { createPublicKey, randomBytes, type webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralNames,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { privateKeyPem } from '../../src/edge/keys/signing-key.ts';
import { makeTlsKey, type SvidCa } from '../../src/verifier/authority/certificates.ts';

export { ExtendedKeyUsage, KeyUsageFlags } from '@peculiar/x509';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;

export interface CertificateFault {
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  readonly isCa?: boolean;
  /** Null leaves the extension out. */
  readonly usage?: number | null;
  readonly extUsage?: readonly string[] | null;
  /** Seconds. */
  readonly notBefore?: number;
  readonly notAfter?: number;
}

export interface ForgedCertificate {
  readonly svidPem: string;
  readonly svidKeyPem: string;
}

const SVID_USES = [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth];

/** A leaf by `authority` that is an SVID but for its fault. */
export const forgeCertificate = async (
  authority: SvidCa,
  fault: CertificateFault = {},
): Promise<ForgedCertificate> => {
  const {
    uris = ['spiffe://company.com/agent/planning/abc123'],
    dns = [],
    isCa = false,
    usage = KeyUsageFlags.digitalSignature,
    extUsage = SVID_USES,
  } = fault;
  const now = Math.floor(Date.now() / 1000);
  const key = makeTlsKey();
  const publicKey: webcrypto.CryptoKey = createPublicKey(key).toCryptoKey(P256, true, ['verify']);
  const names: JsonGeneralNames = [
    ...uris.map((value) => ({ type: 'url' as const, value })),
    ...dns.map((value) => ({ type: 'dns' as const, value })),
  ];
  const certificate = await X509CertificateGenerator.create({
    serialNumber: `40${randomBytes(15).toString('hex')}`,
    subject: 'O=forged',
    issuer: authority.subject,
    notBefore: new Date((fault.notBefore ?? now - 60) * 1000),
    notAfter: new Date((fault.notAfter ?? now + 3600) * 1000),
    publicKey,
    signingKey: authority.key.toCryptoKey(P256, true, ['sign']),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      new BasicConstraintsExtension(isCa, undefined, true),
      ...(usage === null ? [] : [new KeyUsagesExtension(usage, true)]),
      ...(extUsage === null ? [] : [new ExtendedKeyUsageExtension([...extUsage])]),
      ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)]),
    ],
  });
  return { svidPem: `${certificate.toString('pem')}\n`, svidKeyPem: privateKeyPem(key) };
};
