/** Connections to a peer: reused, replaced when they end, given back whatever becomes of a request. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../testkit/free-port.ts';
import {
  type Mesh,
  type MeshAgent,
  type MeshOptions,
  makeMesh,
  type StartOptions,
  send,
  sendThrough,
  TEST_SCOPE,
} from '../testkit/mesh.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';

describe('connections to a peer', () => {
  let mesh: Mesh;
  let planning: MeshAgent;
  let inventory: MeshAgent;
  let context: string;

  const start = async (options: MeshOptions = {}, inventoryOptions: StartOptions = {}): Promise<void> => {
    mesh = await makeMesh({ domain: { anchor: { scope: TEST_SCOPE } }, ...options });
    const listen = `127.0.0.1:${await freePort()}`;
    inventory = await mesh.start(INVENTORY, { config: { inbound: { listen } }, ...inventoryOptions });
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
  };
  afterEach(() => mesh.stop());

  const ask = (target = '/vpcs', headers: Record<string, string> = {}) =>
    sendThrough(planning, `http://inventory.mesh${target}`, { context, headers });
  const sessions = async (): Promise<{ session: string; requests: number }[]> => {
    const { body } = await send({ socketPath: planning.addresses.admin, path: '/peers' });
    return (JSON.parse(body) as { outbound: { session: string; requests: number }[] }).outbound;
  };

  it('serve one request after the other, and count alike on both sides', async () => {
    await start();
    for (let round = 0; round < 5; round++) expect((await ask(`/round/${round}`)).status).toBe(200);
    expect(await sessions()).toMatchObject([{ requests: 5 }]);
    const hops = (agent: MeshAgent) =>
      agent
        .log()
        .filter(({ target, kind }) => kind === 'decision' && String(target).startsWith('/round/'))
        .map(({ hop }) => hop);
    expect(hops(planning)).toEqual(hops(inventory));
  });

  it('are replaced when the peer has ended them while they were idle', async () => {
    await start();
    for (let round = 0; round < 3; round++) {
      await Promise.all([ask(), ask(), ask()]);
      const [one] = await sessions();
      expect(one).toBeDefined();
      const { port } = inventory.addresses.inbound ?? {};
      inventory.sidecar.stop('restart');
      inventory = await mesh.start(INVENTORY, { config: { inbound: { listen: `127.0.0.1:${port}` } } });
      // What was connected is gone; that is noticed now or with the next request, which may fail but breaks nothing.
      await Promise.all([ask(), ask(), ask()]);
      expect((await ask()).status).toBe(200);
    }
  });

  it('that never carried a request are ended too', async () => {
    await start();
    expect((await ask('/vpcs', { 'hopgate-delegate': 'scope=iam:write' })).code).toBe('delegate_widened');
    expect(await sessions()).toMatchObject([{ requests: 0 }]);
    const { outbound } = JSON.parse(
      (await send({ socketPath: planning.addresses.admin, path: '/peers' })).body,
    ) as { outbound: unknown[] };
    expect(outbound).toHaveLength(1);
    planning.sidecar.reload();
    const peersOf = async (): Promise<unknown[]> =>
      (
        JSON.parse((await send({ socketPath: inventory.addresses.admin, path: '/peers' })).body) as {
          inbound: unknown[];
        }
      ).inbound;
    await expect.poll(peersOf).toEqual([]);
  });

  it('wait their turn at the limit, and none is lost when agents go away', async () => {
    const held: ServerResponse[] = [];
    let came = (): void => undefined;
    await start(
      { config: { limits: { peerConnections: 2 } } },
      {
        handler: (request, response) => {
          if (request.url !== '/held') {
            response.end('ok');
            return;
          }
          held.push(response);
          came();
        },
      },
    );
    const both = new Promise<void>((resolve) => {
      came = () => held.length === 2 && resolve();
    });
    const url = new URL(planning.proxyUrl);
    const authorization = `Basic ${Buffer.from(`${url.username}:${url.password}`).toString('base64')}`;
    const open = (target: string) => {
      const socket = connect(Number(url.port), url.hostname);
      socket.write(
        `GET http://inventory.mesh${target} HTTP/1.1\r\nHost: inventory.mesh\r\nProxy-Authorization: ${authorization}\r\nHopgate-Context: ${context}\r\n\r\n`,
      );
      return socket;
    };
    const busy = [open('/held'), open('/held')];
    await both;
    // Both connections are taken: these wait, and then their agents are gone.
    const gone = Array.from({ length: 5 }, () => open('/waiting'));
    await Promise.all(gone.map(async (socket) => once(socket, 'connect')));
    const patient = [ask('/patient/1'), ask('/patient/2')];
    for (const socket of gone) socket.destroy();
    for (const socket of busy) socket.destroy();
    expect((await Promise.all(patient)).map(({ status }) => status)).toEqual([200, 200]);
    for (let round = 0; round < 4; round++) expect((await ask('/after')).status).toBe(200);
    expect((await sessions()).length).toBeLessThanOrEqual(2);
    const outcomes = planning
      .log()
      .filter(({ kind, result }) => kind === 'outcome' && result === 'client_aborted');
    expect(outcomes).toHaveLength(2);
  });

  it('do not stay taken when the peer can’t be reached', async () => {
    await start({ config: { limits: { peerConnections: 2 } } });
    const { port } = inventory.addresses.inbound ?? {};
    inventory.sidecar.stop('gone');
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask()));
    expect(answers.map(({ status, code }) => `${status} ${code}`)).toEqual(
      answers.map(() => '502 peer_unreachable'),
    );
    inventory = await mesh.start(INVENTORY, { config: { inbound: { listen: `127.0.0.1:${port}` } } });
    expect((await Promise.all(Array.from({ length: 6 }, () => ask()))).map(({ status }) => status)).toEqual([
      200, 200, 200, 200, 200, 200,
    ]);
  });

  it('are not used again after a response that came before the request’s end', async () => {
    await start(
      {},
      { handler: (_request, response) => response.writeHead(413, { connection: 'close' }).end('too much') },
    );
    const url = new URL(planning.proxyUrl);
    const authorization = `Basic ${Buffer.from(`${url.username}:${url.password}`).toString('base64')}`;
    for (let round = 0; round < 3; round++) {
      const socket = connect(Number(url.port), url.hostname);
      socket.on('error', () => undefined);
      socket.write(
        `POST http://inventory.mesh/upload HTTP/1.1\r\nHost: inventory.mesh\r\nProxy-Authorization: ${authorization}\r\nHopgate-Context: ${context}\r\nContent-Length: 1000000\r\n\r\nbeginning`,
      );
      const [first] = (await once(socket, 'data')) as [Buffer];
      expect(first.toString()).toMatch(/^HTTP\/1\.1 413 /);
      socket.destroy();
    }
    expect((await ask()).status).toBe(413);
  });
});
