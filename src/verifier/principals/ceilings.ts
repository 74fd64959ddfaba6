/** What may be granted, compared and put together. */
import { ANY_AGENT, type Ceiling, type GroupCeiling } from '../../api/principals.ts';
import { covers, findUncovered, type ScopePattern } from '../../core/delegation/scope.ts';
import { type AgentId, type IdPattern, idMatches, trustDomainOf } from '../../core/spiffe-id.ts';

const coversDelegatee = (pattern: string, one: string, domains: readonly string[]): boolean => {
  if (pattern === one) return true;
  if (one === ANY_AGENT) return false;
  if (pattern !== ANY_AGENT) return idMatches(pattern as IdPattern, one as AgentId);
  return one.includes('/agent/') && domains.includes(trustDomainOf(one as IdPattern));
};

// Every schema that a ceiling comes through has checked them.
const patternsOf = ({ scope }: Ceiling): readonly ScopePattern[] =>
  scope as readonly string[] as readonly ScopePattern[];

/** What a ceiling has that another has not, for people; `undefined` when it is narrower or equal. */
export const widerPart = (next: Ceiling, than: Ceiling): string | undefined => {
  const scope = findUncovered(patternsOf(than), patternsOf(next));
  if (scope !== undefined) return `the scope ${scope}`;
  const delegatee = next.delegatees.find(
    (one) => !than.delegatees.some((other) => coversDelegatee(other, one, than.domains)),
  );
  if (delegatee !== undefined) return `the delegatee ${delegatee}`;
  const domain = next.domains.find((one) => !than.domains.includes(one));
  if (domain !== undefined) return `the trust domain ${domain}`;
  if (next.maxTtlSeconds > than.maxTtlSeconds) return `links of ${next.maxTtlSeconds} s`;
  if (next.maxDepth > than.maxDepth) return `chains of ${next.maxDepth} links`;
  return undefined;
};

/** Of patterns that have been checked, each that no other one covers, once. */
export const distinctScope = (patterns: readonly string[]): ScopePattern[] => {
  const all = [...new Set(patterns as readonly ScopePattern[])];
  return all.filter((one) => !all.some((other) => other !== one && covers(other, one)));
};

export interface Wish {
  /** Patterns; all that may be had where it is left out. */
  readonly scope?: readonly ScopePattern[] | undefined;
  readonly ttlSeconds?: number | undefined;
  readonly maxDepth?: number | undefined;
}

export interface Granted {
  readonly scope: readonly ScopePattern[];
  readonly ttlSeconds: number;
  readonly maxDepth: number;
}

/**
 * What the groups of a person give of what was wished. A pattern counts only from a group that also gives its time and depth:
 * else two narrow groups would make a wide one. What was not wished for is the least that all of them give.
 * @returns a reason and a sentence where they don't give it.
 */
export const grantOf = (
  groups: readonly GroupCeiling[],
  wish: Wish,
):
  | { readonly granted: Granted }
  | { readonly reason: 'anchor_scope' | 'anchor_ttl' | 'anchor_depth'; readonly detail: string } => {
  const giving = groups.filter(({ scope }) => scope.length > 0);
  if (giving.length === 0)
    return { reason: 'anchor_scope', detail: 'none of your groups may grant anything' };
  const ttlSeconds = wish.ttlSeconds ?? Math.min(...giving.map((one) => one.maxTtlSeconds));
  const maxDepth = wish.maxDepth ?? Math.min(...giving.map((one) => one.maxDepth));
  const longest = Math.max(...giving.map((one) => one.maxTtlSeconds));
  if (ttlSeconds > longest)
    return { reason: 'anchor_ttl', detail: `${ttlSeconds} s, your groups may grant ${longest} s` };
  const deepest = Math.max(...giving.map((one) => one.maxDepth));
  if (maxDepth > deepest)
    return {
      reason: 'anchor_depth',
      detail: `a chain of ${maxDepth} links, your session among them; your groups may grant ${deepest}`,
    };
  const usable = distinctScope(
    giving
      .filter((one) => one.maxTtlSeconds >= ttlSeconds && one.maxDepth >= maxDepth)
      .flatMap(({ scope }) => scope),
  );
  const beyond = findUncovered(usable, wish.scope ?? usable);
  if (beyond !== undefined || usable.length === 0)
    return {
      reason: 'anchor_scope',
      detail: `your groups may not grant ${beyond ?? 'anything'} for ${ttlSeconds} s in chains of ${maxDepth} links`,
    };
  return { granted: { scope: wish.scope ?? usable, ttlSeconds, maxDepth } };
};
