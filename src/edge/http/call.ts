/**
 * One request at a door, with the way to answer it, whatever version of HTTP it came over: what a hop knows of its client.
 * Names and values stand in flat lists, as received: an object would merge what must not be merged.
 */
import type { Readable } from 'node:stream';

export interface Call {
  /** `1.1`, `2`; of HTTP/1 also what we don't speak. */
  readonly version: string;
  readonly method: string;
  /** As received; HTTP/2's `:path`. */
  readonly target: string;
  /** Name, value …; of HTTP/2 without the pseudo-headers, its `:authority` as `host`. */
  readonly rawHeaders: readonly string[];
  /** Whether it is known to have no body: HTTP/1 says so in headers. */
  readonly endsWithHead: boolean;
  /** Its client sends the body only when it is told to (RFC 9110 §10.1.1). */
  readonly waits: boolean;
  /** The request's body. */
  readonly body: Readable;
  /** Name, value …, behind the body. */
  trailers(): readonly string[];
  /** Whether the body has come whole. */
  readonly isComplete: boolean;
  /** Whether nobody hears an answer any more. */
  readonly isClosed: boolean;
  /** Whether the whole answer has been handed to the system. */
  readonly isAnswered: boolean;
  readonly isHeadSent: boolean;
  /** Of the answer, once its head is sent. */
  readonly status: number;
  /** Fault in the form of the request that its version alone shows, as a sentence. */
  readonly malformed: string | undefined;

  /** Hears when the answer is done or the client has gone: once. */
  onClose(listener: () => void): void;
  offClose(listener: () => void): void;
  /** A body that stands still for so many milliseconds is heard of once; 0 ends the watch. */
  watchBody(idleMs: number, onStill?: () => void): void;

  /** Tells a client that {@link waits}. */
  sendContinue(): void;
  /** 1xx, but for 100 and 101. */
  sendInformation(status: number, headers: readonly string[]): void;
  /** `isWhole`: nothing follows it. False: this head can't be sent over this version of HTTP, and nothing of it was. */
  sendHead(status: number, headers: readonly string[], isWhole: boolean): boolean;
  /** Lets go of what {@link sendHead} may have kept for the first octets. */
  flush(): void;
  /** Whether more may come at once; else `onDrain` is called when it may. */
  write(chunk: Uint8Array): boolean;
  onDrain(listener: () => void): void;
  /** Trailers go where the client has said that it reads them. */
  end(chunk?: Uint8Array, trailers?: readonly string[]): void;
  /** Breaks off: what was sent can't be taken for the whole. */
  abort(): void;
  /** No further request is wanted on this connection. */
  retire(): void;
}
