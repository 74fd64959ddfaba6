/**
 * An event stream (WHATWG HTML section 9.2.6) cut into its events, octet for octet: what comes out, put together, is what went in.
 * Framing only. The eventsource-parser package reads text and gives events without the octets they came in, and its bound is
 * on a line and the data so far, so that what was looked at could not be released as it came; tests compare the two.
 */
import type { ReasonCode } from '../reasons.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';

/** The octets from the end of the piece before up to and with the blank line that ends an event. */
export interface StreamPiece {
  readonly octets: Uint8Array;
  /** What a reader gets; undefined where it gets no event (comments alone, a blank line). */
  readonly data: string | undefined;
  /** The event's type; '' stands for `message`. */
  readonly event: string;
  /** The `id` that stands in this piece. */
  readonly id: string | undefined;
  /** All lines that are not data (comments, types, ids, unknown fields), with LF between them: whoever looks for something looks here too. */
  readonly besides: string;
  /** The stream ended before the blank line: a reader that keeps to the standard drops it, others don't. */
  readonly cutOff: boolean;
  /** It is not UTF-8; what is not stands as U+FFFD in the members above. */
  readonly broken: boolean;
}

export interface EventStreamLimits {
  /** Octets of a piece. */
  readonly maxEventBytes: number;
  /** With which a longer one is refused. */
  readonly tooLarge: ReasonCode;
}

const LF = 0x0a;
const CR = 0x0d;
const BOM = [0xef, 0xbb, 0xbf];
const FIRST_HELD_BYTES = 1024;

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

/** Cuts one stream. After a denial it gives that denial for ever. */
export class EventStream {
  private readonly limits: EventStreamLimits;
  /** What came in earlier chunks of the piece that is not whole yet. */
  private held = new Uint8Array(0);
  private heldLength = 0;
  private lineIsEmpty = true;
  private afterCr = false;
  /** The last piece ended in a CR: an LF that follows belongs to it. */
  private mayOweLf = false;
  /** Octets of a byte order mark that the stream began with; -1 when that is over. */
  private mark = 0;
  private first = true;
  private refusal: Denial | undefined;

  constructor(limits: EventStreamLimits) {
    this.limits = limits;
  }

  /** Octets that are held. */
  get pending(): number {
    return this.heldLength;
  }

  /**
   * The pieces that this chunk makes whole; refuses with {@link EventStreamLimits.tooLarge}, after those before. They may be views of the chunk, so it is not to be written to again.
   * An LF that comes in a chunk of its own after the CR of a blank line is a piece of its own, without data: nobody waits for it.
   */
  push(chunk: Uint8Array): Verdict<readonly StreamPiece[]> {
    if (this.refusal !== undefined) return this.refusal;
    const pieces: StreamPiece[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const octet = chunk[at] as number;
      if (this.mark !== -1 && this.isMark(octet)) continue;
      if (octet === LF && this.afterCr) {
        this.afterCr = false;
        if (this.mayOweLf) {
          this.mayOweLf = false;
          pieces.push(this.read(chunk.subarray(start, at + 1), false));
          start = at + 1;
        }
        continue;
      }
      this.mayOweLf = false;
      this.afterCr = octet === CR;
      if (octet !== LF && octet !== CR) {
        this.lineIsEmpty = false;
        continue;
      }
      if (!this.lineIsEmpty) {
        this.lineIsEmpty = true;
        continue;
      }
      if (octet === CR && chunk[at + 1] === LF) {
        at++;
        this.afterCr = false;
      }
      this.mayOweLf = this.afterCr;
      if (this.heldLength + at + 1 - start > this.limits.maxEventBytes) return this.refuse(pieces);
      pieces.push(this.read(this.take(chunk.subarray(start, at + 1)), false));
      start = at + 1;
    }
    if (this.heldLength + chunk.length - start > this.limits.maxEventBytes) return this.refuse(pieces);
    this.hold(chunk.subarray(start));
    return grant(pieces);
  }

  /** What the stream ended in, where that is no whole event. */
  end(): Verdict<readonly StreamPiece[]> {
    if (this.refusal !== undefined) return this.refusal;
    return grant(this.heldLength === 0 ? [] : [this.read(this.take(new Uint8Array(0)), true)]);
  }

  /** Whether the octet is of the mark at the stream's start, which is no content. */
  private isMark(octet: number): boolean {
    if (octet !== BOM[this.mark]) {
      this.mark = -1;
      return false;
    }
    this.mark++;
    this.lineIsEmpty = this.mark === BOM.length;
    if (this.lineIsEmpty) this.mark = -1;
    return true;
  }

  /** From now on; what was whole before it is told first. */
  private refuse(before: readonly StreamPiece[]): Verdict<readonly StreamPiece[]> {
    const { maxEventBytes, tooLarge } = this.limits;
    this.held = new Uint8Array(0);
    this.heldLength = 0;
    this.refusal = deny(tooLarge, `an event of more than ${maxEventBytes} octets`);
    return before.length > 0 ? grant(before) : this.refusal;
  }

  private hold(rest: Uint8Array): void {
    const length = this.heldLength + rest.length;
    if (length > this.held.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.held.length, FIRST_HELD_BYTES));
      larger.set(this.held.subarray(0, this.heldLength));
      this.held = larger;
    }
    this.held.set(rest, this.heldLength);
    this.heldLength = length;
  }

  private take(rest: Uint8Array): Uint8Array {
    if (this.heldLength === 0) return rest;
    this.hold(rest);
    const whole = this.held.subarray(0, this.heldLength);
    this.held = new Uint8Array(0);
    this.heldLength = 0;
    return whole;
  }

  private read(octets: Uint8Array, cutOff: boolean): StreamPiece {
    let text: string;
    let broken = false;
    try {
      text = strict.decode(octets);
    } catch {
      text = lenient.decode(octets);
      broken = true;
    }
    // Of a stream that starts with two marks the second is content.
    if (this.first && text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    this.first = false;
    return { octets, cutOff, broken, ...readFields(text) };
  }
}

const readFields = (text: string): Pick<StreamPiece, 'data' | 'event' | 'id' | 'besides'> => {
  const data: string[] = [];
  const besides: string[] = [];
  let event = '';
  let id: string | undefined;
  for (const line of text.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1);
    if (field === 'data') {
      data.push(value);
      continue;
    }
    if (line !== '') besides.push(line);
    if (field === 'event') event = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
  }
  return { data: data.length === 0 ? undefined : data.join('\n'), event, id, besides: besides.join('\n') };
};
