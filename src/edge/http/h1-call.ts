/** A request over HTTP/1.1, as Node's server hands it over. */
import type { IncomingMessage, ServerResponse as Response } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import type { Call } from './call.ts';
import { ServerResponse } from './node-http.ts';

/** Up to here, octets through a Latin-1 string (which keeps each of them) are cheaper than a second piece. */
const ONE_WRITE_BYTES = 4096;

export class H1Call implements Call {
  readonly request: IncomingMessage;
  readonly response: Response;
  readonly waits: boolean;
  private readonly closeListeners: (() => void)[] = [];
  private isHeardClosing = false;
  private hasLength = false;

  constructor(request: IncomingMessage, response: Response, waits = false) {
    this.waits = waits;
    this.request = request;
    this.response = response;
    response.sendDate = false;
  }

  /** On a socket that Node took from its parser, for a request that asks for another protocol. */
  static onSocket(request: IncomingMessage, socket: Duplex): H1Call {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Socket);
    // Nothing reads it any more: it would never hear its client hang up.
    response.once('finish', () => socket.end(() => socket.destroy()));
    return new H1Call(request, response);
  }

  get version(): string {
    return this.request.httpVersion;
  }
  get method(): string {
    return this.request.method ?? '';
  }
  get target(): string {
    return this.request.url ?? '';
  }
  get rawHeaders(): readonly string[] {
    return this.request.rawHeaders;
  }
  get endsWithHead(): boolean {
    return false;
  }
  get body(): Readable {
    return this.request;
  }
  trailers(): readonly string[] {
    return this.request.rawTrailers;
  }
  get isComplete(): boolean {
    return this.request.complete;
  }
  get isClosed(): boolean {
    return this.response.destroyed;
  }
  get isAnswered(): boolean {
    return this.response.writableFinished;
  }
  get isHeadSent(): boolean {
    return this.response.headersSent;
  }
  get status(): number {
    return this.response.headersSent ? this.response.statusCode : 0;
  }
  get malformed(): string | undefined {
    return this.version === '1.1' ? undefined : 'only HTTP/1.1 and HTTP/2 are spoken here';
  }

  onClose(listener: () => void): void {
    this.closeListeners.push(listener);
    if (this.isHeardClosing) return;
    this.isHeardClosing = true;
    this.response.once('close', () => {
      for (const heard of this.closeListeners.splice(0)) heard();
    });
  }

  offClose(listener: () => void): void {
    const at = this.closeListeners.indexOf(listener);
    if (at !== -1) this.closeListeners.splice(at, 1);
  }

  watchBody(idleMs: number, onStill?: () => void): void {
    this.request.setTimeout(idleMs, onStill);
  }

  sendContinue(): void {
    this.response.writeContinue();
  }

  sendInformation(status: number, headers: readonly string[]): void {
    // Behind another answer that is still owed it has no place of its own, and nobody misses it.
    const { socket, headersSent } = this.response;
    if (socket === null || headersSent) return;
    let text = `HTTP/1.1 ${status} Information\r\n`;
    for (let at = 0; at < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`;
    socket.write(`${text}\r\n`, 'latin1');
  }

  sendHead(status: number, headers: readonly string[]): boolean {
    for (let at = 0; at < headers.length; at += 2)
      if (headers[at]?.length === 14 && headers[at]?.toLowerCase() === 'content-length')
        this.hasLength = true;
    try {
      this.response.writeHead(status, headers as string[]);
      return true;
    } catch {
      return false;
    }
  }

  flush(): void {
    this.response.flushHeaders();
  }

  write(chunk: Uint8Array): boolean {
    return this.response.write(chunk);
  }

  onDrain(listener: () => void): void {
    this.response.once('drain', listener);
  }

  end(chunk?: Uint8Array, trailers: readonly string[] = []): void {
    const { response } = this;
    if (response.writableEnded) return;
    if (trailers.length > 0 && !this.hasLength && this.readsTrailers())
      response.addTrailers(
        Array.from({ length: trailers.length / 2 }, (_, at): [string, string] => [
          trailers[at * 2] ?? '',
          trailers[at * 2 + 1] ?? '',
        ]),
      );
    // A small body goes out in one string with its head: one write, where a buffer makes a list of two.
    if (chunk === undefined) response.end();
    else if (chunk.length <= ONE_WRITE_BYTES)
      response.end(
        Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1'),
        'latin1',
      );
    else response.end(chunk);
  }

  /** RFC 9110 §6.5.1: only who says so is sent trailers. */
  private readsTrailers(): boolean {
    return /(?:^|[\s,])trailers(?:$|[\s,;])/i.test(String(this.request.headers.te ?? ''));
  }

  abort(): void {
    this.response.destroy();
  }

  retire(): void {
    this.response.shouldKeepAlive = false;
  }
}
