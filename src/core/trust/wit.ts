/** Workload Identity Tokens and key bindings: an issuer's word that an agent ID owns a key (SPEC.md section 6). */

import { LRUCache } from 'lru-cache';
import { decodeBase64url, encodeBase64url, isBase64urlOf } from '../encoding/base64url.ts';
import type { JsonObject } from '../encoding/json.ts';
import { canonicalJson } from '../encoding/json.ts';
import { jwsHeader, parseJws, type Sign, signJws, verifyJws } from '../encoding/jws.ts';
import { checkMembers, isDigest, isJti, isObject, isString, isTime, optional } from '../encoding/members.ts';
import { type AdmittedKey, type AgentJwk, admitKey, jwkFault, jwkOf, thumbprintOf } from '../keys.ts';
import { CLOCK_SKEW_SECONDS } from '../limits.ts';
import { upTo } from '../lru.ts';
import { type AgentId, isAgentId, trustDomainOf } from '../spiffe-id.ts';
import { deny, grant, type Verdict } from '../verdict.ts';

/** WIT issuer keys by trust domain, then thumbprint. Every key in it has been admitted. */
export type Issuers = ReadonlyMap<string, ReadonlyMap<string, AdmittedKey>>;

export interface Wit {
  readonly sub: AgentId;
  readonly iat: number;
  readonly exp: number;
  readonly agentKey: AdmittedKey;
  /** The key that signs audit checkpoints, base64url of 32 octets. */
  readonly auditX: string | undefined;
}

/** Which issuer key has verified a token: the same few come with every connection and every chain. */
const proven = new LRUCache<string, AdmittedKey>(upTo(2048));

const isProven = (
  text: string,
  jws: { readonly signingInput: string; readonly signature: Buffer },
  issuer: AdmittedKey,
): boolean => {
  if (proven.get(text) === issuer) return true;
  if (!verifyJws(jws, issuer.key)) return false;
  proven.set(text, issuer);
  return true;
};

const MEMBERS = {
  iss: isString,
  sub: isAgentId,
  iat: isTime,
  exp: isTime,
  jti: isJti,
  cnf: isObject,
  audit_jwk: optional(isObject),
  attested: optional((value) => isObject(value) && Object.values(value).every(isString)),
} as const;

/** `{"jwk": …}` and nothing else. */
export const cnfKey = (cnf: JsonObject): Verdict<string> => {
  const closed = checkMembers(cnf, { jwk: isObject }, 'cnf');
  if (!closed.ok) return closed;
  const jwk = cnf.jwk as JsonObject;
  return jwkFault(jwk) ?? grant(jwk.x as string);
};

/**
 * Verifies a WIT against the issuers of its own trust domain.
 * Refuses with parse faults, `wit_*`, `key_*`. `skipTime` is for logs, where a WIT is history.
 */
export const verifyWit = (text: string, issuers: Issuers, now: number, skipTime = false): Verdict<Wit> => {
  const jws = parseJws(text, 'wit+jwt');
  if (!jws.ok) return jws;
  const { payload, kid = '' } = jws.value;
  const closed = checkMembers(payload, MEMBERS, 'the WIT');
  if (!closed.ok) return closed;
  const x = cnfKey(payload.cnf as JsonObject);
  if (!x.ok) return x;
  const auditFault = payload.audit_jwk === undefined ? undefined : jwkFault(payload.audit_jwk);
  if (auditFault !== undefined) return auditFault;
  const sub = payload.sub as AgentId;
  const iat = payload.iat as number;
  const exp = payload.exp as number;
  const issuer = issuers.get(trustDomainOf(sub))?.get(kid);
  if (payload.iss !== `spiffe://${trustDomainOf(sub)}` || issuer === undefined)
    return deny('wit_issuer_unknown', `the WIT of ${sub} is by no issuer of its trust domain`);
  if (!skipTime) {
    if (now >= exp + CLOCK_SKEW_SECONDS)
      return deny('wit_expired', `the WIT of ${sub} expired at ${exp}, it is ${now}`);
    if (iat > now + CLOCK_SKEW_SECONDS)
      return deny('wit_not_yet_valid', `the WIT of ${sub} is from ${iat}, it is ${now}`);
  }
  if (!isProven(text, jws.value, issuer))
    return deny('wit_signature', `the WIT of ${sub} has a wrong signature`);
  const agentKey = admitKey(x.value);
  if (!agentKey.ok) return agentKey;
  const auditX = (payload.audit_jwk as AgentJwk | undefined)?.x;
  return grant({ sub, iat, exp, agentKey: agentKey.value, auditX });
};

export interface WitClaims {
  readonly sub: AgentId;
  readonly agentX: string;
  readonly auditX: string;
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
  readonly attested?: Readonly<Record<string, string>>;
}

/** Issues a WIT. `kid` is the thumbprint of the issuer key that `sign` uses. */
export const mintWit = (claims: WitClaims, sign: Sign, kid: string): string =>
  signJws(
    'wit+jwt',
    {
      iss: `spiffe://${trustDomainOf(claims.sub)}`,
      sub: claims.sub,
      iat: claims.iat,
      exp: claims.exp,
      jti: claims.jti,
      cnf: { jwk: jwkOf(claims.agentX) },
      audit_jwk: jwkOf(claims.auditX),
      attested: claims.attested,
    },
    sign,
    kid,
  );

/** What a link carries of a key binding; name and key are those of the parent's delegatee. */
export interface KeyBinding {
  readonly exp: number;
  /** Thumbprint of the issuer key. */
  readonly kid: string;
  /** base64url of 64 octets. */
  readonly sig: string;
}

export const KEY_BINDING_MEMBERS = {
  exp: isTime,
  kid: isDigest,
  sig: (value: unknown) => typeof value === 'string' && isBase64urlOf(value, 64),
} as const;

const bindingInput = (sub: AgentId, thumbprint: string, exp: number, kid: string): string =>
  `${jwsHeader('kb+jwt', kid)}.${Buffer.from(canonicalJson({ exp, jkt: thumbprint, sub })).toString('base64url')}`;

export const mintKeyBinding = (
  sub: AgentId,
  agentX: string,
  exp: number,
  sign: Sign,
  kid: string,
): KeyBinding => ({
  exp,
  kid,
  sig: encodeBase64url(sign(Buffer.from(bindingInput(sub, thumbprintOf(agentX), exp, kid)))),
});

/** Verifies that `sub` owned the key when a link was made at `iat`. Refuses with `kb_*`. */
export const verifyKeyBinding = (
  kb: KeyBinding,
  sub: AgentId,
  agentX: string,
  iat: number,
  issuers: Issuers,
): Verdict<true> => {
  if (kb.exp <= iat)
    return deny('kb_expired', `the key binding of ${sub} had expired when the link was made`);
  const issuer = issuers.get(trustDomainOf(sub))?.get(kb.kid);
  if (issuer === undefined)
    return deny('kb_issuer_unknown', `the key binding of ${sub} is by no issuer of its trust domain`);
  const signature = decodeBase64url(kb.sig);
  const signingInput = bindingInput(sub, thumbprintOf(agentX), kb.exp, kb.kid);
  if (signature === undefined || !isProven(`${signingInput}.${kb.sig}`, { signingInput, signature }, issuer))
    return deny('kb_signature', `nothing proves that ${sub} owns the key that signed for it`);
  return grant(true);
};
