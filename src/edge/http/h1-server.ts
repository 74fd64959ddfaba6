/**
 * HTTP/1.1 on sockets that are proven already: octets become calls, one after the other on each connection. What a client sends
 * behind a request waits until that one is answered.
 */
import type { TLSSocket } from 'node:tls';
import { readCompactly } from '../compact-reading.ts';
import { ownMemory } from '../own-memory.ts';
import { END_OF_LINES } from './h1-held-lines.ts';
import { type RequestHead, RequestParser, type RequestSink } from './h1-request-parser.ts';
import { type CallLine, H1ServerCall } from './h1-server-call.ts';
import { METHODS } from './node-http.ts';
import type { UpgradeRequest } from './upgrade.ts';

export type H1Fault =
  | 'http_malformed'
  | 'http_headers_too_large'
  | 'http_timeout'
  | 'http_pipelined'
  | 'http_upgrade';

export interface H1ServerLimits {
  /** Seconds: for the whole of a head, from its first octet on. */
  readonly headersTimeout: number;
  /** Seconds without a request. */
  readonly idleTimeout: number;
}

/** `Context` is what whoever serves the socket knows of it. */
export interface H1ServerHandlers<Context> {
  onCall(call: H1ServerCall, context: Context, upgrade: UpgradeRequest | undefined): void;
  /** What came is no request that can be answered in its turn: the connection is to end, and nothing more is read from it. */
  onFault(socket: TLSSocket, context: Context, fault: H1Fault, method: string): void;
}

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);
/** Milliseconds between two looks at the time. */
const LOOK_MS = 1000;
/** Requests behind an unanswered one; our own connections to peers have none. */
const MAX_PIPELINED = 16;
/** Octets that wait behind an unanswered request before the client is made to wait. */
const MAX_BEHIND = 64 * 1024;
/** The same in pieces: each costs more than its octets. */
const MAX_PIECES = 256;
/** Milliseconds that a client has to hear an answer that came before its body was whole. */
const LINGER_MS = 1000;
const NOTHING = Buffer.alloc(0);

export class H1Server<Context> {
  readonly handlers: H1ServerHandlers<Context>;
  private limits: H1ServerLimits;
  private readonly connections = new Set<H1ServerConnection<Context>>();
  private timer: NodeJS.Timeout | undefined;
  /** Milliseconds, monotonic, of the last look. */
  now = performance.now();

  constructor(limits: H1ServerLimits, handlers: H1ServerHandlers<Context>) {
    this.limits = limits;
    this.handlers = handlers;
  }

  /** Other bounds from now on; a connection that is idle already keeps its time. */
  follow(limits: H1ServerLimits): void {
    this.limits = limits;
  }

  /** What clients are told of it. */
  get keepAlive(): string {
    return `Keep-Alive: timeout=${this.limits.idleTimeout}\r\n`;
  }

  get headersMs(): number {
    return this.limits.headersTimeout * 1000;
  }
  get idleMs(): number {
    return this.limits.idleTimeout * 1000;
  }

  /** From here on the socket is HTTP's. */
  serve(socket: TLSSocket, context: Context): void {
    this.now = performance.now();
    this.connections.add(new H1ServerConnection(this, socket, context));
    this.timer ??= setInterval(() => this.look(), LOOK_MS).unref();
  }

  private look(): void {
    this.now = performance.now();
    for (const connection of this.connections) connection.look(this.now);
    if (this.connections.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }

  forget(connection: H1ServerConnection<Context>): void {
    this.connections.delete(connection);
  }

  /** Ends connections on which nothing is under way. */
  closeIdle(): void {
    for (const connection of this.connections) connection.closeIdle();
  }

  destroy(): void {
    for (const connection of this.connections) connection.destroy();
  }
}

class H1ServerConnection<Context> implements RequestSink, CallLine {
  readonly socket: TLSSocket;
  private readonly server: H1Server<Context>;
  private readonly context: Context;
  private readonly parser = new RequestParser(this);
  private call: H1ServerCall | undefined;
  /** A head that is to be answered by another way than a call. */
  private special: RequestHead | undefined;
  private behind: Buffer[] = [];
  private behindLength = 0;
  /** Of what is behind: at most so many requests as there are empty lines, and its last octets. */
  private headsBehind = 0;
  private behindTail: Buffer = NOTHING;
  private isPaused = false;
  private ended = false;
  /** Milliseconds, monotonic: when a head has to be whole or, where none has begun, to have begun. */
  private due: number;
  private isHeadDue = false;

  constructor(server: H1Server<Context>, socket: TLSSocket, context: Context) {
    this.server = server;
    this.socket = socket;
    this.context = context;
    this.due = server.now + server.idleMs;
    socket.setNoDelay(true);
    socket.on('data', this.onSocketData);
    socket.on('end', this.onSocketEnd);
    socket.on('close', this.onSocketClose);
    // The frames were read paused.
    socket.resume();
  }

  get keepAlive(): string {
    return this.server.keepAlive;
  }

  private readonly onSocketData = (chunk: Buffer): void => {
    if (this.ended) return;
    if (this.call !== undefined && this.parser.isWhole) this.holdBehind(chunk);
    else this.feed(chunk);
  };

  /** Whoever says no more has left: an answer to half a connection is one that nobody can be sure of. */
  private readonly onSocketEnd = (): void => {
    // A request that was begun is on record.
    if (this.call === undefined && this.parser.isInHead && !this.ended) this.fail('http_malformed');
    else this.destroy();
  };

  private readonly onSocketClose = (): void => {
    this.leave();
    this.call?.close();
  };

