/** What one peer, or one task, can take of a running sidecar: by asking too often, by making it read, and for an agent that is gone. */

import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { CrossCheck, HopIndex } from '../../src/core/audit/cross-check.ts';
import { type AuditRecord, readRecordLine } from '../../src/core/audit/read-record.ts';
import { recordsOf } from '../testkit/attack.ts';
import { forgeChain } from '../testkit/forge.ts';
import { freePort } from '../testkit/free-port.ts';
import { type Mesh, type MeshAgent, makeMesh, send, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { END_HEADERS, h2Frame, headerBlock, openH2, requestFields, TYPE } from '../testkit/raw-h2.ts';
import { openSession, type RawPeer, requestText } from '../testkit/raw-peer.ts';

const CALLERS = ['planning/abc123', 'planning/xyz789', 'security/s1', 'inventory/def456'];
const LONG = '1h';

let mesh: Mesh;
const open: RawPeer[] = [];
afterEach(() => {
  for (const peer of open.splice(0)) peer.close();
  mesh.stop();
});

const start = async (limits: Record<string, unknown>, policy = {}, options = {}): Promise<MeshAgent> => {
  mesh = await makeMesh({
    domain: { agents: CALLERS, anchor: { scope: TEST_SCOPE } },
    policy,
    config: { limits, audit: { denialsPerCaller: 3, refusalInterval: LONG } },
  });
  return mesh.start('inventory/def456', options);
};
const session = async (target: MeshAgent, name: string): Promise<RawPeer> => {
  const peer = await openSession(target, mesh.domain.agent(name));
  open.push(peer);
  return peer;
};
const chainOf = (name: string): string =>
  forgeChain(mesh.domain, [mesh.domain.agent(name)], { scope: TEST_SCOPE });

const readLog = ({ logFile }: MeshAgent): AuditRecord[] =>
  readFileSync(logFile, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const record = readRecordLine(line);
      if (!record.ok) throw new Error(record.detail);
      return record.value;
    });
/** Hops that `shown` has and the log of the other side lacks. */
const lacking = (shown: MeshAgent, other: MeshAgent) => {
  const indexes = [shown, other].map((member) => {
    const index = new HopIndex(member.logFile, member.agent.id);
    for (const record of readLog(member)) index.take(record);
    return index;
  });
  const check = new CrossCheck(shown.logFile, indexes);
  for (const [at, record] of readLog(shown).entries()) check.take(record, at + 1);
  return check.finish();
};

describe('a caller that asks too often', () => {
  it('is told to come later, on record, and nobody else is; to connect anew does not help', async () => {
    const target = await start({ requestsPerSecond: 1 });
    const chain = chainOf('planning/abc123');
    const first = await session(target, 'planning/abc123');
    const statuses: number[] = [];
    for (let asked = 0; asked < 4; asked++) statuses.push((await first.ask(requestText({ chain }))).status);
    // Two at once, and one more when the machine is slow.
    expect(statuses.slice(0, 2)).toEqual([200, 200]);
    first.close();
    const again = await session(target, 'planning/abc123');
    const answers = [];
    for (let asked = 0; asked < 10; asked++) answers.push(await again.ask(requestText({ chain })));
    const refused = answers.filter(({ code }) => code === 'caller_rate');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    expect(recordsOf(target, refused[0]?.hop ?? '')).toMatchObject([
      { kind: 'decision', verdict: 'deny', reason: 'caller_rate', agents: [] },
    ]);
    const other = await session(target, 'planning/xyz789');
    expect((await other.ask(requestText({ chain: chainOf('planning/xyz789') }))).status).toBe(200);
  });

  it('two sidecars’ logs still match when most of its denials have no record of their own', async () => {
    await start({ requestsPerSecond: 1 });
    await mesh.start('planning/abc123', {
      routes: { 'inventory.mesh': 'inventory/def456' },
      config: { limits: { requestsPerSecond: 5000 } },
    });
    const context = await mesh.startTask(
      'planning/abc123',
      mesh.domain.mintChain(['planning/abc123'], { scope: TEST_SCOPE }),
    );
    const planning = mesh.agent('planning/abc123');
    const codes = new Set<string | undefined>();
    for (let asked = 0; asked < 30; asked++)
      codes.add((await sendThrough(planning, 'http://inventory.mesh/vpcs', { context })).code);
    expect(codes).toEqual(new Set([undefined, 'caller_rate']));
    const target = mesh.agent('inventory/def456');
    for (const { sidecar } of [target, planning]) sidecar.stop('counted');
    const denials = target.log().filter(({ reason }) => reason === 'caller_rate');
    expect(denials).toHaveLength(3);
    expect(lacking(planning, target)).toEqual([]);
    expect(lacking(target, planning)).toEqual([]);
  });
});

