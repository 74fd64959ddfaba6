/** A sidecar that ends while streams are open: each of them ends in a way that its reader takes for an end, before the deadline. */
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type Mesh, type MeshAgent, makeMesh, TEST_POLICY } from '../testkit/mesh.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const SCOPE = ['cloud:*', 'chat:*', 'mcp:*'];
const POLICY = {
  routes: [
    { name: 'chat', path: '/chat', protocol: 'websocket', scopes: ['chat:opaque'] },
    {
      name: 'mcp',
      path: '/mcp',
      protocol: 'mcp',
      operations: [
        {
          methods: ['initialize', 'tools/list', 'tools/call', 'http:GET', 'notifications/*'],
          scopes: ['mcp:use'],
        },
      ],
    },
    ...TEST_POLICY.routes,
  ],
};

/** Streams are asked to end a quarter before the deadline. */
const DEADLINE = { drainTimeout: '3s' };
const EVENTS = { 'content-type': 'text/event-stream' };

/** Each test has its own, so that all of them wait for their deadlines at once. */
class World {
  readonly mesh: Mesh;
  readonly socketPath: string;
  inventory!: MeshAgent;
  planning!: MeshAgent;
  context = '';
  agent: Server | undefined;

  private constructor(mesh: Mesh) {
    this.mesh = mesh;
    this.socketPath = path.join(mesh.directory, 'out.sock');
  }

  static async before(agentPort: number, config: Record<string, unknown> = {}): Promise<World> {
    const world = new World(await makeMesh({ domain: { anchor: { scope: SCOPE } }, policy: POLICY }));
    worlds.push(world);
    const { mesh, socketPath } = world;
    world.inventory = await mesh.start(INVENTORY, { agentPort, config: { limits: DEADLINE, ...config } });
    world.planning = await mesh.start(PLANNING, {
      routes: { 'inventory.mesh': INVENTORY },
      delegate: null,
      config: { outbound: { listen: `unix:${socketPath}` }, limits: DEADLINE },
    });
    world.context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: SCOPE }));
    return world;
  }

  static async of(agent: Server): Promise<World> {
    await new Promise<void>((ready) => agent.listen(0, '127.0.0.1', ready));
    const world = await World.before((agent.address() as AddressInfo).port);
    world.agent = agent;
    return world;
  }

  open(target: string, method = 'GET', body?: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({
        socketPath: this.socketPath,
        method,
        path: `http://inventory.mesh${target}`,
        headers: {
          host: 'inventory.mesh',
          'hopgate-context': this.context,
          ...(body !== undefined && {
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            'content-length': Buffer.byteLength(body),
          }),
        },
      });
      request.on('response', resolve).on('error', reject).end(body);
    });
  }

  /** Results of what the sidecar of this one had under way. */
  outcomes(who: string): unknown[] {
    return (who === 'callee' ? this.inventory : this.planning)
      .log()
      .filter(({ kind }) => kind === 'outcome')
      .map(({ result }) => result);
  }

  drain(who: string): Promise<void> {
    return (who === 'callee' ? this.inventory : this.planning).sidecar.drain('test');
  }
}

const worlds: World[] = [];
afterAll(() => {
  for (const { mesh, agent } of worlds) {
    mesh.stop();
    agent?.closeAllConnections();
    agent?.close();
  }
});

/** Everything that comes, and whether its end is one. */
const readOf = (response: IncomingMessage): Promise<{ text: string; isWhole: boolean }> =>
  new Promise((resolve) => {
    let text = '';
    response.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    response.on('error', () => undefined);
    response.on('close', () => resolve({ text, isWhole: response.complete }));
  });

