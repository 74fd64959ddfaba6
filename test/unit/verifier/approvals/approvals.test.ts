/** The verifier's room for approvals: who may ask, grant, refuse and fetch; bounds, ends, and the ledger. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { ApprovalWish, LinkApprovalWish, RequestWish } from '../../../../src/api/approvals.ts';
import { mintLinkApproval } from '../../../../src/core/approval/link-approval.ts';
import { sha256Base64url } from '../../../../src/core/encoding/jws.ts';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import { makeSigningKey } from '../../../../src/edge/keys/signing-key.ts';
import type { Actor } from '../../../../src/verifier/actor.ts';
import { idOf } from '../../../../src/verifier/approvals/wish.ts';
import { Edit } from '../../../../src/verifier/records.ts';
import { nameOfRevoked, REVOCATION } from '../../../../src/verifier/revocation/revocation-records.ts';
import { ApprovalDesk, actorOf, claimsFor, DESK, makeJti } from '../../../testkit/approval-desk.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const ALICE = 'mailto:alice@company.com';
const CALLER = 'spiffe://company.com/agent/planning/p1' as AgentId;
const CALLEE = 'spiffe://company.com/agent/inventory/i1' as AgentId;
const request = (changes: Partial<RequestWish> = {}): RequestWish => ({
  kind: 'request',
  principal: ALICE,
  caller: CALLER,
  callee: CALLEE,
  chain: sha256Base64url('leaf'),
  method: 'POST',
  target: '/vpcs?token=secret',
  body: sha256Base64url('body'),
  scopes: ['cloud:write'],
  agents: [CALLER],
  ...changes,
});
const link: LinkApprovalWish = {
  kind: 'link',
  principal: ALICE,
  delegatee: CALLER,
  parent: sha256Base64url('anchor'),
  scope: ['cloud:write', 'cloud:delete'],
};
const callee = actorOf({ id: CALLEE });

describe('approvals', () => {
  let clock: TestClock;
  let desk: ApprovalDesk;
  const bob = { ...makeSigningKey(), uri: 'mailto:bob@company.com' };

  beforeEach(async () => {
    clock = new TestClock(1_800_000_000_000);
    desk = new ApprovalDesk(clock);
    await desk.register(bob);
  });

  const ask = (wish: ApprovalWish, actor: Actor = callee) => desk.approvals.ask(actor, wish);
  const tokenFor = async (id: string, changes = {}, key = bob) =>
    desk.tokenOf(claimsFor(await desk.approvals.get(id), bob.uri, desk.now, changes), key);
  const grant = async (id: string, token: string, actor = DESK) =>
    desk.approvals.grant(actor, id, token, 'looks right');
  const refusal = (work: Promise<unknown>) =>
    work.then(
      () => 'ok',
      (error: { reason?: string }) => error.reason,
    );
  const events = async () =>
    (await desk.records.store.events({ after: 0, limit: 100 }))
      .map(({ line }) => JSON.parse(line) as { event: string; why: string; data: object })
      .filter(({ event }) => event.startsWith('approval.'));

  it('are asked for by the callee alone, and fetched by it alone', async () => {
    const other = actorOf({ id: CALLER });
    expect(await refusal(ask(request(), other))).toBe('api_forbidden');
    expect(await refusal(ask(request(), DESK))).toBe('api_forbidden');
    const { id } = await ask(request());
    expect(await refusal(desk.approvals.fetch(other, id))).toBe('api_forbidden');
    expect(await desk.approvals.fetch(callee, id)).toEqual({ state: 'pending' });
    expect(await desk.approvals.fetch(callee, sha256Base64url('nothing'))).toEqual({ state: 'unknown' });
  });

  it('of a link are asked for by an operator or the session of its principal', async () => {
    expect(await refusal(ask(link))).toBe('api_forbidden');
    const session = { ...actorOf({ id: CALLER }), principal: ALICE };
    expect((await ask(link, session)).id).toBe(idOf(link));
    expect((await ask(link, DESK)).id).toBe(idOf(link));
  });

  it('asked for again, or at once, are one, and one event', async () => {
    const ids = await Promise.all([ask(request()), ask(request()), ask(request())]);
    expect(new Set(ids.map(({ id }) => id)).size).toBe(1);
    expect((await events()).map(({ event }) => event)).toEqual(['approval.asked']);
  });

  it('are granted once, fetched, and every step is in the ledger, without the query', async () => {
    const { id } = await ask(request());
    const token = await tokenFor(id);
    expect(await grant(id, token)).toMatchObject({ state: 'approved', decided: { by: bob.uri } });
    expect(await refusal(grant(id, token))).toBe('api_conflict');
    expect(await refusal(desk.approvals.deny(DESK, id, 'no'))).toBe('api_conflict');
    expect(await desk.approvals.fetch(callee, id)).toEqual({ state: 'fetched', token });
    expect(await desk.approvals.fetch(callee, id)).toEqual({ state: 'fetched', token });
    const all = await events();
    expect(all.map(({ event }) => event)).toEqual(['approval.asked', 'approval.granted', 'approval.fetched']);
    expect(all[1]).toMatchObject({ why: 'looks right', data: { id, approver: bob.uri, path: '/vpcs' } });
    expect(JSON.stringify(all)).not.toMatch(/secret|eyJ/);
    expect(JSON.stringify(await desk.approvals.get(id))).not.toContain('eyJ');
  });

  it('are granted by nothing but the right signature over the right request', async () => {
    const { id } = await ask(request());
    const eve = { ...makeSigningKey(), uri: 'mailto:eve@company.com' };
    await desk.register(eve, false);
    const wrong = [
      await tokenFor(id, { body: sha256Base64url('another') }),
      await tokenFor(id, { target: '/vpcs' }),
      await tokenFor(id, { callee: CALLER }),
      await tokenFor(id, {}, { ...eve, thumbprint: bob.thumbprint }),
      await tokenFor(id, { approver: eve.uri }, eve),
      await tokenFor(id, {}, { ...bob, ...makeSigningKey() }),
      await tokenFor(id, { exp: desk.now }),
      await tokenFor(id, { exp: desk.now + 3601 }),
      await tokenFor(id, { iat: desk.now + 31 }),
    ];
    for (const token of wrong) expect(await refusal(grant(id, token))).toBe('approval_invalid');
    expect(await desk.approvals.get(id)).toMatchObject({ state: 'pending' });
    expect(await refusal(grant(id, await tokenFor(id)))).toBe('ok');
  });

  it('are granted with no key that was revoked', async () => {
    const { id } = await ask(request());
    const revoked = { key: bob.thumbprint };
    const record = { revoked, by: 'operator', why: 'stolen', at: desk.now, until: null };
    await desk.records.commit([], new Edit().set(REVOCATION, nameOfRevoked(revoked), record, null));
    expect(await refusal(grant(id, await tokenFor(id)))).toBe('approval_invalid');
    expect(await desk.approvals.get(id)).toMatchObject({ state: 'pending' });
  });

  it('of a link are over exactly the scope that was asked for', async () => {
    const { id } = await ask(link, DESK);
    const terms = { approver: bob.uri, iat: desk.now, exp: desk.now + 600, jti: makeJti() };
    const sign = (changes: object = {}) =>
      mintLinkApproval({ ...link, ...terms, ...changes }, bob.sign, bob.thumbprint);
    expect(await refusal(grant(id, sign({ scope: ['cloud:write'] })))).toBe('approval_invalid');
    expect(await refusal(grant(id, sign({ scope: [...link.scope, 'ec2:*'] })))).toBe('approval_invalid');
    expect(await refusal(grant(id, sign({ exp: desk.now + 86_401 })))).toBe('approval_invalid');
    const token = sign({ scope: [...link.scope].reverse() });
    expect(await refusal(grant(id, token))).toBe('ok');
    expect(await desk.approvals.fetch(DESK, id)).toMatchObject({ token });
  });

  it('are nobody’s to give to themselves: principal, session of the chain, who asked, who brings it', async () => {
    const { id } = await ask(request({ principal: bob.uri }));
    expect(await refusal(grant(id, await tokenFor(id)))).toBe('self_approval');

    // Another chain: the id commits to it, and so to its principal.
    const second = await ask(request({ chain: sha256Base64url('another leaf') }));
    desk.sessions.set(CALLER, bob.uri);
    expect(await refusal(grant(second.id, await tokenFor(second.id)))).toBe('self_approval');
    desk.sessions.clear();
    const asSession: Actor = { ...DESK, kind: 'agent', id: CALLER };
    expect(await refusal(grant(second.id, await tokenFor(second.id), asSession))).toBe('self_approval');
    const asAlice: Actor = { ...DESK, kind: 'agent', principal: ALICE };
    expect(await refusal(grant(second.id, await tokenFor(second.id), asAlice))).toBe('self_approval');

    const asked = await ask(link, { ...DESK, principal: bob.uri });
    const terms = { approver: bob.uri, iat: desk.now, exp: desk.now + 600, jti: makeJti() };
    const token = mintLinkApproval({ ...link, ...terms }, bob.sign, bob.thumbprint);
    expect(await refusal(grant(asked.id, token))).toBe('self_approval');
  });

  it('end: pending ones after hours, granted ones with their token, and then they can be asked for again', async () => {
    const { id } = await ask(request());
    clock.advanceSeconds(4 * 3600);
    expect(await desk.approvals.get(id)).toMatchObject({ state: 'expired' });
    expect(await refusal(grant(id, await tokenFor(id)))).toBe('api_conflict');
    expect(await ask(request())).toMatchObject({ id, state: 'pending' });
    await grant(id, await tokenFor(id));
    clock.advanceSeconds(600);
    expect(await desk.approvals.fetch(callee, id)).toEqual({ state: 'expired' });
    expect(await ask(request())).toMatchObject({ state: 'pending' });
  });

  it('once refused stay so until they end, with the reason', async () => {
    const { id } = await ask(request());
    await desk.approvals.deny(DESK, id, 'not on a Friday');
    expect(await ask(request())).toMatchObject({ state: 'denied' });
    expect(await desk.approvals.fetch(callee, id)).toEqual({ state: 'denied', why: 'not on a Friday' });
    clock.advanceSeconds(4 * 3600);
    expect(await ask(request())).toMatchObject({ state: 'pending' });
  });

  it('that a callee makes up of a caller leave that caller its room at others, and all others theirs', async () => {
    const evil = 'spiffe://company.com/agent/evil/e1' as AgentId;
    const filed = new Map<string | undefined, number>();
    for (let at = 0; at < 300; at++) {
      const caller = at < 40 ? CALLER : (`spiffe://company.com/agent/made-up/n${at}` as AgentId);
      const wish = request({ callee: evil, caller, agents: [caller], target: `/${at}` });
      const reason = await refusal(ask(wish, actorOf({ id: evil })));
      filed.set(reason, (filed.get(reason) ?? 0) + 1);
    }
    expect(Object.fromEntries(filed)).toEqual({ ok: 256, api_busy: 44 });
    expect(await refusal(ask(request()))).toBe('ok');
  });

  it('of one caller are 32 at a time; decided and ended ones don’t count', async () => {
    const nth = (at: number) => request({ target: `/vpcs/${at}` });
    for (let at = 0; at < 32; at++) await ask(nth(at));
    expect(await refusal(ask(nth(32)))).toBe('api_busy');
    expect(await refusal(ask(request({ caller: `${CALLER}x` as AgentId })))).toBe('ok');
    await desk.approvals.deny(DESK, idOf(nth(0)), 'no');
    expect(await refusal(ask(nth(32)))).toBe('ok');
    expect(await refusal(ask(nth(33)))).toBe('api_busy');
    clock.advanceSeconds(4 * 3600);
    expect(await refusal(ask(nth(33)))).toBe('ok');
  });

  it('are listed in pages, by state', async () => {
    for (let at = 0; at < 5; at++) await ask(request({ target: `/vpcs/${at}` }));
    await desk.approvals.deny(DESK, idOf(request({ target: '/vpcs/0' })), 'no');
    const first = await desk.approvals.list({ limit: 3 }, 'pending');
    const rest = await desk.approvals.list({ limit: 3, after: first.at(-1)?.id }, 'pending');
    expect([first.length, rest.length]).toEqual([3, 1]);
    expect(await desk.approvals.list({ limit: 10 })).toHaveLength(5);
  });
});
