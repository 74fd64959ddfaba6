/**
 * One HTTP/1.1 connection to an upstream, over any socket: a request at a time, and nothing is sent twice. Whatever leaves it in
 * doubt where the next response begins ends it.
 */
import type { Duplex } from 'node:stream';
import { readCompactly } from '../compact-reading.ts';
import { ownMemory } from '../own-memory.ts';
import { ONE_WRITE_BYTES, RequestBody } from './h1-request-body.ts';
import { requestHead } from './h1-request-head.ts';
import { ResponseParser, type ResponseSink } from './h1-response-parser.ts';
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamRequest,
} from './upstream.ts';

/** Milliseconds that servers keep an idle connection, at the least, where they don't say. Most keep it for 5 s. */
const IDLE_MS = 4000;
/** However long a server says: what lies idle for longer is of no use. */
const MAX_IDLE_MS = 60_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface H1ConnectionOptions {
  /** Milliseconds between two requests, where the server doesn't say `Keep-Alive: timeout`. */
  readonly idleMs?: number | undefined;
  /** It can take a request again; called before the handler hears that the last one has ended. */
  readonly onIdle?: ((connection: H1Connection) => void) | undefined;
  /** It takes no request any more: it has ended, or is another protocol's. Called once, never by the constructor. */
  readonly onEnd?: ((connection: H1Connection) => void) | undefined;
}

const ignore = (): void => {};

class H1Exchange implements UpstreamExchange {
  readonly handler: UpstreamHandler;
  /** As long as it is under way there. */
  connection: H1Connection | undefined;
  /** Octets of the request's body; -1 for chunks. */
  announced = 0;
  body: RequestBody | undefined;
  /** Milliseconds that the upstream has for the head of the final response, and since when: ms, as `performance.now()`. */
  headersTimeoutMs = 0;
  begun = 0;
  /** Whether the final response came while the request was being sent. */
  wasEarly = false;
  upgradeHeaders: readonly string[] = [];
  aborted = false;

  constructor(handler: UpstreamHandler) {
    this.handler = handler;
  }
  pause(): void {
    this.connection?.pause();
  }
  resume(): void {
    this.connection?.resume();
  }
  abort(): void {
    this.aborted = true;
    this.connection?.destroy();
  }
  /** When the head is late. A body that takes its time is its sender's affair: the upstream's time begins behind it. */
  headDue(now: number): number {
    return (this.body?.slowSince(now) ?? this.begun) + this.headersTimeoutMs;
  }
  get isSent(): boolean {
    return this.body === undefined || this.body.isSent;
  }
}

/** Fails what was never begun; nothing is heard before `send` has returned. */
const failLater = (exchange: H1Exchange, failure: UpstreamFailure): UpstreamExchange => {
  process.nextTick(tell, exchange, failure);
  return exchange;
};
const tell = (exchange: H1Exchange, failure: UpstreamFailure): void => {
  if (!exchange.aborted) exchange.handler.onFailure(failure);
};

const NOT_IDLE: UpstreamFailure = { kind: 'unreachable', detail: 'the connection takes no request' };
const UNFIT: UpstreamFailure = { kind: 'broken', detail: 'the request is not fit to be sent' };
const NO_HEAD: UpstreamFailure = { kind: 'timeout', detail: 'no response in time' };

export class H1Connection implements Upstream, ResponseSink {
  private readonly socket: Duplex;
  private readonly isEncrypted: boolean;
  private readonly options: H1ConnectionOptions;
  private readonly parser = new ResponseParser(this);
  private current: H1Exchange | undefined;
  private ended = false;
  private closing = false;
  private sending = false;
  private paused = false;
  private idleDue: number;
  /** One for the connection's life, looked at when it fires: per request it costs a comparison. */
  private timer: NodeJS.Timeout | undefined;
  private timerDue = 0;

  /** The socket is connected, and this connection's alone from here. */
  constructor(socket: Duplex, options: H1ConnectionOptions = {}) {
    this.socket = socket;
    this.isEncrypted = 'encrypted' in socket;
    this.options = options;
    const now = performance.now();
    this.idleDue = now + (options.idleMs ?? IDLE_MS);
    // Stays for ever: a socket may fail long after anybody cares.
    socket.on('error', ignore);
    socket.on('error', this.onError);
    socket.on('data', this.onSocketData);
    socket.on('end', this.onSocketEnd);
    socket.on('close', this.onSocketClose);
    socket.on('drain', this.onDrain);
    socket.resume();
    this.arm(this.idleDue, now);
    if (socket.destroyed) process.nextTick(this.onSocketClose);
  }

