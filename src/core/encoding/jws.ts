/**
 * Compact JWS (RFC 7515 §3.1) with one fixed protected header for each type (SPEC.md section 2), read strictly
 * before any signature is looked at. Ids and signatures are over the signing input as sent.
 */
import { createHash, verify as cryptoVerify, hash, type KeyObject } from 'node:crypto';
import { MAX_BUNDLE_BYTES, MAX_LINK_BYTES, MAX_ROLES_BYTES, MAX_TOKEN_BYTES } from '../limits.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import { decodeBase64url, encodeBase64url, isBase64urlOf, isCanonicalBase64url } from './base64url.ts';
import { canonicalJson, type JsonObject, parseStrictObject } from './json.ts';

export type JwsType =
  | 'dlink+jwt'
  | 'hs-i+jwt'
  | 'hs-r+jwt'
  | 'kb+jwt'
  | 'wit+jwt'
  | 'roles+jwt'
  | 'bundle+jwt'
  | 'timestamp+jwt'
  | 'enrol+jwt'
  | 'rotate+jwt'
  | 'approval+jwt'
  | 'link-approval+jwt'
  | 'revoke+jwt'
  | 'quarantine-inspect+jwt'
  | 'quarantine-release+jwt'
  | 'audit-cp+jwt'
  | 'hop+jwt'
  | 'subject+jwt';

const MAX_BYTES: Readonly<Record<JwsType, number>> = {
  'dlink+jwt': MAX_LINK_BYTES,
  'hs-i+jwt': MAX_TOKEN_BYTES,
  'hs-r+jwt': MAX_TOKEN_BYTES,
  'kb+jwt': MAX_TOKEN_BYTES,
  'wit+jwt': MAX_TOKEN_BYTES,
  'roles+jwt': MAX_ROLES_BYTES,
  'bundle+jwt': MAX_BUNDLE_BYTES,
  'timestamp+jwt': MAX_TOKEN_BYTES,
  'enrol+jwt': MAX_TOKEN_BYTES,
  'rotate+jwt': MAX_TOKEN_BYTES,
  'approval+jwt': MAX_TOKEN_BYTES,
  'link-approval+jwt': MAX_TOKEN_BYTES,
  'revoke+jwt': MAX_TOKEN_BYTES,
  'quarantine-inspect+jwt': MAX_TOKEN_BYTES,
  'quarantine-release+jwt': MAX_TOKEN_BYTES,
  'audit-cp+jwt': MAX_TOKEN_BYTES,
  'hop+jwt': MAX_TOKEN_BYTES,
  'subject+jwt': 2 * MAX_TOKEN_BYTES,
};

/** Types whose header names the signing key; the others are signed by a key that the context fixes. */
const NAMES_KEY: ReadonlySet<JwsType> = new Set([
  'kb+jwt',
  'wit+jwt',
  'roles+jwt',
  'bundle+jwt',
  'timestamp+jwt',
  'enrol+jwt',
  'rotate+jwt',
  'approval+jwt',
  'link-approval+jwt',
  'revoke+jwt',
  'quarantine-inspect+jwt',
  'quarantine-release+jwt',
  'audit-cp+jwt',
  'hop+jwt',
  'subject+jwt',
]);

/** Parsed, and **not** verified. */
export interface UnverifiedJws {
  /** `header.payload` in ASCII, as sent. */
  readonly signingInput: string;
  /** 64 octets. */
  readonly signature: Buffer;
  /** RFC 7638 thumbprint of the signing key, for the types that name it. */
  readonly kid: string | undefined;
  readonly payload: JsonObject;
}

/** The one header of a type, base64url. */
export const jwsHeader = (type: JwsType, kid?: string): string =>
  encodeBase64url(
    Buffer.from(
      kid === undefined
        ? `{"alg":"Ed25519","typ":"${type}"}`
        : `{"alg":"Ed25519","kid":"${kid}","typ":"${type}"}`,
    ),
  );

