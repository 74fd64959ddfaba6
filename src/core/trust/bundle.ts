/** The trust bundle: the one signed document with which a sidecar decides offline (SPEC.md section 9). */
import type { Anchor } from '../delegation/chain.ts';
import { parseScope } from '../delegation/scope.ts';
import { decodeBase64url } from '../encoding/base64url.ts';
import type { Json, JsonObject } from '../encoding/json.ts';
import {
  parseJws,
  type Sign,
  sha256Base64url,
  signJws,
  type UnverifiedJws,
  verifyJws,
} from '../encoding/jws.ts';
import {
  checkMembers,
  isBoolean,
  isInteger,
  isListOf,
  isObject,
  isString,
  isTime,
} from '../encoding/members.ts';
import { type AdmittedKey, type AgentJwk, admitKey, jwkFault, thumbprintOf } from '../keys.ts';
import { CLOCK_SKEW_SECONDS, HARD_MAX_DEPTH, MAX_TIME } from '../limits.ts';
import { type IdPattern, isIdPattern, isPrincipal, isTrustDomain } from '../spiffe-id.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import { Revocations } from './revocation.ts';
import type { Issuers } from './wit.ts';

/** The order of bundles: the root's epoch first, then the policy signer's sequence. */
export interface BundleOrder {
  readonly epoch: number;
  readonly seq: number;
  /** SHA-256 of the bundle's octets, base64url; without it any bundle of this number is taken for the same. */
  readonly digest?: string;
}

/** Verified. */
export interface Bundle extends BundleOrder {
  readonly digest: string;
  readonly trustDomain: string;
  /** Seconds; the earlier of bundle and roles. */
  readonly exp: number;
  readonly iat: number;
  /** SVID CA certificates (DER) by trust domain. */
  readonly authorities: ReadonlyMap<string, readonly Buffer[]>;
  readonly issuers: Issuers;
  /** By thumbprint. */
  readonly anchors: ReadonlyMap<string, Anchor>;
  readonly revocations: Revocations;
}

const isKid = (jws: UnverifiedJws, keys: readonly string[]): boolean =>
  keys.some((x) => thumbprintOf(x) === jws.kid);
const isPositive = isInteger(1, Number.MAX_SAFE_INTEGER);

const ROLES = {
  trust_domain: isString,
  epoch: isPositive,
  iat: isTime,
  exp: isTime,
  root: isObject,
  policy: Array.isArray,
} as const;
const BUNDLE = {
  trust_domain: isString,
  epoch: isPositive,
  seq: isPositive,
  iat: isTime,
  exp: isTime,
  roles: isString,
  domains: isObject,
  anchors: Array.isArray,
  revoked: Array.isArray,
} as const;
const DOMAIN = { x509: Array.isArray, issuers: Array.isArray } as const;
const ANCHOR = {
  kind: (value: Json) => value === 'principal' || value === 'root-issuer',
  jwk: isObject,
  principals: isListOf((uri) => uri === '*' || isPrincipal(uri as string), 1, 10_000),
  human: isBoolean,
  delegatees: isListOf(isIdPattern, 1, 256),
  domains: isListOf((domain) => isTrustDomain(domain as string), 1, 64),
  scope: Array.isArray,
  max_ttl: isInteger(1, MAX_TIME),
  max_depth: isInteger(1, HARD_MAX_DEPTH),
} as const;

interface Expected {
  readonly trustDomain: string;
  /** Thumbprint of the root key that the sidecar was configured with. */
  readonly root: string;
  /** The last bundle accepted. */
  readonly last: BundleOrder;
  readonly now: number;
}

/** The keys of a JWK list, in form. */
const readKeys = (
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
  return grant(list.map((jwk) => (jwk as unknown as AgentJwk).x));
};

