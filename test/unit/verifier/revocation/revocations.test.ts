/** What is on record of a revocation: when it ends, when one says more than another, and what the registry is told. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Revoked } from '../../../../src/api/revocations.ts';
import { Edit, type EventBody, Records } from '../../../../src/verifier/records.ts';
import { HELD_KEY } from '../../../../src/verifier/registry/agent-records.ts';
import { Revocations } from '../../../../src/verifier/revocation/revocations.ts';
import { revocationSource } from '../../../../src/verifier/revocation/source.ts';
import {
  ALICE,
  issuersOf,
  mintChain,
  NOW,
  testAgent,
  testContext,
  testKey,
} from '../../../testkit/core-world.ts';
import { MemoryStore } from '../../../testkit/memory-store.ts';
import { OPERATOR } from '../../../testkit/registry-world.ts';
import { linkAt } from '../../../testkit/revocation-world.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const KEY = testKey('an agent').thumbprint;
const BY = { actor: OPERATOR, why: 'a test' };
const DAY = 86_400;

let clock: TestClock;
let records: Records;
let revocations: Revocations;
let told: number[];
let source: ReturnType<typeof revocationSource>;
beforeEach(() => {
  clock = new TestClock(NOW * 1000);
  records = new Records(new MemoryStore(), clock);
  source = revocationSource(records);
  told = [];
  revocations = new Revocations({
    records,
    clock,
    telling: { whenPublished: async (revision) => void told.push(revision), current: { epoch: 1, seq: 1 } },
    trust: () => testContext(),
    longest: async () => ({ link: 7200, task: DAY, svid: DAY }),
  });
});

const revoke = (target: Parameters<Revocations['revoke']>[1]) =>
  revocations.revoke(OPERATOR, target, 'a test');
const bundled = (now = clock.seconds) => source.read(now);
const committed = async (work: (edit: Edit) => Promise<readonly EventBody[]>) => {
  const edit = new Edit();
  const events = await work(edit);
  if (events.length > 0) await records.commit(events, edit);
  return events.map(({ event }) => event);
};

describe('the end of a revocation', () => {
  test('of a link: with its parent, under which it could be made again', async () => {
    const chain = mintChain(planner, [{ to: inventory, ttlSeconds: 600 }]);
    const { until } = await revoke({ chain });
    expect(until).toBe(linkAt(chain, 0).exp + 30);
    expect(await bundled((until ?? 0) - 1)).toHaveLength(1);
    expect(await bundled(until ?? 0)).toEqual([]);
  });

  test('of a first link: with itself', async () => {
    const chain = mintChain(planner);
    const { until, revoked } = await revoke({ chain });
    expect([until, revoked]).toEqual([linkAt(chain, 0).exp + 30, { link: linkAt(chain, 0).id }]);
  });

  test.each<[string, Parameters<Revocations['revoke']>[1], number | null]>([
    ['an agent: for ever', { agent: planner.id }, null],
    ['a key that we did not certify: for ever', { key: KEY }, null],
    ['a principal’s key: for ever', { key: [...testContext().anchors.keys()][0] ?? '' }, null],
    ['a task: with the oldest that one may get', { task: KEY, principal: ALICE }, NOW + DAY + 14_400 + 60],
    ['what a principal granted: with its last link', { principal: ALICE }, NOW + 1 + 14_400 + 60],
  ])('of %s', async (_what, target, until) => {
    expect((await revoke(target)).until).toBe(until);
  });

  test('of an agent’s key: with what its last WIT lets it sign', async () => {
    const held = new Edit().set(HELD_KEY, KEY, { id: planner.id, use: 'agent', state: 'held' });
    await records.commit([], held);
    expect((await revoke({ key: KEY })).until).toBe(NOW + DAY + 14_400 + 60);
    // The bundle does without it then; credentials it gets none, ever.
    clock.advanceSeconds(3 * DAY);
    expect(await bundled()).toEqual([]);
    expect(await revocations.barred(planner.id, KEY)).toBe('revoked_key');
  });
});

describe('one on record', () => {
  test('that says more takes the place of one that says less, and never the other way round', async () => {
    const chain = mintChain(planner, [{ to: inventory }]);
    const { id } = linkAt(chain, 1);
    await revoke({ link: id });
    expect(await bundled()).toEqual([{ link: id }]);
    await revoke({ chain });
    const whole: Revoked = { link: id, parent: linkAt(chain, 0).id, delegatee: inventory.id };
    expect(await bundled()).toEqual([whole]);
    expect((await revocations.find(whole))?.value.revoked).toEqual(whole);
  });

  test('a key that was lost and then revoked is revoked; one that was revoked is not merely lost', async () => {
    expect(await committed((edit) => revocations.keyLost(edit, planner.id, KEY, BY))).toEqual(['key.lost']);
    expect(await revocations.barred(planner.id, KEY)).toBe('agent_key_lost');
    expect((await revoke({ key: KEY })).isNew).toBe(true);
    expect(await revocations.barred(planner.id, KEY)).toBe('revoked_key');
    expect(await committed((edit) => revocations.keyLost(edit, planner.id, KEY, BY))).toEqual([]);
    expect(await bundled()).toEqual([{ key: KEY }]);
  });

  test('a principal’s moves forward, never back', async () => {
    await revoke({ principal: ALICE, before: NOW });
    expect((await revoke({ principal: ALICE, before: NOW - 100 })).revoked).toEqual({
      principal: ALICE,
      before: NOW,
    });
    await revoke({ principal: ALICE });
    expect(await bundled()).toEqual([{ principal: ALICE, before: NOW + 1 }]);
  });

  test('two at once are one', async () => {
    const done = await Promise.all([revoke({ agent: planner.id }), revoke({ agent: planner.id })]);
    expect(done.map(({ isNew }) => isNew).sort()).toEqual([false, true]);
    expect(await bundled()).toHaveLength(1);
  });
});

describe('for the registry and for tasks', () => {
  test('a retired agent is barred in the very commit that retires it', async () => {
    expect(await revocations.barred(planner.id, undefined)).toBeUndefined();
    expect(await committed((edit) => revocations.bar(edit, planner.id, BY))).toEqual(['agent.revoked']);
    expect(await revocations.barred(planner.id, KEY)).toBe('revoked_agent');
    expect(await committed((edit) => revocations.bar(edit, planner.id, BY))).toEqual([]);
  });

  test('a task has ended when the bundle says so', async () => {
    await revocations.revokeTask(OPERATOR, { task: KEY, principal: ALICE }, 'done');
    expect(await bundled()).toEqual([{ task: KEY, principal: ALICE }]);
    expect(told).toEqual([1]);
  });
});

test('the bundle’s list follows every change, and is the same after a restart', async () => {
  await revoke({ agent: planner.id });
  expect(await bundled()).toEqual([{ agent: planner.id }]);
  await revoke({ agent: inventory.id });
  expect(await bundled()).toEqual([{ agent: planner.id }, { agent: inventory.id }]);
  await revocations.lift(OPERATOR, planner.id, 'cleaned');
  expect(await bundled()).toEqual([{ agent: inventory.id }]);
  expect(await revocationSource(records).read(clock.seconds)).toEqual([{ agent: inventory.id }]);
});

test('nothing is acknowledged before it is told', async () => {
  let tell: () => void = () => undefined;
  const untold = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const slow = new Revocations({
    records,
    clock,
    telling: { whenPublished: () => untold, current: { epoch: 1, seq: 1 } },
    trust: () => testContext({ issuers: issuersOf() }),
    longest: async () => ({ link: 7200, task: DAY, svid: DAY }),
  });
  let acknowledged = false;
  const done = slow.revoke(OPERATOR, { agent: planner.id }, 'a test').then(() => {
    acknowledged = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect([acknowledged, (await bundled()).length]).toEqual([false, 1]);
  tell();
  await done;
  expect(acknowledged).toBe(true);
});
