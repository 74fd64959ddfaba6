/**
 * A mesh that lives: SVIDs, CA, policy and configuration of both sidecars are replaced again and again under steady load, and no
 * request fails; no connection outlives the SVID of either of its ends. Then one is told to end under the same load, with
 * streams open. HOPGATE_SOAK_SECONDS makes it what an operator would see: a thousand requests a second, ten rounds.
 */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { parse, stringify } from 'yaml';
import { writeIdentity } from '../testkit/domain.ts';
import { freePort } from '../testkit/free-port.ts';
import {
  DEFAULT_DELEGATE,
  type Mesh,
  type MeshAgent,
  makeMesh,
  send,
  TEST_POLICY,
  TEST_SCOPE,
} from '../testkit/mesh.ts';
import { merge } from '../testkit/mesh-member.ts';
import { SidecarProcess } from '../testkit/service-process.ts';
import { SteadyLoad } from '../testkit/steady-load.ts';

const IS_LONG = Number(process.env.HOPGATE_SOAK_SECONDS ?? 0) > 0;
const PER_SECOND = IS_LONG ? 1000 : 100;
const ROUNDS = IS_LONG ? 10 : 2;
/** Between two steps of a round. */
const STEP = IS_LONG ? 250 : 50;
const SVID_SECONDS = IS_LONG ? 60 : 20;
/** Sidecars look once a second. */
const LATE_SECONDS = 2;

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const POLICY = {
  routes: [
    { name: 'chat', path: '/chat', protocol: 'websocket', scopes: ['cloud:read'] },
    ...TEST_POLICY.routes,
  ],
};

let mesh: Mesh;
let planning: MeshAgent;
let inventory: MeshAgent;
let running: SidecarProcess | undefined;
let agent: Server;
let load: SteadyLoad;
const sockets = new Set<Socket>();

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

/** What planning's sidecar is told of inventory's. */
const routeBy = (http: string, ttl = '15m') => ({
  host: 'inventory.mesh',
  peer: inventory.agent.id,
  address: `127.0.0.1:${inventory.addresses.inbound?.port}`,
  http,
  delegate: { ...DEFAULT_DELEGATE, ttl },
});

