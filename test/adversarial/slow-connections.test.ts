/** Two hundred connections of one peer that is slow on purpose, in every way; somebody who works meanwhile; and how each ends. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { forgeChain } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh, TEST_SCOPE } from '../testkit/mesh.ts';
import { END_HEADERS, h2Frame, headerBlock, openH2, requestFields, TYPE } from '../testkit/raw-h2.ts';
import { openSession, type RawPeer, requestText } from '../testkit/raw-peer.ts';

const OF_EACH = 50;
const AT_ONCE = 16;

let mesh: Mesh;
let target: MeshAgent;
const open: RawPeer[] = [];
const drips: NodeJS.Timeout[] = [];
beforeAll(async () => {
  mesh = await makeMesh({
    domain: {
      agents: ['planning/abc123', 'planning/xyz789', 'inventory/def456'],
      anchor: { scope: TEST_SCOPE },
    },
    config: {
      limits: {
        headersTimeout: '2s',
        bodyTimeout: '2s',
        idleTimeout: '3s',
        requestsPerCaller: 500,
        connectionsPerCaller: 500,
        requestsPerSecond: 1_000_000,
        taskRequestsPerSecond: 1_000_000,
      },
      audit: { denialsPerCaller: 1000 },
    },
  });
  target = await mesh.start('inventory/def456');
});
afterAll(() => {
  for (const drip of drips) clearInterval(drip);
  for (const peer of open) peer.close();
  mesh.stop();
});

const chainOf = (name: string): string =>
  forgeChain(mesh.domain, [mesh.domain.agent(name)], { scope: TEST_SCOPE });

/** An octet every now and then, of a request that never ends. */
const drip = (peer: RawPeer, octet: string): void => {
  drips.push(setInterval(() => peer.socket.writable && peer.write(octet), 200));
};

it('each ends with its reason, and whoever works is served all the time', async () => {
  const slow = mesh.domain.agent('planning/abc123');
  const chain = chainOf('planning/abc123');
  const fields = requestFields({ chain, method: 'POST', fields: [['content-length', '9']] });
  const ways: (() => Promise<RawPeer>)[] = [
    // Headers of HTTP/1.1, an octet at a time.
    async () => {
      const peer = await openSession(target, slow);
      peer.write('GET / HTTP/1.1\r\nHost: inventory.mesh\r\nX-Slow: ');
      drip(peer, 'a');
      return peer;
    },
    // A body of HTTP/1.1 that stands still.
    async () => {
      const peer = await openSession(target, slow);
      peer.write(requestText({ method: 'POST', chain, headers: ['Content-Length: 9'], body: 'ab' }));
      return peer;
    },
    // A header block of HTTP/2, an octet at a time.
    async () => {
      const { peer } = await openH2(target, slow);
      const block = headerBlock(fields);
      peer.write(h2Frame(TYPE.headers, END_HEADERS, 1, block).subarray(0, 40));
      drip(peer, '\0');
      return peer;
    },
    // A body of HTTP/2 that stands still.
    async () => {
      const { peer } = await openH2(target, slow);
      peer.write(
        Buffer.concat([
          h2Frame(TYPE.headers, END_HEADERS, 1, headerBlock(fields)),
          h2Frame(TYPE.data, 0, 1, 'ab'),
        ]),
      );
      return peer;
    },
  ];
  const good = await openSession(target, mesh.domain.agent('planning/xyz789'));
  open.push(good);
  const request = requestText({ chain: chainOf('planning/xyz789') });
  let served = 0;
  let isOver = false;
  const working = (async () => {
    while (!isOver) {
      expect((await good.ask(request)).status).toBe(200);
      served++;
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const wanted = ways.flatMap((way) => Array.from({ length: OF_EACH }, () => way));
  const peers: RawPeer[] = [];
  const opened = async (): Promise<void> => {
    for (let way = wanted.pop(); way !== undefined; way = wanted.pop()) {
      const peer = await way();
      peers.push(peer);
      open.push(peer);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, opened));
  expect(peers).toHaveLength(4 * OF_EACH);
  const results = (): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const record of target.log()) {
      const reason = record.kind === 'decision' ? record.reason : record.result;
      const of = String(record.hop).split('.')[0];
      if (reason === 'ok' || !peers.some(({ session }) => session === of)) continue;
      counts[String(reason)] = (counts[String(reason)] ?? 0) + 1;
    }
    return counts;
  };
  await expect
    .poll(results, { timeout: 20_000, interval: 500 })
    .toEqual({ http_timeout: 3 * OF_EACH, http_malformed: OF_EACH });
  isOver = true;
  await working;
  expect(served).toBeGreaterThan(20);
});
