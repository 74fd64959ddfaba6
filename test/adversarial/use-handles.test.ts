/** Context handles: guessed, leaked to a peer, sent back by one, used when their time is over. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Mesh,
  type MeshAgent,
  makeMesh,
  type SeenRequest,
  send,
  sendThrough,
  TEST_SCOPE,
} from '../testkit/mesh.ts';
import { openSession, requestText } from '../testkit/raw-peer.ts';
import { TestClock } from '../testkit/test-clock.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';

describe('context handles', () => {
  const clock = new TestClock();
  let mesh: Mesh;
  let planning: MeshAgent;
  let inventory: MeshAgent;
  let context: string;
  let echo: Record<string, string> = {};

  beforeAll(async () => {
    mesh = await makeMesh({ clock, domain: { now: clock.seconds, anchor: { scope: TEST_SCOPE } } });
    inventory = await mesh.start(INVENTORY, {
      handler: (_request, response) => {
        for (const [name, value] of Object.entries(echo)) response.setHeader(name, value);
        response.end('ok');
      },
    });
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
  });
  afterAll(() => mesh.stop());

  const lastSeen = (): SeenRequest => inventory.seen.at(-1) as SeenRequest;
  const namesOf = ({ rawHeaders }: SeenRequest): string[] => rawHeaders.filter((_, index) => index % 2 === 0);

  it('are unguessable: 24 octets, never the same', async () => {
    const handles = new Set<string>();
    for (let count = 0; count < 200; count++) {
      await sendThrough(planning, 'http://inventory.mesh/vpcs', { context });
      handles.add(String(lastSeen().headers['hopgate-context']));
    }
    expect(handles.size).toBe(200);
    for (const handle of handles) expect(Buffer.from(handle, 'base64url')).toHaveLength(24);
  });

  it.each(['', ' ', 'A'.repeat(32), '__proto__', 'constructor', '*', '0'])(
    'guessed (%j) open nothing',
    async (guess) => {
      const seen = inventory.seen.length;
      const answer = await sendThrough(planning, 'http://inventory.mesh/vpcs', {
        headers: { 'hopgate-context': guess },
      });
      expect(answer).toMatchObject({
        status: 401,
        code: expect.toBeOneOf(['context_unknown', 'context_missing']),
      });
      expect(planning.log().at(-1)).toMatchObject({
        direction: 'outbound',
        verdict: 'deny',
        reason: answer.code,
      });
      expect(inventory.seen.length).toBe(seen);
    },
  );

  it('near a real one open nothing', async () => {
    for (const guess of [
      context.slice(0, -1),
      `${context}A`,
      context.toLowerCase() === context ? context.toUpperCase() : context.toLowerCase(),
      `${context},${context}`,
      `${context} `.repeat(2),
    ]) {
      const answer = await sendThrough(planning, 'http://inventory.mesh/vpcs', {
        headers: { 'hopgate-context': guess },
      });
      expect(answer.code).toBe('context_unknown');
    }
  });

  it('work from tracestate alone, which frameworks carry on', async () => {
    const answer = await sendThrough(planning, 'http://inventory.mesh/vpcs', {
      headers: { tracestate: `a=1,hopgate=${context},b=2` },
    });
    expect(answer.status).toBe(200);
    expect(lastSeen().headers.tracestate).toMatch(/^hopgate=[\w-]{32},a=1,b=2$/);
    expect(lastSeen().headers.tracestate).not.toContain(context);
  });

  it('never leave with the request, in whatever header and spelling', async () => {
    const answer = await sendThrough(planning, 'http://inventory.mesh/vpcs', {
      context,
      headers: {
        Hopgate_Context: context,
        'HOPGATE-context_': context,
        'hopgate-anything': context,
        trace_state: context,
        tracestate: `hopgate=${context},vendor=x`,
        'delegation-chain': 'forged',
        Delegation_Grant: 'forged',
        'proxy-authorization': `Basic ${Buffer.from(`${new URL(planning.proxyUrl).username}:${new URL(planning.proxyUrl).password}`).toString('base64')}`,
      },
    });
    expect(answer.status).toBe(200);
    const seen = lastSeen();
    const others = { ...seen.headers };
    // A header that is none of ours is the agent's own affair.
    delete others.trace_state;
    expect(JSON.stringify(others)).not.toContain(context);
    expect(JSON.stringify(seen.rawHeaders)).not.toContain('forged');
    expect(JSON.stringify(seen.rawHeaders)).not.toContain(new URL(planning.proxyUrl).password);
    expect(
      namesOf(seen)
        .filter((name) => /^(hopgate|delegation)/i.test(name))
        .sort(),
    ).toEqual([
      'hopgate-assertion',
      'hopgate-caller',
      'hopgate-context',
      'hopgate-hop',
      'hopgate-principal',
      'hopgate-scope',
      'hopgate-task',
    ]);
  });

  it('of a peer are stripped inbound: a caller can’t hand the agent a handle, nor identity headers', async () => {
    const peer = await openSession(inventory, planning.agent);
    const chain = mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE });
    const leaked = 'B'.repeat(32);
    const answer = await peer.ask(
      requestText({
        chain,
        headers: [
          `Hopgate-Context: ${leaked}`,
          `HOPGATE_CONTEXT: ${leaked}`,
          `tracestate: hopgate=${leaked}, v=1 ,hopgate=${leaked}`,
          'Hopgate_Principal: mailto:root@company.com',
          'hopgate-principal: mailto:root@company.com',
          'X_Forwarded_Client_Cert: By=me',
          'X-Forwarded-Client-Cert: By=me',
        ],
      }),
    );
    peer.close();
    expect(answer.status).toBe(200);
    const seen = lastSeen();
    expect(JSON.stringify(seen.rawHeaders)).not.toContain(leaked);
    expect(JSON.stringify(seen.rawHeaders)).not.toContain('root@company.com');
    expect(JSON.stringify(seen.rawHeaders)).not.toContain('By=me');
    expect(seen.headers).not.toHaveProperty('hopgate-context');
    expect(seen.headers.tracestate).toBe('v=1');
  });

  it('that the agent echoes in its response do not reach the caller', async () => {
    echo = {
      'Hopgate-Context': 'C'.repeat(32),
      Hopgate_Context: 'C'.repeat(32),
      tracestate: `hopgate=${'C'.repeat(32)},v=1`,
      'hopgate-hop': 'forged',
      'delegation-chain': 'C'.repeat(32),
      'x-other': 'kept',
    };
    const answer = await sendThrough(planning, 'http://inventory.mesh/vpcs', { context });
    echo = {};
    expect(answer.status).toBe(200);
    expect(JSON.stringify(answer.headers)).not.toContain('C'.repeat(32));
    expect(answer.headers).toMatchObject({ 'x-other': 'kept', tracestate: 'v=1' });
    expect(answer.headers['hopgate-hop']).toBe(lastSeen().headers['hopgate-hop']);
  });

  it('end when the task is ended, and with their chain', async () => {
    const { admin } = planning.addresses;
    const one = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
    expect((await send({ socketPath: admin, method: 'DELETE', path: `/tasks/${one}` })).status).toBe(204);
    expect((await sendThrough(planning, 'http://inventory.mesh/vpcs', { context: one })).code).toBe(
      'context_unknown',
    );
    const short = await mesh.startTask(
      PLANNING,
      mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE, ttlSeconds: 60 }),
    );
    expect((await sendThrough(planning, 'http://inventory.mesh/vpcs', { context: short })).status).toBe(200);
    clock.advanceSeconds(60 + 30);
    expect((await sendThrough(planning, 'http://inventory.mesh/vpcs', { context: short })).code).toBe(
      'context_unknown',
    );
  });

  it('end when nobody uses them', async () => {
    const idle = await mesh.startTask(
      PLANNING,
      mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE, now: clock.seconds }),
    );
    clock.advanceSeconds(15 * 60 + 2);
    expect((await sendThrough(planning, 'http://inventory.mesh/vpcs', { context: idle })).code).toBe(
      'context_unknown',
    );
  });
});
