/**
 * What an upstream answers is one thing to us and to whoever we pass it to. `node test/fuzz/responses/run.ts --responses 200000`
 * does the same for longer.
 */
import { expect, test } from 'vitest';
import { runResponses } from '../fuzz/responses/campaign.ts';

test('of 5,000 responses, most of them bent, none that Node refuses is accepted, and none is read otherwise', async () => {
  const report = await runResponses(5000, 20_251_128);
  expect(report.examples).toEqual([]);
  expect(report.differences).toBe(0);
  // That nothing differs says little unless much is accepted, and much refused.
  expect(report.bent).toBeGreaterThan(2500);
  expect(report.same).toBeGreaterThan(1500);
  expect(report.kept).toBeGreaterThan(1000);
  expect(report.refusedByBoth).toBeGreaterThan(1500);
});
