/**
 * A local TCP port whose octets reach a sidecar's door on a proven connection: TLS with a client certificate, then the
 * handshake, then whatever the program that connected here says, verbatim. For programs that know neither.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { TestAgent } from './domain.ts';
import type { MeshAgent } from './mesh.ts';
import { openSession } from './raw-peer.ts';

export const startPeerShim = async (
  target: MeshAgent,
  agent: TestAgent,
  alpn: string,
): Promise<{ readonly port: number; readonly stop: () => void }> => {
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => open.delete(socket));
    socket.pause();
    openSession(target, agent, { alpn: [alpn] }).then(
      (peer) => {
        const octets = peer.detach();
        if (octets.length > 0) socket.write(octets);
        peer.socket.pipe(socket);
        socket.pipe(peer.socket);
        socket.once('close', () => peer.close());
        peer.socket.once('close', () => socket.end());
      },
      () => socket.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const stop = (): void => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  return { port, stop };
};
