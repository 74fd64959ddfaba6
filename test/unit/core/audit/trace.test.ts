import { describe, expect, test } from 'vitest';
import type { DecisionRecord } from '../../../../src/core/audit/record.ts';
import { buildTrace } from '../../../../src/core/audit/trace.ts';
import { ALICE, NOW } from '../../../testkit/core-world.ts';
import { decision, digest, INVENTORY, PLANNING, sessionOf, TASK } from '../../../testkit/sealed-log.ts';

const at = (changes: Partial<DecisionRecord>, seconds = 0) => ({
  ...decision(changes),
  time: (NOW + seconds) * 1000,
});
const hop = (n: number) => `${sessionOf('one')}.${n}`;
const byInventory = {
  caller: INVENTORY.id,
  agents: [
    { id: PLANNING.id, link: digest(1) },
    { id: INVENTORY.id, link: digest(2) },
  ],
} as const;
const trace = (...records: Parameters<typeof at>[0][]) =>
  buildTrace(
    records.map((changes, index) => at(changes, index)),
    TASK,
    ALICE,
  );

describe('the delegation tree of a task', () => {
  test('is made of the chains of agents, and an action counts for the agent that made it', () => {
    const { roots, actions, agents } = trace(
      { hop: hop(1) },
      { hop: hop(2), ...byInventory },
      { hop: hop(3), ...byInventory },
    );
    expect({ actions, agents }).toEqual({ actions: 3, agents: 2 });
    expect(roots).toMatchObject([
      { agent: PLANNING.id, actions: 1, children: [{ agent: INVENTORY.id, actions: 2, children: [] }] },
    ]);
  });

  test('counts a hop once, whichever side recorded it and however often', () => {
    const both = [{ direction: 'outbound' }, { direction: 'inbound' }] as const;
    expect(trace(...both, ...both).actions).toBe(1);
    expect(trace({ direction: 'inbound' }).actions).toBe(1);
  });

  test('names the granted pattern that covered what was required', () => {
    const { roots } = trace(
      { hop: hop(1) },
      { hop: hop(2), required: ['ec2:DescribeVpcs'] },
      { hop: hop(3), required: ['s3:ListBuckets'] },
    );
    expect(roots[0]?.scopes).toEqual([
      { pattern: 'ec2:Describe*', count: 2 },
      { pattern: 's3:List*', count: 1 },
    ]);
  });

  test('counts denials by reason, most frequent first', () => {
    const denied = { verdict: 'deny' } as const;
    const result = trace(
      { hop: hop(1), ...denied, reason: 'rule_denied' },
      { hop: hop(2), ...denied, reason: 'scope_missing' },
      { hop: '', ...denied, reason: 'scope_missing' },
    );
    expect(result).toMatchObject({ actions: 0, denials: 3 });
    expect(result.roots[0]?.denied).toEqual([
      { reason: 'scope_missing', count: 2 },
      { reason: 'rule_denied', count: 1 },
    ]);
  });

  test('keeps the task of another principal apart, though it has the same id', () => {
    expect(trace({ hop: hop(1) }, { hop: hop(2), principal: 'mailto:bob@company.com' }).actions).toBe(1);
  });

  test('shows an agent under a renewed key and under many grants as one', () => {
    const rebound = {
      caller: INVENTORY.id,
      agents: [...byInventory.agents, { id: INVENTORY.id, link: digest(3) }],
    };
    const { roots } = trace({ hop: hop(1), ...byInventory }, { hop: hop(2), ...rebound });
    expect(roots[0]?.children).toMatchObject([{ agent: INVENTORY.id, actions: 2, links: 2, children: [] }]);
  });

  test('tells the first and the last time, whatever the order of the records', () => {
    const result = buildTrace([at({ hop: hop(1) }, 9), at({ hop: hop(2) }, 2)], TASK, ALICE);
    expect(result).toMatchObject({ first: (NOW + 2) * 1000, last: (NOW + 9) * 1000 });
  });
});

describe('an action that can’t be traced', () => {
  test.each([
    ['has no chain', { agents: [] }],
    ['has a chain that ends in another agent than its caller', { caller: INVENTORY.id }],
  ])('%s', (_what, changes) => {
    expect(trace({ hop: hop(1) }, { hop: hop(2), ...changes })).toMatchObject({ actions: 2, untraced: 1 });
  });

  test('tells of a link what another record contradicts', () => {
    const forged = { caller: INVENTORY.id, agents: [{ id: INVENTORY.id, link: digest(2) }] };
    expect(trace({ hop: hop(1), ...byInventory }, { hop: hop(2), ...forged })).toMatchObject({
      actions: 2,
      untraced: 1,
    });
  });
});
