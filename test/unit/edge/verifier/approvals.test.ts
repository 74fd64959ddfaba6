/** The sidecar's port for approvals, against a verifier that runs, that refuses, and that is gone. */
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { approvalEndpoints } from '../../../../src/api/approvals.ts';
import { enrolmentEndpoints } from '../../../../src/api/enrolment.ts';
import type { ScopeLiteral } from '../../../../src/core/delegation/scope.ts';
import { sha256Base64url } from '../../../../src/core/encoding/jws.ts';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import type { TlsIdentity } from '../../../../src/edge/tls/settings.ts';
import { VerifierApprovals } from '../../../../src/edge/verifier/approvals.ts';
import type { VerifierClient } from '../../../../src/edge/verifier/client.ts';
import { VerifierLink } from '../../../../src/edge/verifier/verifier-link.ts';
import type { AskedApproval } from '../../../../src/ports.ts';
import { idOf } from '../../../../src/verifier/approvals/wish.ts';
import { reasonOf } from '../../../testkit/core-world.ts';
import { RunningVerifier, TRUST_DOMAIN } from '../../../testkit/running-verifier.ts';

const CALLER = 'spiffe://company.com/agent/planning/1' as AgentId;

let verifier: RunningVerifier;
let identity: TlsIdentity;
let port: VerifierApprovals;
let callee: AgentId;

const portOf = (client: VerifierClient): VerifierApprovals =>
  new VerifierApprovals({ run: (work) => work(client) });

beforeAll(async () => {
  verifier = await RunningVerifier.start();
  const made = await verifier.identity('inventory/1');
  identity = made;
  callee = made.id;
  const client = verifier.client(identity);
  port = portOf(client);
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
  const other = portOf(verifier.client());
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

it('files what many callers ask for at no cost to what we need ourselves', async () => {
  const made = await verifier.identity('inventory/crowded');
  const client = verifier.client(made);
  const crowded = portOf(client);
  const filed = Array.from({ length: 310 }, (_, at) =>
    crowded.ask({ ...request(`/crowd/${at}`), callee: made.id, caller: `${CALLER}${at}` as AgentId }),
  );
  expect((await Promise.all(filed)).map(reasonOf)).toContain('approval_unavailable');
  expect(await client.call(enrolmentEndpoints.createChallenge, {})).toHaveProperty('nonce');
});

it('asks the next address when one does not answer, and no longer than a request may wait', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port: hole } = silent.address() as AddressInfo;
  const link = new VerifierLink({
    addresses: [`127.0.0.1:${hole}`, ...verifier.verifier.addresses],
    trust: { trustDomain: TRUST_DOMAIN, root: verifier.verifier.rooms.authority.rootThumbprint },
    clock: verifier.clock,
    authorities: () => ({ x509: verifier.authorities, epoch: 1 }),
    identity: () => identity,
  });
  const failingOver = new VerifierApprovals(link);
  expect(await failingOver.token(idFor('/a'))).toEqual({ ok: true, value: undefined });
  expect(link.state.address).toBe(verifier.verifier.addresses[0]);
  // And goes there first from then on.
  const started = performance.now();
  expect(await failingOver.token(idFor('/a'))).toEqual({ ok: true, value: undefined });
  expect(performance.now() - started).toBeLessThan(1500);
  link.close();
  silent.close();
}, 20_000);

it('is unavailable when nobody answers', async () => {
  const closed = verifier.client(identity);
  await closed.close();
  expect(reasonOf(await portOf(closed).token(idFor('/a')))).toBe('approval_unavailable');
  expect(reasonOf(await portOf(closed).ask(request('/a')))).toBe('approval_unavailable');
});
