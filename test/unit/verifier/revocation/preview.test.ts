/** What a revocation would cut, shown before; and what can't be known is said. */
import { beforeEach, expect, test } from 'vitest';
import type { RevocationTarget } from '../../../../src/api/revocations.ts';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import type { SeenHops } from '../../../../src/verifier/policy/enforcement.ts';
import { nameOf, TASK } from '../../../../src/verifier/principals/kinds.ts';
import { Edit, Records } from '../../../../src/verifier/records.ts';
import { previewRevocation } from '../../../../src/verifier/revocation/preview.ts';
import { Revocations } from '../../../../src/verifier/revocation/revocations.ts';
import { ALICE, mintChain, NOW, testAgent, testContext } from '../../../testkit/core-world.ts';
import { MemoryStore } from '../../../testkit/memory-store.ts';
import { OPERATOR } from '../../../testkit/registry-world.ts';
import { linkAt } from '../../../testkit/revocation-world.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const scanner = testAgent('scanner');

let records: Records;
let revocations: Revocations;
const clock = new TestClock(NOW * 1000);
beforeEach(() => {
  records = new Records(new MemoryStore(), clock);
  revocations = new Revocations({
    records,
    clock,
    telling: { whenPublished: async () => undefined, current: { epoch: 1, seq: 1 } },
    trust: () => testContext(),
    longest: async () => ({ link: 7200, task: 86_400, svid: 86_400 }),
  });
});

const seen = (agents: ReadonlySet<string>): readonly SeenHops[] =>
  agents.has(scanner.id) ? [{ sidecar: inventory.id, agent: scanner.id, hops: 7, to: NOW }] : [];
const preview = (target: RevocationTarget) =>
  previewRevocation({ records, clock, revocations, seen }, target);
const register = async (task: string, exp = NOW + 3600): Promise<void> => {
  const record = { task, principal: ALICE, start: NOW - 60, exp, renewals: 0, parties: [planner.id] };
  await records.commit([], new Edit().set(TASK, nameOf(ALICE, task), record as never, null));
};

test('a link takes with it whoever its chain shows below, and says where they were seen', async () => {
  const chain = mintChain(planner, [{ to: inventory }, { to: scanner }]);
  const { agents, hops, onRecord, unknown } = await preview({ chain, link: linkAt(chain, 1).id });
  expect(agents.map(({ id }) => id)).toEqual([inventory.id, scanner.id]);
  expect(hops).toEqual([{ sidecar: inventory.id, agent: scanner.id, hops: 7, to: NOW }]);
  expect(onRecord).toBe(false);
  expect(unknown.join()).toMatch(/its parent is delegated to anew.*doesn’t see them.*sidecars report hops/i);
});

test('nothing is revoked by looking', async () => {
  const chain = mintChain(planner);
  await preview({ chain });
  expect(await revocations.list()).toEqual([]);
  await revocations.revoke(OPERATOR, { chain }, 'a test');
  expect((await preview({ chain })).onRecord).toBe(true);
});

test('a first link takes its task with it, and a later one doesn’t', async () => {
  const chain = mintChain(planner, [{ to: inventory }]);
  const task = linkAt(chain, 0).id;
  await register(task);
  expect((await preview({ chain, link: task })).tasks).toEqual([{ task, principal: ALICE, exp: NOW + 3600 }]);
  expect((await preview({ chain })).tasks).toEqual([]);
});

test('a principal takes all tasks that still run', async () => {
  await register('A'.repeat(43));
  await register(`${'A'.repeat(42)}E`, NOW - 1);
  const { tasks, agents } = await preview({ principal: ALICE });
  expect(tasks.map(({ task }) => task)).toEqual(['A'.repeat(43)]);
  expect(agents).toEqual([{ id: planner.id, effect: `loses task ${'A'.repeat(43)}` }]);
});

test('of a key that nobody here certified it says so', async () => {
  const { agents, unknown } = await preview({ key: 'A'.repeat(43) });
  expect(agents).toEqual([]);
  expect(unknown[0]).toMatch(/^Whose key this is/);
});

test('an agent is named', async () => {
  const id = 'spiffe://company.com/agent/x/1' as AgentId;
  expect((await preview({ agent: id })).agents.map((one) => one.id)).toEqual([id]);
});
