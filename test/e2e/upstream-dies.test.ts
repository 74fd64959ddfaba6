/**
 * An agent that is killed in the middle of what it was saying, behind two sidecars: its client hears so at once, nothing that
 * came looks whole, and both logs say who broke off.
 */
import { request as httpRequest } from 'node:http';
import { createServer as createH2, type ServerHttp2Stream } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Mesh, makeMesh, sendThrough } from '../testkit/mesh.ts';
import { askUnix, type Heard, openUnixDoor, type UnixDoor } from '../testkit/unix-client.ts';

const POLICY = {
  routes: [
    { name: 'chat', path: '/chat', protocol: 'websocket', scopes: ['chat:opaque'] },
    { name: 'rest', path: '/*', scopes: ['cloud:read'] },
  ],
};

/** What it says before it is killed, by path. */
const LAST_WORDS: Readonly<Record<string, string>> = {
  '/before-the-head': '',
  '/mid-headers': 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nX-Ha',
  '/mid-body': 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf',
  '/mid-chunks': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  '/mid-chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf',
};

/** Speaks HTTP/1.1 in octets, and resets its connection behind them. */
const dyingAgent = (): Server =>
  createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      const [, target = ''] = chunk.toString('latin1').split(' ');
      if (target === '/chat')
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhello',
        );
      else if (target === '/chat/mid-upgrade') socket.end('HTTP/1.1 101 Switching');
      else if (target in LAST_WORDS)
        socket.write(LAST_WORDS[target] ?? '', () => setTimeout(() => socket.resetAndDestroy(), 20));
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalive');
    });
  });

/** The same over HTTP/2. */
const dyingH2Agent = (sockets: Set<Socket>): ReturnType<typeof createH2> => {
  const server = createH2();
  server.on('session', (session) => session.on('error', () => session.destroy()));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => stream.destroy());
    const die = (): void => {
      for (const socket of sockets) socket.resetAndDestroy();
    };
    if (headers[':path'] === '/before-the-head') die();
    else if (headers[':path'] === '/mid-body') {
      stream.respond({ ':status': 200, 'content-length': 8 });
      stream.write('half', () => setTimeout(die, 20));
    } else {
      stream.respond({ ':status': 200 });
      stream.end('alive');
    }
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return server;
};

describe.each([
  ['h1', 'h1'],
  ['h2', 'h1'],
  ['h2', 'h2c'],
])('a client of %s, an agent of %s', (spoken, agentHttp) => {
  const sockets = new Set<Socket>();
  let mesh: Mesh;
  let agent: Server;
  let door: UnixDoor;

  beforeAll(async () => {
    agent = agentHttp === 'h1' ? dyingAgent() : dyingH2Agent(sockets);
    await new Promise<void>((ready) => agent.listen(0, '127.0.0.1', ready));
    const address = agent.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    mesh = await makeMesh({ domain: { anchor: { scope: ['cloud:*', 'chat:*'] } }, policy: POLICY });
    // The breaker has tests of its own.
    const config = { inbound: { agentHttp }, limits: { agentFailures: 1000 } };
    await mesh.start('inventory/def456', { agentPort: port, config });
    door = await openUnixDoor(mesh, ['cloud:read', 'chat:opaque']);
  });
  afterAll(() => {
    mesh.stop();
    agent.close();
  });

  const ask = (target: string): Promise<Heard> => askUnix(spoken, door, target);

  const outcomesOf = (name: string): unknown[] =>
    mesh
      .agent(name)
      .log()
      .filter(({ kind }) => kind === 'outcome');
  const expectOnRecord = async (inventory: object, planning: object): Promise<void> => {
    await expect
      .poll(() => outcomesOf('inventory/def456').at(-1), { timeout: 5000 })
      .toMatchObject(inventory);
    await expect.poll(() => outcomesOf('planning/abc123').at(-1), { timeout: 5000 }).toMatchObject(planning);
  };

  it.each(agentHttp === 'h1' ? ['/before-the-head', '/mid-headers'] : ['/before-the-head'])(
    'killed %s: a refusal, whole, with its reason',
    async (target) => {
      const { status, body, whole } = await ask(target);
      expect({ status, whole, code: (JSON.parse(body) as { code: string }).code }).toEqual({
        status: 502,
        whole: true,
        code: 'upstream_failed',
      });
      await expectOnRecord({ result: 'upstream_failed', status: 502 }, { status: 502 });
    },
  );

  it.each(agentHttp === 'h1' ? ['/mid-body', '/mid-chunks', '/mid-chunk'] : ['/mid-body'])(
    'killed %s: half a response that nobody takes for a whole one',
    async (target) => {
      expect(await ask(target)).toMatchObject({ status: 200, body: 'half', whole: false });
      await expectOnRecord(
        { result: 'upstream_failed', status: 200, sent: 4 },
        { result: 'peer_failed', status: 200, sent: 4 },
      );
    },
  );

  it('and the next request is served', async () => {
    expect(await ask('/')).toMatchObject({ status: 200, body: 'alive', whole: true });
  });
});