  /** Whether a request could be under way on it, or begin. */
  isAlive(): boolean {
    return !this.ended && !this.closing && !this.socket.destroyed;
  }

  /** Whether it takes a request now. */
  isIdle(now: number = performance.now()): boolean {
    const { socket } = this;
    // INVARIANT: octets that were there before the request are no answer to it.
    return (
      this.current === undefined &&
      now < this.idleDue &&
      this.isAlive() &&
      !socket.writableEnded &&
      socket.readableLength === 0
    );
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamExchange {
    const exchange = new H1Exchange(handler);
    const now = performance.now();
    if (!this.isIdle(now)) {
      if (this.current === undefined) this.end(false);
      return failLater(exchange, NOT_IDLE);
    }
    const head = requestHead(request, exchange);
    if (head === undefined) {
      // Nothing was written, so whoever keeps idle connections has this one back.
      this.options.onIdle?.(this);
      return failLater(exchange, UNFIT);
    }
    this.current = exchange;
    exchange.connection = this;
    exchange.begun = now;
    exchange.headersTimeoutMs = request.headersTimeoutMs;
    this.parser.begin(request.method, request.upgrade === true);
    this.arm(now + request.headersTimeoutMs, now);
    this.sending = true;
    this.write(head, request.body, exchange);
    this.sending = false;
    return exchange;
  }

  private write(head: string, body: UpstreamRequest['body'], exchange: H1Exchange): void {
    const { socket } = this;
    if (body === null || (Buffer.isBuffer(body) && body.length === 0)) socket.write(head, 'latin1');
    else if (!Buffer.isBuffer(body)) {
      exchange.body = new RequestBody(socket, body, exchange.announced, this.onBodyFault);
      exchange.body.start(head);
    } else if (body.length <= ONE_WRITE_BYTES) socket.write(head + body.toString('latin1'), 'latin1');
    else {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body);
      socket.uncork();
    }
  }

  /** Takes no new request, and ends after the one that is under way. */
  close(): void {
    this.closing = true;
    if (this.current === undefined) this.end(true);
  }

  /** Ends at once; the request that is under way fails. */
  destroy(): void {
    this.fail('broken', 'the connection was ended');
  }

  pause(): void {
    if (this.current === undefined) return;
    this.paused = true;
    // Only now: it would cost each read something, and most connections are never paused.
    readCompactly(this.socket, false);
    this.socket.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.socket.resume();
  }

  // What the parser says.

  onInformation(status: number, headers: readonly string[]): void {
    this.current?.handler.onInformation(status, headers);
  }

  onHead(status: number, headers: readonly string[]): void {
    const exchange = this.current;
    if (exchange === undefined) return;
    if (status === 101) {
      exchange.upgradeHeaders = headers;
      return;
    }
    // Much that is with the socket and not with the network yet, the server can't have read either.
    exchange.wasEarly = !exchange.isSent || this.socket.writableNeedDrain;
    exchange.handler.onHead(status, headers, this.parser.isWhole);
  }

  onData(chunk: Buffer): void {
    this.current?.handler.onData(ownMemory(chunk));
  }

  // What the socket says.

  private readonly onSocketData = (chunk: Buffer): void => {
    // Not every socket waits for the next turn before it answers.
    if (this.sending) {
      process.nextTick(this.onSocketData, chunk);
      return;
    }
    const exchange = this.current;
    if (exchange === undefined) {
      this.end(false);
      return;
    }
    const taken = this.parser.push(chunk);
    if (this.current !== exchange) return;
    if (this.parser.fault !== undefined) this.fail('malformed', this.parser.fault);
    else if (!this.parser.isWhole) return;
    else if (this.parser.isUpgrade) this.handOver(exchange, chunk.subarray(taken));
    else this.finish(exchange, taken < chunk.length);
  };

