/** The sidecar's port for approvals, against a verifier that runs, that refuses, and that is gone. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { approvalEndpoints } from '../../../../src/api/approvals.ts';
import type { ScopeLiteral } from '../../../../src/core/delegation/scope.ts';
import { sha256Base64url } from '../../../../src/core/encoding/jws.ts';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import { VerifierApprovals } from '../../../../src/edge/verifier/approvals.ts';
import type { VerifierClient } from '../../../../src/edge/verifier/client.ts';
import type { AskedApproval } from '../../../../src/ports.ts';
import { idOf } from '../../../../src/verifier/approvals/wish.ts';
import { reasonOf } from '../../../testkit/core-world.ts';
import { RunningVerifier } from '../../../testkit/running-verifier.ts';

const CALLER = 'spiffe://company.com/agent/planning/1' as AgentId;

let verifier: RunningVerifier;
let client: VerifierClient;
let port: VerifierApprovals;
let callee: AgentId;

beforeAll(async () => {
  verifier = await RunningVerifier.start();
  const identity = await verifier.identity('inventory/1');
  callee = identity.id;
  client = verifier.client(identity);
  port = new VerifierApprovals(() => client);
});
afterAll(() => verifier.stop());

const request = (target: string): AskedApproval => ({
  principal: 'mailto:alice@company.com',
  caller: CALLER,
  callee,
  chain: sha256Base64url('leaf'),
  method: 'POST',
  target,
  body: sha256Base64url('body'),
  scopes: ['cloud:write' as ScopeLiteral],
  agents: [CALLER],
  purpose: undefined,
});
const idFor = (target: string): string => {
  const { scopes, agents, purpose: _, ...facts } = request(target);
  return idOf({ kind: 'request', ...facts, scopes: [...scopes], agents: [...agents] });
};

it('has nothing before it is asked for, and waits then', async () => {
  expect(await port.token(idFor('/a'))).toEqual({ ok: true, value: undefined });
  expect(await port.ask(request('/a'))).toEqual({ ok: true, value: true });
  expect(await port.ask(request('/a'))).toEqual({ ok: true, value: true });
  expect(await port.token(idFor('/a'))).toEqual({ ok: true, value: undefined });
});

it('passes a refusal on, with its reason', async () => {
  await port.ask(request('/b'));
  const id = idFor('/b');
  await verifier.local().call(approvalEndpoints.denyApproval, { params: { id }, body: { why: 'no' } });
  expect(await port.token(id)).toMatchObject({ reason: 'approval_denied', detail: 'it was refused: no' });
});

it('asks for nobody else', async () => {
  const other = new VerifierApprovals(() => verifier.client());
  expect(reasonOf(await other.ask(request('/c')))).toBe('approval_unavailable');
  const foreign = { ...request('/c'), callee: CALLER };
  expect(reasonOf(await port.ask(foreign))).toBe('approval_unavailable');
});

it('says that too many wait', async () => {
  for (let at = 0; at < 32; at++) await port.ask(request(`/many/${at}`));
  expect(await port.ask(request('/many/33'))).toMatchObject({
    reason: 'approval_unavailable',
    detail: 'too many approvals are waiting already',
  });
});

it('is unavailable without a connection, and when nobody answers', async () => {
  const unconnected = new VerifierApprovals(() => undefined);
  expect(reasonOf(await unconnected.token(idFor('/a')))).toBe('approval_unavailable');
  await client.close();
  expect(reasonOf(await port.token(idFor('/a')))).toBe('approval_unavailable');
  expect(reasonOf(await port.ask(request('/a')))).toBe('approval_unavailable');
});
