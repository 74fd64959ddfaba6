/** Ed25519 public keys: their form, name and admission (RFC 8037, RFC 7638, RFC 8032; SPEC.md section 4). */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { Point } from '@noble/ed25519';
import { LRUCache } from 'lru-cache';
import { decodeBase64url, isBase64urlOf } from './encoding/base64url.ts';
import type { Json } from './encoding/json.ts';
import { sha256Base64url } from './encoding/jws.ts';
import { isObject } from './encoding/members.ts';
import { upTo } from './lru.ts';
import { type Denial, deny, grant, type Verdict } from './verdict.ts';

/** RFC 8037 §2, with exactly these members. */
export interface AgentJwk {
  readonly crv: 'Ed25519';
  readonly kty: 'OKP';
  /** base64url of 32 octets. */
  readonly x: string;
}

declare const admitted: unique symbol;
/** A key that may verify signatures; only {@link admitKey} makes one. */
export interface AdmittedKey {
  readonly [admitted]: true;
  readonly x: string;
  readonly thumbprint: string;
  readonly key: KeyObject;
}

const THUMBPRINT_URN = 'urn:ietf:params:oauth:jwk-thumbprint:sha-256:';

export const jwkOf = (x: string): AgentJwk => ({ crv: 'Ed25519', kty: 'OKP', x });

/** RFC 7638 thumbprint, base64url, 43 characters. */
export const thumbprintOf = (x: string): string => {
  const known = thumbprints.get(x);
  if (known !== undefined) return known;
  const thumbprint = sha256Base64url(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`);
  thumbprints.set(x, thumbprint);
  return thumbprint;
};

/** RFC 9278 URN of a thumbprint. */
export const thumbprintUrn = (thumbprint: string): string => THUMBPRINT_URN + thumbprint;

/** The thumbprint in an RFC 9278 URN; `undefined` when it is none. */
export const parseThumbprintUrn = (urn: string): string | undefined => {
  if (!urn.startsWith(THUMBPRINT_URN)) return undefined;
  const thumbprint = urn.slice(THUMBPRINT_URN.length);
  return isBase64urlOf(thumbprint, 32) ? thumbprint : undefined;
};

/** Whether a value is an Ed25519 public JWK in form; the point is looked at by {@link admitKey}. */
export const isJwk = (value: Json): boolean => jwkFault(value) === undefined;

/** What is wrong with a JWK in form: `claim_*`. */
export const jwkFault = (value: Json): Denial | undefined => {
  if (!isObject(value)) return deny('claim_invalid', 'the key is not a JWK');
  for (const name in value) {
    if (name !== 'kty' && name !== 'crv' && name !== 'x')
      return deny(
        'claim_unknown',
        name === 'd' ? 'the key is a private key' : 'the key has a member that is not listed',
      );
  }
  for (const name of ['kty', 'crv', 'x']) {
    if (value[name] === undefined) return deny('claim_missing', `the key lacks ${name}`);
  }
  if (
    value.kty !== 'OKP' ||
    value.crv !== 'Ed25519' ||
    typeof value.x !== 'string' ||
    !isBase64urlOf(value.x, 32)
  )
    return deny('claim_invalid', 'the key is not an Ed25519 JWK');
  return undefined;
};

/**
 * Admits a public key, given as base64url of 32 octets. OpenSSL accepts keys of small order, under which one
 * signature verifies for every message; so this comes before any use. Costs 0.6 ms once, then a map lookup:
 * call it only after the object that names the key has verified.
 * Refuses with `key_length`, `key_not_canonical`, `key_small_order`, `key_mixed_order`.
 */
export const admitKey = (x: string): Verdict<AdmittedKey> => {
  const known = admittedKeys.get(x);
  if (known !== undefined) return known;
  const verdict = admit(x);
  admittedKeys.set(x, verdict);
  return verdict;
};

const admit = (x: string): Verdict<AdmittedKey> => {
  const octets = decodeBase64url(x);
  if (octets?.length !== 32) return deny('key_length', 'a public key is 32 octets');
  let point: Point;
  try {
    point = Point.fromBytes(octets, false);
  } catch {
    return deny('key_not_canonical', 'not the canonical encoding of a curve point');
  }
  // x = 0 with the sign bit set decodes, but no signer encodes it so (RFC 8032 §5.1.3 step 4).
  if (!Buffer.from(point.toBytes()).equals(octets))
    return deny('key_not_canonical', 'not the canonical encoding of a curve point');
  if (point.isSmallOrder()) return deny('key_small_order', 'a key of small order');
  if (!point.isTorsionFree()) return deny('key_mixed_order', 'a key with a small-order component');
  const key = createPublicKey({ key: { ...jwkOf(x) }, format: 'jwk' });
  return grant({ x, thumbprint: thumbprintOf(x), key } as AdmittedKey);
};

// Both depend on nothing but their key, so that remembering them changes no answer.
const admittedKeys = new LRUCache<string, Verdict<AdmittedKey>>(upTo(4096));
const thumbprints = new LRUCache<string, string>(upTo(4096));