describe('a WebSocket whose agent is killed', () => {
  let mesh: Mesh;
  let agent: Server;
  const sockets = new Set<Socket>();
  let context: string;

  beforeAll(async () => {
    agent = dyingAgent();
    agent.on('connection', (socket: Socket) => sockets.add(socket));
    await new Promise<void>((ready) => agent.listen(0, '127.0.0.1', ready));
    const address = agent.address();
    mesh = await makeMesh({
      domain: { anchor: { scope: ['cloud:*', 'chat:*'] } },
      policy: {
        ...POLICY,
        routes: [{ ...POLICY.routes[0], name: 'chats', path: '/chat/*' }, ...POLICY.routes],
      },
    });
    await mesh.start('inventory/def456', {
      agentPort: address !== null && typeof address === 'object' ? address.port : 0,
    });
    await mesh.start('planning/abc123', { routes: { 'inventory.mesh': 'inventory/def456' }, delegate: null });
    context = await mesh.startTask(
      'planning/abc123',
      mesh.domain.mintChain(['planning/abc123'], { scope: ['cloud:read', 'chat:opaque'] }),
    );
  });
  afterAll(() => {
    mesh.stop();
    agent.close();
  });

  const upgrade = (target: string): ReturnType<typeof httpRequest> => {
    const proxy = new URL(mesh.agent('planning/abc123').proxyUrl);
    return httpRequest({
      host: proxy.hostname,
      port: proxy.port,
      path: `http://inventory.mesh${target}`,
      agent: false,
      headers: {
        host: 'inventory.mesh',
        'hopgate-context': context,
        'proxy-authorization': `Basic ${Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64')}`,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        'sec-websocket-version': '13',
      },
    });
  };
  const outcomes = (name: string) =>
    mesh
      .agent(name)
      .log()
      .filter(({ kind }) => kind === 'outcome')
      .map(({ result, status }) => ({ result, status }));

  it('in the middle of its 101 is refused', async () => {
    const status = await new Promise((resolve, reject) => {
      const request = upgrade('/chat/mid-upgrade');
      request.on('response', (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.on('upgrade', () => reject(new Error('upgraded')));
      request.on('error', reject);
      request.end();
    });
    expect(status).toBe(502);
    await expect
      .poll(() => outcomes('inventory/def456').at(-1), { timeout: 5000 })
      .toEqual({ result: 'upstream_failed', status: 502 });
  });

  it('after it, closes at once on the client’s side, and the log beside the agent says so', async () => {
    const closed = await new Promise((resolve, reject) => {
      const request = upgrade('/chat');
      request.on('response', ({ statusCode }) => reject(new Error(`answered with ${statusCode}`)));
      request.on('upgrade', (_response, socket, head) => {
        let text = head.toString();
        const kill = (): void => {
          if (text === 'hello') for (const one of sockets) one.resetAndDestroy();
        };
        socket.on('error', () => undefined);
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString();
          kill();
        });
        socket.on('close', () => resolve(text));
        kill();
      });
      request.on('error', reject);
      request.end();
    });
    expect(closed).toBe('hello');
    await expect
      .poll(() => [outcomes('inventory/def456').at(-1), outcomes('planning/abc123').at(-1)], {
        timeout: 5000,
      })
      .toEqual([
        { result: 'upstream_failed', status: 101 },
        // Over TLS an end is an end: only the sidecar beside the agent knows that it was none of the agent's making.
        { result: 'ok', status: 101 },
      ]);
    expect(
      await sendThrough(mesh.agent('planning/abc123'), 'http://inventory.mesh/', { context }),
    ).toMatchObject({
      status: 200,
      body: 'alive',
    });
  });
});
