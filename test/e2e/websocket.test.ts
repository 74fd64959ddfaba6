/** WebSockets: permitted whole by a route of their own, counted, and cut when what permitted them ends; refused everywhere else. */
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Mesh, makeMesh, sendThrough } from '../testkit/mesh.ts';

const POLICY = {
  routes: [
    {
      name: 'chat',
      path: '/chat',
      protocol: 'websocket',
      scopes: ['chat:opaque'],
      labels: { response: ['pii'] },
    },
    { name: 'looked-at', path: '/looked-at', protocol: 'websocket', scopes: ['chat:opaque'] },
    { name: 'rest', path: '/*', scopes: ['cloud:read'] },
  ],
  rules: [{ name: 'agents', effect: 'allow', callerTypes: ['planning'] }],
  content: [
    {
      name: 'secrets',
      directions: ['response'],
      routes: ['looked-at'],
      detectors: ['secrets'],
      action: 'deny',
    },
  ],
};

describe('a WebSocket', () => {
  let mesh: Mesh;
  let agent: Server;
  let context: string;
  let upgrades: { url: string | undefined; headers: Record<string, unknown>; socket: Duplex }[];
  const sockets = new Set<Socket>();

  beforeAll(async () => {
    agent = createServer((_, response) => response.end('plain'));
    agent.on('connection', (socket) => sockets.add(socket));
    // An echo of octets: what is in the frames is the two agents' affair.
    agent.on('upgrade', (request, socket, head) => {
      upgrades.push({ url: request.url, headers: request.headers, socket });
      socket.on('error', () => socket.destroy());
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: yes\r\nset-cookie: no\r\n\r\n',
      );
      if (head.length > 0) socket.write(head);
      socket.pipe(socket);
    });
    await new Promise<void>((ready) => agent.listen(0, '127.0.0.1', ready));
    const address = agent.address();
    mesh = await makeMesh({ domain: { anchor: { scope: ['cloud:*', 'chat:*'] } }, policy: POLICY });
    await mesh.start('inventory/def456', {
      agentPort: address !== null && typeof address === 'object' ? address.port : 0,
    });
    await mesh.start('planning/abc123', { routes: { 'inventory.mesh': 'inventory/def456' }, delegate: null });
  });
  beforeEach(async () => {
    upgrades = [];
    context = await start(['cloud:read', 'chat:opaque']);
  });
  afterAll(() => {
    mesh.stop();
    for (const socket of sockets) socket.destroy();
    agent.close();
  });

  const start = (scope: string[]) =>
    mesh.startTask('planning/abc123', mesh.domain.mintChain(['planning/abc123'], { scope }));

  interface Opened {
    readonly status: number;
    readonly headers: Record<string, unknown>;
    readonly socket: Duplex | undefined;
    readonly code: string | undefined;
  }
  /** As a client behind a proxy asks; `more` headers besides. */
  const open = (path: string, handle = context, more: Record<string, string> = {}, method = 'GET') =>
    new Promise<Opened>((resolve, reject) => {
      const proxy = new URL(mesh.agent('planning/abc123').proxyUrl);
      const authorization = `Basic ${Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64')}`;
      const request = httpRequest({
        host: proxy.hostname,
        port: Number(proxy.port),
        method,
        path: `http://inventory.mesh${path}`,
        agent: false,
        headers: {
          host: 'inventory.mesh',
          'proxy-authorization': authorization,
          'hopgate-context': handle,
          connection: 'upgrade',
          upgrade: 'websocket',
          'sec-websocket-key': 'x',
          'sec-websocket-version': '13',
          ...more,
        },
      });
      request.on('upgrade', (response, socket) =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, socket, code: undefined }),
      );
      request.on('response', (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on('end', () => {
          const isProblem = response.headers['content-type'] === 'application/problem+json';
          const code = isProblem ? (JSON.parse(body) as { code: string }).code : undefined;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, socket: undefined, code });
        });
      });
      request.on('error', reject);
      request.end();
    });
  const outcome = (name: string) =>
    mesh
      .agent(name)
      .log()
      .filter(({ kind }) => kind === 'outcome')
      .at(-1);

  it('goes both ways, octet for octet, and its octets are on record', async () => {
    const { status, headers, socket } = await open('/chat');
    expect(status).toBe(101);
    expect(headers).toMatchObject({ 'sec-websocket-accept': 'yes', 'hopgate-hop': expect.any(String) });
    expect(headers).not.toHaveProperty('set-cookie');
    expect(headers).not.toHaveProperty('delegation-labels');
    expect(upgrades[0]).toMatchObject({
      url: '/chat',
      headers: { 'hopgate-scope': 'chat:opaque', 'sec-websocket-key': 'x', upgrade: 'websocket' },
    });
    expect(upgrades[0]?.headers).not.toHaveProperty('delegation-chain');
    const sent = Buffer.alloc(1_000_000, 'frames ');
    const back: Buffer[] = [];
    await new Promise<void>((whole) => {
      let octets = 0;
      socket?.on('data', (chunk: Buffer) => {
        back.push(chunk);
        octets += chunk.length;
        if (octets === sent.length) whole();
      });
      socket?.write(sent);
    });
    expect(Buffer.concat(back).equals(sent)).toBe(true);
    socket?.end();
    for (const name of ['inventory/def456', 'planning/abc123'])
      await vi.waitFor(() =>
        expect(outcome(name)).toMatchObject({
          result: 'ok',
          status: 101,
          received: sent.length,
          sent: sent.length,
        }),
      );
    // What came back has a label, and so has the task.
    await sendThrough(mesh.agent('planning/abc123'), 'http://inventory.mesh/x', { context });
    expect(
      mesh
        .agent('inventory/def456')
        .log()
        .filter(({ kind }) => kind === 'decision')
        .at(-1),
    ).toMatchObject({
      labels: ['pii'],
    });
  });

  it('is cut when its task is revoked, at once and with the reason', async () => {
    const { socket } = await open('/chat');
    const closed = new Promise<void>((resolve) => socket?.once('close', () => resolve()));
    socket?.on('error', () => undefined);
    mesh.writeBundle({ seq: 2, revoked: [{ agent: mesh.domain.agent('planning/abc123').id }] });
    mesh.agent('inventory/def456').sidecar.reload();
    await closed;
    await vi.waitFor(() =>
      expect(outcome('inventory/def456')).toMatchObject({ result: 'revoked_agent', status: 101 }),
    );
    mesh.writeBundle({ seq: 3 });
    for (const name of ['inventory/def456', 'planning/abc123']) mesh.agent(name).sidecar.reload();
  });

  it.each([
    ['on a route that is not for it', '/notes', {}, 'GET', 'http_upgrade'],
    [
      'whose route has a content rule, which could not look into it',
      '/looked-at',
      {},
      'GET',
      'content_unreadable',
    ],
    ['to another protocol', '/chat', { upgrade: 'h2c' }, 'GET', 'http_upgrade'],
    ['to two at once', '/chat', { upgrade: 'websocket, h2c' }, 'GET', 'http_upgrade'],
    ['with a body', '/chat', { 'content-length': '3' }, 'GET', 'http_malformed'],
    ['by POST', '/chat', {}, 'POST', 'http_malformed'],
  ])('%s is refused, and no agent hears of it', async (_, path, more, method, code) => {
    expect(await open(path, context, more, method)).toMatchObject({ code, socket: undefined });
    expect(upgrades).toEqual([]);
  });

  it('needs its scope', async () => {
    expect(await open('/chat', await start(['cloud:read']))).toMatchObject({
      status: 403,
      code: 'scope_missing',
    });
    expect(upgrades).toEqual([]);
  });

  it('is all that its route is for', async () => {
    expect(
      await sendThrough(mesh.agent('planning/abc123'), 'http://inventory.mesh/chat', { context }),
    ).toMatchObject({ code: 'http_upgrade' });
    // Without `Connection: upgrade` it is a request like any other, with a header that some would heed.
    expect(
      await sendThrough(mesh.agent('planning/abc123'), 'http://inventory.mesh/chat', {
        context,
        headers: { upgrade: 'websocket' },
      }),
    ).toMatchObject({ code: 'http_upgrade' });
  });
});
