/** How many denials have a record of their own. */
import { expect, test } from 'vitest';
import { DenialQuota } from '../../../../src/edge/store/denial-quota.ts';

const clock = { now: () => 5, monotonic: () => 5 };
const A = 'spiffe://mesh/agent/planning/a';
const B = 'spiffe://mesh/agent/planning/b';

test('the first ones of each caller and each reason are whole; the rest is summed up; then it begins anew', () => {
  const quota = new DenialQuota(2, 64, clock);
  const ask = (caller: string, reason: 'scope_missing' | 'caller_rate') => quota.isWhole({ caller, reason });
  expect([1, 2, 3, 4].map(() => ask(A, 'caller_rate'))).toEqual([true, true, false, false]);
  // A flood for one reason hides nothing that is denied for another.
  expect(ask(A, 'scope_missing')).toBe(true);
  expect(ask(B, 'caller_rate')).toBe(true);
  expect(quota.take()).toEqual({
    kind: 'refusals',
    from: 5,
    to: 5,
    sources: [{ source: A, reason: 'caller_rate', count: 2 }],
  });
  expect(quota.take()).toBeUndefined();
  expect(ask(A, 'caller_rate')).toBe(true);
});

test('more callers than it can tell apart are summed up as well', () => {
  const quota = new DenialQuota(100, 2, clock);
  let whole = 0;
  for (let caller = 0; caller < 20_010; caller++)
    if (quota.isWhole({ caller: `spiffe://mesh/agent/a/${caller}`, reason: 'rule_unmatched' })) whole++;
  expect(whole).toBe(20_000);
  expect(quota.take()?.sources.map(({ source, count }) => [source.replace(/.*\//, ''), count])).toEqual([
    ['20000', 1],
    ['20001', 1],
    ['other', 8],
  ]);
});
