/** What a scope demands beyond being held: a human's approval, a trust score, fresh trust (SPEC.md section 13). */
import { isCovered, type ScopeLiteral } from '../delegation/scope.ts';
import type { Policy } from './model.ts';

/** All that the required scopes of one request demand; the strictest of each counts. */
export interface Demanded {
  /** The required scopes for which a human must have approved. */
  readonly approval: readonly ScopeLiteral[];
  /** 0: none. */
  readonly minScore: number;
  /** Infinity: none. */
  readonly maxStalenessSeconds: number;
}

const NOTHING: Demanded = { approval: [], minScore: 0, maxStalenessSeconds: Number.POSITIVE_INFINITY };

export const demandsOf = ({ demands }: Policy, required: readonly ScopeLiteral[]): Demanded => {
  if (demands.length === 0) return NOTHING;
  let { minScore, maxStalenessSeconds } = NOTHING;
  const approval = new Set<ScopeLiteral>();
  for (const demand of demands) {
    const { scopes } = demand;
    const covered = scopes === undefined ? required : required.filter((scope) => isCovered(scopes, scope));
    if (covered.length === 0) continue;
    minScore = Math.max(minScore, demand.minScore ?? 0);
    maxStalenessSeconds = Math.min(maxStalenessSeconds, demand.maxStalenessSeconds ?? maxStalenessSeconds);
    if (demand.approval === true) for (const scope of covered) approval.add(scope);
  }
  return { approval: required.filter((scope) => approval.has(scope)), minScore, maxStalenessSeconds };
};
