/** A request's body on its way to an HTTP/1.1 connection while it comes: as many octets as were announced, or in chunks. */
import type { Duplex, Readable } from 'node:stream';
import { lastChunk } from './h1-request-head.ts';
import type { ComingBody } from './upstream.ts';

/** Up to here, octets through a Latin-1 string (which keeps each of them) are cheaper than a list of pieces. */
export const ONE_WRITE_BYTES = 4096;

/** That wait to be written: each costs some 300 octets besides its own, and the socket counts its octets alone. */
const MOST_PIECES = 256;

const ignore = (): void => {};

export class RequestBody {
  private readonly socket: Duplex;
  private readonly body: ComingBody;
  private readonly onFault: (detail: string) => void;
  /** Octets that are still to come; -1 where nobody announced them. */
  private left: number;
  private waiting = false;
  /** That the socket was given and has not passed on yet. */
  private pieces = 0;
  /** Since when it is the socket's turn: it takes no more, or has all of it. ms, as `performance.now()`. */
  private since = 0;
  /** Whether all of it is with the socket. */
  isSent = false;

  /** `announced` octets, -1 for chunks. `onFault` is called once at most, and never before `start` has returned. */
  constructor(socket: Duplex, body: ComingBody, announced: number, onFault: (detail: string) => void) {
    this.socket = socket;
    this.body = body;
    this.left = announced;
    this.onFault = onFault;
  }

  /** Writes `head`, and what of the body is there already with it. */
  start(head: string): void {
    const { socket, stream } = this;
    // Stays: who made the stream may be done with it before it fails.
    stream.on('error', ignore);
    if (stream.readableEnded || stream.destroyed) {
      socket.write(head, 'latin1');
      process.nextTick(stream.readableEnded ? this.onEnd : this.onClose);
      return;
    }
    socket.cork();
    socket.write(head, 'latin1');
    stream.on('data', this.onData);
    stream.on('end', this.onEnd);
    stream.on('close', this.onClose);
    stream.resume();
    // Behind the tick in which the stream begins to flow.
    if (stream.readableLength > 0) process.nextTick(uncork, socket);
    else socket.uncork();
  }

  private get stream(): Readable {
    return this.body.stream;
  }

  /** Since when the upstream is slow, and not whoever sends the body: ms, as `performance.now()`. */
  slowSince(now: number): number {
    return this.waiting || this.isSent ? this.since : now;
  }

  /** The socket takes more. */
  drained(): void {
    if (!this.waiting) return;
    this.waiting = false;
    this.stream.resume();
  }

  /** Nothing more of it is sent. The stream is left where it stands, paused if it had not ended: it is its owner's. */
  stop(): void {
    const { stream } = this;
    stream.off('data', this.onData);
    stream.off('end', this.onEnd);
    stream.off('close', this.onClose);
    if (!this.isSent) stream.pause();
    this.isSent = true;
  }

  private fail(detail: string): void {
    if (this.isSent) return;
    this.stop();
    this.onFault(detail);
  }

  private readonly onData = (chunk: Buffer): void => {
    // A string has another length in octets, and an empty chunk is the last one.
    if (typeof chunk === 'string') this.fail('a request body of text');
    else if (chunk.length > 0 && !this.write(chunk)) {
      this.waiting = true;
      this.since = performance.now();
      this.stream.pause();
    }
  };

  private readonly onWritten = (): void => {
    if (--this.pieces === 0 && !this.isSent) this.drained();
  };

  /** Returns whether the socket takes more. */
  private write(chunk: Buffer): boolean {
    this.pieces++;
    return this.writePiece(chunk) && this.pieces < MOST_PIECES;
  }

  private writePiece(chunk: Buffer): boolean {
    const { socket } = this;
    if (this.left !== -1) {
      // INVARIANT: what would be read as the next request is not written.
      if (chunk.length > this.left) {
        this.fail('the request body is longer than announced');
        return true;
      }
      this.left -= chunk.length;
      return socket.write(chunk, this.onWritten);
    }
    const size = `${chunk.length.toString(16)}\r\n`;
    if (chunk.length <= ONE_WRITE_BYTES)
      return socket.write(`${size}${chunk.toString('latin1')}\r\n`, 'latin1', this.onWritten);
    socket.cork();
    socket.write(size, 'latin1');
    socket.write(chunk);
    const takes = socket.write('\r\n', 'latin1', this.onWritten);
    socket.uncork();
    return takes;
  }

  private readonly onEnd = (): void => {
    if (this.isSent) return;
    if (this.left > 0) {
      this.fail('the request body is shorter than announced');
      return;
    }
    if (this.left === -1) {
      const end = lastChunk(this.body.trailers());
      if (end === undefined) {
        this.fail('trailers that are not fit to be sent');
        return;
      }
      this.socket.write(end, 'latin1');
    }
    this.isSent = true;
    this.since = performance.now();
    this.stop();
  };

  private readonly onClose = (): void => this.fail('the request body broke off');
}

const uncork = (socket: Duplex): void => socket.uncork();
