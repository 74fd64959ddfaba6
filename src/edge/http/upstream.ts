/**
 * What carries a request on: an HTTP/1.1 connection, a pool of them, or an HTTP/2 session. Plain callbacks and not streams: a
 * response is handed over as it comes, and whoever takes it says when it is too fast.
 */
import type { Duplex, Readable } from 'node:stream';

/** A body that is still coming. */
export interface ComingBody {
  readonly stream: Readable;
  /** Name, value …; asked for when the stream has ended. */
  readonly trailers: () => readonly string[];
}

export interface UpstreamRequest {
  readonly method: string;
  /** Origin form: byte for byte what was decided. */
  readonly target: string;
  /** Name, value …, `host` among them; no hop-by-hop ones. A body of known length has its `content-length` here. */
  readonly headers: readonly string[];
  readonly body: Buffer | ComingBody | null;
  /** Milliseconds until the head of the final response. */
  readonly headersTimeoutMs: number;
  /** It asks to become a WebSocket: `upgrade` and `connection` are added. */
  readonly upgrade?: boolean | undefined;
  /** Whoever asks reads trailers of the response: `te: trailers` is added (RFC 9110 §10.1.4). */
  readonly readsTrailers?: boolean | undefined;
  /** HTTP/2: the place among the streams of its connection, where both sides count; 1 for the first. */
  readonly ordinal?: number | undefined;
  /** HTTP/2; `http` where it isn't said. */
  readonly scheme?: 'http' | 'https' | undefined;
}

/** Why there is no whole response. */
export interface UpstreamFailure {
  /** `unreachable`: nothing of the request was sent. `malformed`: the answer is no HTTP as RFC 9110 and 9112 have it. */
  readonly kind: 'unreachable' | 'broken' | 'timeout' | 'malformed';
  /** For the log; nothing of what was sent or received. */
  readonly detail: string;
}

/** Hears one response. The last call is exactly one of `onEnd`, `onUpgrade`, `onFailure`; there is none after `abort`. */
export interface UpstreamHandler {
  /** 1xx, but for 100 and 101. */
  onInformation(status: number, headers: readonly string[]): void;
  /** Name, value …, as received. `isWhole`: neither body nor trailers follow, as far as the head says. */
  onHead(status: number, headers: readonly string[], isWhole: boolean): void;
  onData(chunk: Buffer): void;
  onEnd(trailers: readonly string[]): void;
  /** 101 to a request that asked for it: the connection is the handler's from here. `head` came behind the response. */
  onUpgrade(headers: readonly string[], socket: Duplex, head: Buffer): void;
  onFailure(failure: UpstreamFailure): void;
}

/** An exchange under way. */
export interface UpstreamExchange {
  /** No more `onData` until `resume`; what was being read when it was called may still come. */
  pause(): void;
  resume(): void;
  /** Ends it at once, and with it an HTTP/1.1 connection; the handler hears nothing more. */
  abort(): void;
}

export interface Upstream {
  /** Never throws, and calls nothing of the handler before it has returned. */
  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamExchange;
}
