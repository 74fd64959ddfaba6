/** How an HTTP/2 connection ends, whichever side of it is ours: once it is retired and nothing is under way on it, and its socket with it. */
import type { Http2Session, Http2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { watchPulse } from './h2-pulse.ts';

/** Milliseconds that the other side has to hang up. */
const LINGER_MS = 1000;

export interface H2EndingOptions {
  /** Milliseconds that who has said goodbye may take to say that it is still there. */
  readonly pulseMs?: number | undefined;
  /** Heard once at the most: the other side wants no more on it, or it has ended. Not where it was retired here. */
  readonly onRetired?: (() => void) | undefined;
  /** Heard whenever a stream has ended. */
  readonly onStreamEnd: () => void;
}

export class H2Ending {
  private readonly session: Http2Session;
  private readonly socket: Duplex;
  private readonly options: H2EndingOptions;
  private open = 0;
  private retired = false;
  private late: NodeJS.Timeout | undefined;

  constructor(session: Http2Session, socket: Duplex, options: H2EndingOptions) {
    this.session = session;
    this.socket = socket;
    this.options = options;
    session.once('goaway', () => {
      this.leave();
      this.endIfDone();
      watchPulse(session, () => this.destroy(), options.pulseMs);
    });
    session.once('close', () => {
      this.leave();
      clearTimeout(this.late);
      socket.destroy();
    });
  }

  /** Streams under way. */
  get streams(): number {
    return this.open;
  }

  get isRetired(): boolean {
    return this.retired;
  }

  /** It is under way until it closes. */
  add(stream: Http2Stream): void {
    this.open++;
    stream.once('close', () => {
      this.open--;
      this.options.onStreamEnd();
      this.endIfDone();
    });
  }

  /** Ends when nothing is under way any more. */
  retire(): void {
    this.retired = true;
    this.endIfDone();
  }

  private leave(): void {
    if (this.retired) return;
    this.retired = true;
    this.options.onRetired?.();
  }

  private endIfDone(): void {
    if (this.retired && this.open === 0) this.end();
  }

  /** INVARIANT: the socket goes with the session. Node waits for the other side to read what is on its way to it, and to hang up. */
  end(): void {
    if (!this.session.destroyed) this.session.close();
    this.late ??= setTimeout(() => this.destroy(), LINGER_MS).unref();
  }

  destroy(): void {
    clearTimeout(this.late);
    this.session.destroy();
    this.socket.destroy();
  }
}
