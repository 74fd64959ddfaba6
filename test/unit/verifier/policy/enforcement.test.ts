/** Who enforces what, as sidecars report: drift shows, and who has fallen silent isn't counted. */
import { beforeEach, expect, test } from 'vitest';
import type { Report } from '../../../../src/api/reports.ts';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import { Enforcement, LIVE_SECONDS } from '../../../../src/verifier/policy/enforcement.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const DIGEST = 'A'.repeat(43);
const OTHER = `${'A'.repeat(42)}E`;
const A = 'spiffe://company.com/agent/planner/1' as AgentId;
const B = 'spiffe://company.com/agent/inventory/1' as AgentId;
const CURRENT = { bundle: { epoch: 1, seq: 9 }, policy: { n: 2, revision: 'r2', digest: DIGEST } };

const report = (digest: string, changes: Partial<Report> = {}): Report => ({
  version: '0.1.0',
  bundle: { epoch: 1, seq: 9, digest: DIGEST },
  policy: { revision: 'r', digest },
  freshAt: 1,
  svidNotAfter: 2,
  agentKey: DIGEST,
  from: 1,
  to: 2,
  peers: [],
  others: { outcomes: {}, denials: {} },
  ...changes,
});

let clock: TestClock;
let enforcement: Enforcement;
beforeEach(() => {
  clock = new TestClock();
  enforcement = new Enforcement(clock);
});

test('the last report counts, and another policy is drift', () => {
  enforcement.note(A, report(OTHER));
  enforcement.note(B, report(OTHER));
  enforcement.note(B, report(DIGEST));
  const { sidecars } = enforcement.answer(CURRENT);
  expect(sidecars.map(({ sidecar, drifts }) => [sidecar, drifts])).toEqual([
    [B, false],
    [A, true],
  ]);
});

test('a sidecar without a policy drifts from one', () => {
  const { policy: _, ...without } = report(DIGEST);
  enforcement.note(A, without);
  expect(enforcement.answer(CURRENT).sidecars[0]?.drifts).toBe(true);
});

test('who has fallen silent is not counted', () => {
  enforcement.note(A, report(DIGEST));
  clock.advanceSeconds(LIVE_SECONDS);
  expect(enforcement.answer(CURRENT).sidecars).toHaveLength(1);
  clock.advanceSeconds(1);
  expect(enforcement.answer(CURRENT).sidecars).toEqual([]);
});

test('an agent is seen where a sidecar has counted hops with it, and at its own', () => {
  const peers = [{ peer: A, outcomes: { ok: 3 }, denials: { scope_missing: 1 } }];
  enforcement.note(B, report(DIGEST, { peers }));
  expect(enforcement.seen(new Set([A]))).toEqual([{ sidecar: B, agent: A, hops: 4, to: 2 }]);
  expect(enforcement.seen(new Set([B]))).toHaveLength(1);
  expect(enforcement.seen(new Set(['spiffe://company.com/agent/other/1']))).toEqual([]);
});

test('a tally counts who enforces it, who is behind, and who has fallen silent within the hour', () => {
  enforcement.note(A, report(DIGEST));
  enforcement.note(B, report(OTHER));
  expect(enforcement.tally(DIGEST)).toEqual({ enforcing: 1, behind: 1, silent: 0 });
  // Without a policy nobody can be behind it.
  expect(enforcement.tally(undefined)).toEqual({ enforcing: 2, behind: 0, silent: 0 });
  clock.advanceSeconds(LIVE_SECONDS + 1);
  enforcement.note(A, report(DIGEST));
  expect(enforcement.tally(DIGEST)).toEqual({ enforcing: 1, behind: 0, silent: 1 });
  clock.advanceSeconds(3600);
  expect(enforcement.tally(DIGEST)).toEqual({ enforcing: 0, behind: 0, silent: 1 });
});
