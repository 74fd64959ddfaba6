/** A connection lives no longer than the SVIDs of its ends; from 80 % of that on, what is new goes over another. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import { type Mesh, type MeshAgent, makeMesh, send, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { TestClock } from '../testkit/test-clock.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';
const SVID_SECONDS = 1000;

let mesh: Mesh;
afterEach(() => mesh.stop());

it.each(['h1', 'h2'])('over %s', async (http) => {
  const clock = new TestClock(Date.now());
  mesh = await makeMesh({
    domain: { anchor: { scope: TEST_SCOPE }, svidTtlSeconds: SVID_SECONDS, now: clock.seconds },
    clock,
  });
  const inventory = await mesh.start(INVENTORY, {
    handler: (request, response) => {
      if (request.url === '/events')
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n');
      else response.end('ok');
    },
  });
  const route = {
    host: 'inventory.mesh',
    peer: inventory.agent.id,
    address: `127.0.0.1:${inventory.addresses.inbound?.port}`,
    http,
  };
  const planning = await mesh.start(PLANNING, { config: { outbound: { routes: [route] } } });
  const context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
  const ask = async (): Promise<number> =>
    (await sendThrough(planning, 'http://inventory.mesh/x', { context })).status;
  const sessionsOf = async (member: MeshAgent, direction: 'inbound' | 'outbound'): Promise<string[]> => {
    const { body } = await send({ socketPath: member.addresses.admin, path: '/peers' });
    return (
      (JSON.parse(body) as Record<string, { session: string }[]>)[direction]?.map(({ session }) => session) ??
      []
    );
  };
  const outbound = (): Promise<string[]> => sessionsOf(planning, 'outbound');

  const proxy = new URL(planning.proxyUrl);
  const stream = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = {
      host: 'inventory.mesh',
      'hopgate-context': context,
      'proxy-authorization': `Basic ${Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64')}`,
    };
    httpRequest(
      { host: proxy.hostname, port: proxy.port, path: 'http://inventory.mesh/events', headers },
      resolve,
    )
      .on('error', reject)
      .end();
  });
  const gone = new Promise((resolve) => stream.once('close', resolve));
  stream.on('error', () => undefined).resume();
  expect(await ask()).toBe(200);
  const old = await outbound();

  clock.advanceSeconds(SVID_SECONDS * 0.78);
  expect(await ask()).toBe(200);
  expect(await outbound()).toEqual(old);

  // The stream stays where it is; what is new goes elsewhere, and nothing is lost on the way.
  clock.advanceSeconds(SVID_SECONDS * 0.04);
  for (let round = 0; round < 5; round++) expect(await ask()).toBe(200);
  const now = await outbound();
  expect(now.filter((session) => !old.includes(session))).not.toEqual([]);
  expect(now.some((session) => old.includes(session))).toBe(true);
  expect(stream.destroyed).toBe(false);

  clock.advanceSeconds(SVID_SECONDS * 0.19);
  for (const { sidecar } of [inventory, planning]) sidecar.sweep();
  await gone;
  expect(stream.complete).toBe(false);
  await expect
    .poll(async () => [...(await outbound()), ...(await sessionsOf(inventory, 'inbound'))])
    .toEqual([]);
});
