/**
 * Requests of HTTP/1.1 (RFC 9110, 9112), read from octets as they come: one at a time, the next when it is asked for. At least as
 * strict as Node's own parser: what could be read in two ways is refused, and nothing is mended.
 */
import { ChunkedBody } from './h1-chunked-body.ts';
import { CR, type Framing, IS_TOKEN, LF, MAX_FIELDS, readFields, readFraming } from './h1-fields.ts';
import { END_OF_LINES, HeldLines, MAX_LINES_OCTETS } from './h1-held-lines.ts';

export interface RequestHead {
  readonly method: string;
  /** As received. */
  readonly target: string;
  /** `1.1`; `1.0` is read, so that whoever speaks it hears why it is refused. */
  readonly version: string;
  /** Name, value …, as received. */
  readonly headers: readonly string[];
  readonly hasBody: boolean;
  /** Whether the client wants the connection to end behind it. */
  readonly closes: boolean;
  /** Whether it asks for another protocol: what follows it is none of ours. */
  readonly upgrades: boolean;
}

/** Hears a request while it is read. */
export interface RequestSink {
  onHead(head: RequestHead): void;
  onData(chunk: Buffer): void;
}

export type RequestFault = 'malformed' | 'too-large';

const SP = 0x20;
/** `GET / HTTP/1.1`: nothing shorter is a request line. */
const VERSION = Buffer.from(' HTTP/1.');
const ZERO = 0x30;
const MAX_METHOD = 32;
const NO_FIELDS: readonly string[] = [];

/** Absolute form (RFC 9112 §3.2.2); authority form is for CONNECT alone. */
const ABSOLUTE = /^[A-Za-z]+:\/\/[-\w.~:[\]%@!$&'()*+,;=]+(?:[/?]|$)/;
const isTarget = (method: string, target: string): boolean =>
  target[0] === '/' || target === '*' || method === 'CONNECT' || ABSOLUTE.test(target);

/** What a target may be made of (RFC 3986 §2, and what agents send besides): visible US-ASCII. */
const isVisible = (octet: number): boolean => octet > SP && octet < 0x7f;

type Part = 'idle' | 'head' | 'counted' | 'chunked' | 'whole' | 'stopped';

export class RequestParser {
  private readonly sink: RequestSink;
  private part: Part = 'head';
  private left = 0;
  private readonly held = new HeldLines();
  private readonly chunks = new ChunkedBody();
  private readonly framing: Framing = {
    contentLength: -1,
    chunked: false,
    close: false,
    switches: false,
    keepAliveSeconds: -1,
    keepAlive: '',
    keepAliveHint: -1,
    upgrade: undefined,
  };
  /** Why what came is refused. */
  fault: RequestFault | undefined;
  /** Of the request that was refused or is being read. */
  method = '';

  constructor(sink: RequestSink) {
    this.sink = sink;
  }

  /** The next request may begin. */
  begin(): void {
    this.part = 'head';
    this.method = '';
  }

  get isWhole(): boolean {
    return this.part === 'whole';
  }

  /** Whether a head has begun and isn't whole. */
  get isInHead(): boolean {
    return this.part === 'head' && this.held.length > 0;
  }

  /** Whether it waits for a request to begin. */
  get isBefore(): boolean {
    return this.part === 'head' && this.held.length === 0;
  }

  get trailers(): readonly string[] {
    return this.framing.chunked ? this.chunks.trailers : NO_FIELDS;
  }

  /** The sink hears nothing more, even of what is being read. */
  stop(): void {
    this.part = 'stopped';
    this.chunks.stop();
    this.held.clear();
  }

  /** Reads the next octets. Returns how many of them are the request's: fewer where it is whole before, or at a fault. */
  push(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length) {
      switch (this.part) {
        case 'head':
          at = this.readHead(chunk, at);
          break;
        case 'counted': {
          const end = Math.min(chunk.length, at + this.left);
          this.left -= end - at;
          if (this.left === 0) this.part = 'whole';
          this.sink.onData(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end));
          at = end;
          break;
        }
        case 'chunked':
          at = this.chunks.read(chunk, at, this.sink);
          if (this.chunks.fault !== undefined) this.refuse('malformed');
          else if (this.chunks.isWhole) this.part = 'whole';
          break;
        default:
          return at;
      }
    }
    return at;
  }

  private refuse(fault: RequestFault): void {
    this.fault = fault;
    this.stop();
  }

  private readHead(chunk: Buffer, at: number): number {
    const { held } = this;
    if (held.length === 0) {
      const end = chunk.indexOf(END_OF_LINES, at);
      if (end !== -1 && end + 4 - at <= MAX_LINES_OCTETS) {
        this.takeHead(chunk, at, end + 4);
        return end + 4;
      }
    }
    const end = held.take(chunk, at);
    if (held.fault !== undefined) this.refuse(held.length === MAX_LINES_OCTETS ? 'too-large' : 'malformed');
    // Whoever speaks another protocol may wait for us, and no request begins like this.
    else if (held.length > 0 && IS_TOKEN[held.octets[0] as number] !== 1) this.refuse('malformed');
    if (this.part === 'stopped' || end === -1) return chunk.length;
    const { octets, length } = held;
    held.clear();
    this.takeHead(octets, 0, length);
    return end;
  }

  /** Takes a head that is whole: `octets` from `from` up to `to`, where its empty line ends. */
  private takeHead(octets: Buffer, from: number, to: number): void {
    let methodEnd = from;
    while (IS_TOKEN[octets[methodEnd] as number] === 1) methodEnd++;
    let targetEnd = methodEnd + 1;
    while (isVisible(octets[targetEnd] as number)) targetEnd++;
    const lineEnd = targetEnd + VERSION.length + 1;
    const isLine =
      methodEnd > from &&
      methodEnd - from <= MAX_METHOD &&
      octets[methodEnd] === SP &&
      targetEnd > methodEnd + 1 &&
      lineEnd + 2 <= to &&
      VERSION.equals(octets.subarray(targetEnd, targetEnd + VERSION.length)) &&
      octets[lineEnd] === CR &&
      octets[lineEnd + 1] === LF;
    const minor = (octets[lineEnd - 1] as number) - ZERO;
    if (!isLine || (minor !== 0 && minor !== 1)) {
      this.refuse('malformed');
      return;
    }
    this.method = octets.toString('latin1', from, methodEnd);
    const target = octets.toString('latin1', methodEnd + 1, targetEnd);
    if (!isTarget(this.method, target)) {
      this.refuse('malformed');
      return;
    }
    const headers: string[] = [];
    const { framing } = this;
    const text = octets.toString('latin1', lineEnd + 2, to - 2);
    const fault =
      readFields(octets, lineEnd + 2, to - 2, text, headers) ?? readFraming(headers, text, framing);
    if (fault !== undefined) {
      this.refuse(headers.length >= 2 * MAX_FIELDS ? 'too-large' : 'malformed');
      return;
    }
    const upgrades = framing.switches && framing.upgrade !== undefined;
    const hasBody = !upgrades && (framing.chunked || framing.contentLength > 0);
    if (!hasBody) this.part = 'whole';
    else if (framing.chunked) {
      this.chunks.begin();
      this.part = 'chunked';
    } else {
      this.left = framing.contentLength;
      this.part = 'counted';
    }
    if (!hasBody) framing.chunked = false;
    this.sink.onHead({
      method: this.method,
      target,
      version: `1.${minor}`,
      headers,
      hasBody,
      closes: framing.close || minor === 0,
      upgrades,
    });
  }
}
