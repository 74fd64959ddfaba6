/** Ready means that a request would be served, and that the agent can't be reached around the sidecar. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../testkit/free-port.ts';
import { type Answer, type Mesh, type MeshAgent, type MeshOptions, makeMesh, send } from '../testkit/mesh.ts';
import { TestClock } from '../testkit/test-clock.ts';

const INVENTORY = 'inventory/def456';

describe('readiness', () => {
  let mesh: Mesh;
  const servers: Server[] = [];
  afterEach(() => {
    mesh.stop();
    for (const server of servers.splice(0)) server.close();
  });

  const agentOn = async (host: string, port = 0): Promise<{ server: Server; port: number }> => {
    const server = createServer((_request, response) => response.end('ok')).listen(port, host);
    await once(server, 'listening');
    servers.push(server);
    return { server, port: (server.address() as AddressInfo).port };
  };
  const start = async (agentPort: number | undefined, options: MeshOptions = {}): Promise<MeshAgent> => {
    mesh = await makeMesh(options);
    return mesh.start(INVENTORY, agentPort === undefined ? {} : { agentPort });
  };
  const ask = ({ addresses }: MeshAgent, path = '/readyz', method = 'GET'): Promise<Answer> =>
    send({ ...addresses.health, path, method });

  /** Addresses of this machine that others could reach; a machine without any has nothing to show here. */
  const outer = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).filter(({ internal, family }) => !internal && family === 'IPv4'),
  );

  it.each(outer.length === 0 ? [] : ['0.0.0.0', '::'])(
    'fails while the agent listens on %s, which other machines reach',
    async (host) => {
      const { port } = await agentOn(host);
      const agent = await start(port);
      const answer = await ask(agent);
      expect(answer.status).toBe(503);
      expect(answer.body).toContain(`also answers on ${outer[0]?.address}`);
      expect(answer.body).toContain('bind it to loopback');
    },
  );

  it('fails while the agent is down, and is back when it is', async () => {
    const clock = new TestClock();
    const { server, port } = await agentOn('127.0.0.1', await freePort());
    const agent = await start(port, { clock, domain: { now: clock.seconds } });
    expect(await ask(agent)).toMatchObject({ status: 200, body: 'ok\n' });
    server.close();
    await once(server, 'close');
    // What was found is remembered for a moment, so that probes can't be used to hammer the agent.
    clock.advanceSeconds(2);
    expect(await ask(agent)).toMatchObject({ status: 503, body: expect.stringContaining('does not answer') });
    await agentOn('127.0.0.1', port);
    clock.advanceSeconds(2);
    expect((await ask(agent)).status).toBe(200);
  });

  it('fails when the bundle has expired, and is back with a fresh one', async () => {
    const clock = new TestClock();
    const agent = await start(undefined, {
      clock,
      domain: { now: clock.seconds },
      bundle: { ttlSeconds: 600 },
    });
    expect((await ask(agent)).status).toBe(200);
    clock.advanceSeconds(630);
    expect(await ask(agent)).toMatchObject({
      status: 503,
      body: expect.stringMatching(/bundle expired at \d+, it is \d+/),
    });
    mesh.writeBundle({ seq: 2, now: clock.seconds });
    agent.sidecar.reload();
    expect((await ask(agent)).status).toBe(200);
  });

  it('fails when SVID and WIT have expired, saying both times', async () => {
    const clock = new TestClock();
    const agent = await start(undefined, { clock, domain: { now: clock.seconds, svidTtlSeconds: 300 } });
    expect((await ask(agent)).status).toBe(200);
    clock.advanceSeconds(300);
    const { status, body } = await ask(agent);
    expect(status).toBe(503);
    expect(body).toMatch(/the SVID expired at \d+, it is \d+/);
    expect(body).toMatch(/the WIT expired at \d+, it is \d+/);
    // Liveness is another thing: a restart would not help.
    expect((await ask(agent, '/healthz')).status).toBe(200);
  });

  it('says nothing else to anyone', async () => {
    const agent = await start(undefined);
    for (const path of [
      '/',
      '/config',
      '/peers',
      '/certs',
      '/metrics',
      '/readyz/',
      '/readyz?verbose',
      '//readyz',
      '/tasks',
      '/drain',
    ])
      expect((await ask(agent, path)).status).toBe(404);
    expect((await ask(agent, '/drain', 'POST')).status).toBe(405);
    expect((await ask(agent, '/readyz', 'DELETE')).status).toBe(405);
  });
});