it('a task has a rate of its own, whoever asks for it; the caller’s other tasks go on', async () => {
  const target = await start({ taskRequestsPerSecond: 1 });
  const [busy, calm] = [chainOf('planning/abc123'), chainOf('planning/abc123')];
  const peer = await session(target, 'planning/abc123');
  let last = await peer.ask(requestText({ chain: busy }));
  for (let asked = 0; last.code === undefined && asked < 20; asked++)
    last = await peer.ask(requestText({ chain: busy }));
  expect(last).toMatchObject({ status: 429, code: 'task_rate', headers: { 'retry-after': '1' } });
  expect(recordsOf(target, last.hop ?? '')).toMatchObject([
    { verdict: 'deny', reason: 'task_rate', agents: [{ id: mesh.domain.agent('planning/abc123').id }] },
  ]);
  expect((await peer.ask(requestText({ chain: calm }))).status).toBe(200);
});

it('bodies that are read before a decision are read at a rate; what is not read is not counted', async () => {
  const rules = [
    {
      name: 'agents',
      effect: 'allow',
      callerTypes: ['planning'],
    },
  ];
  const routes = [
    {
      name: 'tools',
      methods: ['POST'],
      path: '/mcp',
      scopes: ['cloud:write'],
      protocol: 'mcp',
      operations: [{}],
    },
    { name: 'plain', methods: ['POST'], path: '/*', scopes: ['cloud:write'] },
  ];
  const target = await start({ readBytesPerSecond: '1KiB' }, { rules, routes });
  const peer = await session(target, 'planning/abc123');
  const chain = chainOf('planning/abc123');
  const post = (path: string, octets: number) =>
    peer.ask(
      requestText({
        method: 'POST',
        target: path,
        chain,
        headers: ['Content-Type: application/json', `Content-Length: ${octets}`],
        body: `{"junk":"${'x'.repeat(octets - 11)}"}`,
      }),
    );
  expect((await post('/plain', 60_000)).status).toBe(200);
  const read = await post('/mcp', 60_000);
  expect(read.code).not.toBe('body_rate');
  const refused = await session(target, 'planning/abc123').then((next) =>
    next.ask(
      requestText({
        method: 'POST',
        target: '/mcp',
        chain,
        headers: ['Content-Type: application/json', 'Content-Length: 2'],
        body: '{}',
      }),
    ),
  );
  expect(refused).toMatchObject({ status: 429, code: 'body_rate' });
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(30);
  const again = await session(target, 'planning/abc123');
  expect((await again.ask(requestText({ method: 'POST', target: '/plain', chain }))).status).toBe(200);
});