  private readonly onSocketEnd = (): void => {
    const exchange = this.current;
    // RFC 9112 §9.8: over TLS the end must be authentic to end a body, and Node doesn't say whether it was.
    const isAuthentic = !this.isEncrypted;
    if (exchange !== undefined && isAuthentic && this.parser.finish()) this.finish(exchange, false);
    else this.fail('broken', 'the connection ended before the response');
  };

  private readonly onSocketClose = (): void => this.fail('broken', 'the connection was closed');

  private readonly onError = (error: NodeJS.ErrnoException): void =>
    this.fail('broken', `the connection failed: ${error.code ?? 'no code'}`);

  private readonly onDrain = (): void => this.current?.body?.drained();

  private readonly onBodyFault = (detail: string): void => this.fail('broken', detail);

  // How an exchange ends.

  private finish(exchange: H1Exchange, hasMore: boolean): void {
    const { parser } = this;
    const { trailers } = parser;
    const { isSent } = exchange;
    const reusable = parser.keepsAlive && !hasMore && !exchange.wasEarly && isSent && !this.closing;
    this.letGo(exchange);
    if (reusable) this.beIdle();
    else this.end(isSent);
    exchange.handler.onEnd(trailers);
  }

  private beIdle(): void {
    const { keepAliveSeconds } = this.parser;
    // A second less: the server's clock runs since it sent the last octet.
    const idleMs =
      keepAliveSeconds === -1
        ? (this.options.idleMs ?? IDLE_MS)
        : Math.min((keepAliveSeconds - 1) * 1000, MAX_IDLE_MS);
    if (idleMs <= 0) {
      this.end(true);
      return;
    }
    const now = performance.now();
    this.idleDue = now + idleMs;
    this.arm(this.idleDue, now);
    this.resume();
    this.options.onIdle?.(this);
  }

  private handOver(exchange: H1Exchange, head: Buffer): void {
    const { socket } = this;
    this.letGo(exchange);
    this.leave();
    // What comes from here on waits for the handler.
    socket.pause();
    this.options.onEnd?.(this);
    exchange.handler.onUpgrade(exchange.upgradeHeaders, socket, head);
  }

  private fail(kind: UpstreamFailure['kind'], detail: string): void {
    const exchange = this.current;
    if (exchange !== undefined) this.letGo(exchange);
    this.end(false);
    if (exchange !== undefined && !exchange.aborted) exchange.handler.onFailure({ kind, detail });
  }

  private letGo(exchange: H1Exchange): void {
    exchange.body?.stop();
    exchange.connection = undefined;
    this.current = undefined;
  }

  /** `gently`: what was sent has still to arrive. */
  private end(gently: boolean): void {
    if (this.ended) return;
    this.leave();
    const { socket } = this;
    if (!gently || socket.writableLength > 0) socket.destroy();
    else {
      socket.resume();
      socket.end(() => socket.destroy());
    }
    this.options.onEnd?.(this);
  }

  /** INVARIANT: nothing of this connection outlives it but {@link ignore}, which keeps nothing alive. */
  private leave(): void {
    const { socket } = this;
    this.ended = true;
    this.parser.stop();
    clearTimeout(this.timer);
    this.timer = undefined;
    socket.off('error', this.onError);
    socket.off('data', this.onSocketData);
    socket.off('end', this.onSocketEnd);
    socket.off('close', this.onSocketClose);
    socket.off('drain', this.onDrain);
  }

  // Time.

  /** Looks again at `due` (ms) or before. */
  private arm(due: number, now: number): void {
    if (this.timer !== undefined && this.timerDue <= due) return;
    clearTimeout(this.timer);
    this.timerDue = due;
    this.timer = setTimeout(this.onTimer, Math.min(Math.max(1, due - now), MAX_TIMER_MS)).unref();
  }

  private readonly onTimer = (): void => {
    this.timer = undefined;
    const exchange = this.current;
    // Between head and end, whoever gets the response decides how long it may take.
    if (exchange !== undefined && this.parser.hasHead) return;
    const now = performance.now();
    const due = exchange === undefined ? this.idleDue : exchange.headDue(now);
    // Timers count whole milliseconds.
    if (due - now > 1) this.arm(due, now);
    else if (exchange === undefined) this.end(true);
    else this.fail(NO_HEAD.kind, NO_HEAD.detail);
  };
}
