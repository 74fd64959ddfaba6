/** The server's end of an HTTP/2 connection, on a socket that is there already. */
import type { ServerHttp2Session } from 'node:http2';
import type { Duplex } from 'node:stream';
import { H2Call } from './h2-call.ts';
import { H2Ending } from './h2-ending.ts';
import { CONNECTION_WINDOW, http2, sessionOptions } from './node-http2.ts';

export interface H2Limits {
  /** Streams that the client may have open at once. */
  readonly streams: number;
  /** Milliseconds without an open stream. */
  readonly idleMs: number;
  /** Milliseconds that a client which has said goodbye may take to say that it is still there. */
  readonly pulseMs?: number | undefined;
}

/** What the door hears of a connection. */
export interface H2Listener {
  /**
   * `ordinal` is the place of a request among the streams that a client may open (RFC 9113 §5.1.1): 1 for stream 1, 2 for
   * stream 3.
   */
  onCall(call: H2Call, ordinal: number): void;
  /** Frames or a header block that HTTP/2 does not allow, in place of the request with this ordinal. */
  onRefused(ordinal: number, detail: string): void;
}

/** So many streams may be reset by a client at once, and so many a second after that (CVE-2023-44487). */
const RESET_BURST = 200;
const RESETS_PER_SECOND = 50;
/** SETTINGS entries in one frame, and PINGs that wait to be answered. */
const MAX_SETTINGS = 32;
const MAX_PINGS = 10;
/** Frames that are no frames, and streams beyond the limit, that a connection may send before it ends. */
const MAX_INVALID = 32;

/** With which Node ends a connection whose other side breaks the rules, or floods it. */
const FAULTS: ReadonlySet<string> = new Set(['ERR_HTTP2_ERROR', 'ERR_HTTP2_TOO_MANY_INVALID_FRAMES']);

export class H2Server {
  readonly session: ServerHttp2Session;
  private readonly ending: H2Ending;
  private readonly listener: H2Listener;
  private readonly idle: NodeJS.Timeout;
  /** Ordinal of the last stream that was a request. */
  private seen = 0;

  /** What was read of the socket before is not lost; no write may be pending on it (Node would abort). */
  constructor(socket: Duplex, { streams, idleMs, pulseMs }: H2Limits, listener: H2Listener) {
    this.listener = listener;
    // Before Node's own listener, which forgets the session's state.
    socket.once('close', () => this.lookForRefused());
    this.session = http2().performServerHandshake(socket, {
      ...sessionOptions(streams),
      maxSettings: MAX_SETTINGS,
      maxOutstandingPings: MAX_PINGS,
      maxSessionInvalidFrames: MAX_INVALID,
      maxSessionRejectedStreams: MAX_INVALID,
      streamResetBurst: RESET_BURST,
      streamResetRate: RESETS_PER_SECOND,
      unknownProtocolTimeout: idleMs,
    } as Parameters<ReturnType<typeof http2>['performServerHandshake']>[1]);
    const { session } = this;
    session.on('error', (error: NodeJS.ErrnoException) => {
      if (FAULTS.has(error.code ?? '')) listener.onRefused(++this.seen, error.message);
      this.ending.end();
    });
    this.ending = new H2Ending(session, socket, {
      pulseMs,
      onStreamEnd: () => {
        if (this.streams === 0) this.idle.refresh();
      },
    });
    session.on('stream', (stream, _headers, _flags, raw) => {
      this.ending.add(stream);
      this.seen = ((stream.id ?? 1) + 1) / 2;
      listener.onCall(new H2Call(stream, raw as unknown as readonly string[], this.onRetire), this.seen);
    });
    session.setLocalWindowSize(CONNECTION_WINDOW);
    // Octets are no sign of life: a header block can be sent one at a time, and pings say nothing.
    this.idle = setTimeout(() => this.endIfIdle(), idleMs).unref();
    session.once('close', () => clearTimeout(this.idle));
  }

  /**
   * nghttp2 resets a stream whose header block is malformed, and Node says nothing of it. The last ones are missing among what
   * was seen; one with requests behind it can't be told from a number that the client has left out.
   */
  private lookForRefused(): void {
    const { lastProcStreamID } = this.session.state;
    if (lastProcStreamID === undefined) return;
    const last = Math.ceil(lastProcStreamID / 2);
    if (last <= this.seen) return;
    this.seen = last;
    this.listener.onRefused(last, 'a header block that HTTP/2 does not allow');
  }

  private endIfIdle(): void {
    if (this.streams > 0) return;
    this.lookForRefused();
    this.ending.end();
  }

  /** Streams under way. */
  get streams(): number {
    return this.ending.streams;
  }

  private readonly onRetire = (): void => this.close();

  /** Ends when nothing is under way any more, and says GOAWAY then: after one, nghttp2 drops what comes without a word. */
  close(): void {
    this.ending.retire();
  }

  destroy(): void {
    this.ending.destroy();
  }
}
