/** Handshake frames over a TLS socket. What follows the last frame stays in the socket for the HTTP parser. */
import type { TLSSocket } from 'node:tls';
import { type FrameType, frameLength } from '../../core/handshake/frames.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';
import type { FrameChannel } from '../../ports.ts';
import { ownMemory } from '../own-memory.ts';

export class SocketFrames implements FrameChannel {
  private readonly socket: TLSSocket;
  private buffered: Buffer = Buffer.alloc(0);
  private failure: Verdict<Buffer> | undefined;
  private wake: (() => void) | undefined;

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', this.onData);
    socket.on('close', this.onClose);
    socket.on('end', this.onClose);
    socket.on('error', this.onClose);
  }

  private readonly onData = (chunk: Buffer): void => {
    this.buffered = ownMemory(this.buffered.length === 0 ? chunk : Buffer.concat([this.buffered, chunk]));
    // One frame and a first request may come at once; nobody gets to fill memory.
    this.socket.pause();
    this.wake?.();
  };

  private readonly onClose = (): void => {
    this.failure ??= deny('hs_frame', 'the connection ended within the handshake');
    this.wake?.();
  };

  /** Ends the wait: the handshake's deadline has passed. */
  timeOut(): void {
    this.failure ??= deny('hs_timeout', 'the handshake missed its deadline');
    this.wake?.();
  }

  async read(expected: readonly FrameType[]): Promise<Verdict<Buffer>> {
    for (;;) {
      const length = this.buffered.length > 0 ? frameLength(this.buffered, expected) : undefined;
      if (length !== undefined && !length.ok) return length;
      if (length !== undefined && this.buffered.length >= length.value) {
        const frame = this.buffered.subarray(0, length.value);
        this.buffered = this.buffered.subarray(length.value);
        return grant(frame);
      }
      if (this.failure !== undefined) return this.failure;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        this.socket.resume();
      });
      this.wake = undefined;
    }
  }

  write(octets: Buffer): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.destroyed || !this.socket.writable) resolve();
      else this.socket.write(octets, () => resolve());
    });
  }

  /** Lets go of the socket: what was read beyond the last frame goes back into it. */
  release(): void {
    this.socket.off('data', this.onData);
    this.socket.off('close', this.onClose);
    this.socket.off('end', this.onClose);
    this.socket.off('error', this.onClose);
    this.socket.pause();
    if (this.buffered.length > 0) this.socket.unshift(this.buffered);
    this.buffered = Buffer.alloc(0);
  }
}
