/** Two sidecars and a verifier, all real: what the verifier says is in force on both within milliseconds, and stays so without it. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { serviceEndpoints } from '../../src/api/service.ts';
import { type Answer, send, sendThrough } from '../testkit/mesh.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const PLANNING = 'planning/1';
const INVENTORY = 'inventory/1';
const SECURITY = 'security/1';

describe('a sidecar on a verifier', () => {
  let mesh: VerifiedMesh;
  let planning: VerifiedMember;
  let inventory: VerifiedMember;
  let context: string;
  let chain: string;

  beforeEach(async () => {
    mesh = await makeVerifiedMesh();
    inventory = await mesh.start(INVENTORY, {
      handler: (request, response) => {
        if (request.url !== '/events') {
          request.resume().on('end', () => response.end('hello'));
          return;
        }
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
      },
    });
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    chain = mesh.mintRoot(planning);
    context = await mesh.startTask(PLANNING, chain);
  });
  const cleanups: (() => unknown)[] = [];
  afterEach(async () => {
    await mesh.stop();
    for (const cleanup of cleanups.splice(0)) cleanup();
  });

  const ask = (target = '/vpcs'): Promise<Answer> =>
    sendThrough(planning, `http://inventory.mesh${target}`, { context });

  it('joins, serves and enforces what is published and revoked', async () => {
    expect((await ask()).status).toBe(200);
    await mesh.publishPolicy({ revision: 'test-2', rules: [{ name: 'nobody', effect: 'deny' }] });
    await vi.waitFor(async () => expect((await ask()).code).toBe('rule_denied'));
    await mesh.publishPolicy({ revision: 'test-3' });
    await vi.waitFor(async () => expect((await ask()).status).toBe(200));
    await mesh.revoke({ chain });
    await vi.waitFor(async () => expect((await ask()).code).toBe('revoked_link'));
  });

  /** An event stream that is open, and when it ended. */
  const openStream = (): Promise<{ readonly ended: Promise<number> }> =>
    new Promise((resolve, reject) => {
      const proxy = new URL(planning.proxyUrl);
      const authorization = `Basic ${Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64')}`;
      const request = httpRequest(
        {
          host: proxy.hostname,
          port: Number(proxy.port),
          path: 'http://inventory.mesh/events',
          agent: false,
          headers: {
            host: 'inventory.mesh',
            'proxy-authorization': authorization,
            'hopgate-context': context,
          },
        },
        (response: IncomingMessage) => {
          response.on('error', () => undefined);
          const ended = new Promise<number>((done) => response.once('close', () => done(performance.now())));
          response.once('data', () => resolve({ ended }));
        },
      );
      request.on('error', reject);
      request.end();
    });

  const outcomes = ({ log }: VerifiedMember): unknown[] =>
    log()
      .filter(({ kind }) => kind === 'outcome')
      .map(({ result }) => result);

  it.each([
    ['the principal’s link', () => ({ chain }), ['revoked_link'], ['revoked_link']],
    ['the caller', () => ({ agent: planning.id }), ['revoked_agent'], ['revoked_agent']],
    [
      'the callee’s key',
      () => ({ key: inventory.sidecar.identity.key.thumbprint }),
      ['revoked_key'],
      // The verifier speaks to it no more, and so it can't know which it was.
      ['revoked_agent', 'revoked_key'],
    ],
  ] as const)(
    'a revocation of %s cuts a live stream within milliseconds, and both logs say why',
    async (_name, target, atCaller, atCallee) => {
      const { ended } = await openStream();
      await mesh.revoke(target());
      const revokedAt = performance.now();
      expect((await ended) - revokedAt).toBeLessThan(500);
      await vi.waitFor(() => {
        expect(atCaller).toContain(outcomes(planning)[0]);
        expect(atCallee).toContain(outcomes(inventory)[0]);
      }, 4000);
    },
  );

  it('renews both SVIDs under load, and nothing fails', async () => {
    const before = [planning, inventory].map(({ sidecar }) => sidecar.identity.certificate);
    const statuses: number[] = [];
    let running = true;
    const load = Array.from({ length: 4 }, async () => {
      while (running) statuses.push((await ask()).status);
    });
    while (statuses.length < 30)
      expect(await Promise.all([planning.source.renew(), inventory.source.renew()])).toEqual([true, true]);
    running = false;
    await Promise.all(load);
    expect(new Set(statuses)).toEqual(new Set([200]));
    const after = [planning, inventory].map(({ sidecar }) => sidecar.identity.certificate);
    expect(after.some((one) => before.includes(one))).toBe(false);
  });

  it('proves the SVID that TLS has shown, when another one comes while it shakes hands', async () => {
    const { port } = inventory.addresses.inbound ?? { port: 0 };
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      // The ClientHello goes through; the client's answer to the certificate that it was shown waits.
      const relay = createServer((socket) => {
        const onward = connect(port, '127.0.0.1');
        for (const one of [socket, onward]) one.on('error', () => one.destroy());
        onward.pipe(socket);
        socket.once('data', (hello: Buffer) => {
          onward.write(hello);
          socket.pause();
          release = () => socket.pipe(onward);
          onward.once('data', () => resolve());
        });
      });
      cleanups.push(() => relay.close());
      relay.listen(0, '127.0.0.1', async () => {
        const { port: own } = relay.address() as AddressInfo;
        const routes = [{ host: 'inventory.mesh', peer: inventory.id, address: `127.0.0.1:${own}` }];
        planning = await mesh.restart(PLANNING, { config: { outbound: { routes } } });
        context = await mesh.startTask(PLANNING, mesh.mintRoot(planning));
        answer = ask();
      });
    });
    let answer: Promise<Answer> | undefined;
    await held;
    const before = inventory.sidecar.identity.certificate;
    expect(await inventory.source.renew()).toBe(true);
    expect(inventory.sidecar.identity.certificate).not.toBe(before);
    release();
    expect((await answer)?.status).toBe(200);
  });

  it('replaces agent keys under load: own tasks and what others granted go on, and no request fails', async () => {
    await mesh.start(SECURITY);
    const handles: string[] = [];
    const middle = await mesh.restart(INVENTORY, {
      routes: { 'security.mesh': SECURITY },
      handler: (request, response) => {
        handles.push(String(request.headers['hopgate-context']));
        request.resume().on('end', () => response.end('hello'));
      },
    });
    planning = await mesh.restart(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    context = await mesh.startTask(PLANNING, mesh.mintRoot(planning));
    expect((await ask()).status).toBe(200);
    const [granted] = handles;
    const onward = (handle: string | undefined): Promise<Answer> =>
      sendThrough(middle, 'http://security.mesh/groups', { context: handle ?? '' });
    const answers: Answer[] = [];
    let running = true;
    const load = Array.from({ length: 3 }, async () => {
      while (running) {
        answers.push(await ask());
        // A grant of before the rotation, and one of just now.
        answers.push(await onward(granted), await onward(handles.at(-1)));
      }
    });
    const before = middle.sidecar.identity.key.x;
    // One after the other: the connections between them go on under the key that they have seen.
    for (const one of [middle, planning]) {
      await one.source.rotateKey();
      const done = answers.length;
      await vi.waitFor(() => expect(answers.length).toBeGreaterThan(done + 30), 10_000);
    }
    running = false;
    await Promise.all(load);
    expect(middle.sidecar.identity.key.x).not.toBe(before);
    expect(new Set(answers.map(({ status, code }) => code ?? status))).toEqual(new Set([200]));
    // Tasks rest on rebind links now, and a second one can't follow the first.
    await expect(middle.source.rotateKey()).rejects.toThrow('would end them');
    // The verifier knows of no theft: it was told by the key before.
    const { events } = await mesh.operator.call(serviceEndpoints.listEvents, { query: { limit: 1000 } });
    const names = events.map(({ line }) => (JSON.parse(line) as { event: string }).event);
    expect(names.filter((name) => name === 'agent.key_rotated')).toHaveLength(2);
    expect(names).not.toContain('agent.key_replaced');
  });

  it('goes on without its verifier: from disk after a restart, until freshness or the SVID ends', async () => {
    await mesh.publishPolicy({
      revision: 'test-2',
      limits: { maxStaleness: '20m' },
      demands: [{ scopes: ['ec2:*'], maxStaleness: '10m' }],
    });
    await vi.waitFor(() => expect(planning.source.trust.last.policy.policy.revision).toBe('test-2'));
    await vi.waitFor(() => expect(inventory.source.trust.last.policy.policy.revision).toBe('test-2'));
    await Promise.all([planning.source.trust.settled(), inventory.source.trust.settled()]);
    await mesh.stopVerifier();
    inventory = await mesh.restart(INVENTORY);
    planning = await mesh.restart(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    chain = mesh.mintRoot(planning, { ttlSeconds: 7200 });
    context = await mesh.startTask(PLANNING, chain);
    expect((await ask()).status).toBe(200);
    expect((await ask('/ec2/DescribeVpcs')).status).toBe(200);
    mesh.clock.advanceSeconds(660);
    expect((await ask()).status).toBe(200);
    expect((await ask('/ec2/DescribeVpcs')).code).toBe('bundle_stale');
    mesh.clock.advanceSeconds(660);
    expect((await ask()).code).toBe('bundle_stale');
    const stale = await send({ ...healthOf(planning), path: '/readyz' });
    expect(stale.status).toBe(503);
    expect(stale.body).toContain('nothing was heard of the verifier since');
    mesh.clock.advanceSeconds(3600 - 2 * 660 + 5);
    const ended = await send({ ...healthOf(planning), path: '/readyz' });
    expect(ended.body).toContain('the SVID expired at');
    // The clock and the end are in every line about it.
    const now = mesh.clock.seconds;
    const { svidNotAfter: notAfter } = planning.sidecar.identity;
    await vi.waitFor(
      () =>
        expect(planning.said.filter(({ msg }) => /renewal failed/.test(String(msg))).at(-1)).toMatchObject({
          now,
          notAfter,
          reason: 'verifier_unreachable',
        }),
      20_000,
    );
  });

  it('a verifier that comes back is followed again, and what was published meanwhile is in force', async () => {
    await mesh.stopVerifier();
    expect((await ask()).status).toBe(200);
    await mesh.restartVerifier();
    await mesh.revoke({ chain });
    await vi.waitFor(async () => expect((await ask()).code).toBe('revoked_link'), 5000);
  });
});

const healthOf = ({ addresses }: VerifiedMember) => ({
  host: addresses.health.host,
  port: addresses.health.port,
});
