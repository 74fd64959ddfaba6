/** What a scope demands beyond being held: a human's approval, a trust score, fresh trust (SPEC.md section 13). */
import { isCovered, type ScopeLiteral } from '../delegation/scope.ts';
import type { Policy, ScopeDemand } from './model.ts';

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

const appliesTo = (demand: ScopeDemand, required: readonly ScopeLiteral[]): boolean =>
  required.some((scope) => isCovered(demand.scopes, scope));

export const demandsOf = ({ demands }: Policy, required: readonly ScopeLiteral[]): Demanded => {
  if (demands.length === 0) return NOTHING;
  const applying = demands.filter((demand) => appliesTo(demand, required));
  if (applying.length === 0) return NOTHING;
  return {
    approval: required.filter((scope) =>
      applying.some(({ approval, scopes }) => approval === true && isCovered(scopes, scope)),
    ),
    minScore: Math.max(0, ...applying.map(({ minScore = 0 }) => minScore)),
    maxStalenessSeconds: Math.min(
      ...applying.map(({ maxStalenessSeconds = Number.POSITIVE_INFINITY }) => maxStalenessSeconds),
    ),
  };
};
