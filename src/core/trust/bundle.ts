/** The trust bundle: the one signed document with which a sidecar decides offline (SPEC.md section 9). */
import type { Approver, Approvers } from '../approval/approver.ts';
import type { Anchor } from '../delegation/chain.ts';
import type { JsonObject } from '../encoding/json.ts';
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
  isDigest,
  isInteger,
  isObject,
  isString,
  isTime,
  optional,
} from '../encoding/members.ts';
import { type AdmittedKey, admitKey, thumbprintOf } from '../keys.ts';
import { DEFAULT_MAX_STALENESS_SECONDS } from '../limits.ts';
import type { Policy, PolicyLists } from '../policy/model.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import type { Attributes } from './attributes.ts';
import { type Contents, readContents } from './bundle-contents.ts';
import type { Revocations } from './revocation.ts';
import {
  checkPeriod,
  checkRolesSigner,
  checkSeparation,
  parseRoles,
  type Roles,
  roleKeys,
  type UnverifiedRoles,
} from './roles.ts';
import type { Scores } from './scores.ts';
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
  readonly roles: Roles;
  /** Seconds; the earlier of bundle and roles. */
  readonly exp: number;
  readonly iat: number;
  /** SVID CA certificates (DER) by trust domain. */
  readonly authorities: ReadonlyMap<string, readonly Buffer[]>;
  readonly issuers: Issuers;
  /** By thumbprint. */
  readonly anchors: ReadonlyMap<string, Anchor>;
  /** By thumbprint. */
  readonly approvers: Approvers;
  readonly revocations: Revocations;
  readonly scores: Scores;
  readonly policy: Policy | undefined;
  /** SHA-256 of the policy’s canonical JSON, base64url. */
  readonly policyDigest: string | undefined;
  /** Besides the policy's own. */
  readonly lists: PolicyLists | undefined;
  /** What the registry says of agents and principals. */
  readonly attributes: Attributes;
}

const isPositive = isInteger(1, Number.MAX_SAFE_INTEGER);
const MEMBERS = {
  trust_domain: isString,
  epoch: isPositive,
  seq: isPositive,
  iat: isTime,
  exp: isTime,
  roles: isString,
  domains: isObject,
  anchors: Array.isArray,
  revoked: Array.isArray,
  approvers: optional(Array.isArray),
  policy: optional(isObject),
  policy_digest: optional(isDigest),
  lists: optional(isObject),
  scores: optional(isObject),
  attributes: optional(isObject),
} as const;

interface Expected {
  readonly trustDomain: string;
  /** Thumbprint of the root key that the sidecar was configured with. */
  readonly root: string;
  /** The last bundle accepted. */
  readonly last: BundleOrder;
  readonly now: number;
}

/**
 * Verifies a bundle against the root that a sidecar is configured with. What it carries is read only when its signatures
 * hold: whoever can send us octets must not choose what we compute with.
 * Refuses with parse faults, `bundle_*`, `key_*`, `scope_*`, `policy_invalid`.
 */
export const verifyBundle = (text: string, expected: Expected): Verdict<Bundle> => {
  const outer = parseJws(text, 'bundle+jwt');
  if (!outer.ok) return outer;
  const bundle = checkMembers(outer.value.payload, MEMBERS, 'the bundle');
  if (!bundle.ok) return bundle;
  const inner = parseRoles(bundle.value.roles as string);
  if (!inner.ok) return inner;
  const { roles } = inner.value;
  const forged = checkSigner(outer.value, bundle.value, inner.value, expected);
  if (forged !== undefined) return forged;
  const contents = readContents(bundle.value);
  if (!contents.ok) return contents;

  const digest = sha256Base64url(text);
  const denial =
    checkSeparation(roles) ??
    checkRoleUse(contents.value, roles) ??
    checkPeriod(bundle.value as unknown as { iat: number; exp: number }, 'bundle', expected.now) ??
    checkPeriod(roles, 'roles', expected.now) ??
    checkOrder(bundle.value, digest, expected.last);
  if (denial !== undefined) return denial;
  return admitContents(contents.value, bundle.value, roles, digest);
};

const checkSigner = (
  outer: UnverifiedJws,
  bundle: JsonObject,
  inner: UnverifiedRoles,
  expected: Expected,
): Denial | undefined => {
  const { roles } = inner;
  if (bundle.trust_domain !== expected.trustDomain)
    return deny('bundle_domain', `the bundle is not of ${expected.trustDomain}`);
  const forged = checkRolesSigner(inner, expected);
  if (forged !== undefined) return forged;
  const x = roles.policy.find((key) => thumbprintOf(key) === outer.kid);
  if (x === undefined || bundle.epoch !== roles.epoch)
    return deny('bundle_signer', 'the bundle is by a key that the root does not name in this epoch');
  const signer = admitKey(x);
  if (!signer.ok) return signer;
  return verifyJws(outer, signer.value.key)
    ? undefined
    : deny('bundle_signature', 'the signature of the bundle is wrong');
};

/**
 * What the root gives, the policy key must not take: our own CA and issuers, root issuers, a role's key as a person's or as
 * a partner's. Nor may one person approve under another's name with the key that it delegates with.
 */