describe.concurrent.each(['callee', 'caller'])('when the %s’s sidecar is told to end', (who) => {
  it('an event stream ends behind its last event', async () => {
    let stream: ServerResponse | undefined;
    const world = await World.of(
      createServer((_request, response) => {
        stream = response;
        response.writeHead(200, EVENTS).write('data: 1\n\n');
      }),
    );
    const reading = readOf(await world.open('/events'));
    const over = world.drain(who);
    stream?.write('data: 2\n\n');
    await over;
    expect(await reading).toEqual({ text: 'data: 1\n\ndata: 2\n\n', isWhole: true });
    expect(world.outcomes(who)).toEqual(['draining']);
  });

  it('an event that is under way is finished first', async () => {
    let stream: ServerResponse | undefined;
    const world = await World.of(
      createServer((_request, response) => {
        stream = response;
        response.writeHead(200, EVENTS).write('data: ha');
      }),
    );
    const response = await world.open('/events');
    const reading = readOf(response);
    const over = world.drain(who);
    // Not before streams are asked to end: the rest comes when the agent hears nothing of it.
    const rest = setInterval(() => stream?.write('lf\n\ndata: too late\n\n'), 2400);
    await over;
    clearInterval(rest);
    expect(await reading).toEqual({ text: 'data: half\n\n', isWhole: true });
  });

  it('what is no stream of events is cut, and looks it', async () => {
    const world = await World.of(
      createServer((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/plain' }).write('half of it');
      }),
    );
    const reading = readOf(await world.open('/download'));
    await world.drain(who);
    expect(await reading).toEqual({ text: 'half of it', isWhole: false });
  });

  it('a long poll is told to come again', async () => {
    const world = await World.of(createServer(() => undefined));
    const asked = world.open('/poll');
    await expect.poll(() => world.inventory.log().length, { timeout: 10_000 }).toBeGreaterThan(1);
    await world.drain(who);
    const response = await asked;
    expect(response.statusCode).toBe(503);
    expect(response.headers['retry-after']).toBe('1');
    expect(JSON.parse((await readOf(response)).text)).toMatchObject({ code: 'draining' });
  });

  it('an MCP request that has no answer yet gets an error, and its stream ends', async () => {
    const world = await World.of(
      createServer((request, response) => {
        request.resume();
        response.writeHead(200, EVENTS).write(': open\n\n');
      }),
    );
    const call = { jsonrpc: '2.0', id: 7, method: 'tools/list' };
    const reading = readOf(await world.open('/mcp', 'POST', JSON.stringify(call)));
    await world.drain(who);
    const { text, isWhole } = await reading;
    expect(isWhole).toBe(true);
    const [, data = ''] = /^data: (.*)$/m.exec(text) ?? [];
    expect(JSON.parse(data)).toMatchObject({ id: 7, error: { data: { code: 'draining' } } });
  });

  it('both ends of a WebSocket hear that it goes away, behind a whole message', async () => {
    const agent = createServer();
    const server = new WebSocketServer({ server: agent });
    const atAgent = new Promise<number>((resolve) =>
      server.on('connection', (socket) => {
        socket.on('message', (data) => socket.send(data));
        socket.on('close', resolve);
      }),
    );
    const world = await World.of(agent);
    const socket = new WebSocket(`ws+unix://${world.socketPath}:/chat`, {
      headers: { host: 'inventory.mesh', 'hopgate-context': world.context },
    });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const atClient = new Promise<number>((resolve) => socket.on('close', resolve));
    const echoed = new Promise<string>((resolve) => socket.once('message', (data) => resolve(String(data))));
    const over = world.drain(who);
    socket.send('x'.repeat(100_000));
    expect((await echoed).length).toBe(100_000);
    await over;
    expect(await Promise.all([atAgent, atClient])).toEqual([1001, 1001]);
    expect(world.outcomes(who)).toEqual(['draining']);
  });

  it('a gRPC stream ends with UNAVAILABLE', async () => {
    const octets = (value: Buffer): Buffer => value;
    const method = {
      path: '/test.Echo/server',
      requestStream: false as const,
      responseStream: true as const,
      requestSerialize: octets,
      requestDeserialize: octets,
      responseSerialize: octets,
      responseDeserialize: octets,
    };
    const server = new grpc.Server();
    server.addService({ server: method } as never, {
      server: (call: grpc.ServerWritableStream<Buffer, Buffer>) => call.write(Buffer.from('one')),
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const world = await World.before(port, { inbound: { agentHttp: 'as-received' } });
    const client = new grpc.Client(`unix:${world.socketPath}`, grpc.credentials.createInsecure(), {
      'grpc.default_authority': 'inventory.mesh',
      'grpc.enable_retries': 0,
    });
    const sent = new grpc.Metadata();
    sent.set('hopgate-context', world.context);
    const call = client.makeServerStreamRequest(method.path, octets, octets, Buffer.from('go'), sent);
    call.on('error', () => undefined);
    const status = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
    await new Promise((resolve) => call.once('data', resolve));
    call.resume();
    await world.drain(who);
    expect(await status).toMatchObject({
      code: grpc.status.UNAVAILABLE,
      details: expect.stringContaining('shutting down'),
    });
    client.close();
    server.forceShutdown();
  });
});

it('the agent’s own requests go on while its sidecar drains, for as long as there is work', async () => {
  const held: ServerResponse[] = [];
  const world = await World.of(
    createServer((request, response) => {
      if (request.url === '/held') held.push(response);
      else response.end('ok');
    }),
  );
  const first = world.open('/held');
  await expect.poll(() => held.length).toBe(1);
  const over = world.drain('caller');
  for (let round = 0; round < 3; round++) expect((await readOf(await world.open('/more'))).text).toBe('ok');
  held[0]?.end('done');
  expect((await readOf(await first)).text).toBe('done');
  await over;
});
