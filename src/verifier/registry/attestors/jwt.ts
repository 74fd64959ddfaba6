/**
 * JWTs of others, read strictly before `jose` sees them: it takes several spellings of one token, and the last of two
 * equal members (TRAPS: one reader's header must be every reader's).
 */
import { errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { decodeBase64url } from '../../../core/encoding/base64url.ts';
import { type JsonObject, parseStrictObject } from '../../../core/encoding/json.ts';
import { CLOCK_SKEW_SECONDS } from '../../../core/limits.ts';
import { Refusal } from '../../refusal.ts';

export interface ForeignJwt {
  readonly header: JsonObject;
  readonly claims: JsonObject;
}

/** A header that brings its own key, or asks for rules of its own, is none that we want to understand. */
const HEADER = new Set(['alg', 'kid', 'typ']);
const MAX_KID = 256;

const refused = (detail: string): Refusal => new Refusal('attestation_refused', detail);

/** **Not** verified. Throws `attestation_refused`. */
export const readForeignJwt = (token: string): ForeignJwt => {
  const parts = token.split('.');
  const [header, payload, signature] = parts.map(decodeBase64url);
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined)
    throw refused('the token is no JWT');
  const head = parseStrictObject(header);
  const body = parseStrictObject(payload);
  if (!head.ok || !body.ok) throw refused('the token is no JWT in strict JSON');
  const foreign = Object.keys(head.value).find((name) => !HEADER.has(name));
  if (foreign !== undefined) throw refused('the token’s header has a member other than alg, kid and typ');
  const { kid, typ } = head.value;
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_KID))
    throw refused('the token’s kid is no name of a key');
  if (typ !== undefined && typeof typ !== 'string') throw refused('the token’s typ is no text');
  return { header: head.value, claims: body.value };
};

export interface Expected {
  readonly issuer: string;
  readonly audience: string;
  /** Asymmetric ones only. */
  readonly algorithms: readonly string[];
  readonly keys: JWTVerifyGetKey;
  /** Seconds. */
  readonly now: number;
  /** For messages: `the cluster prod`. */
  readonly from: string;
}

/** Verifies signature, issuer, audience and times. Throws `attestation_refused`, `attestation_expired`, `api_unavailable`. */
export const verifyForeignJwt = async (token: string, expected: Expected): Promise<ForeignJwt> => {
  const jwt = readForeignJwt(token);
  const { issuer, audience, algorithms, keys, now, from } = expected;
  if (!algorithms.includes(String(jwt.header.alg)))
    throw refused(`the token of ${from} is not signed with ${algorithms.join(' or ')}`);
  try {
    await jwtVerify(token, keys, {
      issuer,
      audience,
      algorithms: [...algorithms],
      currentDate: new Date(now * 1000),
      clockTolerance: CLOCK_SKEW_SECONDS,
      requiredClaims: ['exp', 'iat', 'sub'],
    });
  } catch (error) {
    throw explain(error, jwt.claims, expected);
  }
  const { iat } = jwt.claims;
  if (typeof iat !== 'number' || iat > now + CLOCK_SKEW_SECONDS)
    throw refused(
      `the token of ${from} is from the future: ${String(iat)}, it is ${now}; compare both clocks`,
    );
  return jwt;
};

const explain = (error: unknown, { exp, nbf }: JsonObject, { audience, now, from }: Expected): unknown => {
  if (error instanceof errors.JWTExpired)
    return new Refusal(
      'attestation_expired',
      `the token of ${from} expired at ${String(exp)}, it is ${now}; compare both clocks`,
    );
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return refused(`the token of ${from} is not for ${audience}`);
    if (error.claim === 'nbf')
      return refused(`the token of ${from} holds from ${String(nbf)} on, it is ${now}; compare both clocks`);
    return refused(`${error.claim} of the token of ${from} is missing or not what is expected`);
  }
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return refused(`the token is by no key that ${from} is known to have`);
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return refused(`the signature of the token of ${from} is wrong`);
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid || isFetchFault(error))
    return new Refusal('api_unavailable', `the keys of ${from} can’t be fetched now`);
  if (error instanceof errors.JOSEError)
    return refused(`the token of ${from} can’t be verified (${error.code})`);
  return error;
};

// jose throws its base class for an answer that isn't 200, and passes on what fetch throws.
const isFetchFault = (error: unknown): boolean =>
  (error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC') ||
  (error instanceof TypeError && error.message === 'fetch failed');