const checkRoleUse = (contents: Contents, roles: Roles): Denial | undefined => {
  if (contents.domains.has(roles.trustDomain))
    return deny(
      'bundle_role',
      'the bundle names CA or issuers of its own trust domain: they stand in the roles',
    );
  const taken = new Set(roleKeys(roles));
  for (const [name, { issuers, x509 }] of contents.domains) {
    if (issuers.some((x) => taken.has(x)) || x509.some((der) => roles.x509.some((ours) => ours.equals(der))))
      return deny('bundle_role', `${name} with a key or CA of ${roles.trustDomain}`);
  }
  const anchors = new Map(contents.anchors.map((anchor) => [anchor.x, anchor]));
  for (const { kind, x } of contents.anchors) {
    if (kind === 'root-issuer' && !roles.rootIssuers.includes(x))
      return deny('bundle_role', 'a root issuer whose key the root does not name');
    if (kind === 'principal' && taken.has(x))
      return deny('bundle_role', 'a principal with the key of a role');
  }
  for (const { x, principal } of contents.approvers) {
    if (taken.has(x)) return deny('bundle_role', 'an approver with the key of a role');
    const own = anchors.get(x);
    if (own !== undefined && (own.principals.length > 1 || own.principals[0] !== principal))
      return deny('bundle_role', `approver ${principal} has a key that speaks for somebody else`);
  }
  return undefined;
};

const checkOrder = (bundle: JsonObject, digest: string, last: BundleOrder): Denial | undefined => {
  const epoch = bundle.epoch as number;
  const seq = bundle.seq as number;
  if (epoch < last.epoch || (epoch === last.epoch && seq < last.seq))
    return deny('bundle_rollback', `the bundle is ${epoch}.${seq}, accepted was ${last.epoch}.${last.seq}`);
  // Two bundles under one number: which of them holds would depend on which a sidecar saw first.
  if (epoch === last.epoch && seq === last.seq && last.digest !== undefined && last.digest !== digest)
    return deny('bundle_rollback', `another bundle was accepted as ${epoch}.${seq}`);
  return undefined;
};

/** Admits each key of a list, by thumbprint. */
const admitAll = (keys: readonly string[], what: string): Verdict<ReadonlyMap<string, AdmittedKey>> => {
  const admitted = new Map<string, AdmittedKey>();
  for (const x of keys) {
    const key = admitKey(x);
    if (!key.ok) return deny(key.reason, `${what}: ${key.detail}`);
    admitted.set(key.value.thumbprint, key.value);
  }
  return grant(admitted);
};

const admitContents = (
  contents: Contents,
  bundle: JsonObject,
  roles: Roles,
  digest: string,
): Verdict<Bundle> => {
  for (const [what, keys] of [
    ['policy', roles.policy],
    ['timestamp', roles.timestamp],
    ['root issuer', roles.rootIssuers],
  ] as const) {
    const admitted = admitAll(keys, what);
    if (!admitted.ok) return admitted;
  }
  const issuers = new Map<string, ReadonlyMap<string, AdmittedKey>>();
  const authorities = new Map<string, readonly Buffer[]>([[roles.trustDomain, roles.x509]]);
  const ours = [roles.trustDomain, { x509: roles.x509, issuers: roles.issuers }] as const;
  for (const [name, domain] of [ours, ...contents.domains]) {
    authorities.set(name, domain.x509);
    const keys = admitAll(domain.issuers, `issuer of ${name}`);
    if (!keys.ok) return keys;
    issuers.set(name, keys.value);
  }
  const anchors = new Map(contents.anchors.map((anchor) => [thumbprintOf(anchor.x), anchor]));
  const approvers = new Map<string, Approver>();
  for (const { x, principal } of contents.approvers) {
    const key = admitKey(x);
    if (!key.ok) return deny(key.reason, `approver: ${key.detail}`);
    const { thumbprint } = key.value;
    const since = contents.revocations.signsSince(principal, thumbprint);
    if (Number.isFinite(since)) approvers.set(thumbprint, { principal, key: key.value, since });
  }
  const { revocations, scores, policy, lists, attributes } = contents;
  return grant({
    trustDomain: roles.trustDomain,
    epoch: roles.epoch,
    seq: bundle.seq as number,
    digest,
    roles,
    iat: bundle.iat as number,
    exp: Math.min(bundle.exp as number, roles.exp),
    authorities,
    issuers,
    anchors,
    approvers,
    revocations,
    scores,
    policy,
    policyDigest: bundle.policy_digest as string | undefined,
    lists,
    attributes,
  });
};

type Optional = 'approvers' | 'policy' | 'policy_digest' | 'lists' | 'scores' | 'attributes';
export type BundleMembers = Readonly<
  Record<Exclude<keyof typeof MEMBERS, Optional>, unknown> & Partial<Record<Optional, unknown>>
>;

/** How old trust is by its bundle alone: what a timestamp says afterwards is newer. */
export const freshnessOf = (
  { iat, roles }: Bundle,
  limits: { readonly maxStalenessSeconds?: number | undefined },
): { readonly freshAt: number; readonly maxStalenessSeconds: number } => ({
  freshAt: iat,
  // Where nobody makes timestamps, the bundle is signed anew whenever it changes, and its end counts alone.
  maxStalenessSeconds:
    roles.timestamp.length === 0
      ? Number.POSITIVE_INFINITY
      : (limits.maxStalenessSeconds ?? DEFAULT_MAX_STALENESS_SECONDS),
});

/** Signs a bundle with a policy key. */
export const mintBundle = (bundle: BundleMembers, sign: Sign, kid: string): string =>
  signJws('bundle+jwt', bundle, sign, kid);
