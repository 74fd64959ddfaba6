/** Attacks on the way out by a tunnel: by authorities, names, addresses, and by whoever holds one that is open. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { AGENT, EGRESS_POLICY, EGRESS_SCOPE, EgressWorld } from '../testkit/egress-world.ts';
import { sendThrough } from '../testkit/mesh.ts';
import { PUBLIC } from '../testkit/outside.ts';
import { closed, codeOf, statusOf } from '../testkit/raw-http.ts';

const RAW = 'raw.partner.example:7000';

describe('a tunnel out of the mesh', () => {
  let world: EgressWorld;
  beforeAll(async () => {
    world = await EgressWorld.start();
  });
  afterAll(() => world.stop());
  beforeEach(() => {
    world.outside.resolved.length = 0;
    world.outside.dialled.length = 0;
  });
  const open: Socket[] = [];
  afterEach(() => {
    for (const socket of open.splice(0)) socket.destroy();
  });

  const lastDecision = () => world.records('decision').at(-1);
  const outcomeOf = (hop: unknown): Promise<Record<string, unknown> | undefined> =>
    vi.waitFor(() => {
      const found = world.records('outcome').find((record) => record.hop === hop);
      expect(found).toBeDefined();
      return found;
    });
  /** Refused, on record, and nobody was asked or dialled for it. */
  const expectRefused = async (
    code: string,
    authority: string,
    headers?: readonly string[],
    anonymous = false,
  ): Promise<void> => {
    const { socket, head } = await world.connect(authority, headers, anonymous);
    open.push(socket);
    expect(codeOf(head), head).toBe(code);
    expect(world.outside.dialled).toEqual([]);
    if (!anonymous) expect(lastDecision()).toMatchObject({ verdict: 'deny', reason: code, callee: '' });
  };
  const openTunnel = async (authority = RAW, context = world.context) => {
    const { socket, head } = await world.connect(authority, [`Hopgate-Context: ${context}`]);
    open.push(socket);
    expect(statusOf(head), head).toBe(200);
    return { socket, hop: /hopgate-hop: (\S+)/i.exec(head)?.[1] };
  };
  const echo = async (socket: Socket, text: string): Promise<void> => {
    socket.write(text);
    let got = '';
    while (!got.includes(text)) got += String(((await once(socket, 'data')) as [Buffer])[0]);
  };

  it('carries octets, and both its decision and what became of it are on record', async () => {
    const { socket, hop } = await openTunnel();
    expect(lastDecision()).toMatchObject({
      verdict: 'permit',
      direction: 'outbound',
      callee: '',
      destination: RAW,
      method: 'CONNECT',
      target: '/',
      required: ['partner:raw'],
      hop,
    });
    await echo(socket, 'hello there');
    socket.end();
    expect(await outcomeOf(hop)).toMatchObject({ result: 'ok', status: 200, received: 11, sent: 11 });
    expect(world.outside.resolved).toEqual(['raw.partner.example']);
    expect(world.outside.dialled).toEqual(['1.1.1.1:7000']);
  });
  it('is decided on before anything is resolved or dialled', async () => {
    await expectRefused('scope_missing', RAW, [`Hopgate-Context: ${await world.task(['cloud:read'])}`]);
    expect(world.outside.resolved).toEqual([]);
    expect(lastDecision()).toMatchObject({ destination: RAW, required: ['partner:raw'] });
  });
  it('is not opened without the secret, a context, or with one that nobody gave', async () => {
    await expectRefused('agent_unauthenticated', RAW, [`Hopgate-Context: ${world.context}`], true);
    await expectRefused('context_missing', RAW, []);
    await expectRefused('context_unknown', RAW, ['Hopgate-Context: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA']);
    await expectRefused('context_conflict', RAW, [
      `Hopgate-Context: ${world.context}`,
      'tracestate: hopgate=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    ]);
    await expectRefused('agent_browser', RAW, [
      `Hopgate-Context: ${world.context}`,
      'Origin: https://evil.example',
    ]);
    await expectRefused('delegate_widened', RAW, [
      `Hopgate-Context: ${world.context}`,
      'Hopgate-Delegate: scope=partner:raw',
    ]);
    await expectRefused('http_malformed', RAW, [`Hopgate-Context: ${world.context}`, 'Content-Length: 5']);
  });
  it('takes its context as tracestate too', async () => {
    const { socket, head } = await world.connect(RAW, [`tracestate: vendor=1,hopgate=${world.context}`]);
    open.push(socket);
    expect(statusOf(head)).toBe(200);
  });
  it.each([
    ['raw.partner.example:7001', 'egress_host_unknown'],
    ['raw.partner.example', 'egress_host_unknown'],
    ['raw.partner.example:07000', 'egress_host_unknown'],
    ['raw.partner.example:70000', 'egress_host_unknown'],
    ['partner.example:7000', 'egress_host_unknown'],
    ['evil.raw.partner.example:7000', 'egress_host_unknown'],
    ['raw.partner.example.evil.example:7000', 'egress_host_unknown'],
    ['evil.example@raw.partner.example:7000', 'egress_host_unknown'],
    ['raw.partner.example:7000@evil.example:7000', 'egress_host_unknown'],
    ['raw.partner.example:7000/../', 'egress_host_unknown'],
    ['raw.partner.example:7000?x', 'egress_host_unknown'],
    ['raw%2epartner.example:7000', 'egress_host_unknown'],
    ['xn--rw-eka.partner.example:7000', 'egress_host_unknown'],
    ['raw..partner.example:7000', 'egress_host_unknown'],
    ['http://raw.partner.example:7000', 'egress_host_unknown'],
    ['1.1.1.1:7000', 'egress_address_forbidden'],
    ['16843009:7000', 'egress_address_forbidden'],
    ['[2606:4700::1111]:7000', 'egress_address_forbidden'],
    ['169.254.169.254:80', 'egress_address_forbidden'],
    ['localhost:7000', 'egress_address_forbidden'],
    ['api.llm.example:443', 'egress_tls'],
    ['api.llm.example:5432', 'egress_host_unknown'],
  ])('is not opened to %s: %s', async (authority, code) => {
    await expectRefused(code, authority);
    expect(world.outside.resolved).toEqual([]);
  });
  it('is opened to the name whatever its case, and with the dot of the root', async () => {
    for (const authority of ['RAW.Partner.Example:7000', 'raw.partner.example.:7000'])
      await openTunnel(authority);
    expect(new Set(world.outside.resolved)).toEqual(new Set(['raw.partner.example']));
  });
  it('is not opened to what is configured here and not in the signed policy', async () => {
    await expectRefused('route_unmatched', 'unsigned.example:5432');
  });
  it('is not opened to what policy lists and is not configured here', async () => {
    await expectRefused('egress_host_unknown', 'elsewhere.example:443');
  });

  describe('whose name resolves', () => {
    afterEach(() => world.outside.names.set('raw.partner.example', ['1.1.1.1']));
    it.each([
      [['127.0.0.1']],
      [['10.0.0.1']],
      [['169.254.169.254']],
      [['fd00:ec2::254']],
      [['::ffff:127.0.0.1']],
      [['100.100.100.200']],
      [['192.168.7.7']],
      [['1.1.1.1', '10.0.0.1']],
      [['::1', '1.1.1.1']],
    ])('to %j is not opened', async (addresses) => {
      world.outside.names.set('raw.partner.example', addresses);
      const { socket, head } = await world.connect(RAW);
      open.push(socket);
      expect(codeOf(head)).toBe('egress_address_forbidden');
      expect(world.outside.dialled).toEqual([]);
      const { hop, verdict } = lastDecision() ?? {};
      expect(verdict).toBe('permit');
      expect(await outcomeOf(hop)).toMatchObject({
        result: 'egress_address_forbidden',
        status: 403,
        sent: 0,
      });
    });
    it('to one thing and then to another is dialled where it was checked', async () => {
      const answers = [['1.1.1.1'], ['127.0.0.1']];
      world.outside.names.set('raw.partner.example', () => answers.shift() ?? []);
      await openTunnel();
      expect(world.outside.resolved).toHaveLength(1);
      expect(world.outside.dialled).toEqual(['1.1.1.1:7000']);
      const { socket, head } = await world.connect(RAW);
      open.push(socket);
      expect(codeOf(head)).toBe('egress_address_forbidden');
      expect(world.outside.dialled).toHaveLength(1);
    });
    it('to nothing, or to where nobody answers, is not opened', async () => {
      world.outside.names.set('raw.partner.example', []);
      expect(codeOf((await world.connect(RAW)).head)).toBe('egress_unresolved');
      world.outside.names.set('raw.partner.example', [PUBLIC]);
      expect(codeOf((await world.connect(RAW)).head)).toBe('egress_unreachable');
    });
  });

  describe('for TLS', () => {
    const DB = 'db.partner.example:5432';
    it('is ended when the TLS in it names another host', async () => {
      const before = world.echoed.length;
      const { socket, hop } = await openTunnel(DB);
      const tls = connectTls({ socket, servername: 'evil.example', rejectUnauthorized: false });
      await once(tls, 'error');
      expect(await outcomeOf(hop)).toMatchObject({ result: 'egress_sni', sent: 0, received: 0 });
      for (const one of world.echoed.slice(before)) expect(one.bytesRead).toBe(0);
    });
    it('is ended when what goes into it is no TLS', async () => {
      const { socket, hop } = await openTunnel(DB);
      socket.write('SELECT secrets FROM vault;\n');
      expect(await outcomeOf(hop)).toMatchObject({ result: 'egress_sni', sent: 0, received: 0 });
    });
  });

  describe('that is open', () => {
    let seq = 1;
    const bundle = (revoked: readonly { readonly task?: string; readonly agent?: string }[]): void => {
      seq++;
      world.mesh.writeBundle({ seq, revoked: revoked as never });
      void world.agent.sidecar.reload();
    };
    afterEach(() => {
      world.mesh.writePolicy({ ...EGRESS_POLICY, revision: `again-${seq}` });
      bundle([]);
    });
    it('is cut when its agent is revoked', async () => {
      const { socket, hop } = await openTunnel();
      await echo(socket, 'hello');
      bundle([{ agent: world.agent.agent.id }]);
      await closed(socket);
      expect(await outcomeOf(hop)).toMatchObject({ result: 'revoked_agent', received: 5, sent: 5 });
      expect(codeOf((await world.connect(RAW)).head)).toBe('revoked_agent');
    });
    it('is cut when policy lists its destination no more, and cut when no rule allows it', async () => {
      const one = await openTunnel();
      world.mesh.writePolicy({ egress: EGRESS_POLICY.egress.slice(0, 1), revision: 'shorter' });
      void world.agent.sidecar.reload();
      await closed(one.socket);
      expect(await outcomeOf(one.hop)).toMatchObject({ result: 'route_unmatched' });
    });
    it('is cut when its task is ended here, and no other task with it', async () => {
      const context = await world.task(EGRESS_SCOPE);
      const one = await openTunnel(RAW, context);
      const other = await openTunnel();
      const ending = request({
        socketPath: world.agent.addresses.admin,
        method: 'DELETE',
        path: `/tasks/${context}`,
      }).end();
      await Promise.all([once(one.socket, 'close'), once(ending, 'response')]);
      expect(await outcomeOf(one.hop)).toMatchObject({ result: 'revoked_task' });
      await echo(other.socket, 'still here');
    });
    it('is cut when its task gets labels that may not leave', async () => {
      const labels = {
        ...EGRESS_POLICY,
        revision: 'labelled',
        egress: EGRESS_POLICY.egress.map((entry) =>
          entry.name === 'models' ? { ...entry, labels: { response: ['secret'] } } : entry,
        ),
        rules: [
          { name: 'agents', effect: 'allow', callerTypes: ['planning'] },
          { name: 'stays', effect: 'deny', routes: ['partner-raw'], when: '"secret" in data.labels' },
        ],
      };
      world.mesh.writePolicy(labels);
      await world.agent.sidecar.reload();
      const context = await world.task(EGRESS_SCOPE);
      const { socket, hop } = await openTunnel(RAW, context);
      expect((await sendThrough(world.agent, 'http://api.llm.example/v1/a', { context })).status).toBe(200);
      await closed(socket);
      expect(await outcomeOf(hop)).toMatchObject({ result: 'rule_denied' });
    });
  });
});

