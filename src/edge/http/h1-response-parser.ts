/**
 * Responses of HTTP/1.1 (RFC 9110, 9112), read from octets as they come. At least as strict as Node's own parser: what could be
 * read in two ways is refused, and nothing is mended. What an upstream sends decides about one response and never about the next.
 */
import { CR, IS_TEXT, LF } from './h1-fields.ts';
import { isAt, MessageReader } from './h1-message-reader.ts';

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

/** Octets of `HTTP/1.1 200 `. */
const STATUS_LINE_OCTETS = 13;
const VERSION = Buffer.from('HTTP/1.');
const SP = 0x20;
const ZERO = 0x30;

export class ResponseParser extends MessageReader<ResponseSink> {
  private withoutBody = false;
  private mayUpgrade = false;
  private informations = 0;
  private informationOctets = 0;
  /** Of the last head, and the place in it. */
  private status = 0;
  private isOld = false;
  private keeps = false;

  constructor(sink: ResponseSink) {
    super(sink, 'status line');
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

  /** The other side sends nothing more. Returns whether that ends the response: without a length, this is how it ends. */
  finish(): boolean {
    if (this.part === 'to-eof') this.part = 'whole';
    return this.part === 'whole';
  }

  protected override mayBegin(octets: Buffer, length: number): boolean {
    return isAt(octets, 0, VERSION, Math.min(length, VERSION.length));
  }

  /** `HTTP/1.1 SP 3DIGIT SP [reason] CRLF`. */
  protected override readStartLine(octets: Buffer, from: number, to: number): number {
    if (to - from < STATUS_LINE_OCTETS + 4 || !isAt(octets, from, VERSION)) return -1;
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

  protected override faultInHead(octets: number): string | undefined {
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

  protected override onHead(headers: readonly string[]): void {
    const { status } = this;
    if (status >= 200) {
      this.beginLastBody();
      this.sink.onHead(status, headers);
    } else if (status === 101) {
      this.part = 'whole';
      this.sink.onHead(status, headers);
    } else if (status !== 100) this.sink.onInformation(status, headers);
  }

  private beginLastBody(): void {
    const { status, framing } = this;
    const never = status === 204 || status === 304;
    const isFramed = framing.chunked || framing.contentLength !== -1;
    // Who would end the body by closing may close after HEAD as well.
    this.keeps = !this.isOld && !framing.close && (never || isFramed);
    const mayFollow = !never && !this.withoutBody;
    if (mayFollow && !isFramed) this.part = 'to-eof';
    else this.beginBody(mayFollow);
  }
}
