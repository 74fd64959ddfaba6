/** Real WebSocket clients and servers on both ends of two sidecars: many frames, large ones, pings, close codes. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';

const POLICY = {
  routes: [{ name: 'chat', path: '/chat', protocol: 'websocket', scopes: ['chat:opaque'] }],
  rules: [{ name: 'agents', effect: 'allow', callerTypes: ['planning'] }],
};

describe('WebSocket clients and servers', () => {
  let mesh: Mesh;
  let server: Server;
  let context: string;
  let accepted: WebSocket[] = [];

  beforeAll(async () => {
    server = createServer();
    const sockets = new WebSocketServer({ server, maxPayload: 16 * 1024 * 1024, perMessageDeflate: true });
    sockets.on('connection', (socket) => {
      accepted.push(socket);
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    mesh = await makeMesh({ domain: { anchor: { scope: ['chat:*'] } }, policy: POLICY });
    await mesh.start('inventory/def456', { agentPort: (server.address() as AddressInfo).port });
    await mesh.start('planning/abc123', {
      routes: { 'inventory.mesh': 'inventory/def456' },
      delegate: null,
      config: { outbound: { listen: `unix:${path.join(mesh.directory, 'out.sock')}` } },
    });
    context = await mesh.startTask(
      'planning/abc123',
      mesh.domain.mintChain(['planning/abc123'], { scope: ['chat:opaque'] }),
    );
  });
  afterAll(() => {
    mesh.stop();
    server.closeAllConnections();
    server.close();
  });

  const open = async (options: Record<string, unknown> = {}): Promise<WebSocket> => {
    accepted = [];
    const socket = new WebSocket(`ws+unix://${path.join(mesh.directory, 'out.sock')}:/chat`, {
      headers: { host: 'inventory.mesh', 'hopgate-context': context },
      maxPayload: 16 * 1024 * 1024,
      ...options,
    });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return socket;
  };
  const closed = (socket: WebSocket) =>
    new Promise<{ code: number; reason: string }>((resolve) =>
      socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
    );

  it('10,000 frames each way, in order', async () => {
    const socket = await open({ perMessageDeflate: false });
    const back: number[] = [];
    const all = new Promise<void>((resolve) =>
      socket.on('message', (data) => {
        back.push(Number(data.toString()));
        if (back.length === 10_000) resolve();
      }),
    );
    for (let at = 0; at < 10_000; at++) socket.send(String(at));
    await all;
    expect(back).toEqual(Array.from({ length: 10_000 }, (_, at) => at));
    socket.close();
    await closed(socket);
  });

  it.each([false, true])('frames of a megabyte, compressed: %s', async (perMessageDeflate) => {
    const socket = await open({ perMessageDeflate });
    const big = Buffer.alloc(1024 * 1024, 'hopgate ');
    for (let round = 0; round < 5; round++) {
      const back = new Promise<Buffer>((resolve) =>
        socket.once('message', (data) => resolve(data as Buffer)),
      );
      socket.send(big);
      expect((await back).equals(big)).toBe(true);
    }
    socket.close();
    await closed(socket);
  });

  it('pings are answered by the other end', async () => {
    const socket = await open();
    const pong = new Promise<string>((resolve) => socket.once('pong', (data) => resolve(data.toString())));
    socket.ping('are you there');
    expect(await pong).toBe('are you there');
    const [other] = accepted;
    const answered = new Promise<string>((resolve) =>
      other?.once('pong', (data) => resolve(data.toString())),
    );
    other?.ping('and you');
    expect(await answered).toBe('and you');
    socket.close();
    await closed(socket);
  });

  it('close codes and reasons arrive, whoever closes', async () => {
    const first = await open();
    const seen = new Promise<{ code: number; reason: string }>((resolve) =>
      accepted[0]?.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
    );
    first.close(4001, 'enough');
    expect(await seen).toEqual({ code: 4001, reason: 'enough' });
    const second = await open();
    const heard = closed(second);
    accepted[0]?.close(1011, 'a fault');
    expect(await heard).toEqual({ code: 1011, reason: 'a fault' });
  });

  it('octets of both directions are in the log', async () => {
    const outcome = () =>
      mesh
        .agent('inventory/def456')
        .log()
        .filter(({ kind }) => kind === 'outcome');
    const before = outcome().length;
    const socket = await open({ perMessageDeflate: false });
    const back = new Promise((resolve) => socket.once('message', resolve));
    socket.send(Buffer.alloc(1000));
    await back;
    socket.terminate();
    await expect.poll(() => outcome().length).toBe(before + 1);
    const { received, sent } = outcome().at(-1) as { received: number; sent: number };
    expect(received).toBeGreaterThanOrEqual(1008);
    expect(sent).toBeGreaterThanOrEqual(1004);
  });
});
