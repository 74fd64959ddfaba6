/** When nothing that a revocation bars can be alive any more: from then on bundles do without it. */
import type { Revoked } from '../../api/revocations.ts';
import {
  CLOCK_SKEW_SECONDS,
  DEFAULT_MAX_TASK_AGE_SECONDS,
  HARD_LINK_TTL_SECONDS,
} from '../../core/limits.ts';

export interface LongestLives {
  /** Of a link, by the policy in force. */
  readonly link: number;
  /** Of a task, by the policy in force. */
  readonly task: number;
  /** Of an SVID and its WIT, whoever allowed it. */
  readonly svid: number;
}

/** Of a link of which only the id is known: longer than any policy of ours lets one live. */
const UNKNOWN_LINK_SECONDS = 30 * 86_400;

export interface Facts {
  readonly now: number;
  readonly longest: LongestLives;
  /** Seconds: `exp` of the link's parent, under which it could be made again; of the link itself, if it has none. */
  readonly linkExp?: number | undefined;
  /** Whether a key is one that this verifier certified: only then does it know how long. */
  readonly isAgentKey?: boolean;
}

/** Seconds; null: for ever. */
export const endOf = (
  revoked: Revoked,
  { now, longest, linkExp, isAgentKey = false }: Facts,
): number | null => {
  const link = Math.max(longest.link, HARD_LINK_TTL_SECONDS);
  if ('link' in revoked) return (linkExp ?? now + Math.max(UNKNOWN_LINK_SECONDS, link)) + CLOCK_SKEW_SECONDS;
  // It gets no WIT from now on; the last one lets it sign until it ends, and what it signs lives on.
  if ('key' in revoked) return isAgentKey ? now + longest.svid + link + 2 * CLOCK_SKEW_SECONDS : null;
  if ('agent' in revoked) return null;
  if ('task' in revoked)
    return now + Math.max(longest.task, DEFAULT_MAX_TASK_AGE_SECONDS) + link + 2 * CLOCK_SKEW_SECONDS;
  return Math.max(revoked.before, now) + link + 2 * CLOCK_SKEW_SECONDS;
};