  private holdBehind(chunk: Buffer): void {
    this.behind.push(ownMemory(chunk));
    this.behindLength += chunk.length;
    this.headsBehind += countHeads(this.behindTail, chunk);
    this.behindTail = Buffer.concat([this.behindTail, chunk.subarray(-3)]).subarray(-3);
    if (this.headsBehind > MAX_PIPELINED) this.fail('http_pipelined');
    else if (this.behindLength > MAX_BEHIND || this.behind.length > MAX_PIECES) this.pause();
  }

  private feed(chunk: Buffer): void {
    const { parser } = this;
    const taken = parser.push(chunk);
    if (this.ended) return;
    if (parser.fault !== undefined)
      this.fail(parser.isTooLarge ? 'http_headers_too_large' : 'http_malformed');
    else if (this.special !== undefined) this.takeSpecial(this.special, chunk.subarray(taken));
    else if (parser.isWhole) {
      this.call?.endBody(parser.trailers);
      // A body that waits to be read holds up nothing that comes behind it: not the end of its client either.
      this.resume();
      if (taken < chunk.length) this.holdBehind(chunk.subarray(taken));
      if (this.call?.isAnswered === true) this.next();
    } else if (parser.isInHead && !this.isHeadDue) {
      this.isHeadDue = true;
      this.due = performance.now() + this.server.headersMs;
    }
  }

  // What the parser says.

  onHead(head: RequestHead): void {
    if (head.upgrades || !KNOWN_METHODS.has(head.method) || head.method === 'CONNECT') {
      this.special = head;
      return;
    }
    const call = new H1ServerCall(this, head, awaitsContinue(head));
    this.call = call;
    this.server.handlers.onCall(call, this.context, undefined);
  }

  onData(chunk: Buffer): void {
    // Behind the answer nobody wants it.
    if (this.call?.isAnswered === false && !this.call.pushBody(chunk)) this.pause();
  }

  private takeSpecial(head: RequestHead, behind: Buffer): void {
    if (head.method === 'CONNECT') this.fail('http_upgrade');
    else if (!KNOWN_METHODS.has(head.method)) this.fail('http_malformed');
    else this.handOver(head, behind);
  }

  /** The socket is another protocol's from here on, or ends. */
  private handOver(head: RequestHead, behind: Buffer): void {
    const { socket } = this;
    this.leave();
    // What comes from here on waits for whoever speaks next.
    readCompactly(socket, false);
    socket.pause();
    const line: CallLine = {
      socket,
      keepAlive: this.keepAlive,
      onBodyWanted: () => undefined,
      // Paused, it would never hear its client hang up.
      onAnswered: () => socket.destroySoon(),
    };
    const call = new H1ServerCall(line, head, false);
    call.retire();
    socket.once('close', () => call.close());
    this.server.handlers.onCall(call, this.context, { socket, head: behind });
  }

  // What the call says.

  readonly onBodyWanted = (): void => {
    if (this.call !== undefined && !this.parser.isWhole) this.resume();
  };

  readonly onAnswered = (call: H1ServerCall): void => {
    if (this.ended || this.call !== call) return;
    if (call.closes) {
      this.leave();
      if (this.parser.isWhole) this.socket.destroySoon();
      else this.linger();
    } else if (this.parser.isWhole) this.next();
    else {
      // The rest of a body that nobody wants is read, and goes nowhere; and not for ever.
      this.due = this.server.now + this.server.idleMs;
      this.resume();
    }
  };

  /** Who still sends its body would hear of a reset instead of the answer: what comes is dropped, and not for long. */
  private linger(): void {
    const { socket } = this;
    const late = setTimeout(() => socket.destroy(), LINGER_MS).unref();
    socket.once('close', () => clearTimeout(late));
    socket.end();
    this.resume();
  }

  private next(): void {
    const { behind } = this;
    this.call = undefined;
    this.parser.begin();
    this.isHeadDue = false;
    this.due = this.server.now + this.server.idleMs + LOOK_MS;
    this.resume();
    if (behind.length === 0) return;
    this.behind = [];
    this.behindLength = 0;
    this.headsBehind = 0;
    this.behindTail = NOTHING;
    this.feed(behind.length === 1 ? (behind[0] as Buffer) : Buffer.concat(behind));
  }

  private pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    // Only now: it would cost each read something, and most connections are never paused.
    readCompactly(this.socket, false);
    this.socket.pause();
  }

  private resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.socket.resume();
  }

  /** INVARIANT: behind a fault nothing of this connection is read as a request. */
  private fail(fault: H1Fault): void {
    const { method } = this.parser;
    this.parser.stop();
    this.ended = true;
    this.behind = [];
    this.server.handlers.onFault(this.socket, this.context, fault, method);
  }

  look(now: number): void {
    if (this.ended || now < this.due || this.call?.isAnswered === false) return;
    if (this.parser.isInHead) this.fail('http_timeout');
    else this.destroy();
  }

  closeIdle(): void {
    if (this.call === undefined && this.parser.isBefore && !this.ended) this.destroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  private leave(): void {
    const { socket } = this;
    this.ended = true;
    this.server.forget(this);
    socket.off('data', this.onSocketData);
    socket.off('end', this.onSocketEnd);
    // A call that is under way hears of its end here.
    if (this.call === undefined) socket.off('close', this.onSocketClose);
  }
}

const awaitsContinue = ({ headers }: RequestHead): boolean =>
  headers.some(
    (value, at) =>
      at % 2 === 1 && headers[at - 1]?.toLowerCase() === 'expect' && value.toLowerCase() === '100-continue',
  );

/** Empty lines that end in `chunk`, which follows `tail`. */
const countHeads = (tail: Buffer, chunk: Buffer): number => {
  const octets = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
  let heads = 0;
  for (let at = octets.indexOf(END_OF_LINES); at !== -1; at = octets.indexOf(END_OF_LINES, at + 4)) heads++;
  return heads;
};
