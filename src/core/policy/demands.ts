/** What a scope demands beyond being held: a human's approval, a trust score, fresh trust, a short chain (SPEC.md section 13). */
import type { VerifiedChain } from '../delegation/model.ts';
import { isCovered, type ScopeLiteral } from '../delegation/scope.ts';
import { trustDomainOf } from '../spiffe-id.ts';
import { type Denial, deny } from '../verdict.ts';
import { type Callee, leavesMesh } from './destination.ts';
import type { Policy, ScopeDemand } from './model.ts';

/** All that the required scopes of one request demand; the strictest of each counts. */
export interface Demanded {
  /** The required scopes for which a human must have approved. */
  readonly approval: readonly ScopeLiteral[];
  /** 0: none. */
  readonly minScore: number;
  /** Infinity: none. */
  readonly maxStalenessSeconds: number;
  /** Links; Infinity: no other than the policy's limit. */
  readonly maxDepth: number;
  /** Of each link; Infinity: likewise. */
  readonly maxLinkTtlSeconds: number;
  readonly sameDomain: boolean;
  readonly requestProof: boolean;
}

const NONE = Number.POSITIVE_INFINITY;

export const NOTHING_DEMANDED: Demanded = {
  approval: [],
  minScore: 0,
  maxStalenessSeconds: NONE,
  maxDepth: NONE,
  maxLinkTtlSeconds: NONE,
  sameDomain: false,
  requestProof: false,
};

/** The required scopes that a demand is about. */
const concerned = (
  { scopes, labels }: ScopeDemand,
  required: readonly ScopeLiteral[],
  given: readonly string[],
): readonly ScopeLiteral[] => {
  if (labels !== undefined && !labels.some((label) => given.includes(label))) return [];
  return scopes === undefined ? required : required.filter((scope) => isCovered(scopes, scope));
};

/** Whether a demand is about a request that requires these scopes, with data of these labels. */
export const isConcerned = (
  demand: ScopeDemand,
  required: readonly ScopeLiteral[],
  labels: readonly string[],
): boolean => concerned(demand, required, labels).length > 0;

export const demandsOf = (
  { demands }: Pick<Policy, 'demands'>,
  required: readonly ScopeLiteral[],
  labels: readonly string[] = [],
): Demanded => {
  if (demands.length === 0) return NOTHING_DEMANDED;
  let { minScore, maxStalenessSeconds, maxDepth, maxLinkTtlSeconds, sameDomain, requestProof } =
    NOTHING_DEMANDED;
  const approval = new Set<ScopeLiteral>();
  for (const demand of demands) {
    const scopes = concerned(demand, required, labels);
    if (scopes.length === 0) continue;
    minScore = Math.max(minScore, demand.minScore ?? 0);
    maxStalenessSeconds = Math.min(maxStalenessSeconds, demand.maxStalenessSeconds ?? NONE);
    maxDepth = Math.min(maxDepth, demand.maxDepth ?? NONE);
    maxLinkTtlSeconds = Math.min(maxLinkTtlSeconds, demand.maxLinkTtlSeconds ?? NONE);
    sameDomain ||= demand.sameDomain === true;
    requestProof ||= demand.requestProof === true;
    if (demand.approval === true) for (const scope of scopes) approval.add(scope);
  }
  return {
    approval: required.filter((scope) => approval.has(scope)),
    minScore,
    maxStalenessSeconds,
    maxDepth,
    maxLinkTtlSeconds,
    sameDomain,
    requestProof,
  };
};

/**
 * What demands say of the chain itself, for as long as it is the same. Refuses with `scope_too_deep`, `scope_too_long`,
 * `scope_foreign`.
 */
export const checkShape = (
  { maxDepth, maxLinkTtlSeconds, sameDomain }: Demanded,
  { links, depth }: VerifiedChain,
  callee: Callee,
): Denial | undefined => {
  if (depth > maxDepth)
    return deny('scope_too_deep', `a required scope may go down ${maxDepth} links, the chain has ${depth}`);
  if (sameDomain && leavesMesh(callee))
    return deny(
      'scope_foreign',
      `a required scope stays within one trust domain, ${callee} is beyond the mesh`,
    );
  const home = leavesMesh(callee) ? '' : trustDomainOf(callee);
  for (const [index, { delegatee, iat, exp }] of links.entries()) {
    if (exp - iat > maxLinkTtlSeconds)
      return deny(
        'scope_too_long',
        `a required scope is granted for ${maxLinkTtlSeconds} s, link ${index} lives ${exp - iat} s`,
      );
    if (sameDomain && trustDomainOf(delegatee) !== home)
      return deny(
        'scope_foreign',
        `a required scope stays within ${home}, ${delegatee} is of another trust domain`,
      );
  }
  return undefined;
};
