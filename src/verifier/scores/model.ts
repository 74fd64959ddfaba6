/**
 * The model of trust scores: pure, and a function of evidence and time alone, so that asking changes nothing.
 *
 * Each reporter has a **stake** in a subject's score, between −C and +C: what its own evidence of that subject says. The score
 * is the baseline plus the sum of the five highest stakes above 0 and of the five lowest below. With C = max(baseline,
 * 1000 − baseline) / 5 (100 at the usual baseline of 500) that keeps the score within 0–1000 without cutting anything off.
 *
 * **Bound.** Whatever a reporter says, it moves a score by at most C against what it would be without that reporter, and k of
 * them together by at most k·C: adding a stake s > 0 to the set adds s to the sum of the highest five or replaces a smaller one of
 * them, so that sum grows by at most s ≤ C, and nothing else changes; the same below 0. This holds with any number of honest
 * reporters, with none too: nobody alone moves an agent from the baseline by more than C.
 *
 * **Decay.** With the half-life every stake falls by the same factor, so the order among them stays, the same five count, and the
 * sum falls by that factor: exactly what `scoreAt` (core/trust/scores.ts) makes of one entry. So a score read from a bundle is the
 * verifier's own, however long ago it was made.
 */
import type { ReasonCode } from '../../core/reasons.ts';
import { type Decay, MAX_SCORE, type ScoreEntry } from '../../core/trust/scores.ts';
import { classOf, DENIED_WEIGHT } from './outcomes.ts';

export const DEFAULT_DECAY: Decay = { baseline: 500, halfLife: 86_400 };

/** Stakes that count on either side. */
const COUNTED_STAKES = 5;
/** So many hops before a reporter's word has half of its weight. */
const FULL_VOICE_HOPS = 10;
/** Observations of one reporter that count for certainty. */
const MOST_OBSERVATIONS = 20;

/** What one reporter has seen of one subject, as of `at`: counts that have decayed until then. */
export interface Evidence {
  readonly good: number;
  /** Weighted. */
  readonly denied: number;
  readonly forged: number;
  /** Seconds. */
  readonly at: number;
}

export const NO_EVIDENCE: Evidence = { good: 0, denied: 0, forged: 0, at: 0 };

/** Outcomes by reason, as a report counts them. */
export type Counts = { readonly [Outcome in ReasonCode | 'ok']?: number | undefined };

/** How much is left of something `seconds` later. */
export const leftAfter = (seconds: number, { halfLife }: Decay): number =>
  2 ** (-Math.max(0, seconds) / halfLife);

/** The most that one reporter can move a score, up or down. */
export const mostOfOne = ({ baseline }: Decay): number =>
  Math.max(baseline, MAX_SCORE - baseline) / COUNTED_STAKES;

/** Evidence with what was reported at `now`; the same when none of it counts. */
export const withCounts = (was: Evidence, counts: Counts, now: number, decay: Decay): Evidence => {
  const added = { good: 0, denied: 0, forged: 0 };
  for (const [outcome, count = 0] of Object.entries(counts)) {
    const seen = classOf(outcome as ReasonCode);
    if (seen === 'good' || seen === 'forged') added[seen] += count;
    else if (seen !== 'nothing') added.denied += count * DENIED_WEIGHT[seen];
  }
  if (added.good + added.denied + added.forged === 0) return was;
  const left = leftAfter(now - was.at, decay);
  return {
    good: was.good * left + added.good,
    denied: was.denied * left + added.denied,
    forged: was.forged * left + added.forged,
    at: Math.max(now, was.at),
  };
};

/** −1 to 1, as of `at`: in proportion where the honest err too; a forgery whatever else there was. */
export const opinionOf = ({ good, denied, forged }: Evidence): number => {
  const usual = (good - denied) / (good + denied + FULL_VOICE_HOPS);
  const distrust = forged / (forged + 1);
  return usual * (1 - distrust) - distrust;
};

/** Points, at `now`. */
export const stakeOf = (evidence: Evidence, now: number, decay: Decay): number => {
  const opinion = opinionOf(evidence);
  const most = (opinion > 0 ? MAX_SCORE - decay.baseline : decay.baseline) / COUNTED_STAKES;
  return opinion * most * leftAfter(now - evidence.at, decay);
};

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0);

/**
 * What a bundle says of a subject whose evidence this is, one for each reporter; undefined without any. As of the latest of
 * it, and not of now: it stays the same until there is more.
 */
export const entryOf = (all: readonly Evidence[], decay: Decay): ScoreEntry | undefined => {
  if (all.length === 0) return undefined;
  const at = Math.max(...all.map((one) => one.at));
  const stakes = all.map((one) => stakeOf(one, at, decay)).sort((one, other) => one - other);
  const low = stakes.filter((stake) => stake < 0).slice(0, COUNTED_STAKES);
  const high = stakes.filter((stake) => stake > 0).slice(-COUNTED_STAKES);
  const weight = sumOf(
    all.map(
      ({ good, denied, forged, at: seen }) =>
        Math.min(MOST_OBSERVATIONS, good + denied + forged) * leftAfter(at - seen, decay),
    ),
  );
  return {
    score: Math.round(decay.baseline + sumOf(low) + sumOf(high)),
    at,
    weight: Math.round(Math.min(1_000_000, weight)),
  };
};
