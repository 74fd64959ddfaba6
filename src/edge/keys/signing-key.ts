/** Ed25519 private keys as the verifier holds them: made, written as PKCS#8 PEM, read again. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign as signOctets } from 'node:crypto';
import type { Sign } from '../../core/encoding/jws.ts';
import { thumbprintOf } from '../../core/keys.ts';

/** A private key with the names of its public half. */
export interface SigningKey {
  readonly key: KeyObject;
  /** The public key, base64url of 32 octets. */
  readonly x: string;
  /** RFC 7638, 43 characters. */
  readonly thumbprint: string;
  readonly sign: Sign;
}

/** Wraps an Ed25519 private key; `undefined` for a key of another kind. */
export const signingKeyOf = (key: KeyObject): SigningKey | undefined => {
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') return undefined;
  const { x } = key.export({ format: 'jwk' });
  if (x === undefined) return undefined;
  return { key, x, thumbprint: thumbprintOf(x), sign: (message) => signOctets(null, message, key) };
};

export const makeSigningKey = (): SigningKey =>
  signingKeyOf(generateKeyPairSync('ed25519').privateKey) as SigningKey;

/** PKCS#8 PEM to a private key of any kind; `undefined` when it is none. The error of OpenSSL says nothing useful. */
export const parsePrivateKey = (pem: string): KeyObject | undefined => {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
};

/** PKCS#8 PEM (RFC 5958). */
export const privateKeyPem = (key: KeyObject): string =>
  key.export({ format: 'pem', type: 'pkcs8' }).toString();
