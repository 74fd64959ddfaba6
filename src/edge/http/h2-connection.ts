/** The client's end of an HTTP/2 connection: many requests at once, each a stream. */
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { readCompactly } from '../compact-reading.ts';
import { H2Ending } from './h2-ending.ts';
import { CONNECTION_WINDOW, endOnlyWhole, headerObject, http2, sessionOptions } from './node-http2.ts';
import type {
  ComingBody,
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamRequest,
} from './upstream.ts';

/** RFC 9113 §7. */
const NO_ERROR = 0;
const REFUSED_STREAM = 7;
const CANCEL = 8;
/** RFC 9113 §6.2. */
const END_STREAM = 1;
/** A server opens none: push is off. */
const NO_STREAMS = 0;

/** As over HTTP/1.1: without an end they are an attack. */
const MAX_INFORMATIONS = 256;
/** Milliseconds that what is left of a request has to go once it is answered. */
const LINGER_MS = 1000;

export interface H2ConnectionOptions {
  /** Heard once, when it has ended. */
  readonly onEnd?: (() => void) | undefined;
  /** The other side wants no more requests on it. */
  readonly onRetired?: (() => void) | undefined;
}

export class H2Connection implements Upstream {
  private readonly session: ClientHttp2Session;
  private readonly ending: H2Ending;
  private sent = 0;
  /** The ordinal that Node would give to the next request by itself; 0 where that isn't known. */
  private next = 1;
  /** ms, as `performance.now()`: when the last stream ended. */
  private idleSince = performance.now();

  /** What was read of the socket before is not lost; no write may be pending on it. */
  constructor(socket: Duplex, { onEnd, onRetired }: H2ConnectionOptions = {}) {
    this.session = http2().connect('http://peer', {
      ...sessionOptions(NO_STREAMS),
      createConnection: () => socket,
    });
    const { session } = this;
    this.ending = new H2Ending(session, socket, {
      onRetired,
      onStreamEnd: () => {
        this.idleSince = performance.now();
      },
    });
    session.on('error', () => this.ending.end());
    // It has nothing to say of other origins, and older versions of Node keep as many as come.
    session.on('origin', () => this.destroy());
    session.setLocalWindowSize(CONNECTION_WINDOW);
    if (onEnd !== undefined) session.once('close', onEnd);
    // Node waits for a socket to close that has closed before, and what is sent would wait with it.
    if (socket.destroyed) setImmediate(() => this.destroy());
  }

  get isAlive(): boolean {
    return !this.ending.isRetired && !this.session.closed && !this.session.destroyed;
  }

  /** Milliseconds without a stream. */
  get idleMs(): number {
    return this.streams > 0 ? 0 : performance.now() - this.idleSince;
  }

  /** Streams under way. */
  get streams(): number {
    return this.ending.streams;
  }

  /** How many the other side lets us have; its word may still be on the way. */
  get mostStreams(): number {
    return this.session.remoteSettings?.maxConcurrentStreams ?? 100;
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamExchange {
    const exchange = new H2Exchange(handler);
    const { session } = this;
    if (session.destroyed || session.closed) {
      exchange.fail({ kind: 'unreachable', detail: 'the connection has ended' });
      return exchange;
    }
    // What was permitted as a WebSocket is none where it would arrive as a plain GET.
    if (request.upgrade === true) {
      exchange.fail({ kind: 'broken', detail: 'an upgrade can’t be sent over HTTP/2' });
      return exchange;
    }
    const ordinal = request.ordinal ?? this.sent + 1;
    if (ordinal <= this.sent) {
      exchange.fail({ kind: 'unreachable', detail: 'a request of this number was sent before' });
      return exchange;
    }
    if (ordinal !== this.next) skipTo(session, ordinal);
    this.sent = ordinal;
    this.next = 0;
    try {
      const stream = session.request(headersOf(request), {
        endStream: request.body === null,
        waitForTrailers: request.body !== null && !Buffer.isBuffer(request.body),
      });
      this.next = ordinal + 1;
      this.ending.add(stream);
      exchange.begin(stream, request);
    } catch {
      // A header that can't be sent: nothing of the request has gone.
      exchange.fail({ kind: 'broken', detail: 'the request can’t be sent over HTTP/2' });
    }
    return exchange;
  }

  /** Ends when nothing is under way any more. */
  close(): void {
    this.ending.retire();
    if (!this.session.destroyed) this.session.close();
  }

  destroy(): void {
    this.ending.destroy();
  }
}

/** Which Node has, and doesn't document: a test holds that it does. */
const skipTo = (session: ClientHttp2Session, ordinal: number): void =>
  (session as ClientHttp2Session & { setNextStreamID(id: number): void }).setNextStreamID(2 * ordinal - 1);

const headersOf = ({ method, target, headers, readsTrailers, scheme = 'http' }: UpstreamRequest) => {
  const { host, ...rest } = headerObject(headers);
  return {
    ...rest,
    ...(readsTrailers === true && { te: 'trailers' }),
    ':method': method,
    ':path': target,
    ':scheme': scheme,
    ':authority': typeof host === 'string' ? host : '',
  };
};

class H2Exchange implements UpstreamExchange {
  private readonly handler: UpstreamHandler;
  private stream: ClientHttp2Stream | undefined;
  private body: ComingBody | undefined;
  private ended = false;
  private hasHead = false;
  private informations = 0;
  private isAborted = false;
  private late: NodeJS.Timeout | undefined;
  private trailers: readonly string[] = [];

