/** A request over HTTP/2: one stream (RFC 9113). What is malformed for every reader, nghttp2 has refused before. */
import type { ServerHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import { readCompactly } from '../compact-reading.ts';
import type { Call } from './call.ts';
import { endOnlyWhole, headerObject } from './node-http2.ts';

/** RFC 9113 §7. */
const NO_ERROR = 0;
const INTERNAL_ERROR = 2;
interface Head {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly malformed: string | undefined;
  readonly waits: boolean;
}

/** Takes the pseudo-headers out; `:authority` becomes the one `host` (RFC 9113 §8.3.1). */
export const readHead = (raw: readonly string[]): Head => {
  const headers: string[] = [];
  let method = '';
  let target = '';
  let authority: string | undefined;
  let host: string | undefined;
  let malformed: string | undefined;
  let cookie: string | undefined;
  let waits = false;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const value = raw[at + 1] ?? '';
    if (name === ':method') method = value;
    else if (name === ':path') target = value;
    else if (name === ':authority') authority = value;
    else if (name === ':scheme') {
      if (value !== 'http' && value !== 'https') malformed = 'a scheme other than http and https';
    } else if (name.startsWith(':')) malformed = `a pseudo-header ${name}`;
    else {
      if (name === 'host') host ??= value;
      if (name === 'expect') waits = value.toLowerCase() === '100-continue';
      // Sent in crumbs for compression's sake (RFC 9113 §8.2.3).
      if (name === 'cookie') cookie = cookie === undefined ? value : `${cookie}; ${value}`;
      else headers.push(name, value);
    }
  }
  if (cookie !== undefined) headers.push('cookie', cookie);
  if (authority !== undefined) {
    if (host === undefined) headers.unshift('host', authority);
    else if (host !== authority) malformed = 'Host and :authority differ';
  }
  return { method, target, rawHeaders: headers, malformed, waits };
};

export class H2Call implements Call {
  readonly version = '2';
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly endsWithHead: boolean;
  readonly waits: boolean;
  readonly malformed: string | undefined;
  readonly stream: ServerHttp2Stream;
  private requestTrailers: readonly string[] = [];
  private answerTrailers: readonly string[] = [];
  private readonly onRetire: () => void;
  private isEnded = false;
  private onStill: (() => void) | undefined;
  private readonly closeListeners: (() => void)[] = [];

  /** `onRetire`: the connection is to end when nothing is under way on it. */
  constructor(stream: ServerHttp2Stream, raw: readonly string[], onRetire: () => void) {
    this.onRetire = onRetire;
    const { method, target, rawHeaders, malformed, waits } = readHead(raw);
    this.method = method;
    this.target = target;
    this.rawHeaders = rawHeaders;
    this.malformed = malformed;
    this.stream = stream;
    this.endsWithHead = stream.endAfterHeaders;
    this.waits = !this.endsWithHead && waits;
    if (!this.endsWithHead) {
      endOnlyWhole(stream);
      readCompactly(stream, true);
    }
    stream.on('error', () => undefined);
    const onGone = (): void => {
      for (const heard of this.closeListeners.splice(0)) heard();
    };
    // INVARIANT: who reads the body of a stream that its client has reset hears so before Node ends it as if it were whole.
    stream.once('aborted', onGone);
    stream.once('close', onGone);
    stream.on('trailers', (_headers: unknown, _flags: number, rawTrailers?: readonly string[]) => {
      this.requestTrailers = rawTrailers ?? [];
    });
  }

  get body(): Readable {
    return this.stream;
  }
  trailers(): readonly string[] {
    return this.requestTrailers;
  }
  get isComplete(): boolean {
    return this.endsWithHead || (this.stream.readableEnded && !this.stream.aborted);
  }
  get isClosed(): boolean {
    return this.stream.destroyed || this.stream.closed;
  }
  get isAnswered(): boolean {
    // Node ends the writing side of a stream that its client has reset, too.
    return this.isEnded && this.stream.writableFinished && this.stream.rstCode === NO_ERROR;
  }
  get isHeadSent(): boolean {
    return this.stream.headersSent;
  }
  get status(): number {
    return this.stream.headersSent ? Number(this.stream.sentHeaders?.[':status'] ?? 0) : 0;
  }

  onClose(listener: () => void): void {
    this.closeListeners.push(listener);
  }

  offClose(listener: () => void): void {
    const at = this.closeListeners.indexOf(listener);
    if (at !== -1) this.closeListeners.splice(at, 1);
  }

  watchBody(idleMs: number, onStill?: () => void): void {
    if (this.onStill !== undefined) this.stream.off('timeout', this.onStill);
    this.onStill = onStill;
    this.stream.setTimeout(idleMs);
    if (onStill !== undefined) this.stream.once('timeout', onStill);
  }

  sendContinue(): void {
    this.sendInformation(100, []);
  }

  sendInformation(status: number, headers: readonly string[]): void {
    if (this.isClosed || this.stream.headersSent) return;
    try {
      this.stream.additionalHeaders({ ...headerObject(headers), ':status': status });
    } catch {
      // Node finds fault with it, and nobody misses it.
    }
  }

  sendHead(status: number, headers: readonly string[], isWhole: boolean): boolean {
    if (this.isClosed) return true;
    const { stream } = this;
    try {
      stream.respond(
        { ...headerObject(headers), ':status': status },
        { endStream: isWhole, waitForTrailers: !isWhole },
      );
    } catch {
      return false;
    }
    // Node ends it itself where a status or HEAD allows no body.
    if (!isWhole && !stream.writableEnded) stream.once('wantTrailers', this.onWantTrailers);
    else {
      this.isEnded = true;
      this.letGo();
    }
    return true;
  }

  private readonly onWantTrailers = (): void => {
    try {
      this.stream.sendTrailers(headerObject(this.answerTrailers));
      this.letGo();
    } catch {
      this.abort();
    }
  };

  /** An answer that comes before the end of the request asks for no more of it (RFC 9113 §8.1). */
  private letGo(): void {
    if (!this.isComplete) setImmediate(() => this.stream.close(NO_ERROR));
    this.discard();
  }

  flush(): void {}

  write(chunk: Uint8Array): boolean {
    return this.isEnded || this.stream.write(chunk);
  }

  onDrain(listener: () => void): void {
    this.stream.once('drain', listener);
  }

  end(chunk?: Uint8Array, trailers: readonly string[] = []): void {
    const { stream } = this;
    if (stream.writableEnded || stream.destroyed) return;
    this.answerTrailers = trailers;
    this.isEnded = true;
    if (chunk === undefined) stream.end();
    else stream.end(chunk);
    this.discard();
  }

  abort(): void {
    const { stream } = this;
    if (stream.destroyed) return;
    stream.close(INTERNAL_ERROR);
    this.discard();
  }

  /** What of the body nobody has read is not kept for whoever takes his time to hear the answer, nor is the stream for its sake. */
  private discard(): void {
    if (!this.stream.readableEnded) this.stream.resume();
  }

  retire(): void {
    this.onRetire();
  }
}
