/** What a score is at a time depends on evidence and that time alone. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AgentId } from '../../src/core/spiffe-id.ts';
import { type Decay, type ScoreEntry, Scores, scoreAt } from '../../src/core/trust/scores.ts';
import { permitted } from '../testkit/core-world.ts';

const START = 1_800_000_000;
const entries: fc.Arbitrary<ScoreEntry> = fc.record({
  score: fc.integer({ min: 0, max: 1000 }),
  at: fc.integer({ min: START - 1_000_000, max: START + 1_000_000 }),
  weight: fc.integer({ min: 0, max: 1_000_000 }),
});
const decays: fc.Arbitrary<Decay> = fc.record({
  baseline: fc.integer({ min: 0, max: 1000 }),
  halfLife: fc.integer({ min: 60, max: 31_536_000 }),
});
const times = fc.array(fc.integer({ min: START - 2_000_000, max: START + 40_000_000 }), {
  minLength: 2,
  maxLength: 20,
});

test('however often it is asked between, and in whatever order, it is the same', () => {
  fc.assert(
    fc.property(entries, decays, times, ({ score, at, weight }, { baseline, halfLife }, asked) => {
      const agent = 'spiffe://company.com/agent/a/1' as AgentId;
      const read = () =>
        permitted(Scores.parse({ baseline, half_life: halfLife, agents: { [agent]: [score, at, weight] } }));
      const polled = read();
      const last = asked.at(-1) ?? START;
      for (const time of asked) polled.of(agent, time);
      expect(polled.of(agent, last)).toEqual(read().of(agent, last));
      expect(polled.of(agent, last)).toEqual(scoreAt({ score, at, weight }, { baseline, halfLife }, last));
    }),
  );
});

test('time takes it toward the baseline, never past it, and makes it less sure', () => {
  fc.assert(
    fc.property(entries, decays, times, (entry, decay, asked) => {
      const seen = [...asked].sort((a, b) => a - b).map((time) => scoreAt(entry, decay, time));
      for (const [index, { score, uncertainty }] of seen.entries()) {
        const before = seen[index - 1] ?? { score: entry.score, uncertainty: 0 };
        expect(Math.abs(score - decay.baseline)).toBeLessThanOrEqual(Math.abs(before.score - decay.baseline));
        expect(Math.sign(score - decay.baseline)).not.toBe(-Math.sign(entry.score - decay.baseline) || 2);
        expect(uncertainty).toBeGreaterThanOrEqual(before.uncertainty);
      }
    }),
  );
});

test('it stays within 0 to 1000, and in whole numbers', () => {
  fc.assert(
    fc.property(entries, decays, times, (entry, decay, asked) => {
      for (const time of asked) {
        const { score, uncertainty } = scoreAt(entry, decay, time);
        expect(Number.isInteger(score) && score >= 0 && score <= 1000).toBe(true);
        expect(Number.isInteger(uncertainty) && uncertainty >= 0 && uncertainty <= 500).toBe(true);
      }
    }),
  );
});

test('more evidence is never less sure', () => {
  fc.assert(
    fc.property(entries, decays, fc.nat(1000), fc.nat(40_000_000), (entry, decay, more, later) => {
      const time = entry.at + later;
      const sure = scoreAt({ ...entry, weight: entry.weight + more }, decay, time);
      expect(sure.uncertainty).toBeLessThanOrEqual(scoreAt(entry, decay, time).uncertainty);
      expect(sure.score).toBe(scoreAt(entry, decay, time).score);
    }),
  );
});
