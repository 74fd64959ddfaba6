import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectAllowed, expectProblem, recordsOf } from '../testkit/attack.ts';
import type { TestAgent } from '../testkit/domain.ts';
import { type ForgeOptions, forgeLinks, linkId } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh, send } from '../testkit/mesh.ts';
import { openSession, type RawPeer, requestText } from '../testkit/raw-peer.ts';

/** What the agent does, by path. */
const ROUTES: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>> = {
  '/stream': (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
  },
  '/die-with-length': (_, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half');
    setImmediate(() => response.destroy());
  },
  '/die-in-chunks': (_, response) => {
    response.write('half');
    setImmediate(() => response.destroy());
  },
  '/die-at-once': (request) => request.socket.destroy(),
  '/forge': (_, response) => {
    response.writeHead(200, [
      ['Hopgate-Context', 'forged'],
      ['hopgate-principal', 'forged'],
      ['Hopgate_Caller', 'forged'],
      ['Hopgate-Hop', 'forged'],
      ['Hopgate-Assertion', 'forged'],
      ['Delegation-Chain', 'forged'],
      ['Delegation_Grant', 'forged'],
      ['X-Forwarded-Client-Cert', 'forged'],
      ['tracestate', 'hopgate=forged,a=1'],
      ['Keep-Alive', 'timeout=forged'],
      ['Proxy-Authenticate', 'Basic realm="forged"'],
      ['Upgrade', 'forged'],
      ['Connection', 'X-Private, keep-alive'],
      ['Connection', 'X-Private-Too'],
      ['X-Private', 'forged'],
      ['X-Private-Too', 'forged'],
      ['X-Kept', 'yes'],
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
      ['Content-Length', '2'],
    ]);
    response.end('ok');
  },
  '/early': (_, response) => {
    response.writeHead(413, { 'content-length': '5' });
    response.end('early');
  },
};

let mesh: Mesh;
let target: MeshAgent;
/** Seconds that the sidecars' clock is ahead. TLS looks at the real one. */
let ahead = 0;
let aborted: string[] = [];

beforeAll(async () => {
  const clock = { now: () => Date.now() + ahead * 1000, monotonic: () => performance.now() };
  mesh = await makeMesh({
    clock,
    domain: { agents: ['client/alice', 'security/s1', 'planning/abc123', 'inventory/def456'] },
  });
  target = await mesh.start('inventory/def456', {
    handler: (request, response) => {
      const path = request.url ?? '';
      response.once('close', () => {
        if (!response.writableFinished) aborted.push(path);
      });
      const route = ROUTES[path];
      if (route !== undefined) route(request, response);
      else request.resume().on('end', () => response.end('hello'));
    },
  });
});
afterAll(() => mesh.stop());

const agent = (name: string): TestAgent => mesh.domain.agent(name);
const planning = () => agent('planning/abc123');
const links = (options?: ForgeOptions): string[] =>
  forgeLinks(mesh.domain, [agent('client/alice'), agent('security/s1'), planning()], options);
const ask = (path: string, chain = links().join('~')): string => requestText({ chain, target: path });

/** Opens the stream and waits for its first event. */
const openStream = async (chain: string): Promise<RawPeer> => {
  const peer = await openSession(target, planning());
  peer.requests++;
  peer.write(ask('/stream', chain));
  await peer.until(() => peer.pending.includes('data: 1'));
  return peer;
};

/** A stream was cut: the peer sees no end of it, the agent sees it leave, the log says why. */
const expectCut = async (peer: RawPeer, reason: string): Promise<void> => {
  await peer.ended();
  expect(peer.pending.includes('0\r\n\r\n')).toBe(false);
  await expect
    .poll(() => recordsOf(target, peer.hop))
    .toMatchObject([{ verdict: 'permit' }, { kind: 'outcome', status: 200, result: reason, sent: 9 }]);
  await expect.poll(() => aborted).toContain('/stream');
  aborted = [];
};

