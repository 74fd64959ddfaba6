/** Certificate requests: of a CSR nothing counts but its key, and that whoever sends it holds it. */
import 'reflect-metadata';
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { Refusal } from '../refusal.ts';

export interface ProvenCsr {
  /** ECDSA P-256, public. */
  readonly key: KeyObject;
  /** base64url SHA-256 of the CSR (DER). */
  readonly digest: string;
  /** base64url SHA-256 of the key (SPKI). */
  readonly keyDigest: string;
}

const PEM =
  /^-----BEGIN CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE REQUEST-----\s*$/;

const sha256 = (octets: Uint8Array): string => createHash('sha256').update(octets).digest('base64url');
const bad = (what: string): Refusal => new Refusal('enrolment_proof', `the certificate request ${what}`);

/** Reads a PKCS#10 request in PEM and checks its signature by its own key (RFC 2986). Throws `enrolment_proof`. */
export const readCsr = async (pem: string): Promise<ProvenCsr> => {
  const base64 = PEM.exec(pem)?.[1];
  if (base64 === undefined) throw bad('is not one in PEM');
  const der = Buffer.from(base64, 'base64');
  let request: Pkcs10CertificateRequest;
  let key: KeyObject;
  try {
    request = new Pkcs10CertificateRequest(der);
    key = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' });
  } catch {
    throw bad('can’t be read');
  }
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw bad('is for a key other than ECDSA P-256');
  if (!(await isSelfSigned(request))) throw bad('is not signed by its own key');
  return {
    key,
    digest: sha256(der),
    keyDigest: sha256(key.export({ format: 'der', type: 'spki' })),
  };
};

const isSelfSigned = async (request: Pkcs10CertificateRequest): Promise<boolean> => {
  try {
    return await request.verify();
  } catch {
    return false;
  }
};
