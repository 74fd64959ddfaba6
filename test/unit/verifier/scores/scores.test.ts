/** Scores over a store: evidence summed up, bundles told in time, and nobody's own word for itself. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import { Scores as BundledScores } from '../../../../src/core/trust/scores.ts';
import { Records } from '../../../../src/verifier/records.ts';
import { EVIDENCE } from '../../../../src/verifier/scores/score-records.ts';
import { Scores } from '../../../../src/verifier/scores/scores.ts';
import { permitted } from '../../../testkit/core-world.ts';
import { MemoryStore } from '../../../testkit/memory-store.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const idOf = (name: string) => `spiffe://company.com/agent/${name}` as AgentId;
const SUBJECT = idOf('planner/1');
const REPORTER = idOf('inventory/1');
const DAY = 86_400;

let clock: TestClock;
let records: Records;
let scores: Scores;
let minimums: number[];
const open = () =>
  new Scores({
    records,
    clock,
    isAgent: async (id) => !id.includes('made-up'),
    minimums: async () => minimums,
  });
beforeEach(() => {
  clock = new TestClock(1_800_000_000_000);
  records = new Records(new MemoryStore(), clock);
  minimums = [];
  scores = open();
});

/** As a sidecar reads it from the bundle. */
const bundled = async (id = SUBJECT): Promise<number> => {
  const entry = await scores.source().read(clock.seconds);
  return permitted(BundledScores.parse(JSON.parse(JSON.stringify(entry)))).of(id, clock.seconds).score;
};
const score = async (id = SUBJECT): Promise<number> => (await scores.answer(id)).score;
const say = async (counts: Parameters<Scores['take']>[2], reporter = REPORTER, subject = SUBJECT) => {
  scores.take(reporter, subject, counts);
  await scores.flush();
};

describe('evidence', () => {
  test('raises and lowers, and says why', async () => {
    await say({ ok: 90 });
    expect(await score()).toBe(590);
    await say({ chain_leaf_not_caller: 3, scope_missing: 2 }, idOf('security/1'));
    const answer = await scores.answer(SUBJECT);
    expect(answer.score).toBeLessThan(540);
    expect(answer.reasons.map(({ reason }) => reason)).toEqual([
      'ok',
      'chain_leaf_not_caller',
      'scope_missing',
    ]);
    expect(answer.reporters.map(({ reporter }) => reporter)).toEqual([REPORTER, idOf('security/1')]);
  });

  test('of a forgery is not washed away by good hops', async () => {
    await say({ link_signature: 1 });
    await say({ ok: 1_000_000 });
    expect(await score()).toBe(500);
    await say({ link_signature: 4 });
    expect(await score()).toBeLessThan(440);
  });

  test('by a sidecar of its own agent does not count, in either direction', async () => {
    await say({ ok: 1000, link_signature: 1000 }, SUBJECT, SUBJECT);
    expect(await score()).toBe(500);
    expect(await records.count(EVIDENCE)).toBe(0);
  });

  test('of somebody who never enrolled is not kept', async () => {
    await say({ ok: 5 }, REPORTER, idOf('made-up/1'));
    expect(await records.count(EVIDENCE)).toBe(0);
  });

  test('that is no evidence is not kept', async () => {
    await say({
      upstream_unreachable: 9,
      tls_failed: 9,
      draining: 9,
      audit_unavailable: 9,
      score_too_low: 9,
    });
    expect(await records.count(EVIDENCE)).toBe(0);
  });

  test('is one record for each pair, however many reports', async () => {
    for (let count = 0; count < 20; count++) await say({ ok: 1 });
    expect(await records.count(EVIDENCE)).toBe(1);
  });

  test('comes to the same, asked for or not, and after a restart', async () => {
    const asked = async (often: boolean) => {
      records = new Records(new MemoryStore(), clock);
      scores = open();
      await say({ ok: 40, scope_missing: 3 });
      for (let count = 0; count < 50 && often; count++) {
        await scores.answer(SUBJECT);
        await scores.flush();
      }
      scores = open();
      return score();
    };
    expect(await asked(true)).toBe(await asked(false));
  });

  test('fades: half of it is gone after the half-life, and uncertainty has grown', async () => {
    await say({ ok: 1_000_000 });
    const before = await scores.answer(SUBJECT);
    clock.advanceSeconds(DAY);
    const after = await scores.answer(SUBJECT);
    expect([before.score, after.score]).toEqual([600, 550]);
    expect(after.uncertainty).toBeGreaterThan(before.uncertainty);
  });

  test('shows a trend', async () => {
    await say({ ok: 100 });
    clock.advanceSeconds(7200);
    await say({ rule_denied: 1000 });
    expect((await scores.answer(SUBJECT)).trend).toBe('falling');
  });
});

describe('the bundle', () => {
  test('has the baseline for whoever is not in it', async () => {
    expect(await bundled()).toBe(500);
  });

  test('hears of changes once a minute, and then of all', async () => {
    await say({ ok: 90 });
    expect(await bundled()).toBe(590);
    const other = idOf('planner/2');
    await say({ ok: 90 }, REPORTER, other);
    expect(await bundled(other)).toBe(500);
    clock.advanceSeconds(60);
    // After a restart too: what waited is on record.
    scores = open();
    await scores.flush();
    expect(await bundled(other)).toBe(590);
    expect(await bundled()).toBe(590);
  });

  test('hears at once of a score that crosses a minimum that policy demands', async () => {
    minimums = [450];
    await say({ ok: 90 });
    await say({ link_signature: 50 }, idOf('security/1'));
    expect(await bundled()).toBe(590);
    await say({ link_signature: 50 }, idOf('security/2'));
    expect(await bundled()).toBeLessThan(450);
  });

  test('leaves out who is near the baseline, and who has come back to it', async () => {
    await say({ ok: 90 });
    await say({ ok: 1, route_unmatched: 1 }, REPORTER, idOf('planner/3'));
    clock.advanceSeconds(60);
    await scores.flush();
    expect(Object.keys((await scores.source().read(clock.seconds)).agents)).not.toContain(idOf('planner/3'));
    clock.advanceSeconds(6 * DAY);
    expect(Object.keys((await scores.source().read(clock.seconds)).agents)).toEqual([]);
  });
});
