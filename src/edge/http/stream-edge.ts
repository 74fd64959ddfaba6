/**
 * Where a stream without an announced length may end so that its reader takes the end for one: between two events, two messages,
 * two frames. What is counted is what goes out.
 */

export interface StreamEdge {
  push(chunk: Uint8Array): void;
  /** Whether it may end right now. */
  readonly isBetween: boolean;
  /** As {@link push}, but only up to the first place where it may end: so many octets; undefined when there is none in these. */
  until(chunk: Uint8Array): number | undefined;
  /** Name, value …: what has to follow, so that the end says why. */
  readonly trailers: readonly string[];
}

const LF = 0x0a;
const CR = 0x0d;

/** `text/event-stream`: behind a blank line, whose line ends may be LF, CR or CRLF. */
export class EventEdge implements StreamEdge {
  readonly trailers = [];
  isBetween = true;
  private isLineEmpty = true;
  private wasCr = false;

  push(chunk: Uint8Array): void {
    // What stands before the last line ends has no say.
    for (let at = Math.max(0, chunk.length - 5); at < chunk.length; at++) this.take(chunk[at] as number);
  }

  until(chunk: Uint8Array): number | undefined {
    for (let at = 0; at < chunk.length; at++) {
      this.take(chunk[at] as number);
      if (this.isBetween) return at + 1;
    }
    return undefined;
  }

  private take(octet: number): void {
    const isRest = octet === LF && this.wasCr;
    this.wasCr = octet === CR;
    if (isRest) return;
    const isLineEnd = octet === LF || octet === CR;
    this.isBetween = isLineEnd && this.isLineEmpty;
    this.isLineEmpty = isLineEnd;
  }
}

/** Of pieces that say how long they are. */
abstract class FramedEdge implements StreamEdge {
  abstract readonly trailers: readonly string[];
  private readonly head: number[] = [];
  /** Octets of payload that are still to come. */
  private left = 0;

  /** Octets of payload behind this head; undefined while it is not whole. */
  protected abstract payloadOf(head: readonly number[]): number | undefined;

  get isBetween(): boolean {
    return this.left === 0 && this.head.length === 0;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) at = this.step(chunk, at);
  }

  until(chunk: Uint8Array): number | undefined {
    for (let at = 0; at < chunk.length; ) {
      at = this.step(chunk, at);
      if (this.isBetween) return at;
    }
    return undefined;
  }

  /** Takes one octet of a head, or what there is of a payload; where to go on. */
  private step(chunk: Uint8Array, at: number): number {
    if (this.left > 0) {
      const taken = Math.min(this.left, chunk.length - at);
      this.left -= taken;
      return at + taken;
    }
    this.head.push(chunk[at] as number);
    const payload = this.payloadOf(this.head);
    if (payload !== undefined) {
      this.head.length = 0;
      this.left = payload;
    }
    return at + 1;
  }
}

const numberOf = (octets: readonly number[]): number => octets.reduce((sum, octet) => sum * 256 + octet, 0);

const GRPC_HEAD = 5;

/** gRPC's messages: a flag, four octets of length. The end is told by trailers: UNAVAILABLE, which a client may try again. */
export class GrpcEdge extends FramedEdge {
  readonly trailers = ['grpc-status', '14', 'grpc-message', 'the sidecar is shutting down'];

  protected payloadOf(head: readonly number[]): number | undefined {
    return head.length < GRPC_HEAD ? undefined : numberOf(head.slice(1));
  }
}

/** WebSocket frames in one direction (RFC 6455 §5.2). */
export class WebSocketEdge extends FramedEdge {
  readonly trailers = [];

  protected payloadOf(head: readonly number[]): number | undefined {
    const [, second] = head;
    if (second === undefined) return undefined;
    const short = second & 0x7f;
    const more = short === 126 ? 2 : short === 127 ? 8 : 0;
    const mask = (second & 0x80) === 0 ? 0 : 4;
    if (head.length < 2 + more + mask) return undefined;
    return more === 0 ? short : numberOf(head.slice(2, 2 + more));
  }
}

/** Of a response; undefined where no end but its own can be told from one. */
export const edgeOf = (headers: readonly string[]): StreamEdge | undefined => {
  let type = '';
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]?.toLowerCase();
    // Coded, its events can't be seen.
    if (name === 'content-encoding') return undefined;
    if (name === 'content-type') type = headers[at + 1]?.toLowerCase() ?? '';
  }
  if (/^text\/event-stream\s*(?:;|$)/.test(type)) return new EventEdge();
  return /^application\/grpc(?:\+[a-z0-9.-]+)?\s*(?:;|$)/.test(type) ? new GrpcEdge() : undefined;
};