const FIXED_HEADER = new Map<JwsType, string>(
  (['dlink+jwt', 'hs-i+jwt', 'hs-r+jwt'] as const).map((type) => [type, jwsHeader(type)]),
);
const KID_HEADER = /^\{"alg":"Ed25519","kid":"([A-Za-z0-9_-]{43})","typ":"([a-z+-]+)"\}$/;

/** Most headers are by the same few issuer keys. Bounded, since a sender chooses what stands in it. */
const seenHeaders = new Map<string, { type: JwsType; kid: string }>();

const readHeader = (text: string, type: JwsType): Verdict<string | undefined> => {
  const fixed = FIXED_HEADER.get(type);
  if (fixed !== undefined)
    return text === fixed
      ? grant(undefined)
      : deny('jws_header', `the protected header is not that of ${type}`);
  const known = seenHeaders.get(text);
  if (known !== undefined && known.type === type) return grant(known.kid);
  const match = KID_HEADER.exec(Buffer.from(text, 'base64url').toString('latin1'));
  const kid = match?.[1];
  if (kid === undefined || match?.[2] !== type || !isBase64urlOf(kid, 32))
    return deny('jws_header', `the protected header is not that of ${type}`);
  if (seenHeaders.size >= 64) seenHeaders.clear();
  seenHeaders.set(text, { type, kid });
  return grant(kid);
};

/** Reads a compact JWS of one type. Refuses with `jws_*` and `json_*`; does not verify the signature. */
export const parseJws = (text: string, type: JwsType): Verdict<UnverifiedJws> => {
  if (text.length > MAX_BYTES[type])
    return deny('jws_size', `${type} of ${text.length} octets, at most ${MAX_BYTES[type]}`);
  const first = text.indexOf('.');
  const second = text.indexOf('.', first + 1);
  if (
    first < 1 ||
    second < first + 2 ||
    text.indexOf('.', second + 1) !== -1 ||
    text.length - second - 1 !== 86
  )
    return deny('jws_structure', `${type} is not header.payload.signature with a signature of 64 octets`);
  const header = text.slice(0, first);
  if (!isCanonicalBase64url(header)) return deny('jws_base64url', `header of ${type}`);
  const payloadOctets = decodeBase64url(text.slice(first + 1, second));
  if (payloadOctets === undefined) return deny('jws_base64url', `payload of ${type}`);
  const signature = decodeBase64url(text.slice(second + 1));
  if (signature === undefined) return deny('jws_base64url', `signature of ${type}`);
  const kid = readHeader(header, type);
  if (!kid.ok) return kid;
  const payload = parseStrictObject(payloadOctets);
  if (!payload.ok) return payload;
  return grant({ signingInput: text.slice(0, second), signature, kid: kid.value, payload: payload.value });
};

/** RFC 8032 verification by OpenSSL. The key must have been admitted (SPEC.md section 4). */
export const verifyJws = (jws: { signingInput: string; signature: Buffer }, key: KeyObject): boolean =>
  cryptoVerify(null, Buffer.from(jws.signingInput, 'latin1'), key, jws.signature);

/** Signs octets with an Ed25519 key: 64 octets. Passed in, so that the core holds no private key of its own. */
export type Sign = (message: Buffer) => Buffer;

/** Makes a compact JWS over the canonical JSON of `payload`. */
export const signJws = (type: JwsType, payload: unknown, sign: Sign, kid?: string): string => {
  if (NAMES_KEY.has(type) !== (kid !== undefined)) throw new TypeError(`kid does not fit ${type}`);
  const input = `${jwsHeader(type, kid)}.${Buffer.from(canonicalJson(payload)).toString('base64url')}`;
  return `${input}.${encodeBase64url(sign(Buffer.from(input, 'latin1')))}`;
};

/** SHA-256 as 32 octets. */
export const sha256 = (...parts: readonly (Uint8Array | string)[]): Buffer => {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(part);
  return sum.digest();
};

/** base64url SHA-256, 43 characters. */
export const sha256Base64url = (text: string): string => hash('sha256', text, 'base64url');
