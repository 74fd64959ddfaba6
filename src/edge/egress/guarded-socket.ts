/** A WebSocket with a destination through which its credential does not come back: what goes to the agent is looked at first. */
import { Duplex } from 'node:stream';
import { WebSocketEdge } from '../http/stream-edge.ts';
import { SecretSearch } from './echo-guard.ts';

export interface GuardedSocketOptions {
  /** Behind its 101, paused. */
  readonly socket: Duplex;
  /** What came behind the 101. */
  readonly head: Buffer;
  readonly secret: string;
  /** The credential came, and the connection has been ended before it. */
  readonly onShown: () => void;
}

export class GuardedSocket extends Duplex {
  private readonly socket: Duplex;
  private readonly search: SecretSearch;
  private readonly edge = new WebSocketEdge();
  private readonly onShown: () => void;

  constructor({ socket, head, secret, onShown }: GuardedSocketOptions) {
    super();
    this.socket = socket;
    this.search = new SecretSearch(secret);
    this.onShown = onShown;
    socket.on('data', (chunk: Buffer) => this.lookAt(chunk));
    socket.once('end', () => this.lookAtEnd());
    socket.once('error', (error) => this.destroy(error));
    socket.once('close', () => this.destroy());
    if (head.length > 0) socket.unshift(head);
  }

  private lookAt(chunk: Buffer): void {
    if (this.destroyed) return;
    const { pass, denial } = this.search.push(chunk);
    if (denial !== undefined) {
      this.onShown();
      this.destroy(new Error(denial.reason));
      return;
    }
    this.edge.push(chunk);
    // No secret goes on in another frame, whose head would stand in it: a message that ends as a secret begins need not wait.
    const rest = this.edge.isBetween ? this.search.end().pass : [];
    let takesMore = true;
    for (const octets of [...pass, ...rest]) takesMore = this.push(octets);
    if (!takesMore) this.socket.pause();
  }

  private lookAtEnd(): void {
    for (const octets of this.search.end().pass) this.push(octets);
    this.push(null);
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.socket.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }

  /** As a socket has it: what was written goes out first. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }
}
