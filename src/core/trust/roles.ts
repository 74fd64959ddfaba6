/** The roles: which keys the root trusts with what, in which epoch (SPEC.md section 9). */
import { decodeBase64url } from '../encoding/base64url.ts';
import type { Json, JsonObject } from '../encoding/json.ts';
import { parseJws, type Sign, signJws, type UnverifiedJws, verifyJws } from '../encoding/jws.ts';
import { checkMembers, isInteger, isObject, isString, isTime } from '../encoding/members.ts';
import { type AgentJwk, admitKey, jwkFault, thumbprintOf } from '../keys.ts';
import { CLOCK_SKEW_SECONDS } from '../limits.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';

/** Public keys are base64url of 32 octets, certificates DER. */
export interface Roles {
  readonly trustDomain: string;
  readonly epoch: number;
  readonly iat: number;
  readonly exp: number;
  readonly root: string;
  /** May sign bundles. */
  readonly policy: readonly string[];
  /** May sign timestamps; none: a bundle is its own timestamp. */
  readonly timestamp: readonly string[];
  /** May issue WITs and key bindings for agents of this trust domain. */
  readonly issuers: readonly string[];
  /** May sign L0 for whom the verifier has logged in. */
  readonly rootIssuers: readonly string[];
  /** SVID CAs of this trust domain. */
  readonly x509: readonly Buffer[];
}

/** In form, and **not** verified. */
export interface UnverifiedRoles {
  readonly jws: UnverifiedJws;
  readonly roles: Roles;
}

const isPositive = isInteger(1, Number.MAX_SAFE_INTEGER);
const MEMBERS = {
  trust_domain: isString,
  epoch: isPositive,
  iat: isTime,
  exp: isTime,
  root: isObject,
  policy: Array.isArray,
  timestamp: Array.isArray,
  issuers: Array.isArray,
  root_issuers: Array.isArray,
  x509: Array.isArray,
} as const;

/** The keys of a JWK list, in form, each once. Refuses with `claim_*`, `key_length`. */
export const readKeys = (
  list: readonly Json[],
  least: number,
  most: number,
  what: string,
): Verdict<readonly string[]> => {
  if (list.length < least || list.length > most)
    return deny('claim_invalid', `${what}: ${least} to ${most} keys`);
  for (const jwk of list) {
    const fault = jwkFault(jwk);
    if (fault !== undefined) return deny(fault.reason, `${what}: ${fault.detail}`);
  }
  const keys = list.map((jwk) => (jwk as unknown as AgentJwk).x);
  return new Set(keys).size === keys.length
    ? grant(keys)
    : deny('claim_invalid', `${what}: a key is there twice`);
};

/** Certificates in form: canonical base64url of some octets, each once. */
export const readCertificates = (list: readonly Json[], what: string): Verdict<readonly Buffer[]> => {
  const octets = list.map((der) => (typeof der === 'string' ? decodeBase64url(der) : undefined));
  if (octets.some((der) => der === undefined || der.length === 0))
    return deny('claim_invalid', `x509 of ${what} has an entry that is not base64url`);
  return new Set(list).size === list.length
    ? grant(octets as Buffer[])
    : deny('claim_invalid', `x509 of ${what} has a certificate twice`);
};

/** Reads the form of a roles document. Refuses with parse faults. */
export const parseRoles = (text: string): Verdict<UnverifiedRoles> => {
  const jws = parseJws(text, 'roles+jwt');
  if (!jws.ok) return jws;
  const closed = checkMembers(jws.value.payload, MEMBERS, 'the roles');
  if (!closed.ok) return closed;
  const payload = closed.value as JsonObject & Record<'root', Json>;
  const lists: string[][] = [];
  for (const [name, least, most] of KEY_LISTS) {
    const list = name === 'root' ? [payload.root] : (payload[name] as readonly Json[]);
    const keys = readKeys(list, least, most, name);
    if (!keys.ok) return keys;
    lists.push([...keys.value]);
  }
  const x509 = readCertificates(payload.x509 as readonly Json[], 'the roles');
  if (!x509.ok) return x509;
  if (x509.value.length < 1 || x509.value.length > 8)
    return deny('claim_invalid', 'x509: 1 to 8 certificates');
  const [root = [], policy = [], timestamp = [], issuers = [], rootIssuers = []] = lists;
  return grant({
    jws: jws.value,
    roles: {
      trustDomain: payload.trust_domain as string,
      epoch: payload.epoch as number,
      iat: payload.iat as number,
      exp: payload.exp as number,
      root: root[0] ?? '',
      policy,
      timestamp,
      issuers,
      rootIssuers,
      x509: x509.value,
    },
  });
};

const KEY_LISTS = [
  ['root', 1, 1],
  ['policy', 1, 4],
  ['timestamp', 0, 4],
  ['issuers', 0, 8],
  ['root_issuers', 0, 4],
] as const;

/** Every key that has a role, the root's first. */
export const roleKeys = (roles: Roles): readonly string[] => [
  roles.root,
  ...roles.policy,
  ...roles.timestamp,
  ...roles.issuers,
  ...roles.rootIssuers,
];

/** That the configured root signed them. Refuses with `bundle_domain`, `bundle_signer`, `bundle_signature`, `key_*`. */
export const checkRolesSigner = (
  { jws, roles }: UnverifiedRoles,
  expected: { readonly trustDomain: string; readonly root: string },
): Denial | undefined => {
  if (roles.trustDomain !== expected.trustDomain)
    return deny('bundle_domain', `the roles are not of ${expected.trustDomain}`);
  if (jws.kid !== expected.root || thumbprintOf(roles.root) !== expected.root)
    return deny('bundle_signer', 'the roles are not by the root that is trusted here');
  const root = admitKey(roles.root);
  if (!root.ok) return root;
  return verifyJws(jws, root.value.key)
    ? undefined
    : deny('bundle_signature', 'the signature of the roles is wrong');
};

/** One key, one role: a thief of one must not get another with it. Refuses with `bundle_role`. */
export const checkSeparation = (roles: Roles): Denial | undefined => {
  const keys = roleKeys(roles);
  return new Set(keys).size === keys.length ? undefined : deny('bundle_role', 'the roles name one key twice');
};

/** Refuses with `bundle_expired`. */
export const checkPeriod = (
  { iat, exp }: { readonly iat: number; readonly exp: number },
  what: string,
  now: number,
): Denial | undefined => {
  if (now >= exp + CLOCK_SKEW_SECONDS)
    return deny('bundle_expired', `the ${what} expired at ${exp}, it is ${now}; compare both clocks`);
  if (iat > now + CLOCK_SKEW_SECONDS)
    return deny('bundle_expired', `the ${what} is from ${iat}, it is ${now}; compare both clocks`);
  return undefined;
};

/** Verifies roles on their own, as one who joins does: before it knows anything but the root. */
export const verifyRoles = (
  text: string,
  expected: { readonly trustDomain: string; readonly root: string; readonly now: number },
): Verdict<Roles> => {
  const parsed = parseRoles(text);
  if (!parsed.ok) return parsed;
  const { roles } = parsed.value;
  const denial =
    checkRolesSigner(parsed.value, expected) ??
    checkSeparation(roles) ??
    checkPeriod(roles, 'roles', expected.now);
  return denial ?? grant(roles);
};

/** Signs the roles with the root key. */
export const mintRoles = (
  roles: Readonly<Record<keyof typeof MEMBERS, unknown>>,
  sign: Sign,
  kid: string,
): string => signJws('roles+jwt', roles, sign, kid);