describe('tunnels', () => {
  it('are so many at once and no more, are ended when idle, and hold up a drain until its deadline', async () => {
    const world = await EgressWorld.start({
      config: { limits: { tunnels: 2, tunnelIdle: '1s', drainTimeout: '1s' } },
    });
    const one = await world.connect(RAW);
    const two = await world.connect(RAW);
    expect(codeOf((await world.connect(RAW)).head)).toBe('egress_busy');
    expect(world.records('decision').at(-1)).toMatchObject({ reason: 'egress_busy', destination: RAW });
    one.socket.destroy();
    await closed(two.socket);
    const outcomes = world.records('outcome').map(({ result }) => result);
    expect(outcomes).toContain('egress_idle');
    const three = await world.connect(RAW);
    expect(statusOf(three.head)).toBe(200);
    const stay = setInterval(() => three.socket.write('x'), 100);
    const drained = world.agent.sidecar.drain('test');
    await drained;
    clearInterval(stay);
    expect(world.records('outcome').at(-1)).toMatchObject({ result: 'draining', status: 200 });
    world.stop();
  });
  it('that are asked for all at once are no more than that either', async () => {
    const world = await EgressWorld.start({ config: { limits: { tunnels: 2 } } });
    const proxy = new URL(world.agent.proxyUrl);
    const authorization = Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64');
    const sockets = Array.from({ length: 20 }, () => connect(Number(proxy.port), proxy.hostname));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const answers = Promise.all(sockets.map((socket) => once(socket, 'data') as Promise<[Buffer]>));
    for (const socket of sockets)
      socket.write(
        `CONNECT ${RAW} HTTP/1.1\r\nHost: ${RAW}\r\nProxy-Authorization: Basic ${authorization}\r\nHopgate-Context: ${world.context}\r\n\r\n`,
      );
    const heads = (await answers).map(([chunk]) => chunk.toString('latin1'));
    expect(heads.filter((head) => statusOf(head) === 200)).toHaveLength(2);
    expect(world.outside.dialled).toHaveLength(2);
    for (const socket of sockets) socket.destroy();
    // And their places are free again, those of the refused ones too.
    await vi.waitFor(async () => {
      const { socket, head } = await world.connect(RAW);
      socket.destroy();
      expect(statusOf(head)).toBe(200);
    });
    world.stop();
  });
  it('into which a ClientHello comes an octet at a time, each in a record of its own, are ended before that costs anything', async () => {
    const world = await EgressWorld.start();
    const { socket } = await world.connect('db.partner.example:5432');
    const drip = setInterval(() => socket.write(Buffer.from([22, 3, 1, 0, 1, 1])), 1);
    await closed(socket);
    clearInterval(drip);
    await vi.waitFor(() =>
      expect(world.records('outcome').at(-1)).toMatchObject({ result: 'egress_sni', received: 0, sent: 0 }),
    );
    world.stop();
  });
  it('end when the configuration names their destination no more, and those to others go on', async () => {
    const world = await EgressWorld.start();
    const gone = await world.connect(RAW);
    const stays = await world.connect('db.partner.example:5432');
    const file = path.join(world.agent.directory, 'sidecar.yaml');
    const document = parse(readFileSync(file, 'utf8')) as {
      outbound: { egress: { destination: string }[] };
    };
    document.outbound.egress = document.outbound.egress.filter(({ destination }) => destination !== RAW);
    writeFileSync(file, stringify(document));
    void world.agent.sidecar.reload();
    await once(gone.socket, 'close');
    await vi.waitFor(() =>
      expect(world.records('outcome').at(-1)).toMatchObject({ result: 'egress_host_unknown', status: 200 }),
    );
    expect(stays.socket.destroyed).toBe(false);
    stays.socket.destroy();
    world.stop();
  });
  it(`of ${AGENT} are nobody's where the configuration lists none`, async () => {
    const world = await EgressWorld.start({ egress: [] });
    expect(codeOf((await world.connect(RAW)).head)).toBe('egress_host_unknown');
    expect(world.outside.resolved).toEqual([]);
    world.stop();
  });
});
