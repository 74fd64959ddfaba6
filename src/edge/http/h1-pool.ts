/**
 * HTTP/1.1 connections to one address: the one used last is used first, new ones are made while all are busy, up to a bound, and
 * behind it requests wait their turn. Nothing is tried twice: what failed may have been done.
 */
import type { Socket } from 'node:net';
import { H1Connection } from './h1-connection.ts';
import { connectPlain } from './plain-connect.ts';
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamRequest,
} from './upstream.ts';

export interface H1PoolOptions {
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
  /** Open and opening ones, at most; those that became another protocol's don't count. */
  readonly connections: number;
  /** Requests that wait, at most. */
  readonly queue: number;
  /** Milliseconds that a request waits for a connection. */
  readonly queueTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** Milliseconds that a connection stays idle, where the server doesn't say. */
  readonly idleMs?: number | undefined;
}

export interface H1PoolCounts {
  /** Connections, idle ones with them. */
  readonly open: number;
  readonly idle: number;
  readonly connecting: number;
  /** Requests that wait. */
  readonly queued: number;
}

const unreachable = (detail: string): UpstreamFailure => ({ kind: 'unreachable', detail });

/** A request that waits for a connection; afterwards, the handle of its exchange. In a list, so that leaving it costs nothing. */
class Waiting implements UpstreamExchange {
  readonly pool: H1Pool;
  readonly request: UpstreamRequest;
  readonly handler: UpstreamHandler;
  readonly due: number;
  before: Waiting | undefined;
  after: Waiting | undefined;
  private exchange: UpstreamExchange | undefined;
  private isPaused = false;
  isOver = false;

  constructor(pool: H1Pool, request: UpstreamRequest, handler: UpstreamHandler, due: number) {
    this.pool = pool;
    this.request = request;
    this.handler = handler;
    this.due = due;
  }
  begin(connection: H1Connection): void {
    this.exchange = connection.send(this.request, this.handler);
    if (this.isPaused) this.exchange.pause();
  }
  fail(failure: UpstreamFailure): void {
    if (this.isOver) return;
    this.isOver = true;
    this.handler.onFailure(failure);
  }
  pause(): void {
    this.isPaused = true;
    this.exchange?.pause();
  }
  resume(): void {
    this.isPaused = false;
    this.exchange?.resume();
  }
  abort(): void {
    if (this.exchange !== undefined) this.exchange.abort();
    else if (!this.isOver) {
      this.isOver = true;
      this.pool.forget(this);
    }
  }
}

const tell = (waiting: Waiting, failure: UpstreamFailure): void => waiting.fail(failure);

export class H1Pool implements Upstream {
  private readonly options: H1PoolOptions;
  private readonly idle: H1Connection[] = [];
  private readonly open = new Set<H1Connection>();
  private readonly sockets = new Set<Socket>();
  private first: Waiting | undefined;
  private last: Waiting | undefined;
  private queued = 0;
  private timer: NodeJS.Timeout | undefined;
  private closing = false;

  constructor(options: H1PoolOptions) {
    this.options = options;
  }

  get counts(): H1PoolCounts {
    return {
      open: this.open.size,
      idle: this.idle.length,
      connecting: this.sockets.size,
      queued: this.queued,
    };
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamExchange {
    if (!this.closing) {
      const connection = this.takeIdle();
      if (connection !== undefined) return connection.send(request, handler);
    }
    const waiting = new Waiting(this, request, handler, performance.now() + this.options.queueTimeoutMs);
    if (this.closing) process.nextTick(tell, waiting, unreachable('the pool is closed'));
    else if (this.queued - this.sockets.size >= this.options.queue && !this.hasRoom())
      process.nextTick(tell, waiting, unreachable('too many requests wait for a connection'));
    else {
      this.add(waiting);
      this.connectMore();
    }
    return waiting;
  }

  /** Takes no new request; what is under way, or waits, comes to its end, and each connection with it. */
  close(): void {
    this.closing = true;
    for (const connection of this.idle.splice(0)) connection.close();
  }

  /** Ends everything at once. */
  destroy(): void {
    this.closing = true;
    clearTimeout(this.timer);
    for (let waiting = this.first; waiting !== undefined; waiting = this.first) {
      this.forget(waiting);
      waiting.fail(unreachable('the pool was ended'));
    }
    for (const socket of this.sockets) socket.destroy();
    for (const connection of this.open) connection.destroy();
  }

  /** Takes it out of the queue. */
  forget(waiting: Waiting): void {
    const { before, after } = waiting;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.last = before;
    else after.before = before;
    waiting.before = undefined;
    waiting.after = undefined;
    this.queued--;
  }

  private add(waiting: Waiting): void {
    waiting.before = this.last;
    if (this.last === undefined) this.first = waiting;
    else this.last.after = waiting;
    this.last = waiting;
    this.queued++;
    this.timer ??= setTimeout(this.onTimer, this.options.queueTimeoutMs).unref();
  }

  private takeFirst(): Waiting | undefined {
    const waiting = this.first;
    if (waiting !== undefined) this.forget(waiting);
    return waiting;
  }

  private takeIdle(): H1Connection | undefined {
    if (this.idle.length === 0) return undefined;
    const now = performance.now();
    for (let connection = this.idle.pop(); connection !== undefined; connection = this.idle.pop()) {
      if (connection.isIdle(now)) return connection;
      connection.close();
    }
    return undefined;
  }

  private hasRoom(): boolean {
    return this.open.size + this.sockets.size < this.options.connections;
  }

  /** One attempt for each that waits, as far as there is room. */
  private connectMore(): void {
    while (this.sockets.size < this.queued && this.hasRoom()) this.connect();
  }

  private connect(): void {
    const { address, connectTimeoutMs } = this.options;
    const socket = connectPlain({ ...address, noDelay: true });
    this.sockets.add(socket);
    let fault = 'the connection was not made';
    const late = setTimeout(() => {
      fault = 'no connection in time';
      socket.destroy();
    }, connectTimeoutMs);
    const onError = (error: NodeJS.ErrnoException): void => {
      fault = `no connection: ${error.code ?? 'no code'}`;
    };
    const onClose = (): void => {
      clearTimeout(late);
      this.sockets.delete(socket);
      this.takeFirst()?.fail(unreachable(fault));
      this.connectMore();
    };
    socket.on('error', onError);
    socket.on('close', onClose);
    socket.on('connect', () => {
      clearTimeout(late);
      socket.off('error', onError);
      socket.off('close', onClose);
      this.sockets.delete(socket);
      const connection = new H1Connection(socket, {
        idleMs: this.options.idleMs,
        onIdle: this.onIdle,
        onEnd: this.onEnd,
      });
      this.open.add(connection);
      this.onIdle(connection);
    });
  }

  private readonly onIdle = (connection: H1Connection): void => {
    const waiting = this.takeFirst();
    if (waiting !== undefined) waiting.begin(connection);
    else if (this.closing) connection.close();
    else this.idle.push(connection);
  };

  private readonly onEnd = (connection: H1Connection): void => {
    this.open.delete(connection);
    const at = this.idle.lastIndexOf(connection);
    if (at !== -1) this.idle.splice(at, 1);
    this.connectMore();
  };

  private readonly onTimer = (): void => {
    this.timer = undefined;
    const now = performance.now();
    for (let waiting = this.first; waiting !== undefined; waiting = this.first) {
      if (waiting.due - now > 1) {
        this.timer = setTimeout(this.onTimer, waiting.due - now).unref();
        return;
      }
      this.forget(waiting);
      waiting.fail(unreachable('no connection was free in time'));
    }
  };
}