describe('an agent that breaks off', () => {
  it.each(['/die-with-length', '/die-in-chunks'])(
    '%s: the peer sees a broken response, not a whole one',
    async (path) => {
      const peer = await openSession(target, planning());
      const answer = await peer.ask(ask(path));
      expect(answer).toMatchObject({ status: 200, body: 'half', whole: false });
      await expect
        .poll(() => recordsOf(target, peer.hop))
        .toMatchObject([
          { verdict: 'permit' },
          { kind: 'outcome', result: 'upstream_failed', status: 200, sent: 4 },
        ]);
    },
  );

  it('before its response: a refusal, on record, and the session goes on', async () => {
    const peer = await openSession(target, planning());
    expectProblem(await peer.ask(ask('/die-at-once')), 'upstream_failed');
    await expect
      .poll(() => recordsOf(target, peer.hop))
      .toMatchObject([{ verdict: 'permit' }, { result: 'upstream_failed', status: 502 }]);
    expect((await peer.ask(ask('/'))).status).toBe(200);
    peer.close();
  });

  it('and is not asked again: what it did may have been done', async () => {
    const before = target.seen.filter(({ url }) => url === '/die-at-once').length;
    const peer = await openSession(target, planning());
    await peer.ask(ask('/die-at-once'));
    expect(target.seen.filter(({ url }) => url === '/die-at-once')).toHaveLength(before + 1);
    peer.close();
  });
});