const start = async (http: string, config: Record<string, unknown> = {}): Promise<string> => {
  mesh = await makeMesh({ domain: { anchor: { scope: TEST_SCOPE } }, policy: POLICY });
  agent = createServer((request, response) => {
    if (request.url !== '/events') {
      response.end('ok');
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 0\n\n');
    let count = 0;
    const tick = setInterval(() => response.write(`data: ${++count}\n\n`), 100);
    response.once('close', () => clearInterval(tick));
  });
  agent.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((ready) => agent.listen(0, '127.0.0.1', ready));
  const agentPort = (agent.address() as AddressInfo).port;
  inventory = await mesh.start(INVENTORY, { agentPort, config });
  planning = await mesh.start(PLANNING, { config: { outbound: { routes: [routeBy(http)] } } });
  return mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
};
afterEach(async () => {
  await load.stop();
  await running?.kill('SIGKILL');
  running = undefined;
  mesh.stop();
  for (const socket of sockets) socket.destroy();
  agent.close();
});

const headersOf = (context: string) => {
  const { username, password } = new URL(planning.proxyUrl);
  return {
    host: 'inventory.mesh',
    'hopgate-context': context,
    'proxy-authorization': `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
  };
};
const openEvents = (context: string): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const { hostname: host, port } = new URL(planning.proxyUrl);
    httpRequest({ host, port, path: 'http://inventory.mesh/events', headers: headersOf(context) }, resolve)
      .on('error', reject)
      .end();
  });
const ended = (response: IncomingMessage): Promise<{ text: string; isWhole: boolean; at: number }> =>
  new Promise((resolve) => {
    let text = '';
    response.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    response.on('error', () => undefined);
    response.on('close', () => resolve({ text, isWhole: response.complete, at: Date.now() / 1000 }));
  });

describe.each(IS_LONG ? ['h1', 'h2'] : ['h2'])('under steady load over %s', (http) => {
  const renew = async (name: string, member: MeshAgent): Promise<void> => {
    const key = mesh.domain.agent(name);
    const renewed = await mesh.domain.enrol(name, { key, now: nowSeconds(), ttlSeconds: SVID_SECONDS });
    writeIdentity(member.directory, renewed);
    await member.sidecar.reload();
    await load.more(STEP);
  };
  const renewBoth = async (): Promise<void> => {
    // Who calls comes last: its new connections show the new SVIDs of both, as all do when an overlap has lasted a lifetime.
    await renew(INVENTORY, inventory);
    await renew(PLANNING, planning);
  };
  let seq = 1;
  const takeBundle = async (): Promise<void> => {
    mesh.writeBundle({ seq: ++seq });
    for (const member of [inventory, planning]) await member.sidecar.reload();
    await load.more(STEP);
  };
  const configure = async (member: MeshAgent, change: Record<string, unknown>): Promise<void> => {
    const file = path.join(member.directory, 'sidecar.yaml');
    const before = readFileSync(file, 'utf8');
    writeFileSync(file, stringify(merge(parse(before) as Record<string, unknown>, change)));
    await member.sidecar.reload();
    const { body } = await send({ socketPath: member.addresses.admin, path: '/config' });
    expect((JSON.parse(body) as { refused?: unknown }).refused).toBeUndefined();
  };

  it('everything is replaced and nothing fails; no connection outlives an SVID', async ({ annotate }) => {
    const context = await start(http);
    seq = 1;
    load = new SteadyLoad(planning, context, 'http://inventory.mesh/x', PER_SECOND);
    await renewBoth();
    // A stream keeps its connection for as long as that may live.
    const events = await openEvents(context);
    const opened = Date.now() / 1000;
    const over = ended(events);
    const outlived: unknown[] = [];
    const watch = setInterval(() => {
      for (const [name, member] of Object.entries({ inventory, planning }))
        void send({ socketPath: member.addresses.admin, path: '/peers' }).then(({ body }) => {
          const { inbound, outbound } = JSON.parse(body) as Record<string, { deadline: number }[]>;
          const now = nowSeconds();
          for (const session of [...(inbound ?? []), ...(outbound ?? [])])
            if (now > session.deadline + LATE_SECONDS || session.deadline > now + SVID_SECONDS)
              outlived.push({ name, now, ...session });
        });
    }, 500);
    for (let round = 1; round <= ROUNDS; round++) {
      await renewBoth();
      await mesh.domain.rotateAuthority();
      await takeBundle();
      await renewBoth();
      mesh.domain.dropFormerAuthorities();
      await takeBundle();
      mesh.writePolicy({ ...POLICY, revision: `round-${round}` });
      for (const member of [inventory, planning]) await member.sidecar.reload();
      await load.more(STEP);
      await configure(inventory, { limits: { bodyBytes: 1_000_000 + round } });
      await configure(planning, { outbound: { routes: [routeBy(http, `${round + 1}m`)] } });
      await load.more(STEP);
    }
    // Its SVIDs have ended by then, or the CA that stood for them was dropped.
    expect((await over).at).toBeLessThan(opened + SVID_SECONDS + LATE_SECONDS);
    clearInterval(watch);
    const { sent, answered, failures, perSecond } = await load.stop();
    await annotate(`${answered} requests, ${perSecond} a second`);
    expect(Object.fromEntries(failures)).toEqual({});
    expect(answered).toBe(sent);
    expect(outlived).toEqual([]);
  }, 400_000);
});

it.each(IS_LONG ? ['h1', 'h2'] : ['h1'])(
  'SIGTERM under load over %s: what had started ends well, streams end, and it exits with 0 before its deadline',
  async (http) => {
    const port = await freePort();
    const limits = { drainTimeout: '5s', drainNotice: '500ms' };
    const context = await start(http, { inbound: { listen: `127.0.0.1:${port}` }, limits });
    const server = new WebSocketServer({ server: agent });
    server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    inventory.sidecar.stop('to run as a process');
    running = await new SidecarProcess(path.join(inventory.directory, 'sidecar.yaml')).started();
    load = new SteadyLoad(planning, context, 'http://inventory.mesh/x', PER_SECOND);
    const over = ended(await openEvents(context));
    const { hostname, port: proxyPort } = new URL(planning.proxyUrl);
    const socket = new WebSocket('ws://inventory.mesh/chat', {
      headers: headersOf(context),
      createConnection: () => connect(Number(proxyPort), hostname),
      path: 'http://inventory.mesh/chat',
    } as ConstructorParameters<typeof WebSocket>[2] & object);
    await once(socket, 'open');
    const closed = once(socket, 'close');
    await load.more(PER_SECOND);
    expect(Object.fromEntries(load.counts.failures)).toEqual({});
    const began = performance.now();
    running.signal('SIGTERM');
    await running.says('"no new connections"');
    const { code } = await running.ended;
    expect(code).toBe(0);
    expect(performance.now() - began).toBeLessThan(5500);
    const { text, isWhole } = await over;
    expect({ isWhole, end: text.slice(-2) }).toEqual({ isWhole: true, end: '\n\n' });
    expect((await closed)[0]).toBe(1001);
    const { failures } = await load.stop();
    // What could not begin any more was told so; nothing that had begun was lost.
    expect([...failures.keys()].filter((reason) => reason !== 'peer_unreachable')).toEqual([]);
  },
  60_000,
);