/** Verifies a bundle against the root that a sidecar is configured with. Refuses with parse faults, `bundle_*`, `key_*`. */
export const verifyBundle = (text: string, expected: Expected): Verdict<Bundle> => {
  const outer = parseJws(text, 'bundle+jwt');
  if (!outer.ok) return outer;
  const bundle = checkMembers(outer.value.payload, BUNDLE, 'the bundle');
  if (!bundle.ok) return bundle;
  const inner = parseJws(bundle.value.roles as string, 'roles+jwt');
  if (!inner.ok) return inner;
  const roles = checkMembers(inner.value.payload, ROLES, 'the roles');
  if (!roles.ok) return roles;
  const root = readKeys([roles.value.root as Json], 1, 1, 'root');
  if (!root.ok) return root;
  const signers = readKeys(roles.value.policy as readonly Json[], 1, 4, 'policy');
  if (!signers.ok) return signers;
  const contents = readContents(bundle.value);
  if (!contents.ok) return contents;

  const digest = sha256Base64url(text);
  const denial =
    checkSigner(
      outer.value,
      inner.value,
      bundle.value,
      roles.value,
      [root.value[0] ?? '', ...signers.value],
      expected,
    ) ?? checkValidity(bundle.value, roles.value, digest, expected);
  if (denial !== undefined) return denial;
  for (const x of signers.value) {
    const key = admitKey(x);
    if (!key.ok) return deny(key.reason, `policy: ${key.detail}`);
  }
  return admitContents(contents.value, bundle.value, roles.value, digest);
};

const checkSigner = (
  outer: UnverifiedJws,
  inner: UnverifiedJws,
  bundle: JsonObject,
  roles: JsonObject,
  [root = '', ...signers]: readonly string[],
  expected: Expected,
): Denial | undefined => {
  if (bundle.trust_domain !== expected.trustDomain || roles.trust_domain !== expected.trustDomain)
    return deny('bundle_domain', `the bundle is not of ${expected.trustDomain}`);
  if (inner.kid !== expected.root || thumbprintOf(root) !== expected.root)
    return deny('bundle_signer', 'the roles are not by the root that this sidecar trusts');
  if (!isKid(outer, signers) || bundle.epoch !== roles.epoch)
    return deny('bundle_signer', 'the bundle is by a key that the root does not name in this epoch');
  const rootKey = admitKey(root);
  if (!rootKey.ok) return rootKey;
  if (!verifyJws(inner, rootKey.value.key))
    return deny('bundle_signature', 'the signature of the roles is wrong');
  const signer = admitKey(signers.find((x) => thumbprintOf(x) === outer.kid) ?? '');
  if (!signer.ok) return signer;
  if (!verifyJws(outer, signer.value.key))
    return deny('bundle_signature', 'the signature of the bundle is wrong');
  return undefined;
};

const checkValidity = (
  bundle: JsonObject,
  roles: JsonObject,
  digest: string,
  { now, last }: Expected,
): Denial | undefined => {
  for (const [what, part] of [
    ['bundle', bundle],
    ['roles', roles],
  ] as const) {
    if (now >= (part.exp as number) + CLOCK_SKEW_SECONDS)
      return deny('bundle_expired', `the ${what} expired at ${part.exp}, it is ${now}`);
    if ((part.iat as number) > now + CLOCK_SKEW_SECONDS)
      return deny('bundle_expired', `the ${what} is from ${part.iat}, it is ${now}`);
  }
  const epoch = bundle.epoch as number;
  const seq = bundle.seq as number;
  if (epoch < last.epoch || (epoch === last.epoch && seq < last.seq))
    return deny('bundle_rollback', `the bundle is ${epoch}.${seq}, accepted was ${last.epoch}.${last.seq}`);
  // Two bundles under one number: which of them holds would depend on which a sidecar saw first.
  if (epoch === last.epoch && seq === last.seq && last.digest !== undefined && last.digest !== digest)
    return deny('bundle_rollback', `another bundle was accepted as ${epoch}.${seq}`);
  return undefined;
};

interface Contents {
  readonly authorities: ReadonlyMap<string, readonly Buffer[]>;
  readonly issuers: ReadonlyMap<string, readonly string[]>;
  readonly anchors: readonly { readonly x: string; readonly anchor: Omit<Anchor, 'key'> }[];
  readonly revocations: Revocations;
}