describe('an agent that answers what it should not', () => {
  const listen = (server: Server): Promise<number> =>
    new Promise((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
    );
  let answer = '';
  let server: Server;
  let rogue: MeshAgent;

  beforeAll(async () => {
    server = createServer((socket: Socket) => {
      socket.on('error', () => socket.destroy());
      socket.on('data', () => socket.write(Buffer.from(answer, 'latin1')));
    });
    rogue = await mesh.start('security/s1', { agentPort: await listen(server) });
  });
  afterAll(() => server.close());

  it('forged identity, hop-by-hop and private headers do not come back', async () => {
    const peer = await openSession(target, planning());
    const response = await peer.ask(ask('/forge'));
    expect(response).toMatchObject({ status: 200, body: 'ok' });
    expect(JSON.stringify(response.rawHeaders)).not.toContain('forged');
    expect(response.headers).toMatchObject({ 'x-kept': 'yes', tracestate: 'a=1' });
    expect(response.rawHeaders.filter(([name]) => name.toLowerCase() === 'set-cookie')).toHaveLength(2);
    peer.close();
  });

  it.each([
    ['garbage', 'garbage\r\n\r\n'],
    ['CL and TE', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'],
    ['a status of 99', 'HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n'],
    ['a status of 1000', 'HTTP/1.1 1000 No\r\nContent-Length: 0\r\n\r\n'],
    [
      'an upgrade that nobody asked for',
      'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw',
    ],
    ['100 for ever', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000)],
    ['a control character in a header', 'HTTP/1.1 200 OK\r\nX-A: a\u0001b\r\nContent-Length: 0\r\n\r\n'],
    ['a bare CR in a header', 'HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: x\r\nContent-Length: 0\r\n\r\n'],
    ['a NUL in a header', 'HTTP/1.1 200 OK\r\nX-A: a\u0000b\r\nContent-Length: 0\r\n\r\n'],
    ['headers without end', `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(40_000)}\r\n\r\n`],
    ['HTTP/2', 'HTTP/2 200\r\n\r\n'],
  ])('%s: a refusal, and the sidecar lives', async (_, octets) => {
    answer = octets;
    const peer = await openSession(rogue, planning());
    expectProblem(await peer.ask(ask('/')), 'upstream_failed');
    await expect
      .poll(() => recordsOf(rogue, peer.hop))
      .toMatchObject([{ verdict: 'permit' }, { result: 'upstream_failed' }]);
    peer.close();
    answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    const next = await openSession(rogue, planning());
    expect(await next.ask(ask('/'))).toMatchObject({ status: 200, body: 'ok' });
    next.close();
  });

  it('a second response that nobody asked for goes to nobody', async () => {
    answer =
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
    const peer = await openSession(rogue, planning());
    const first = await peer.ask(ask('/'));
    expect(first.body).not.toContain('poison');
    answer = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';
    for (let round = 0; round < 5; round++) {
      const next = await peer.ask(ask('/'));
      expect(next.body).not.toContain('poison');
    }
    peer.close();
  });

  it('an early answer to a body that is still coming arrives whole', async () => {
    const peer = await openSession(target, planning());
    const chain = forgeLinks(mesh.domain, [agent('client/alice'), planning()], {
      scope: ['cloud:write'],
    }).join('~');
    peer.requests++;
    peer.write(
      requestText({
        method: 'POST',
        chain,
        target: '/early',
        headers: ['Content-Length: 100000'],
        body: 'abc',
      }),
    );
    expect(await peer.readResponse()).toMatchObject({ status: 413, body: 'early', whole: true });
    peer.close();
  });
});

describe('a peer that leaves', () => {
  it('takes its stream with it: the agent sees it', async () => {
    const peer = await openStream(links().join('~'));
    peer.close();
    await expect.poll(() => aborted).toContain('/stream');
    aborted = [];
    await expect
      .poll(() => recordsOf(target, peer.hop))
      .toMatchObject([{ verdict: 'permit' }, { result: 'client_aborted', status: 200, sent: 9 }]);
  });

  it('within its body: the agent sees no whole request', async () => {
    const chain = forgeLinks(mesh.domain, [agent('client/alice'), planning()], {
      scope: ['cloud:write'],
    }).join('~');
    for (const headers of [['Content-Length: 100'], ['Transfer-Encoding: chunked']]) {
      const peer = await openSession(target, planning());
      const before = target.seen.length;
      peer.requests++;
      peer.write(requestText({ method: 'POST', chain, target: '/body', headers, body: '5\r\nabcde\r\n' }));
      await expect.poll(() => target.seen.length).toBe(before + 1);
      peer.close();
      await expect.poll(() => aborted).toContain('/body');
      aborted = [];
      await expect
        .poll(() => recordsOf(target, peer.hop))
        .toMatchObject([{ verdict: 'permit' }, { result: 'client_aborted' }]);
    }
  });

  it('at every moment: a hundred hasty leavings leave no session behind', async () => {
    const text = ask('/');
    for (let round = 0; round < 100; round++) {
      const peer = await openSession(target, planning());
      peer.write(text.slice(0, round % 3 === 0 ? text.length : (round * 37) % text.length));
      if (round % 2 === 0) peer.socket.destroy();
      else peer.socket.end();
    }
    const inboundPeers = async (): Promise<unknown> =>
      (
        JSON.parse((await send({ socketPath: target.addresses.admin, path: '/peers' })).body) as {
          inbound: unknown;
        }
      ).inbound;
    await expect.poll(inboundPeers, { timeout: 15_000 }).toEqual([]);
    await expectAllowed(target, planning(), { chain: links().join('~') });
  });
});

describe('what ends while a stream runs', () => {
  it('an ancestor that is revoked cuts it at once', async () => {
    const chain = links();
    const peer = await openStream(chain.join('~'));
    mesh.writeBundle({ seq: 2, revoked: [{ link: linkId(chain[1] ?? '') }] });
    target.sidecar.reload();
    await expectCut(peer, 'revoked_link');
    const next = await openSession(target, planning());
    expectProblem(await next.ask(ask('/', chain.join('~'))), 'revoked_link');
    next.close();
  });

  it('an agent in the middle that is revoked cuts it at once', async () => {
    const peer = await openStream(links().join('~'));
    mesh.writeBundle({ seq: 3, revoked: [{ agent: agent('security/s1').id }] });
    target.sidecar.reload();
    await expectCut(peer, 'revoked_agent');
  });

  it('the caller that is revoked loses its session too', async () => {
    mesh.writeBundle({ seq: 4 });
    target.sidecar.reload();
    const peer = await openStream(links().join('~'));
    mesh.writeBundle({ seq: 5, revoked: [{ key: planning().thumbprint }] });
    target.sidecar.reload();
    await expectCut(peer, 'revoked_key');
    mesh.writeBundle({ seq: 6 });
    target.sidecar.reload();
  });

  it('a policy that no longer allows it cuts it at once', async () => {
    const peer = await openStream(links().join('~'));
    mesh.writePolicy({ revision: 'test-2', rules: [] });
    target.sidecar.reload();
    await expectCut(peer, 'rule_unmatched');
    mesh.writePolicy({ revision: 'test-3' });
    target.sidecar.reload();
  });

  it('an ancestor that expires cuts it when it does', async () => {
    const exp = mesh.domain.now + 600;
    const peer = await openStream(links({ all: { exp } }).join('~'));
    ahead = 500;
    target.sidecar.sweep();
    expect(peer.closed).toBe(false);
    ahead = 700;
    target.sidecar.sweep();
    await expectCut(peer, 'link_expired');
    ahead = 0;
  });
});
