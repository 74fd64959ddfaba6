/** A TCP load balancer: one address before several, in turn, passing over those that don't answer. It reads nothing. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class LoadBalancer {
  /** Ports on this machine. */
  backends: number[];
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private turn = 0;

  private constructor(backends: readonly number[]) {
    this.backends = [...backends];
    this.server = createServer((socket) => {
      this.keep(socket);
      this.pass(socket, this.backends.length);
    });
  }

  static async start(backends: readonly number[]): Promise<LoadBalancer> {
    const made = new LoadBalancer(backends);
    made.server.listen(0, '127.0.0.1');
    await once(made.server, 'listening');
    return made;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.sockets.delete(socket));
  }

  private pass(socket: Socket, attempts: number): void {
    const onward = connect(this.backends[this.turn++ % this.backends.length] ?? 0, '127.0.0.1');
    onward.once('error', () => {
      if (!onward.connecting && attempts > 1) this.pass(socket, attempts - 1);
      else socket.destroy();
    });
    onward.once('connect', () => {
      onward.removeAllListeners('error');
      this.keep(onward);
      socket.pipe(onward).pipe(socket);
      socket.once('close', () => onward.destroy());
      onward.once('close', () => socket.destroy());
    });
  }

  async stop(): Promise<void> {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await once(this.server, 'close');
  }
}
