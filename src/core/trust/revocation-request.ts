/** What a principal signs to revoke what it granted: its own word, wherever it comes from (SPEC.md section 9). */
import type { Json, JsonObject } from '../encoding/json.ts';
import { parseJws, type Sign, signJws, type UnverifiedJws, verifyJws } from '../encoding/jws.ts';
import { checkMembers, isDigest, isJti, isObject, isString, isTime } from '../encoding/members.ts';
import { type AdmittedKey, thumbprintOf } from '../keys.ts';
import { isPrincipal } from '../spiffe-id.ts';
import { deny, grant, type Verdict } from '../verdict.ts';

/** How far the request's time may be from ours, in seconds. */
export const REVOCATION_REQUEST_SECONDS = 60;

/** What is to end. The principal is who signs, and nobody else can be named. */
export type RequestedTarget =
  | { readonly link: string }
  /** One of its own keys. */
  | { readonly key: string }
  | { readonly task: string }
  /** All that it granted before this time, in seconds. */
  | { readonly before: number };

export interface RevocationRequest {
  /** The verifier that is meant: `spiffe://<trust domain>/verifier`. */
  readonly aud: string;
  readonly principal: string;
  readonly target: RequestedTarget;
  /** Seconds. */
  readonly iat: number;
  /** Taken once. */
  readonly jti: string;
}

/** In form, and **not** verified. */
export interface UnverifiedRevocationRequest {
  readonly jws: UnverifiedJws;
  /** Thumbprint of the key that is said to have signed. */
  readonly kid: string;
  readonly request: RevocationRequest;
}

/** Whom a request must be for. */
export const verifierIdOf = (trustDomain: string): string => `spiffe://${trustDomain}/verifier`;

const MEMBERS = {
  aud: isString,
  sub: (value: Json) => typeof value === 'string' && isPrincipal(value),
  target: isObject,
  iat: isTime,
  jti: isJti,
} as const;

const TARGETS = { link: isDigest, key: isDigest, task: isDigest, before: isTime } as const;

/** Reads the form. Refuses with parse faults. */
export const parseRevocationRequest = (text: string): Verdict<UnverifiedRevocationRequest> => {
  const jws = parseJws(text, 'revoke+jwt');
  if (!jws.ok) return jws;
  const closed = checkMembers(jws.value.payload, MEMBERS, 'the request');
  if (!closed.ok) return closed;
  const { aud, sub, target, iat, jti } = closed.value;
  const names = Object.keys(target as JsonObject);
  const name = names[0] as keyof typeof TARGETS;
  if (names.length !== 1 || !Object.hasOwn(TARGETS, name))
    return deny('claim_invalid', 'the target is one of link, key, task and before');
  const form = checkMembers(target as JsonObject, { [name]: TARGETS[name] }, 'the target');
  if (!form.ok) return form;
  return grant({
    jws: jws.value,
    kid: jws.value.kid ?? '',
    request: {
      aud: aud as string,
      principal: sub as string,
      target: target as unknown as RequestedTarget,
      iat: iat as number,
      jti: jti as string,
    },
  });
};

/**
 * Checks addressee, time and signature; `key` is one that may speak for the principal and has the request's thumbprint.
 * Whether the request was seen before is for the caller to know. Refuses with `api_forbidden`.
 */
export const verifyRevocationRequest = (
  { jws, kid, request }: UnverifiedRevocationRequest,
  {
    trustDomain,
    key,
    now,
  }: { readonly trustDomain: string; readonly key: AdmittedKey; readonly now: number },
): Verdict<RevocationRequest> => {
  if (request.aud !== verifierIdOf(trustDomain))
    return deny('api_forbidden', `the request is for another verifier than that of ${trustDomain}`);
  if (Math.abs(now - request.iat) > REVOCATION_REQUEST_SECONDS)
    return deny('api_forbidden', `the request is of ${request.iat}, it is ${now}; compare both clocks`);
  if (kid !== key.thumbprint || !verifyJws(jws, key.key))
    return deny('api_forbidden', 'the request is not signed by the key that it names');
  return grant(request);
};

/** `x` is the public half of the key that signs. */
export const mintRevocationRequest = (request: RevocationRequest, x: string, sign: Sign): string => {
  const { aud, principal, target, iat, jti } = request;
  return signJws('revoke+jwt', { aud, sub: principal, target, iat, jti }, sign, thumbprintOf(x));
};
