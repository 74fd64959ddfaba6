/**
 * Requests of HTTP/1.1 (RFC 9110, 9112), read from octets as they come: one at a time, the next when it is asked for. At least as
 * strict as Node's own parser: what could be read in two ways is refused, and nothing is mended.
 */
import { CR, IS_TOKEN, LF } from './h1-fields.ts';
import { isAt, MessageReader } from './h1-message-reader.ts';

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

const SP = 0x20;
/** `GET / HTTP/1.1`: nothing shorter is a request line. */
const VERSION = Buffer.from(' HTTP/1.');
const ZERO = 0x30;
const MAX_METHOD = 32;

/** Absolute form (RFC 9112 §3.2.2); authority form is for CONNECT alone. */
const ABSOLUTE = /^[A-Za-z]+:\/\/[-\w.~:[\]%@!$&'()*+,;=]+(?:[/?]|$)/;
const isTarget = (method: string, target: string): boolean =>
  target[0] === '/' || target === '*' || method === 'CONNECT' || ABSOLUTE.test(target);

/** What a target may be made of (RFC 3986 §2, and what agents send besides): visible US-ASCII. */
const isVisible = (octet: number): boolean => octet > SP && octet < 0x7f;

export class RequestParser extends MessageReader<RequestSink> {
  /** Of the request that was refused or is being read. */
  method = '';
  private target = '';
  private isOld = false;

  constructor(sink: RequestSink) {
    super(sink, 'request line');
    this.begin();
  }

  /** The next request may begin. */
  begin(): void {
    this.part = 'head';
    this.method = '';
    this.target = '';
  }

  protected override mayBegin(octets: Buffer): boolean {
    return IS_TOKEN[octets[0] as number] === 1;
  }

  /** `method SP target SP HTTP/1.1 CRLF`. */
  protected override readStartLine(octets: Buffer, from: number, to: number): number {
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
      isAt(octets, targetEnd, VERSION) &&
      octets[lineEnd] === CR &&
      octets[lineEnd + 1] === LF;
    const minor = (octets[lineEnd - 1] as number) - ZERO;
    if (!isLine || (minor !== 0 && minor !== 1)) return -1;
    this.isOld = minor === 0;
    this.method = octets.toString('latin1', from, methodEnd);
    this.target = octets.toString('latin1', methodEnd + 1, targetEnd);
    return isTarget(this.method, this.target) ? lineEnd + 2 : -1;
  }

  /** What is framed is a request; whatever else its fields say is looked at by whoever hears them. */
  protected override faultInHead(): undefined {
    return undefined;
  }

  protected override onHead(headers: readonly string[]): void {
    const { method, target, isOld, framing } = this;
    const upgrades = framing.switches && framing.upgrade !== undefined;
    this.beginBody(!upgrades);
    this.sink.onHead({
      method,
      target,
      version: isOld ? '1.0' : '1.1',
      headers,
      hasBody: !this.isWhole,
      closes: framing.close || isOld,
      upgrades,
    });
  }
}
