/** Certificate requests of a workload: an empty subject and a key. What it is called, the verifier decides. */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;

export interface CertificateRequest {
  /** PKCS#10. */
  readonly pem: string;
  /** base64url SHA-256 of the DER. */
  readonly digest: string;
}

/** An ECDSA P-256 key for one SVID. */
export const makeSvidKey = (): KeyObject =>
  generateKeyPairSync('ec', { namedCurve: P256.namedCurve }).privateKey;

/** A PKCS#10 request (RFC 2986), signed by the key that it is for. */
export const makeCsr = async (key: KeyObject): Promise<CertificateRequest> => {
  // Only who enrols needs them, and they are large.
  await import('reflect-metadata');
  const { Pkcs10CertificateRequestGenerator } = await import('@peculiar/x509');
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys: {
      privateKey: key.toCryptoKey(P256, true, ['sign']),
      publicKey: createPublicKey(key).toCryptoKey(P256, true, ['verify']),
    },
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  });
  return {
    pem: `${request.toString('pem')}\n`,
    digest: createHash('sha256').update(Buffer.from(request.rawData)).digest('base64url'),
  };
};