describe('an agent that is gone', () => {
  it('costs its callers nothing: they hear so at once and before anything is verified, and readiness says so; until it is back', async () => {
    const agentPort = await freePort();
    const target = await start({ agentFailures: 2, agentCoolDown: '1s' }, {}, { agentPort });
    const peer = await session(target, 'planning/abc123');
    const chain = chainOf('planning/abc123');
    const codes: (string | undefined)[] = [];
    for (let asked = 0; asked < 50 && codes.at(-1) !== 'upstream_unavailable'; asked++)
      codes.push((await peer.ask(requestText({ chain }))).code);
    expect(codes.slice(0, 2)).toEqual(['upstream_unreachable', 'upstream_unreachable']);
    // Not even a request without a chain gets as far as being asked for one.
    const refused = await peer.ask(requestText({}));
    expect(refused).toMatchObject({
      status: 503,
      code: 'upstream_unavailable',
      headers: { 'retry-after': '1' },
    });
    const { health } = target.addresses;
    const ready = () => send({ host: '127.0.0.1', port: health.port, path: '/readyz' });
    expect(await ready()).toMatchObject({ status: 503, body: 'the agent does not answer on its port\n' });
    const agent = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
    });
    await new Promise<void>((resolve) => agent.listen(agentPort, '127.0.0.1', resolve));
    await expect
      .poll(() => peer.ask(requestText({ chain })).then(({ status }) => status), { timeout: 10_000 })
      .toBe(200);
    agent.close();
  });

  it('and one that answers a single caller nothing is left alone for that caller only', async () => {
    const target = await start(
      { agentFailures: 2, agentCoolDown: '1h', responseTimeout: '1s' },
      {},
      {
        handler: (
          request: { url?: string; socket: { destroy(): void } },
          response: { end(text: string): void },
        ) => {
          if (request.url === '/poison') request.socket.destroy();
          else response.end('ok');
        },
      },
    );
    const peer = await session(target, 'planning/abc123');
    const chain = chainOf('planning/abc123');
    for (let asked = 0; asked < 2; asked++)
      expect((await peer.ask(requestText({ chain, target: '/poison' }))).code).toBe('upstream_failed');
    expect((await peer.ask(requestText({ chain }))).code).toBe('upstream_unavailable');
    const other = await session(target, 'planning/xyz789');
    expect((await other.ask(requestText({ chain: chainOf('planning/xyz789') }))).status).toBe(200);
  });
});

it('a crowd of callers leaves the last places to whoever has few', async () => {
  const held: { end(text: string): void }[] = [];
  let wake: (() => void) | undefined;
  const target = await start(
    { requests: 8, requestsPerCaller: 6 },
    {},
    {
      handler: (request: { url?: string }, response: { end(text: string): void }) => {
        if (request.url === '/slow') held.push(response);
        else response.end('ok');
        wake?.();
      },
    },
  );
  const crowd = chainOf('planning/abc123');
  for (let asked = 0; asked < 6; asked++)
    (await session(target, 'planning/abc123')).write(requestText({ chain: crowd, target: '/slow' }));
  while (held.length < 6)
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  const other = chainOf('planning/xyz789');
  const slow = await session(target, 'planning/xyz789');
  slow.write(requestText({ chain: other, target: '/slow' }));
  while (held.length < 7)
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  const more = await session(target, 'planning/xyz789');
  expect(await more.ask(requestText({ chain: other }))).toMatchObject({
    status: 503,
    code: 'sidecar_busy',
    headers: { 'retry-after': '1' },
  });
  for (const response of held) response.end('late');
  expect((await slow.readResponse()).status).toBe(200);
  expect((await more.ask(requestText({ chain: other }))).status).toBe(200);
});

it('two callers with all the requests that they may have leave the agent’s port to a third', async () => {
  const target = await start({});
  const slow = async (name: string): Promise<void> => {
    const fields = requestFields({
      chain: chainOf(name),
      method: 'POST',
      fields: [['content-length', '9']],
    });
    for (let connection = 0; connection < 2; connection++) {
      const h2 = await openH2(target, mesh.domain.agent(name));
      open.push(h2.peer);
      for (let asked = 0; asked < 64; asked++) {
        const stream = h2.newStream();
        h2.write(
          h2Frame(TYPE.headers, END_HEADERS, stream, headerBlock(fields)),
          h2Frame(TYPE.data, 0, stream, 'ab'),
        );
      }
    }
  };
  await slow('planning/abc123');
  await slow('planning/xyz789');
  await expect.poll(() => target.seen.length, { timeout: 20_000 }).toBe(256);
  const third = await session(target, 'security/s1');
  expect((await third.ask(requestText({ chain: chainOf('security/s1') }))).status).toBe(200);
});
