/**
 * A message of HTTP/1.1 (RFC 9112), read from octets as they come: its head, and its body as the head frames it. What a start line
 * is, what a head may say and which messages have a body is for whoever extends it: asked once a head, never for an octet.
 */
import { ChunkedBody, type DataSink } from './h1-chunked-body.ts';
import { type Framing, readFields, readFraming, TOO_MANY_FIELDS } from './h1-fields.ts';
import { END_OF_LINES, HeldLines, MAX_LINES_OCTETS, TOO_MANY_OCTETS } from './h1-held-lines.ts';

const NO_FIELDS: readonly string[] = [];

/** `idle`: no message is asked for. `to-eof`: a body without a length. Of `whole` and `stopped`, nothing more is read. */
type Part = 'idle' | 'head' | 'counted' | 'chunked' | 'to-eof' | 'whole' | 'stopped';

/** Whether the first `length` octets of `known` stand in `octets` at `from`. A loop: a slice to compare with costs more. */
export const isAt = (octets: Uint8Array, from: number, known: Uint8Array, length = known.length): boolean => {
  for (let at = 0; at < length; at++) if (octets[from + at] !== known[at]) return false;
  return true;
};

export abstract class MessageReader<Sink extends DataSink> {
  protected readonly sink: Sink;
  private readonly startLine: string;
  protected part: Part = 'idle';
  private left = 0;
  private readonly held = new HeldLines();
  private readonly chunks = new ChunkedBody();
  protected readonly framing: Framing = {
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
  fault: string | undefined;

  protected constructor(sink: Sink, startLine: 'request line' | 'status line') {
    this.sink = sink;
    this.startLine = startLine;
  }

  get isWhole(): boolean {
    return this.part === 'whole';
  }

  /** Whether a head has begun and isn't whole. */
  get isInHead(): boolean {
    return this.part === 'head' && this.held.length > 0;
  }

  /** Whether it waits for a message to begin. */
  get isBefore(): boolean {
    return this.part === 'head' && this.held.length === 0;
  }

  /** Whether it is a head that is refused, for its size. */
  get isTooLarge(): boolean {
    return (
      this.chunks.fault === undefined && (this.fault === TOO_MANY_OCTETS || this.fault === TOO_MANY_FIELDS)
    );
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

  /** Reads the next octets. Returns how many of them are the message's: fewer where it is whole before, or at a fault. */
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
    // Whoever speaks another protocol may wait for us to speak.
    else if (!this.mayBegin(held.octets, held.length)) this.refuse(`no HTTP/1.1 ${this.startLine}`);
    if (this.part === 'stopped' || end === -1) return chunk.length;
    const { octets, length } = held;
    held.clear();
    this.takeHead(octets, 0, length);
    return end;
  }

  /** Takes a head that is whole: `octets` from `from` up to `to`, where its empty line ends. */
  private takeHead(octets: Buffer, from: number, to: number): void {
    const fieldsAt = this.readStartLine(octets, from, to);
    if (fieldsAt === -1) {
      this.refuse(`no HTTP/1.1 ${this.startLine}`);
      return;
    }
    const headers: string[] = [];
    const text = octets.toString('latin1', fieldsAt, to - 2);
    const fault =
      readFields(octets, fieldsAt, to - 2, text, headers) ??
      readFraming(headers, text, this.framing) ??
      this.faultInHead(to - from);
    if (fault === undefined) this.onHead(headers);
    else this.refuse(fault);
  }

  /** What follows is the body that the head has framed; without one, or where none may follow, the message is whole. */
  protected beginBody(mayFollow: boolean): void {
    const { framing } = this;
    if (mayFollow && framing.chunked) {
      this.chunks.begin();
      this.part = 'chunked';
    } else if (mayFollow && framing.contentLength > 0) {
      this.left = framing.contentLength;
      this.part = 'counted';
    } else {
      this.part = 'whole';
      // The trailers of a body that is not here are none.
      framing.chunked = false;
    }
  }

  /** Whether a message may begin with these octets, of which there is one at the least. */
  protected abstract mayBegin(octets: Buffer, length: number): boolean;

  /** Takes the start line of a head in `octets` from `from` up to `to`. Returns where the next line begins; -1 if it is none. */
  protected abstract readStartLine(octets: Buffer, from: number, to: number): number;

  /** What is wrong with a head of so many octets, whose fields are read and which is framed. */
  protected abstract faultInHead(octets: number): string | undefined;

  /** Begins the body, if one follows, and tells the sink. */
  protected abstract onHead(headers: readonly string[]): void;
}
