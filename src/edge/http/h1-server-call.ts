/** A request over HTTP/1.1 on a connection that {@link H1ServerConnection} reads, and its answer as octets. */
import { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { readCompactly } from '../compact-reading.ts';
import { ownMemory } from '../own-memory.ts';
import type { Call } from './call.ts';
import type { RequestHead } from './h1-request-parser.ts';
import { STATUS_CODES } from './node-http.ts';

/** Up to here, octets through a Latin-1 string (which keeps each of them) are cheaper than a second piece. */
const ONE_WRITE_BYTES = 4096;
/** Up to here a piece costs less as text while it waits: 50 octets besides its own, and not 300. */
const SMALL = 256;

// As Node has them; an octet above 0xff would be cut down to its lowest eight bits on the wire.
const UNFIT_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const UNFIT_NAME = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/;
const NOT_IN_TRAILERS = /^(?:content-length|transfer-encoding|connection|trailer|host|te)$/i;

const TRAILERS = /(?:^|[\s,])trailers(?:$|[\s,;])/i;

const isFit = (name: string, value: string): boolean =>
  name !== '' && !UNFIT_NAME.test(name) && !UNFIT_VALUE.test(value);

/** What a call needs of its connection. */
export interface CallLine {
  readonly socket: TLSSocket;
  /** `Keep-Alive` for the client. */
  readonly keepAlive: string;
  /** The client's octets are wanted again. */
  readonly onBodyWanted: () => void;
  /** The answer has been handed to the system. */
  readonly onAnswered: (call: H1ServerCall) => void;
}

/** The body of a request, as it comes. */
export class RequestStream extends Readable {
  private readonly onWanted: () => void;
  constructor(onWanted: () => void) {
    super();
    this.onWanted = onWanted;
  }
  override _read(): void {
    this.onWanted();
  }
}

export class H1ServerCall implements Call {
  readonly version: string;
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly waits: boolean;
  private readonly line: CallLine;
  private readonly closeListeners: (() => void)[] = [];
  private stream: RequestStream | undefined;
  private readTrailers: readonly string[] = [];
  private onStill: (() => void) | undefined;
  private isWhole: boolean;
  private over = false;
  private isEnded = false;
  private handedOver = false;
  private sentStatus = 0;
  /** The head, as long as nobody knows how the body goes. */
  private pending: string | undefined;
  /** Octets that the head announced and that are still to come; -1 where it announced none. */
  private left = -1;
  private isChunked = false;
  private isRetired: boolean;

  constructor(line: CallLine, head: RequestHead, waits: boolean) {
    this.line = line;
    this.version = head.version;
    this.method = head.method;
    this.target = head.target;
    this.rawHeaders = head.headers;
    this.isRetired = head.closes;
    this.isWhole = !head.hasBody;
    this.waits = waits;
    if (head.hasBody) this.stream = new RequestStream(line.onBodyWanted);
  }

  get endsWithHead(): boolean {
    return false;
  }
  get body(): Readable {
    if (this.stream === undefined) {
      this.stream = new RequestStream(this.line.onBodyWanted);
      this.stream.push(null);
    }
    return this.stream;
  }
  trailers(): readonly string[] {
    return this.readTrailers;
  }
  get isComplete(): boolean {
    return this.isWhole;
  }
  get isClosed(): boolean {
    return this.over;
  }
  get isAnswered(): boolean {
    return this.handedOver;
  }
  get isHeadSent(): boolean {
    return this.sentStatus !== 0;
  }
  get status(): number {
    return this.sentStatus;
  }
  get malformed(): string | undefined {
    return this.version === '1.1' ? undefined : 'only HTTP/1.1 and HTTP/2 are spoken here';
  }
  /** Whether the connection ends behind the answer. */
  get closes(): boolean {
    return this.isRetired;
  }

  onClose(listener: () => void): void {
    this.closeListeners.push(listener);
  }

  offClose(listener: () => void): void {
    const at = this.closeListeners.indexOf(listener);
    if (at !== -1) this.closeListeners.splice(at, 1);
  }

  watchBody(idleMs: number, onStill?: () => void): void {
    // The socket is the next request's by now.
    if (this.over) return;
    const { socket } = this.line;
    if (this.onStill !== undefined) socket.off('timeout', this.onStill);
    this.onStill = idleMs === 0 ? undefined : onStill;
    socket.setTimeout(idleMs);
    if (this.onStill !== undefined) socket.once('timeout', this.onStill);
  }

  sendContinue(): void {
    if (!this.over) this.line.socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
  }

  sendInformation(status: number, headers: readonly string[]): void {
    if (this.isHeadSent || this.over) return;
    const text = headText(status, headers);
    if (text !== undefined) this.line.socket.write(`${text}\r\n`, 'latin1');
  }

  private get hasLength(): boolean {
    return this.left !== -1;
  }

  private get hasNoBody(): boolean {
    return this.method === 'HEAD' || this.sentStatus === 204 || this.sentStatus === 304;
  }

  sendHead(status: number, headers: readonly string[]): boolean {
    const text = headText(status, headers);
    if (text === undefined) return false;
    for (let at = 0; at < headers.length; at += 2)
      if (headers[at]?.length === 14 && headers[at]?.toLowerCase() === 'content-length')
        this.left = Number(headers[at + 1]);
    this.sentStatus = status;
    this.pending = text;
    return true;
  }

  /** The end of the head, once it is known how the body goes: `length` octets, or in chunks. */
  private takeHead(length: number | undefined): string {
    const text = this.pending;
    if (text === undefined) return '';
    this.pending = undefined;
    let framing = '';
    if (!this.hasLength && !this.hasNoBody) {
      if (length !== undefined) framing = `Content-Length: ${length}\r\n`;
      else if (this.version === '1.1') {
        this.isChunked = true;
        framing = 'Transfer-Encoding: chunked\r\n';
      } else this.isRetired = true;
    }
    const connection = this.isRetired
      ? 'Connection: close\r\n\r\n'
      : `Connection: keep-alive\r\n${this.line.keepAlive}\r\n`;
    return text + framing + connection;
  }

  flush(): void {
    if (this.pending !== undefined) this.line.socket.write(this.takeHead(undefined), 'latin1');
  }

  write(chunk: Uint8Array): boolean {
    const { socket } = this.line;
    if (this.isEnded || this.over) return true;
    const head = this.takeHead(undefined);
    if (this.hasNoBody || chunk.length === 0) {
      if (head !== '') socket.write(head, 'latin1');
      return !socket.writableNeedDrain;
    }
    if (!this.mayFollow(chunk.length, false)) return true;
    if (chunk.length <= SMALL) {
      const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1');
      const framed = this.isChunked ? `${chunk.length.toString(16)}\r\n${text}\r\n` : text;
      socket.write(head + framed, 'latin1');
      return !socket.writableNeedDrain;
    }
    socket.cork();
    const before = this.isChunked ? `${head}${chunk.length.toString(16)}\r\n` : head;
    if (before !== '') socket.write(before, 'latin1');
    socket.write(chunk);
    if (this.isChunked) socket.write('\r\n', 'latin1');
    socket.uncork();
    return !socket.writableNeedDrain;
  }

  onDrain(listener: () => void): void {
    this.line.socket.once('drain', listener);
  }

  end(chunk?: Uint8Array, trailers: readonly string[] = []): void {
    if (this.isEnded || this.over) return;
    this.isEnded = true;
    const { socket } = this.line;
    const octets = chunk === undefined || this.hasNoBody ? 0 : chunk.length;
    if (!this.hasNoBody && !this.mayFollow(octets, true)) return;
    const goesWithTrailers = trailers.length > 0 && !this.hasLength && this.readsTrailers();
    const head = this.takeHead(goesWithTrailers ? undefined : octets);
    let before = head;
    let after = '';
    if (this.isChunked) {
      if (octets > 0) before += `${octets.toString(16)}\r\n`;
      after = `${octets > 0 ? '\r\n' : ''}0\r\n${goesWithTrailers ? trailersText(trailers) : ''}\r\n`;
    }
    if (chunk === undefined || octets === 0) socket.write(before + after, 'latin1', this.onHandedOver);
    else if (octets <= ONE_WRITE_BYTES) {
      const body = Buffer.from(chunk.buffer, chunk.byteOffset, octets).toString('latin1');
      socket.write(before + body + after, 'latin1', this.onHandedOver);
    } else {
      socket.cork();
      if (before !== '') socket.write(before, 'latin1');
      socket.write(chunk, after === '' ? this.onHandedOver : undefined);
      if (after !== '') socket.write(after, 'latin1', this.onHandedOver);
      socket.uncork();
    }
  }

  /** INVARIANT: what would be read as the next response is not written, and no next one is read as what is missing here. */
  private mayFollow(octets: number, isLast: boolean): boolean {
    if (!this.hasLength) return true;
    this.left -= octets;
    if (isLast ? this.left === 0 : this.left >= 0) return true;
    this.abort();
    return false;
  }

  /** RFC 9110 §6.5.1: only who says so is sent trailers. */
  private readsTrailers(): boolean {
    return this.rawHeaders.some(
      (value, at) => at % 2 === 1 && this.rawHeaders[at - 1]?.toLowerCase() === 'te' && TRAILERS.test(value),
    );
  }

  private readonly onHandedOver = (error?: Error | null): void => {
    if (error || this.over) return;
    this.handedOver = true;
    this.close();
    this.line.onAnswered(this);
  };

  abort(): void {
    // What was answered whole has nothing left to break off, and the socket may be another request's.
    if (!this.over) this.line.socket.destroy();
  }

  retire(): void {
    this.isRetired = true;
  }

  // What the connection says.

  /** Whether more may come at once. */
  pushBody(chunk: Buffer): boolean {
    const { stream } = this;
    if (stream === undefined) return true;
    if (stream.readableLength === 0) return stream.push(ownMemory(chunk));
    // Not the first to wait.
    readCompactly(stream, true);
    return stream.push(chunk);
  }

  endBody(trailers: readonly string[]): void {
    if (this.isWhole) return;
    this.isWhole = true;
    this.readTrailers = trailers;
    this.stream?.push(null);
  }

  /** The answer is done, or the client has gone: nobody hears anything of it any more. */
  close(): void {
    if (this.over) return;
    // An answer may come before the body that is waited for.
    if (this.onStill !== undefined) this.watchBody(0);
    this.over = true;
    if (!this.isWhole && this.stream !== undefined) {
      // Nobody may be listening any more to a body that nobody wants.
      this.stream.on('error', () => undefined);
      this.stream.destroy(this.handedOver ? undefined : new Error('the client went away'));
    }
    for (const heard of this.closeListeners.splice(0)) heard();
  }
}

/** The head without its end; undefined if it is not fit to be sent. */
const headText = (status: number, headers: readonly string[]): string | undefined => {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    if (!isFit(name, value)) return undefined;
    text += `${name}: ${value}\r\n`;
  }
  return text;
};

const trailersText = (trailers: readonly string[]): string => {
  let text = '';
  for (let at = 0; at < trailers.length; at += 2) {
    const name = trailers[at] as string;
    const value = trailers[at + 1] as string;
    if (isFit(name, value) && !NOT_IN_TRAILERS.test(name)) text += `${name}: ${value}\r\n`;
  }
  return text;
};
