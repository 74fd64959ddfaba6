/** SIGTERM to a real process: what is under way ends well, nothing new begins, and the log is closed. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../testkit/free-port.ts';
import { type Mesh, type MeshAgent, makeMesh, send, sendThrough, TEST_SCOPE } from '../testkit/mesh.ts';
import { openSession } from '../testkit/raw-peer.ts';
import { SidecarProcess } from '../testkit/service-process.ts';
import { verifyLogFile } from '../testkit/verified-log.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';

describe('a sidecar that is told to end', () => {
  let mesh: Mesh;
  let planning: MeshAgent;
  let inventory: MeshAgent;
  let running: SidecarProcess;
  let context: string;
  let ports: { inbound: number; health: number };
  let held: Promise<ServerResponse>;

  const start = async (limits: Record<string, unknown> = {}): Promise<void> => {
    mesh = await makeMesh({ domain: { anchor: { scope: TEST_SCOPE } } });
    ports = { inbound: await freePort(), health: await freePort() };
    let hold: (response: ServerResponse) => void;
    held = new Promise((resolve) => {
      hold = resolve;
    });
    inventory = await mesh.start(INVENTORY, {
      config: {
        inbound: { listen: `127.0.0.1:${ports.inbound}` },
        health: { listen: `127.0.0.1:${ports.health}` },
        limits,
      },
      handler: (request, response) => {
        if (request.url === '/held') hold(response);
        else response.end('ok');
      },
    });
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    context = await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE }));
    inventory.sidecar.stop('to run as a process');
    running = await new SidecarProcess(path.join(inventory.directory, 'sidecar.yaml')).started();
  };
  afterEach(async () => {
    await running.kill('SIGKILL');
    mesh.stop();
  });

  const ask = (target: string) => sendThrough(planning, `http://inventory.mesh${target}`, { context });
  const ready = () => send({ host: '127.0.0.1', port: ports.health, path: '/readyz' });
  const expectClosedLog = (reason: string) => {
    const log = verifyLogFile(inventory.logFile, mesh.domain.verifiedBundle().issuers);
    expect(log).toMatchObject({ fault: undefined, unfinished: '', unsigned: 0, state: { closed: true } });
    expect(log.records.at(-2)).toMatchObject({ kind: 'stop', reason });
    return log;
  };

  it('lets the request that is under way end, is not ready, takes no new connection, and exits 0', async () => {
    await start();
    expect((await ready()).status).toBe(200);
    expect((await ask('/before')).status).toBe(200);
    const underWay = ask('/held');
    const response = await held;
    running.signal('SIGTERM');
    await running.says('"no new connections"');
    expect(await ready()).toMatchObject({ status: 503, body: expect.stringContaining('draining') });
    const refused = connect(ports.inbound, '127.0.0.1');
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
    expect((await ask('/after')).code).toBe('peer_unreachable');
    response.end('in time');
    expect(await underWay).toMatchObject({ status: 200, body: 'in time' });
    expect(await running.ended).toMatchObject({ code: 0 });
    const { records } = expectClosedLog('SIGTERM');
    const hop = records.find(({ target }) => target === '/held')?.hop;
    expect(records.find(({ kind, hop: of }) => kind === 'outcome' && of === hop)).toMatchObject({
      result: 'ok',
      sent: 7,
    });
  });

  it('takes what still comes until load balancers have had time to notice, and is not ready meanwhile', async () => {
    await start({ drainNotice: '30s', drainTimeout: '60s' });
    expect((await ask('/before')).status).toBe(200);
    running.signal('SIGTERM');
    await running.says('"draining"');
    expect((await ready()).status).toBe(503);
    const stranger = await openSession(inventoryAt(), planning.agent);
    stranger.close();
    expect((await ask('/late')).status).toBe(200);
    // Unless somebody knows better.
    await send({ socketPath: inventory.addresses.admin, method: 'POST', path: '/quit' });
    expect(await running.ended).toMatchObject({ code: 0 });
    expectClosedLog('SIGTERM');
  });

  it('cuts what doesn’t end before the deadline, and says so', async () => {
    await start({ drainTimeout: '1s' });
    const underWay = ask('/held').catch((error: NodeJS.ErrnoException) => ({ status: 0, code: error.code }));
    await held;
    const { code } = await running.kill('SIGTERM');
    expect(code).toBe(0);
    expect(await underWay).toMatchObject({ status: 503, code: 'draining' });
    const { records } = expectClosedLog('SIGTERM');
    expect(records.findLast(({ kind }) => kind === 'outcome')).toMatchObject({ result: 'draining' });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'ends by %s though peers and strangers hold connections open',
    async (signal) => {
      await start({ drainTimeout: '1s' });
      const peer = await openSession(inventoryAt(), planning.agent);
      const half = connectTls({
        port: ports.inbound,
        host: '127.0.0.1',
        cert: planning.agent.svidPem,
        key: planning.agent.svidKeyPem,
        rejectUnauthorized: false,
        ALPNProtocols: ['hopgate-h1/1'],
      });
      await once(half, 'secureConnect');
      const silent = connect(ports.inbound, '127.0.0.1');
      await once(silent, 'connect');
      for (const socket of [half, silent]) socket.on('error', () => undefined);
      expect(await running.kill(signal)).toMatchObject({ code: 0 });
      peer.close();
      expectClosedLog(signal);
    },
  );

  it('ends by the admin socket', async () => {
    await start();
    const { status } = await send({ socketPath: inventory.addresses.admin, method: 'POST', path: '/drain' });
    expect(status).toBe(202);
    expect(await running.ended).toMatchObject({ code: 0 });
    expectClosedLog('asked by the operator');
  });

  it('does not start beside itself', async () => {
    await start();
    const second = await new SidecarProcess(path.join(inventory.directory, 'sidecar.yaml')).ended;
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('another sidecar runs with this state directory');
    expect((await ask('/still')).status).toBe(200);
  });

  it('ends when it can’t start, whatever it had opened', async () => {
    await start();
    await running.kill('SIGTERM');
    // Everything but the port of health is free: the doors are open by then.
    const blocker = createServer().listen(ports.health, '127.0.0.1');
    await once(blocker, 'listening');
    const failed = await new SidecarProcess(path.join(inventory.directory, 'sidecar.yaml')).ended;
    blocker.close();
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('EADDRINUSE');
    expectClosedLog('could not start');
    running = await new SidecarProcess(path.join(inventory.directory, 'sidecar.yaml')).started();
  });

  it('reloads by SIGHUP', async () => {
    await start();
    mesh.writePolicy({ revision: 'test-2', rules: [{ name: 'nobody', effect: 'deny' }] });
    running.signal('SIGHUP');
    await running.says('"test-2"');
    expect((await ask('/vpcs')).status).toBe(403);
  });

  /** The process in the place of the sidecar that the mesh knows. */
  const inventoryAt = (): MeshAgent => ({
    ...inventory,
    addresses: { ...inventory.addresses, inbound: { host: '127.0.0.1', port: ports.inbound } },
  });
});
