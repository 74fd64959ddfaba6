/** What Node's own client makes of the octets of a response, strict as it is by default. */
import { Agent, request } from 'node:http';
import { Duplex } from 'node:stream';

export interface NodeReading {
  readonly informations: readonly number[];
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
  readonly end: 'whole' | 'upgrade' | 'refused';
  readonly code: string | undefined;
  readonly keepsAlive: boolean;
  /** Behind an upgrade. */
  readonly rest: string;
}

/** A server that has sent all of it before it was asked, and then its end. */
class Said extends Duplex {
  constructor(pieces: readonly Buffer[]) {
    super({ allowHalfOpen: true });
    this.pieces = pieces;
  }
  private readonly pieces: readonly Buffer[];
  private next = 0;
  override _read(): void {
    if (this.next < this.pieces.length) this.push(this.pieces[this.next++]);
    else this.push(null);
  }
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

/** Keeps connections in principle, so that a request says whether its own could be kept. */
class OneEach extends Agent {
  private readonly said: Said;
  constructor(said: Said) {
    super({ keepAlive: true });
    this.said = said;
  }
  override createConnection(): Said {
    return this.said;
  }
}

export const nodeReading = (
  pieces: readonly Buffer[],
  method: string,
  upgrade: boolean,
): Promise<NodeReading> =>
  new Promise((resolve) => {
    const informations: number[] = [];
    let status = 0;
    let headers: readonly string[] = [];
    let body = '';
    const end = (how: NodeReading['end'], trailers: readonly string[], code?: string, rest = ''): void =>
      resolve({
        informations,
        status,
        headers,
        body,
        trailers,
        end: how,
        code,
        keepsAlive: asked.shouldKeepAlive,
        rest,
      });
    const asked = request({
      method,
      path: '/',
      headers: upgrade ? { upgrade: 'websocket', connection: 'upgrade' } : {},
      maxHeaderSize: 64 * 1024,
      agent: new OneEach(new Said(pieces)),
    });
    asked.on('information', (one) => informations.push(one.statusCode));
    asked.on('response', (response) => {
      status = response.statusCode ?? 0;
      headers = response.rawHeaders;
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString('latin1');
      });
      response.on('error', (error: NodeJS.ErrnoException) => end('refused', [], error.code));
      response.on('end', () => {
        if (response.complete) end('whole', response.rawTrailers);
      });
      response.on('close', () => end('refused', [], 'closed'));
    });
    if (upgrade)
      asked.on('upgrade', (response, socket, head) => {
        status = response.statusCode ?? 0;
        headers = response.rawHeaders;
        let rest = head.toString('latin1');
        socket.on('data', (chunk: Buffer) => {
          rest += chunk.toString('latin1');
        });
        socket.on('end', () => end('upgrade', [], undefined, rest));
        socket.resume();
      });
    asked.on('error', (error: NodeJS.ErrnoException) => end('refused', [], error.code));
    asked.on('close', () => setImmediate(() => end('refused', [], 'closed')));
    asked.end();
  });
