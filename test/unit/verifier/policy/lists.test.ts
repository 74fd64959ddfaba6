/** Lists: what can't wait for a policy; and no allowlist is opened to all by mistake. */
import { beforeEach, expect, test } from 'vitest';
import { Lists } from '../../../../src/verifier/policy/lists.ts';
import { listsSource } from '../../../../src/verifier/policy/sources.ts';
import { Records } from '../../../../src/verifier/records.ts';
import { MemoryStore } from '../../../testkit/memory-store.ts';
import { OPERATOR } from '../../../testkit/registry-world.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const ROGUE = 'spiffe://company.com/agent/rogue/1';
const PLANNERS = 'spiffe://company.com/agent/planner/*';
const NOTHING = { add: {}, remove: {}, opens: false, why: 'a test' };

let records: Records;
let lists: Lists;
let told: number[];
beforeEach(() => {
  told = [];
  records = new Records(new MemoryStore(), new TestClock());
  const whenPublished = async (revision: number) => void told.push(revision);
  lists = new Lists(records, { whenPublished, current: { epoch: 1, seq: 1 } });
});

test('blocked stands in the bundle, once, and is gone when it is unblocked', async () => {
  const block = { ...NOTHING, add: { blockAgents: [ROGUE] } };
  expect((await lists.change(OPERATOR, block)).isNew).toBe(true);
  expect((await lists.change(OPERATOR, block)).isNew).toBe(false);
  expect((await listsSource(records).read(0))?.blockAgents).toEqual([ROGUE]);
  await lists.change(OPERATOR, { ...NOTHING, remove: { blockAgents: [ROGUE] } });
  expect((await listsSource(records).read(0))?.blockAgents).toEqual([]);
});

test('each change is answered when the bundle that has it is out, and is in the ledger', async () => {
  await lists.change(OPERATOR, { ...NOTHING, add: { blockPrincipals: ['mailto:mallory@company.com'] } });
  expect(told).toEqual([1]);
  const line = (await records.store.lastEvent())?.line ?? '';
  expect(JSON.parse(line)).toMatchObject({
    event: 'lists.changed',
    why: 'a test',
    data: { added: { blockPrincipals: ['mailto:mallory@company.com'] }, removed: {} },
  });
});

test('the last agent of an allowlist goes only when it is meant that all take part then', async () => {
  await lists.change(OPERATOR, { ...NOTHING, add: { allowAgents: [PLANNERS] } });
  const disallow = { ...NOTHING, remove: { allowAgents: [PLANNERS] } };
  await expect(lists.change(OPERATOR, disallow)).rejects.toMatchObject({ reason: 'api_conflict' });
  expect((await lists.show()).allowAgents).toEqual([PLANNERS]);
  await lists.change(OPERATOR, { ...disallow, opens: true });
  expect((await lists.show()).allowAgents).toEqual([]);
});

test('lists that would leave no room in a bundle are refused', async () => {
  const long = (index: number, count: number) =>
    Array.from(
      { length: 500 },
      (_, at) => `spiffe://company.com/agent/${'x'.repeat(900)}/${index}-${at}-${count}`,
    );
  await lists.change(OPERATOR, { ...NOTHING, add: { blockAgents: long(0, 0) } });
  await expect(
    lists.change(OPERATOR, { ...NOTHING, add: { blockAgents: long(1, 1) } }),
  ).rejects.toMatchObject({
    reason: 'api_too_large',
  });
  expect((await lists.show()).blockAgents).toHaveLength(500);
});
