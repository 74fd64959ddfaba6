/**
 * Responses of HTTP/1.1 (RFC 9110, 9112), read from octets as they come. At least as strict as Node's own parser: what could be
 * read in two ways is refused, and nothing is mended. What an upstream sends decides about one response and never about the next.
 */
import { ChunkedBody } from './h1-chunked-body.ts';
import { CR, type Framing, IS_TEXT, LF, readFields, readFraming } from './h1-fields.ts';
import { END_OF_LINES, HeldLines, MAX_LINES_OCTETS } from './h1-held-lines.ts';

/** Hears a response while it is read. */
export interface ResponseSink {
  /** 1xx, but for 100 and 101. */
  onInformation(status: number, headers: readonly string[]): void;
  /** The final one, or 101 where that was asked for. */
  onHead(status: number, headers: readonly string[]): void;
  onData(chunk: Buffer): void;
}

/** One response to a request that takes minutes may come after many of them; without an end they are an attack. */
const MAX_INFORMATIONS = 256;
/** Octets of all of them: they go on to a client that may be slow, and nobody can ask it to wait. */
const MAX_INFORMATION_OCTETS = 64 * 1024;

const NO_FIELDS: readonly string[] = [];
/** Octets of `HTTP/1.1 200 `. */
const STATUS_LINE_OCTETS = 13;
const VERSION = Buffer.from('HTTP/1.');
const SP = 0x20;
const ZERO = 0x30;

type Part = 'idle' | 'head' | 'counted' | 'chunked' | 'to-eof' | 'whole' | 'stopped';

export class ResponseParser {
  private readonly sink: ResponseSink;
  private part: Part = 'idle';
  private withoutBody = false;
  private mayUpgrade = false;
  private informations = 0;
  private informationOctets = 0;
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
  /** Of the last head, and the place in it. */
  private status = 0;
  private isOld = false;
  private keeps = false;
  /** Why what came is refused. */
  fault: string | undefined;

  constructor(sink: ResponseSink) {
    this.sink = sink;
  }

  /** The response to a request of `method` is next. */
  begin(method: string, mayUpgrade: boolean): void {
    this.part = 'head';
    this.withoutBody = method === 'HEAD';
    this.mayUpgrade = mayUpgrade;
    this.informations = 0;
    this.informationOctets = 0;
    this.status = 0;
    this.keeps = false;
    this.fault = undefined;
  }

  get isWhole(): boolean {
    return this.part === 'whole';
  }

  /** Whether it is whole and the connection is another protocol's now. */
  get isUpgrade(): boolean {
    return this.status === 101 && this.part === 'whole';
  }

  /** Whether the head of the final response was read. */
  get hasHead(): boolean {
    return this.part !== 'idle' && this.part !== 'head' && this.fault === undefined;
  }

  /** Whether another request may follow the whole response. */
  get keepsAlive(): boolean {
    return this.keeps;
  }

