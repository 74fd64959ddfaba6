/**
 * Files of a reviewer's keys, private and public: a JWK Set (RFC 7517) of exactly one Ed25519 key, which signs, and one
 * X25519 key, to which bodies are sealed (RFC 8037), and beside it the reviewer's name.
 */
import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { isBase64urlOf } from '../../core/encoding/base64url.ts';
import { type Json, type JsonObject, parseStrictObject } from '../../core/encoding/json.ts';
import { checkMembers, isObject, isString } from '../../core/encoding/members.ts';
import { type AdmittedKey, admitKey } from '../../core/keys.ts';
import { type SigningKey, signingKeyOf } from '../keys/signing-key.ts';

/** Who may review. */
export interface Reviewer {
  readonly name: string;
  readonly key: AdmittedKey;
  /** X25519, public. */
  readonly sealTo: KeyObject;
}

/** A reviewer's private half. */
export interface ReviewerKey {
  readonly name: string;
  readonly signing: SigningKey;
  /** X25519, private. */
  readonly unseal: KeyObject;
}

/** A key file that is none; the message is for whoever named it. */
export class ReviewerKeyError extends Error {}

const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
export const isReviewerName = (name: string): boolean => NAME.test(name);

interface Jwk {
  readonly kty: 'OKP';
  readonly crv: string;
  readonly x: string;
  readonly d: string;
}

const jwkMembers = (crv: string, use: string, isPrivate: boolean) => ({
  crv: (value: Json) => value === crv,
  kty: (value: Json) => value === 'OKP',
  use: (value: Json) => value === use,
  x: (value: Json) => typeof value === 'string' && isBase64urlOf(value, 32),
  ...(isPrivate && { d: (value: Json) => typeof value === 'string' && isBase64urlOf(value, 32) }),
});

const readSet = (
  octets: Buffer,
  isPrivate: boolean,
): { readonly name: string; readonly signs: Jwk; readonly seals: Jwk } => {
  const parsed = parseStrictObject(octets);
  const what = isPrivate
    ? 'a reviewer’s private key (NAME.reviewer.key)'
    : 'a reviewer’s public key (NAME.reviewer.pub)';
  const refuse = (detail: string): never => {
    throw new ReviewerKeyError(`is not ${what}: ${detail}`);
  };
  if (!parsed.ok) return refuse(parsed.detail);
  const set = checkMembers(parsed.value, { keys: Array.isArray, name: isString }, 'the key set');
  if (!set.ok) return refuse(set.detail);
  const { keys, name } = parsed.value as { readonly keys: readonly Json[]; readonly name: string };
  if (!isReviewerName(name)) return refuse('a name has lower-case letters, digits and "-"');
  const find = (crv: string, use: string): Jwk => {
    const [jwk, ...more] = keys.filter((one): one is JsonObject => isObject(one) && one.crv === crv);
    if (jwk === undefined || more.length > 0 || keys.length !== 2)
      return refuse('it has exactly one Ed25519 and one X25519 key');
    if (!isPrivate && jwk.d !== undefined) return refuse('it is a private key: name the .pub file beside it');
    const closed = checkMembers(jwk, jwkMembers(crv, use, isPrivate), `the ${crv} key`);
    return closed.ok ? (jwk as unknown as Jwk) : refuse(closed.detail);
  };
  return { name, signs: find('Ed25519', 'sig'), seals: find('X25519', 'enc') };
};

const publicOf = ({ crv, x }: Jwk): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv, x }, format: 'jwk' });

/** Whether it agrees on a secret at all: a point of small order agrees on zero with everybody (RFC 7748 §6.1). */
const isAgreeing = (publicKey: KeyObject): boolean => {
  try {
    diffieHellman({ privateKey: generateKeyPairSync('x25519').privateKey, publicKey });
    return true;
  } catch {
    return false;
  }
};

/** The public half, from its file. Throws {@link ReviewerKeyError}. */
export const parseReviewer = (octets: Buffer): Reviewer => {
  const { name, signs, seals } = readSet(octets, false);
  const key = admitKey(signs.x);
  if (!key.ok) throw new ReviewerKeyError(`has no key that may sign: ${key.detail}`);
  const sealTo = publicOf(seals);
  if (!isAgreeing(sealTo)) throw new ReviewerKeyError('has no key to seal to: a point of small order');
  return { name, key: key.value, sealTo };
};

const privateOf = ({ kty, crv, x, d }: Jwk): KeyObject => {
  try {
    return createPrivateKey({ key: { kty, crv, x, d }, format: 'jwk' });
  } catch {
    throw new ReviewerKeyError('has a private key that is not that of its public one');
  }
};

/** The private half, from its file. Throws {@link ReviewerKeyError}. */
export const parseReviewerKey = (octets: Buffer): ReviewerKey => {
  const { name, signs, seals } = readSet(octets, true);
  const signing = signingKeyOf(privateOf(signs));
  if (signing === undefined) throw new ReviewerKeyError('has no Ed25519 key');
  return { name, signing, unseal: privateOf(seals) };
};

/** Both files of a new reviewer. */
export const makeReviewerFiles = (name: string): { readonly key: string; readonly pub: string } => {
  const pairs = [
    { use: 'sig', jwk: generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }) },
    { use: 'enc', jwk: generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' }) },
  ];
  const text = (isPrivate: boolean): string => {
    const keys = pairs.map(({ use, jwk: { kty, crv, x, d } }) => ({
      kty,
      crv,
      use,
      x,
      ...(isPrivate && { d }),
    }));
    return `${JSON.stringify({ name, keys }, null, 2)}\n`;
  };
  return { key: text(true), pub: text(false) };
};
