/** Trust scores: whoever asks, and however often, changes nothing; nobody alone moves a score by more than a stated bound. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ReasonCode } from '../../src/core/reasons.ts';
import { type Decay, scoreAt } from '../../src/core/trust/scores.ts';
import {
  type Counts,
  type Evidence,
  entryOf,
  mostOfOne,
  NO_EVIDENCE,
  stakeOf,
  withCounts,
} from '../../src/verifier/scores/model.ts';
import { COUNTED } from '../../src/verifier/scores/outcomes.ts';

const START = 1_800_000_000;
const DAY = 86_400;

const decays = fc.record({
  baseline: fc.integer({ min: 0, max: 1000 }),
  halfLife: fc.constantFrom(3600, DAY, 7 * DAY),
});
const amounts = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(1_000_000_000));
const counts: fc.Arbitrary<Counts> = fc.dictionary(
  fc.constantFrom<ReasonCode | 'ok'>('ok', ...COUNTED),
  amounts,
  { maxKeys: 4 },
);
const praise: fc.Arbitrary<Counts> = fc.record({ ok: amounts });
const blame: fc.Arbitrary<Counts> = fc.record({ link_signature: amounts });

/** What one reporter says, and when. */
type Said = readonly { readonly after: number; readonly counts: Counts }[];
const saying = (what: fc.Arbitrary<Counts>): fc.Arbitrary<Said> =>
  fc.array(fc.record({ after: fc.integer({ min: 0, max: 3 * DAY }), counts: what }), {
    minLength: 1,
    maxLength: 5,
  });
const reports = saying(fc.oneof(counts, praise, blame));
/** Of all minds, or of one: more than count on either side. */
const crowd: fc.Arbitrary<readonly Said[]> = fc.oneof(
  fc.array(reports, { maxLength: 14 }),
  fc.array(saying(praise), { minLength: 6, maxLength: 14 }),
  fc.array(saying(blame), { minLength: 6, maxLength: 14 }),
);

const evidenceOf = (said: Said, decay: Decay): Evidence => {
  let evidence = NO_EVIDENCE;
  let now = START;
  for (const { after, counts: seen } of said) {
    now += after;
    evidence = withCounts(evidence, seen, now, decay);
  }
  return evidence;
};
const evidences = (all: readonly Said[], decay: Decay): Evidence[] =>
  all.map((said) => evidenceOf(said, decay)).filter(({ at }) => at > 0);
const scoreOf = (all: readonly Evidence[], decay: Decay, now: number): number =>
  scoreAt(entryOf(all, decay), decay, now).score;

/** Both readings are rounded, and the entry that they are read from is. */
const ROUNDING = 2;

describe('a trust score', () => {
  test('lies within 0 and 1000, its uncertainty within 0 and 500', () => {
    fc.assert(
      fc.property(crowd, decays, fc.nat({ max: 40 * DAY }), (all, decay, later) => {
        const { score, uncertainty } = scoreAt(entryOf(evidences(all, decay), decay), decay, START + later);
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(1000);
        expect(uncertainty).toBeGreaterThanOrEqual(0);
        expect(uncertainty).toBeLessThanOrEqual(500);
      }),
    );
  });

  test('is moved by one liar, whatever it says and when, by no more than the bound', () => {
    fc.assert(
      fc.property(crowd, reports, decays, fc.nat({ max: 10 * DAY }), (honest, liar, decay, later) => {
        const all = evidences(honest, decay);
        const lie = evidenceOf(liar, decay);
        fc.pre(lie.at > 0);
        const now = Math.max(lie.at, ...all.map(({ at }) => at)) + later;
        const moved = Math.abs(scoreOf([...all, lie], decay, now) - scoreOf(all, decay, now));
        expect(moved).toBeLessThanOrEqual(mostOfOne(decay) + ROUNDING);
      }),
      { numRuns: 500 },
    );
  });

  test('is moved by k of them by no more than k times the bound', () => {
    fc.assert(
      fc.property(crowd, crowd, decays, (honest, liars, decay) => {
        const all = evidences(honest, decay);
        const lies = evidences(liars, decay);
        const now = Math.max(START, ...[...all, ...lies].map(({ at }) => at));
        const moved = Math.abs(scoreOf([...all, ...lies], decay, now) - scoreOf(all, decay, now));
        expect(moved).toBeLessThanOrEqual(lies.length * mostOfOne(decay) + ROUNDING);
      }),
    );
  });

  test('read from an old entry is what all the evidence gives now: how often it is read changes nothing', () => {
    fc.assert(
      fc.property(crowd, decays, fc.nat({ max: 20 * DAY }), (said, decay, later) => {
        const all = evidences(said, decay);
        fc.pre(all.length > 0);
        const entry = entryOf(all, decay);
        const now = (entry?.at ?? START) + later;
        // A sidecar reads the entry of its bundle; here every stake is taken as of now, and summed anew.
        const stakes = all.map((one) => stakeOf(one, now, decay)).sort((one, other) => one - other);
        const sum = [
          ...stakes.filter((one) => one < 0).slice(0, 5),
          ...stakes.filter((one) => one > 0).slice(-5),
        ];
        const direct = decay.baseline + sum.reduce((total, one) => total + one, 0);
        expect(Math.abs(scoreAt(entry, decay, now).score - direct)).toBeLessThanOrEqual(ROUNDING);
      }),
    );
  });

  test('is not moved by evidence of nothing, which keeps nothing fresh either', () => {
    fc.assert(
      fc.property(reports, decays, (said, decay) => {
        const was = evidenceOf(said, decay);
        const nothing: Counts = {
          upstream_unreachable: 5,
          draining: 5,
          tls_failed: 1_000_000,
          revoked_task: 9,
        };
        expect(withCounts(was, nothing, was.at + DAY, decay)).toBe(was);
      }),
    );
  });

  test('returns to the baseline, and grows uncertain, with time alone', () => {
    fc.assert(
      fc.property(
        crowd,
        decays,
        fc.array(fc.nat({ max: 30 * DAY }), { minLength: 2, maxLength: 6 }),
        (all, decay, moments) => {
          const entry = entryOf(evidences(all, decay), decay);
          const from = entry?.at ?? START;
          const read = moments
            .sort((one, other) => one - other)
            .map((later) => scoreAt(entry, decay, from + later));
          for (const [index, one] of read.entries()) {
            const before = read[index - 1] ?? one;
            expect(Math.abs(one.score - decay.baseline)).toBeLessThanOrEqual(
              Math.abs(before.score - decay.baseline),
            );
            expect(one.uncertainty).toBeGreaterThanOrEqual(before.uncertainty);
          }
        },
      ),
    );
  });
});
