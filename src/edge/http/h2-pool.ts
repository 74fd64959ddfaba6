/** HTTP/2 without TLS to one address: one connection, another where that one is full, and a new one when it ends. */
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { H2Connection } from './h2-connection.ts';
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamRequest,
} from './upstream.ts';

export interface H2PoolOptions {
  readonly address: NetConnectOpts;
  readonly connectTimeoutMs: number;
  /** Connections at once; what they have no room for is refused. */
  readonly most: number;
}

export class H2Pool implements Upstream {
  private readonly options: H2PoolOptions;
  private readonly connections: H2Connection[] = [];
  private opening: Promise<H2Connection | UpstreamFailure> | undefined;
  private socket: Socket | undefined;
  private isClosed = false;

  constructor(options: H2PoolOptions) {
    this.options = options;
  }

  /** Connections. */
  get size(): number {
    return this.connections.length;
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamExchange {
    const ready = this.free();
    return ready === undefined ? this.sendLater(request, handler) : ready.send(request, handler);
  }

  private free(): H2Connection | undefined {
    return this.connections.find((one) => one.isAlive && one.streams < one.mostStreams);
  }

  private sendLater(request: UpstreamRequest, handler: UpstreamHandler): UpstreamExchange {
    const later = new LaterExchange();
    void this.connected().then((found) => {
      if (later.isAborted) return;
      if (found instanceof H2Connection) later.begin(found.send(request, handler));
      else handler.onFailure(found);
    });
    return later;
  }

  private async connected(): Promise<H2Connection | UpstreamFailure> {
    for (;;) {
      const ready = this.free();
      if (ready !== undefined) return ready;
      if (this.connections.length >= this.options.most)
        return { kind: 'unreachable', detail: `all ${this.options.most} connections are full` };
      this.opening ??= this.open().finally(() => {
        this.opening = undefined;
      });
      const opened = await this.opening;
      if (!(opened instanceof H2Connection)) return opened;
    }
  }

  private open(): Promise<H2Connection | UpstreamFailure> {
    const { address, connectTimeoutMs } = this.options;
    return new Promise((resolve) => {
      const socket = connect(address);
      this.socket = socket;
      const fail = (detail: string): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve({ kind: 'unreachable', detail });
      };
      const timer = setTimeout(() => fail(`no connection within ${connectTimeoutMs} ms`), connectTimeoutMs);
      socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'connection failed'));
      socket.once('connect', () => {
        clearTimeout(timer);
        if (this.isClosed) {
          fail('the pool is closed');
          return;
        }
        socket.setNoDelay(true);
        const connection: H2Connection = new H2Connection(socket, {
          onEnd: () => {
            const at = this.connections.indexOf(connection);
            if (at !== -1) this.connections.splice(at, 1);
          },
        });
        this.connections.push(connection);
        resolve(connection);
      });
    });
  }

  destroy(): void {
    this.isClosed = true;
    this.socket?.destroy();
    for (const connection of [...this.connections]) connection.destroy();
  }
}

/** Of a request whose connection isn't there yet. */
class LaterExchange implements UpstreamExchange {
  isAborted = false;
  private isPaused = false;
  private begun: UpstreamExchange | undefined;

  begin(exchange: UpstreamExchange): void {
    this.begun = exchange;
    if (this.isPaused) exchange.pause();
  }

  pause(): void {
    this.isPaused = true;
    this.begun?.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.begun?.resume();
  }

  abort(): void {
    this.isAborted = true;
    this.begun?.abort();
  }
}