const readContents = (bundle: JsonObject): Verdict<Contents> => {
  const authorities = new Map<string, readonly Buffer[]>();
  const issuers = new Map<string, readonly string[]>();
  for (const [name, entry] of Object.entries(bundle.domains as JsonObject)) {
    if (!isTrustDomain(name) || !isObject(entry))
      return deny('claim_invalid', 'domains has a name that is no trust domain');
    const domain = checkMembers(entry, DOMAIN, `domain ${name}`);
    if (!domain.ok) return domain;
    const certificates = (domain.value.x509 as readonly Json[]).map((der) =>
      typeof der === 'string' ? decodeBase64url(der) : undefined,
    );
    if (certificates.includes(undefined))
      return deny('claim_invalid', `x509 of ${name} has an entry that is not base64url`);
    authorities.set(name, certificates as Buffer[]);
    const keys = readKeys(domain.value.issuers as readonly Json[], 0, 8, `issuers of ${name}`);
    if (!keys.ok) return keys;
    issuers.set(name, keys.value);
  }
  const anchors: Contents['anchors'][number][] = [];
  for (const [index, entry] of (bundle.anchors as readonly Json[]).entries()) {
    const anchor = readAnchor(entry, index);
    if (!anchor.ok) return anchor;
    // Two ceilings for one key: whichever a reader takes, another may take the wider one.
    if (anchors.some(({ x }) => x === anchor.value.x))
      return deny('claim_invalid', `anchor ${index + 1} has the key of one before it`);
    anchors.push(anchor.value);
  }
  const revocations = Revocations.parse(bundle.revoked as readonly Json[]);
  return revocations.ok
    ? grant({ authorities, issuers, anchors, revocations: revocations.value })
    : revocations;
};

const readAnchor = (entry: Json, index: number): Verdict<Contents['anchors'][number]> => {
  if (!isObject(entry)) return deny('claim_invalid', `anchor ${index + 1} is not an object`);
  const closed = checkMembers(entry, ANCHOR, `anchor ${index + 1}`);
  if (!closed.ok) return closed;
  const fault = jwkFault(entry.jwk as Json);
  if (fault !== undefined) return fault;
  const scope = parseScope(entry.scope as readonly Json[]);
  if (!scope.ok) return scope;
  const principals = entry.principals as readonly string[];
  if (principals.includes('*') && (entry.kind !== 'root-issuer' || principals.length > 1))
    return deny('claim_invalid', `anchor ${index + 1}: "*" is for a root issuer, and alone`);
  return grant({
    x: (entry.jwk as unknown as AgentJwk).x,
    anchor: {
      kind: entry.kind as Anchor['kind'],
      principals,
      human: entry.human as boolean,
      delegatees: entry.delegatees as readonly IdPattern[],
      domains: entry.domains as readonly string[],
      scope: scope.value,
      maxTtlSeconds: entry.max_ttl as number,
      maxDepth: entry.max_depth as number,
    },
  });
};

const admitContents = (
  contents: Contents,
  bundle: JsonObject,
  roles: JsonObject,
  digest: string,
): Verdict<Bundle> => {
  const issuers = new Map<string, ReadonlyMap<string, AdmittedKey>>();
  for (const [name, list] of contents.issuers) {
    const keys = new Map<string, AdmittedKey>();
    for (const x of list) {
      const key = admitKey(x);
      if (!key.ok) return deny(key.reason, `issuer of ${name}: ${key.detail}`);
      keys.set(key.value.thumbprint, key.value);
    }
    issuers.set(name, keys);
  }
  const anchors = new Map<string, Anchor>();
  for (const { x, anchor } of contents.anchors) {
    const key = admitKey(x);
    if (!key.ok) return deny(key.reason, `anchor: ${key.detail}`);
    anchors.set(key.value.thumbprint, { ...anchor, key: key.value });
  }
  return grant({
    trustDomain: bundle.trust_domain as string,
    epoch: bundle.epoch as number,
    seq: bundle.seq as number,
    digest,
    iat: bundle.iat as number,
    exp: Math.min(bundle.exp as number, roles.exp as number),
    authorities: contents.authorities,
    issuers,
    anchors,
    revocations: contents.revocations,
  });
};

/** Signs the roles with the root key. */
export const mintRoles = (
  roles: Readonly<Record<keyof typeof ROLES, unknown>>,
  sign: Sign,
  kid: string,
): string => signJws('roles+jwt', roles, sign, kid);

/** Signs a bundle with a policy key. */
export const mintBundle = (
  bundle: Readonly<Record<keyof typeof BUNDLE, unknown>>,
  sign: Sign,
  kid: string,
): string => signJws('bundle+jwt', bundle, sign, kid);
