/** The server's end of an HTTP/2 connection, on a socket that is there already. */
import type { ServerHttp2Session } from 'node:http2';
import type { Duplex } from 'node:stream';
import { H2Call, retireSession } from './h2-call.ts';
import { CONNECTION_WINDOW, http2, sessionOptions } from './node-http2.ts';

export interface H2Limits {
  /** Streams that the client may have open at once. */
  readonly streams: number;
  /** Milliseconds without an open stream. */
  readonly idleMs: number;
}

/** So many streams may be reset by a client at once, and so many a second after that (CVE-2023-44487). */
const RESET_BURST = 200;
const RESETS_PER_SECOND = 50;
/** SETTINGS entries in one frame, and PINGs that wait to be answered. */
const MAX_SETTINGS = 32;
const MAX_PINGS = 10;
/** Frames that are no frames, and streams beyond the limit, that a connection may send before it ends. */
const MAX_INVALID = 32;

export class H2Server {
  readonly session: ServerHttp2Session;
  private open = 0;
  private isRetired = false;

  /**
   * What was read of the socket before is not lost; no write may be pending on it (Node would abort). `ordinal` is the place of
   * a request among the streams that a client may open (RFC 9113 §5.1.1): 1 for stream 1, 2 for stream 3.
   */
  constructor(
    socket: Duplex,
    { streams, idleMs }: H2Limits,
    onCall: (call: H2Call, ordinal: number) => void,
  ) {
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
    session.on('error', () => session.destroy());
    session.on('stream', (stream, _headers, _flags, raw) => {
      this.open++;
      stream.once('close', () => {
        this.open--;
        this.closeIfDone();
      });
      onCall(new H2Call(stream, raw as unknown as readonly string[]), ((stream.id ?? 1) + 1) / 2);
    });
    session.setLocalWindowSize(CONNECTION_WINDOW);
    session.setTimeout(idleMs, () => {
      if (this.open === 0) session.close();
    });
    session.once('close', () => socket.destroy());
  }

  /** Streams under way. */
  get streams(): number {
    return this.open;
  }

  /** Takes what is still on the way, and no more after that; {@link close} ends it. */
  retire(): void {
    retireSession(this.session);
  }

  /** Ends when nothing is under way any more. */
  close(): void {
    this.isRetired = true;
    retireSession(this.session);
    this.closeIfDone();
  }

  private closeIfDone(): void {
    if (this.isRetired && this.open === 0 && !this.session.destroyed) this.session.close();
  }

  destroy(): void {
    this.session.destroy();
  }
}
