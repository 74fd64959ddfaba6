/** How many approvals wait, as the metrics say it: with every change, and without reading all of them again. */
import { expect, it } from 'vitest';
import type { RequestWish } from '../../../../src/api/approvals.ts';
import { sha256Base64url } from '../../../../src/core/encoding/jws.ts';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import { PendingApprovals } from '../../../../src/verifier/approvals/pending.ts';
import { ApprovalDesk, actorOf, DESK } from '../../../testkit/approval-desk.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const CALLER = 'spiffe://company.com/agent/planning/p1' as AgentId;
const CALLEE = 'spiffe://company.com/agent/inventory/i1' as AgentId;
const wish = (target: string): RequestWish => ({
  kind: 'request',
  principal: 'mailto:alice@company.com',
  caller: CALLER,
  callee: CALLEE,
  chain: sha256Base64url('leaf'),
  method: 'POST',
  target,
  body: sha256Base64url('body'),
  scopes: ['cloud:write'],
  agents: [CALLER],
});

it.each([
  ['reads what has changed', undefined],
  ['reads all anew when more has changed than it remembers', 1],
])('counts what was there, what comes, what is decided and what ends, and %s', async (_, most) => {
  const clock = new TestClock(1_800_000_000_000);
  const desk = new ApprovalDesk(clock);
  const ask = (target: string) => desk.approvals.ask(actorOf({ id: CALLEE }), wish(target));
  await ask('/a');
  const denied = await ask('/b');
  await desk.approvals.deny(DESK, denied.id, 'no');
  const pending = new PendingApprovals(desk.records, most);
  const count = () => pending.count(clock.seconds);
  expect(await count()).toBe(1);

  clock.advanceSeconds(3600);
  const { id } = await ask('/c');
  await ask('/d');
  expect(await count()).toBe(3);
  await desk.approvals.deny(DESK, id, 'no');
  expect(await count()).toBe(2);
  clock.advanceSeconds(3 * 3600);
  expect(await count()).toBe(1);
  clock.advanceSeconds(3600);
  expect(await count()).toBe(0);
});