  /** Seconds, as the server said; -1 if it didn't. */
  get keepAliveSeconds(): number {
    return this.framing.keepAliveSeconds;
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

  /** Reads the next octets. Returns how many of them are the response's: fewer where it is whole before, or at a fault. */
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
          if (this.chunks.fault !== undefined) this.refuse(this.chunks.fault);
          else if (this.chunks.isWhole) this.part = 'whole';
          break;
        case 'to-eof':
          this.sink.onData(at === 0 ? chunk : chunk.subarray(at));
          return chunk.length;
        default:
          return at;
      }
    }
    return at;
  }

  /** The other side sends nothing more. Returns whether that ends the response: without a length, this is how it ends. */
  finish(): boolean {
    if (this.part === 'to-eof') this.part = 'whole';
    return this.part === 'whole';
  }

  private refuse(fault: string): void {
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
    if (held.fault !== undefined) this.refuse(held.fault);
    // Another protocol than HTTP may wait for us to speak.
    else if (!VERSION.subarray(0, held.length).equals(held.octets.subarray(0, Math.min(held.length, 7))))
      this.refuse('no HTTP/1.1 status line');
    if (this.part === 'stopped' || end === -1) return chunk.length;
    const { octets, length } = held;
    held.clear();
    this.takeHead(octets, 0, length);
    return end;
  }

  /** Takes a head that is whole: `octets` from `from` up to `to`, where its empty line ends. */
  private takeHead(octets: Buffer, from: number, to: number): void {
    const fieldsAt = this.readStatusLine(octets, from, to);
    if (fieldsAt === -1) {
      this.refuse('no HTTP/1.1 status line');
      return;
    }
    const headers: string[] = [];
    const text = octets.toString('latin1', fieldsAt, to - 2);
    const fault =
      readFields(octets, fieldsAt, to - 2, text, headers) ??
      readFraming(headers, text, this.framing) ??
      this.faultInHead(to - from);
    if (fault !== undefined) {
      this.refuse(fault);
      return;
    }
    const { status } = this;
    if (status >= 200) {
      this.beginBody();
      this.sink.onHead(status, headers);
    } else if (status === 101) {
      this.part = 'whole';
      this.sink.onHead(status, headers);
    } else if (status !== 100) this.sink.onInformation(status, headers);
  }

  /** `HTTP/1.1 SP 3DIGIT SP [reason] CRLF`. Returns where the next line begins, -1 if it is anything else. */
  private readStatusLine(octets: Buffer, from: number, to: number): number {
    if (to - from < STATUS_LINE_OCTETS + 4) return -1;
    for (let at = 0; at < VERSION.length; at++) if (octets[from + at] !== VERSION[at]) return -1;
    const minor = (octets[from + 7] as number) - ZERO;
    if ((minor !== 0 && minor !== 1) || octets[from + 8] !== SP || octets[from + 12] !== SP) return -1;
    let status = 0;
    for (let at = from + 9; at < from + 12; at++) {
      const digit = (octets[at] as number) - ZERO;
      if (digit < 0 || digit > 9) return -1;
      status = status * 10 + digit;
    }
    if (status < 100 || status > 599) return -1;
    this.status = status;
    this.isOld = minor === 0;
    let at = from + STATUS_LINE_OCTETS;
    while (IS_TEXT[octets[at] as number] === 1) at++;
    return octets[at] === CR && octets[at + 1] === LF ? at + 2 : -1;
  }

  private faultInHead(octets: number): string | undefined {
    const { status, isOld, framing } = this;
    if (isOld && framing.chunked) return 'a transfer coding in HTTP/1.0';
    // RFC 9110 §8.6, RFC 9112 §6.1: a server that announces a body here may send one.
    if ((status < 200 || status === 204) && (framing.chunked || framing.contentLength > 0))
      return `a body announced with ${status}`;
    if (status >= 200) return undefined;
    if (isOld) return 'an interim response in HTTP/1.0';
    // Node takes it for the last one, others for the next to last.
    if (framing.close) return 'an interim response that closes';
    if (status === 101) {
      if (!this.mayUpgrade) return 'a switch of protocols that nobody asked for';
      if (!framing.switches) return 'a switch of protocols that Connection does not name';
      return framing.upgrade === 'websocket' ? undefined : 'a switch to another protocol than was asked for';
    }
    this.informationOctets += octets;
    return ++this.informations > MAX_INFORMATIONS || this.informationOctets > MAX_INFORMATION_OCTETS
      ? 'too many interim responses'
      : undefined;
  }

  private beginBody(): void {
    const { status, framing } = this;
    const never = status === 204 || status === 304;
    // Who would end the body by closing may close after HEAD as well.
    const framed = never || framing.chunked || framing.contentLength !== -1;
    this.keeps = !this.isOld && !framing.close && framed;
    if (never || this.withoutBody || framing.contentLength === 0) {
      this.part = 'whole';
      // The body that these fields describe is not here.
      framing.chunked = false;
    } else if (framing.chunked) {
      this.chunks.begin();
      this.part = 'chunked';
    } else if (framing.contentLength !== -1) {
      this.left = framing.contentLength;
      this.part = 'counted';
    } else this.part = 'to-eof';
  }
}
