/** Policy revisions: in force or refused, approved by somebody else, rolled back, and one name for one content. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Role } from '../../../../src/api/endpoint.ts';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import type { Actor } from '../../../../src/verifier/actor.ts';
import { PolicyRevisions } from '../../../../src/verifier/policy/revisions.ts';
import { policySource } from '../../../../src/verifier/policy/sources.ts';
import { Records } from '../../../../src/verifier/records.ts';
import { Refusal } from '../../../../src/verifier/refusal.ts';
import { ConflictError } from '../../../../src/verifier/store/store.ts';
import { MemoryStore } from '../../../testkit/memory-store.ts';
import { policyYaml } from '../../../testkit/revocation-world.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const actor = (name: string, principal?: string, ...roles: Role[]): Actor => ({
  kind: 'agent',
  name,
  id: name as AgentId,
  principal,
  roles: new Set(roles),
});
const ALICE = actor('spiffe://company.com/client/alice', 'mailto:alice@company.com', 'admin');
const ALICE_ELSEWHERE = actor('spiffe://company.com/client/alice-ci', 'mailto:alice@company.com', 'admin');
const BOB = actor('spiffe://company.com/client/bob', 'mailto:bob@company.com', 'approver');
const LOCAL: Actor = { ...ALICE, kind: 'local', name: 'local:0', id: undefined, principal: undefined };

let records: Records;
const open = (secondApprover = false): PolicyRevisions =>
  new PolicyRevisions({
    records,
    clock: new TestClock(),
    telling: { whenPublished: async () => undefined, current: { epoch: 1, seq: 1 } },
    secondApprover,
  });
const refusal = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'ok';
  } catch (error) {
    if (error instanceof Refusal) return `${error.reason}: ${error.message}`;
    if (error instanceof ConflictError) return 'conflict';
    throw error;
  }
};
const why = 'a test';
const bundled = () => policySource(records).read(0);

beforeEach(() => {
  records = new Records(new MemoryStore(), new TestClock());
});

describe('publishing', () => {
  test('puts a policy in force, for the bundle and for whoever asks', async () => {
    const policies = open();
    expect(await bundled()).toBeUndefined();
    expect(await refusal(policies.inForce())).toMatch(/^policy_unavailable/);
    const { revision, isNew } = await policies.publish(ALICE, { source: policyYaml('r1'), why });
    expect({ isNew, n: revision.n, state: revision.state, author: revision.author }).toEqual({
      isNew: true,
      n: 1,
      state: 'current',
      author: ALICE.name,
    });
    expect((await bundled())?.revision).toBe('r1');
    expect((await policies.policy())?.revision).toBe('r1');
  });

  test('the same content again is nothing to publish', async () => {
    const policies = open();
    await policies.publish(ALICE, { source: policyYaml('r1'), why });
    const again = await policies.publish(ALICE, { source: `# a comment\n${policyYaml('r1')}`, why });
    expect([again.isNew, again.revision.n]).toEqual([false, 1]);
    expect(await policies.history()).toHaveLength(1);
  });

  test('what does not pass its check is refused, with line and column, and nothing changes', async () => {
    const policies = open();
    const source = policyYaml('r1').replace('effect: allow', 'effect: maybe');
    expect(await refusal(policies.publish(ALICE, { source, why }))).toMatch(
      /^policy_invalid: policy\.yaml:10:5: rules\[0\]\.effect: must be/,
    );
    expect(await policies.history()).toEqual([]);
  });

  test('what a bundle has no room for is refused, however short its text', async () => {
    const scopes = Array.from({ length: 500 }, (_, index) => `"s:${'x'.repeat(200)}${index}"`).join(', ');
    const sets = Array.from({ length: 32 }, (_, index) => `s${index}: *all`).join(', ');
    const source = policyYaml('r1').replace('rules:', `scopeSets: {all: &all [${scopes}], ${sets}}\nrules:`);
    expect(await refusal(open().publish(ALICE, { source, why }))).toMatch(
      /^policy_invalid: policy\.yaml: more than 3145728 octets as JSON/,
    );
  });

  test('over another revision than the author has looked at is refused', async () => {
    const policies = open();
    await policies.publish(ALICE, { source: policyYaml('r1'), why, base: 0 });
    expect(await refusal(policies.publish(BOB, { source: policyYaml('r2'), why, base: 0 }))).toMatch(
      /^api_conflict/,
    );
  });

  test('two at once: one is in force, the other is told', async () => {
    const policies = open();
    const outcomes = await Promise.all(
      ['r1', 'r2'].map((name) => refusal(policies.publish(ALICE, { source: policyYaml(name), why }))),
    );
    expect(outcomes.sort()).toEqual(['conflict', 'ok']);
    expect(await policies.history()).toHaveLength(1);
  });

  test('another content under a name that audit logs know is refused', async () => {
    const policies = open();
    await policies.publish(ALICE, { source: policyYaml('r1'), why });
    const source = policyYaml('r1', 'demands: [{scopes: [cloud:read], minScore: 300}]\n');
    expect(await refusal(policies.publish(ALICE, { source, why }))).toMatch(
      /^api_conflict: "r1" was in force/,
    );
  });
});

describe('rolling back', () => {
  test('makes a new revision with the old content', async () => {
    const policies = open();
    const { revision: first } = await policies.publish(ALICE, { source: policyYaml('r1'), why });
    await policies.publish(ALICE, { source: policyYaml('r2'), why });
    const { revision } = await policies.rollback(ALICE, { to: 1, why });
    expect([revision.n, revision.revision, revision.rollbackTo, revision.digest]).toEqual([
      3,
      'r1',
      1,
      first.digest,
    ]);
    expect((await policies.history()).map(({ n, state }) => [n, state])).toEqual([
      [3, 'current'],
      [2, 'superseded'],
      [1, 'superseded'],
    ]);
  });

  test('to what is not there, or was never in force, is refused', async () => {
    const policies = open(true);
    expect(await refusal(policies.rollback(ALICE, { to: 1, why }))).toMatch(/^api_not_found/);
    await policies.publish(ALICE, { source: policyYaml('r1'), why });
    expect(await refusal(policies.rollback(BOB, { to: 1, why }))).toMatch(/^api_conflict/);
  });
});

describe('with a second approver', () => {
  const proposed = async () => {
    const policies = open(true);
    const { revision } = await policies.publish(ALICE, { source: policyYaml('r1'), why });
    return { policies, revision, approve: { digest: revision.digest, why } };
  };

  test('a revision waits, and is in force when somebody else approves', async () => {
    const { policies, revision, approve } = await proposed();
    expect(revision.state).toBe('proposed');
    expect(await bundled()).toBeUndefined();
    const approved = await policies.approve(BOB, 1, approve);
    expect(approved.revision.state).toBe('current');
    expect(approved.revision.approvals.map((one) => one.actor)).toEqual([BOB.name]);
    expect((await bundled())?.revision).toBe('r1');
  });

  test.each([
    ['its author', ALICE],
    ['its author under another name', ALICE_ELSEWHERE],
    ['whoever may open the socket', LOCAL],
  ])('%s is no second person', async (_who, who) => {
    const { policies, approve } = await proposed();
    expect(await refusal(policies.approve(who, 1, approve))).toMatch(/^self_approval/);
    expect(await bundled()).toBeUndefined();
  });

  test('who approves names what was looked at', async () => {
    const { policies } = await proposed();
    expect(await refusal(policies.approve(BOB, 1, { digest: 'A'.repeat(43), why }))).toMatch(/^api_conflict/);
  });

  test('what was proposed over an older one can’t be approved any more', async () => {
    const { policies, approve } = await proposed();
    const other = await policies.publish(ALICE, { source: policyYaml('r2'), why });
    await policies.approve(BOB, 1, approve);
    expect(await refusal(policies.approve(BOB, 2, { digest: other.revision.digest, why }))).toMatch(
      /^api_conflict: revision 2 is superseded/,
    );
  });

  test('is not got around by a rollback', async () => {
    const { policies, approve } = await proposed();
    await policies.approve(BOB, 1, approve);
    const next = await policies.publish(ALICE, { source: policyYaml('r2'), why });
    await policies.approve(BOB, 2, { digest: next.revision.digest, why });
    const { revision } = await policies.rollback(ALICE, { to: 1, why });
    expect(revision.state).toBe('proposed');
    expect((await bundled())?.revision).toBe('r2');
  });
});
