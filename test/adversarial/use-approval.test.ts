/** Approvals of single requests, attacked on running sidecars: used twice, elsewhere, for something else, by who may not. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApprovalDesk, actorOf, DESK } from '../testkit/approval-desk.ts';
import { recordsOf } from '../testkit/attack.ts';
import type { TestPrincipal } from '../testkit/domain.ts';
import {
  type Mesh,
  type MeshAgent,
  makeMesh,
  sendThrough,
  TEST_POLICY,
  TEST_SCOPE,
} from '../testkit/mesh.ts';
import { openSession, type RawPeer, type RawRequest, requestText } from '../testkit/raw-peer.ts';
import { TestClock } from '../testkit/test-clock.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const SECOND = 'inventory/second';
const SECURITY = 'security/eee777';
const BODY = '{"delete":"vpc-1"}';
const DEMANDS = [{ scopes: ['cloud:write'], approval: 'required' }];
/** Reading by POST: what no demand names, and a rule does once it is large. */
const SEARCH = { name: 'search', methods: ['POST'], path: '/search', scopes: ['cloud:read'] };
const LARGE_SEARCHES = {
  name: 'large-searches',
  effect: 'approve',
  routes: ['search'],
  when: 'request.size > 20',
};

describe('an approval', () => {
  let clock: TestClock;
  let desk: ApprovalDesk;
  let mesh: Mesh;
  let inventory: MeshAgent;
  let chain: string;
  let bob: TestPrincipal;
  let peer: RawPeer;
  const bodies: string[] = [];

  const start = (name: string) =>
    mesh.start(name, {
      handler: (request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          bodies.push(Buffer.concat(chunks).toString());
          if (request.url === '/stream') response.write('begun');
          else response.end('done');
        });
      },
    });

  beforeEach(async () => {
    clock = new TestClock();
    desk = new ApprovalDesk(clock);
    bodies.length = 0;
    mesh = await makeMesh({
      clock,
      domain: {
        agents: [PLANNING, INVENTORY, SECOND, SECURITY],
        principals: {
          alice: 'mailto:alice@company.com',
          bob: 'mailto:bob@company.com',
          bobsOtherKey: 'mailto:bob@company.com',
          mallory: 'mailto:mallory@company.com',
        },
        anchor: { scope: TEST_SCOPE },
      },
      policy: {
        demands: DEMANDS,
        routes: [SEARCH, ...TEST_POLICY.routes],
        rules: [...TEST_POLICY.rules, LARGE_SEARCHES],
      },
      bundle: { approvers: ['alice', 'bob'] },
      approvals: (agent) => desk.portFor(agent),
      config: { limits: { approvalBodyBytes: 1000 } },
    });
    bob = mesh.domain.principal('bob');
    await desk.register(bob);
    await desk.register(mesh.domain.principal('alice'));
    inventory = await start(INVENTORY);
    chain = mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE, purpose: 'clean up' });
    peer = await openSession(inventory, mesh.domain.agent(PLANNING));
  });
  afterEach(() => {
    peer.close();
    mesh.stop();
  });

  const write = (changes: Partial<RawRequest> = {}): string => {
    const body = changes.body ?? BODY;
    return requestText({
      method: 'POST',
      target: '/vpcs?dry=0',
      chain,
      headers: [`Content-Length: ${body.length}`],
      ...changes,
      body,
    });
  };
  const ask = async (text: string, from = peer) => {
    const answer = await from.ask(text);
    const problem = answer.code === undefined ? {} : (JSON.parse(answer.body) as { approval?: string });
    return { code: answer.code ?? answer.status, id: problem.approval ?? '' };
  };
  /** A request is filed; the id under which it waits. */
  const filed = async (text = write(), from = peer): Promise<string> => {
    const { code, id } = await ask(text, from);
    expect(code).toBe('approval_required');
    expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/);
    return id;
  };

  it('is asked for, given, used once, and stands in the log', async () => {
    const id = await filed();
    expect(await filed()).toBe(id);
    const [waiting, ...others] = await desk.approvals.list({ limit: 10 });
    expect(others).toEqual([]);
    expect(waiting).toMatchObject({
      id,
      state: 'pending',
      wish: {
        principal: 'mailto:alice@company.com',
        caller: mesh.domain.agent(PLANNING).id,
        callee: inventory.agent.id,
        method: 'POST',
        target: '/vpcs?dry=0',
        scopes: ['cloud:write'],
        purpose: 'clean up',
      },
    });
    await desk.approve(id, bob);
    expect(inventory.seen).toEqual([]);
    expect((await ask(write())).code).toBe(200);
    expect(bodies).toEqual([BODY]);
    expect(inventory.seen[0]).toMatchObject({ method: 'POST', url: '/vpcs?dry=0' });
    await expect
      .poll(() => recordsOf(inventory, peer.hop))
      .toMatchObject([
        { kind: 'decision', verdict: 'permit', approvals: [{ id, approver: bob.uri }] },
        { kind: 'outcome', result: 'ok', received: BODY.length },
      ]);
    const denied = inventory.log().filter(({ reason }) => reason === 'approval_required');
    expect(denied).toMatchObject([{ approvals: [{ id, approver: '' }] }, {}]);
  });

  it('is not needed where policy does not ask for one, and then the verifier is not asked', async () => {
    desk.reachable = false;
    expect(await ask(requestText({ chain }))).toMatchObject({ code: 200 });
    expect(inventory.log().at(-2)).not.toHaveProperty('approvals');
  });

  it('is needed where a rule asks for one, by its condition, and not by a length that was made up', async () => {
    const small = '{"tag":"db"}';
    const large = '{"tag":"db","all":true}';
    const search = (body: string, changes: Partial<RawRequest> = {}) =>
      write({ target: '/search', body, ...changes });
    expect((await ask(search(small))).code).toBe(200);
    // Announced without its length, a body has no size before it is read: no way round the rule.
    const chunked = search(`${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`, {
      headers: ['Transfer-Encoding: chunked'],
    });
    expect((await ask(chunked)).code).toBe('denied');
    expect(inventory.log().at(-1)).toMatchObject({ verdict: 'deny', reason: 'rule_error' });
    const id = await filed(search(large));
    await desk.approve(id, bob);
    expect((await ask(search(large))).code).toBe(200);
    expect((await ask(search(large))).code).toBe('approval_used');
    expect(bodies).toEqual([small, large]);
    expect(inventory.log().find(({ reason }) => reason === 'approval_required')).toMatchObject({
      verdict: 'deny',
      rule: 'large-searches',
    });
  });

  it('is good once, also after a restart', async () => {
    await desk.approve(await filed(), bob);
    expect((await ask(write())).code).toBe(200);
    expect((await ask(write())).code).toBe('approval_used');
    inventory.sidecar.stop('restart');
    inventory = await start(INVENTORY);
    peer.close();
    peer = await openSession(inventory, mesh.domain.agent(PLANNING));
    expect((await ask(write())).code).toBe('approval_used');
    expect(bodies).toEqual([BODY]);
  });

  it('lets exactly one of many through that come at once', async () => {
    await desk.approve(await filed(), bob);
    const peers = await Promise.all(
      Array.from({ length: 6 }, () => openSession(inventory, mesh.domain.agent(PLANNING))),
    );
    const codes = (await Promise.all(peers.map((one) => ask(write(), one)))).map(({ code }) => code);
    for (const one of peers) one.close();
    expect(codes.filter((code) => code === 200)).toHaveLength(1);
    expect(codes.filter((code) => code === 'approval_used')).toHaveLength(5);
    expect(bodies).toEqual([BODY]);
  });

  it('can be given anew for the same request when the first has ended', async () => {
    const id = await filed();
    await desk.approve(id, bob);
    expect((await ask(write())).code).toBe(200);
    clock.advanceSeconds(601);
    expect(await filed()).toBe(id);
    await desk.approve(id, bob);
    expect((await ask(write())).code).toBe(200);
    expect(bodies).toEqual([BODY, BODY]);
  });

  it.each<[string, Partial<RawRequest>]>([
    ['another body', { body: '{"delete":"vpc-2"}' }],
    ['no body', { body: '' }],
    ['another target', { target: '/vpcs/all?dry=0' }],
    ['another query', { target: '/vpcs?dry=1' }],
    ['no query', { target: '/vpcs' }],
    ['another method', { method: 'DELETE' }],
  ])('does not hold for %s', async (_, changes) => {
    const id = await filed();
    await desk.approve(id, bob);
    const token = await desk.sign(id, bob);
    const text = write(changes);
    const other = await filed(text);
    expect(other).not.toBe(id);
    // Nor when a verifier that lies hands it out for this one.
    desk.forged.set(other, token);
    expect((await ask(text)).code).toBe('approval_invalid');
    expect(inventory.seen).toEqual([]);
  });

  it('does not hold for another chain of the same task, caller or principal', async () => {
    const id = await filed();
    const token = await desk.sign(id, bob);
    const wider = mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE });
    const grant = mesh.domain.mintGrant(chain, mesh.domain.agent(PLANNING), mesh.domain.agent(SECURITY));
    const security = await openSession(inventory, mesh.domain.agent(SECURITY));
    const mallory = mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE, principal: 'mallory' });
    for (const [text, from] of [
      [write({ chain: wider }), peer],
      [write({ chain: `${chain}~${grant}` }), security],
      [write({ chain: mallory }), peer],
    ] as const) {
      const other = await filed(text, from);
      expect(other).not.toBe(id);
      desk.forged.set(other, token);
      expect((await ask(text, from)).code).toBe('approval_invalid');
    }
    security.close();
    expect(inventory.seen).toEqual([]);
  });

  it('does not hold at another instance of the callee', async () => {
    const id = await filed();
    await desk.approve(id, bob);
    const second = await start(SECOND);
    const line = await openSession(second, mesh.domain.agent(PLANNING));
    const other = await filed(write(), line);
    expect(other).not.toBe(id);
    await expect(desk.approvals.fetch(actorOf(second.agent), id)).rejects.toMatchObject({
      reason: 'api_forbidden',
    });
    desk.forged.set(other, await desk.sign(other, bob, { callee: inventory.agent.id }));
    expect((await ask(write(), line)).code).toBe('approval_invalid');
    line.close();
    expect(second.seen).toEqual([]);
  });

  it('is nobody’s to give to themselves, at the verifier and at the callee', async () => {
    const id = await filed();
    const alice = mesh.domain.principal('alice');
    await expect(desk.approve(id, alice)).rejects.toMatchObject({ reason: 'self_approval' });
    desk.forged.set(id, await desk.sign(id, alice));
    expect((await ask(write())).code).toBe('approval_invalid');
    // Bob's own session acts on Alice's authority.
    desk.forged.clear();
    desk.sessions.set(mesh.domain.agent(PLANNING).id, bob.uri);
    await expect(desk.approve(id, bob)).rejects.toMatchObject({ reason: 'self_approval' });
    expect(inventory.seen).toEqual([]);
  });

  it('by a key that is no approver’s, or another’s name, is refused at both', async () => {
    const id = await filed();
    const mallory = mesh.domain.principal('mallory');
    await desk.register(mallory, false);
    const planning = mesh.domain.agent(PLANNING);
    const forgeries = [
      await desk.sign(id, mallory),
      await desk.sign(id, mallory, { approver: bob.uri }),
      await desk.sign(id, bob, { approver: mallory.uri }),
      await desk.sign(id, { ...mallory, thumbprint: bob.thumbprint }, { approver: bob.uri }),
      await desk.sign(id, { ...bob, sign: planning.sign, thumbprint: planning.thumbprint }),
    ];
    for (const token of forgeries) {
      await expect(desk.approvals.grant(actorOf(inventory.agent), id, token, '')).rejects.toMatchObject({
        reason: 'approval_invalid',
      });
      desk.forged.set(id, token);
      expect((await ask(write())).code).toBe('approval_invalid');
    }
    expect(inventory.seen).toEqual([]);
  });

  it('that has ended, or is from the future, does not hold', async () => {
    const id = await filed();
    for (const changes of [{ exp: desk.now }, { iat: desk.now + 3600, exp: desk.now + 7200 }]) {
      desk.forged.set(id, await desk.sign(id, bob, changes));
      expect((await ask(write())).code).toBe('approval_invalid');
    }
    expect(inventory.seen).toEqual([]);
  });

  it('by somebody who is no approver any more does not hold', async () => {
    await desk.approve(await filed(), bob);
    mesh.writeBundle({ seq: 2, approvers: ['alice'] });
    inventory.sidecar.reload();
    expect((await ask(write())).code).toBe('approval_invalid');
    expect(inventory.seen).toEqual([]);
  });

  it.each<[string, string, () => void]>([
    ['whose approver is none any more', 'POST', () => mesh.writeBundle({ seq: 2, approvers: ['alice'] })],
    [
      'whose approver has another key now',
      'POST',
      () => mesh.writeBundle({ seq: 2, approvers: ['alice', 'bobsOtherKey'] }),
    ],
    [
      'whose approver’s key was revoked',
      'POST',
      () => mesh.writeBundle({ seq: 2, approvers: ['alice', 'bob'], revoked: [{ key: bob.thumbprint }] }),
    ],
    [
      'whose approver had all that it signed revoked',
      'POST',
      () =>
        mesh.writeBundle({
          seq: 2,
          approvers: ['alice', 'bob'],
          revoked: [{ principal: bob.uri, before: clock.seconds + 1 }],
        }),
    ],
    [
      'that needed none until policy asked for one',
      'GET',
      () => mesh.writePolicy({ demands: [{ scopes: ['cloud:*'], approval: 'required' }] }),
    ],
  ])('is looked at again when trust changes: a stream %s is cut', async (_, method, change) => {
    const text = method === 'POST' ? write({ target: '/stream' }) : requestText({ chain, target: '/stream' });
    if (method === 'POST') await desk.approve(await filed(text), bob);
    const answer = peer.ask(text);
    await expect.poll(() => inventory.seen.length).toBe(1);
    const { hop } = peer;
    change();
    inventory.sidecar.reload();
    expect((await answer).whole).toBe(false);
    await expect
      .poll(() => recordsOf(inventory, hop).at(-1))
      .toMatchObject({ kind: 'outcome', result: 'approval_required' });
  });

  it('is not for targets that nobody could read', async () => {
    const text = write({ target: `/${'a'.repeat(1536)}` });
    expect((await ask(text)).code).toBe('approval_invalid');
    expect(await desk.approvals.list({ limit: 10 })).toEqual([]);
    expect(inventory.seen).toEqual([]);
  });

  it('that was refused is said to be', async () => {
    const id = await filed();
    await desk.approvals.deny(DESK, id, 'not on a Friday');
    const answer = await peer.ask(write());
    expect(answer.code).toBe('approval_denied');
    expect(answer.body).toContain('not on a Friday');
    expect(inventory.seen).toEqual([]);
  });

  it('can’t be had while the verifier is away: the request is denied', async () => {
    desk.reachable = false;
    expect((await ask(write())).code).toBe('approval_unavailable');
    desk.reachable = true;
    await desk.approve(await filed(), bob);
    desk.reachable = false;
    expect((await ask(write())).code).toBe('approval_unavailable');
    expect(inventory.seen).toEqual([]);
    desk.reachable = true;
    expect((await ask(write())).code).toBe(200);
  });

  it('is not for bodies that nobody could hold, announced or not', async () => {
    const body = 'x'.repeat(1001);
    expect((await ask(write({ body }))).code).toBe('http_body_too_large');
    // Refused by what was announced: nobody waits for it.
    const announced = await openSession(inventory, mesh.domain.agent(PLANNING));
    const empty = write({ headers: ['Content-Length: 1001'], body: '' });
    expect((await ask(empty, announced)).code).toBe('http_body_too_large');
    announced.close();
    const chunked = ['Transfer-Encoding: chunked'];
    const line = await openSession(inventory, mesh.domain.agent(PLANNING));
    const text = write({ headers: chunked, body: `3e9\r\n${body}\r\n0\r\n\r\n` });
    expect((await ask(text, line)).code).toBe('http_body_too_large');
    line.close();
    expect(inventory.seen).toEqual([]);
  });

  it('holds for the octets of the body, however they came', async () => {
    const id = await filed();
    await desk.approve(id, bob);
    const chunked = write({
      headers: ['Transfer-Encoding: chunked'],
      body: `9\r\n${BODY.slice(0, 9)}\r\n9\r\n${BODY.slice(9)}\r\n0\r\n\r\n`,
    });
    expect((await ask(chunked)).code).toBe(200);
    expect(bodies).toEqual([BODY]);
  });

  it('is asked for through the caller’s own sidecar, which passes the answer on', async () => {
    const planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    const context = await mesh.startTask(PLANNING, chain);
    const url = 'http://inventory.mesh/vpcs';
    const first = await sendThrough(planning, url, { method: 'POST', context, body: BODY });
    expect(first.code).toBe('approval_required');
    const { approval } = JSON.parse(first.body) as { approval: string };
    await desk.approve(approval, bob);
    const second = await sendThrough(planning, url, { method: 'POST', context, body: BODY });
    expect(second.status).toBe(200);
    expect(bodies).toEqual([BODY]);
  });

  it('holds no more than 8 bodies of one caller while the verifier thinks', async () => {
    let answer = (): void => undefined;
    desk.answering = new Promise((resolve) => {
      answer = resolve;
    });
    const peers = await Promise.all(
      Array.from({ length: 9 }, () => openSession(inventory, mesh.domain.agent(PLANNING))),
    );
    const asked = peers.map((one) => ask(write(), one));
    // The one that is too many is answered while the others wait.
    expect((await Promise.race(asked)).code).toBe('caller_busy');
    answer();
    const codes = (await Promise.all(asked)).map(({ code }) => code);
    for (const one of peers) one.close();
    expect(codes.filter((code) => code === 'approval_required')).toHaveLength(8);
    expect(await filed()).not.toBe('');
  });

  it('is bounded for one caller: no more than 32 wait', async () => {
    const line = await openSession(inventory, mesh.domain.agent(PLANNING));
    for (let at = 0; at < 32; at++) await filed(write({ target: `/vpcs/${at}` }), line);
    expect((await ask(write({ target: '/vpcs/33' }), line)).code).toBe('approval_unavailable');
    line.close();
  });
});