  constructor(handler: UpstreamHandler) {
    this.handler = handler;
  }

  begin(stream: ClientHttp2Stream, { body, headersTimeoutMs }: UpstreamRequest): void {
    this.stream = stream;
    this.late = setTimeout(
      () => this.giveUp('timeout', `no response within ${headersTimeoutMs} ms`),
      headersTimeoutMs,
    );
    endOnlyWhole(stream);
    stream.on('error', () => undefined);
    stream.on('headers', (_headers: unknown, _flags: number, raw: readonly string[]) => {
      if (this.ended) return;
      if (++this.informations > MAX_INFORMATIONS) this.giveUp('malformed', 'too many interim responses');
      const [status, headers] = splitStatus(raw);
      if (!this.ended && status > 101) this.handler.onInformation(status, headers);
    });
    stream.on('response', (_headers: unknown, flags: number, raw: unknown) => {
      clearTimeout(this.late);
      if (this.ended) return;
      const [status, headers] = splitStatus(raw as readonly string[]);
      this.hasHead = true;
      // Three digits are enough for nghttp2; no other reader takes them all.
      if (!(status >= 200 && status <= 599)) this.giveUp('malformed', 'no status of a response');
      else this.handler.onHead(status, headers, (flags & END_STREAM) !== 0);
    });
    stream.on('trailers', (_headers: unknown, _flags: number, raw: unknown) => {
      this.trailers = raw as readonly string[];
    });
    stream.on('data', (chunk: Buffer) => {
      if (!this.ended) this.handler.onData(chunk);
    });
    stream.once('end', () => {
      if (!this.ended) this.finish();
    });
    stream.once('close', () => this.onClose(stream));
    if (Buffer.isBuffer(body)) stream.end(body);
    else if (body !== null) this.sendBody(stream, body);
  }

  private finish(): void {
    this.ended = true;
    clearTimeout(this.late);
    this.stopBody();
    this.letGo();
    this.handler.onEnd(this.trailers);
  }

  /** A response that came before the request's end: without this, the stream would be open until the other side ends it. */
  private letGo(): void {
    const { stream } = this;
    if (stream === undefined || stream.writableFinished) return;
    const late = setTimeout(() => reset(stream), LINGER_MS).unref();
    stream.once('close', () => clearTimeout(late));
    if (!stream.writableEnded) stream.close(NO_ERROR);
  }

  private giveUp(kind: UpstreamFailure['kind'], detail: string): void {
    this.fail({ kind, detail });
    if (this.stream !== undefined) reset(this.stream);
  }

  private onClose({ rstCode }: ClientHttp2Stream): void {
    if (this.ended) return;
    const isRefused = rstCode === REFUSED_STREAM && !this.hasHead;
    this.fail({
      kind: isRefused ? 'unreachable' : 'broken',
      detail: isRefused ? 'the stream was refused' : `the stream ended with code ${rstCode}`,
    });
  }

  private sendBody(stream: ClientHttp2Stream, body: ComingBody): void {
    this.body = body;
    const { stream: source } = body;
    stream.once('wantTrailers', () => {
      try {
        stream.sendTrailers(headerObject(body.trailers()));
      } catch {
        this.giveUp('broken', 'trailers that can’t be sent over HTTP/2');
      }
    });
    source.on('data', this.onBody);
    source.once('end', this.onBodyEnd);
  }

  private readonly onBody = (chunk: Buffer): void => {
    const { stream, body } = this;
    if (stream === undefined || body === undefined) return;
    if (stream.write(chunk)) return;
    body.stream.pause();
    stream.once('drain', () => {
      if (this.body === body) body.stream.resume();
    });
  };

  private readonly onBodyEnd = (): void => {
    this.stream?.end();
  };

  private stopBody(): void {
    const source = this.body?.stream;
    this.body = undefined;
    source?.off('data', this.onBody).off('end', this.onBodyEnd);
  }

  /** Before anything was sent, so the handler hears it when `send` has returned. */
  fail(failure: UpstreamFailure): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.late);
    this.stopBody();
    setImmediate(() => {
      if (!this.isAborted) this.handler.onFailure(failure);
    });
  }

  pause(): void {
    if (this.stream === undefined) return;
    readCompactly(this.stream, true);
    this.stream.pause();
  }

  resume(): void {
    this.stream?.resume();
  }

  abort(): void {
    this.isAborted = true;
    this.ended = true;
    clearTimeout(this.late);
    this.stopBody();
    if (this.stream !== undefined) reset(this.stream);
  }
}

/** What came of it and was not read yet would keep it. */
const reset = (stream: ClientHttp2Stream): void => {
  if (stream.destroyed) return;
  stream.close(CANCEL);
  stream.resume();
};

const splitStatus = (raw: readonly string[]): readonly [number, readonly string[]] => {
  let status = 0;
  const headers: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? '';
    if (name === ':status') status = Number(raw[at + 1]);
    else if (!name.startsWith(':')) headers.push(name, raw[at + 1] ?? '');
  }
  return [status, headers];
};
