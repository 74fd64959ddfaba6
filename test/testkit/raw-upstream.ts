/** An upstream that answers octets with octets, and a handler that remembers what it heard. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { UpstreamFailure, UpstreamHandler, UpstreamRequest } from '../../src/edge/http/upstream.ts';

export interface RawUpstream {
  readonly server: Server;
  readonly port: number;
  /** Connections so far, in order. */
  readonly sockets: readonly Socket[];
  readonly close: () => Promise<void>;
}

/** On a port of loopback, or a unix socket. `answer` hears each connection once. */
export const rawUpstream = async (
  answer: (socket: Socket, ordinal: number) => void,
  path?: string,
): Promise<RawUpstream> => {
  const sockets: Socket[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
    answer(socket, sockets.length - 1);
  });
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  return {
    server,
    port: path === undefined ? (server.address() as AddressInfo).port : 0,
    sockets,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
};

/** Calls `answer` with each request that has come whole; bodies by content-length or in chunks. */
export const eachRequest = (socket: Socket, answer: (text: string, ordinal: number) => void): void => {
  let text = '';
  let ordinal = 0;
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    for (let end = requestEnd(text); end !== -1; end = requestEnd(text)) {
      const request = text.slice(0, end);
      text = text.slice(end);
      answer(request, ordinal++);
    }
  });
};

const requestEnd = (text: string): number => {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return -1;
  const head = text.slice(0, end);
  if (/^transfer-encoding: chunked$/im.test(head)) {
    const last = /\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(text.slice(end + 2));
    return last === null ? -1 : end + 2 + last.index + last[0].length;
  }
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
  return text.length >= end + 4 + length ? end + 4 + length : -1;
};

export const connectTo = async (port: number): Promise<Socket> => {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
};

export const requestOf = (over: Partial<UpstreamRequest> = {}): UpstreamRequest => ({
  method: 'GET',
  target: '/',
  headers: ['host', 'agent'],
  body: null,
  headersTimeoutMs: 20_000,
  ...over,
});

/** One response as a handler hears it; `done` is settled by the last call. */
export class Heard implements UpstreamHandler {
  informations: number[] = [];
  status = 0;
  headers: readonly string[] = [];
  body = '';
  octets = 0;
  trailers: readonly string[] | undefined;
  failure: UpstreamFailure | undefined;
  upgraded: { socket: Duplex; head: Buffer } | undefined;
  /** Last calls; more than one is a fault. */
  ends = 0;
  private readonly settled = Promise.withResolvers<this>();
  private readonly headed = Promise.withResolvers<this>();
  readonly done = this.settled.promise;
  readonly head = this.headed.promise;

  private end(): void {
    this.ends++;
    this.headed.resolve(this);
    this.settled.resolve(this);
  }
  onInformation(status: number): void {
    this.informations.push(status);
  }
  onHead(status: number, headers: readonly string[]): void {
    this.status = status;
    this.headers = headers;
    this.headed.resolve(this);
  }
  onData(chunk: Buffer): void {
    this.octets += chunk.length;
    if (this.octets <= 1_000_000) this.body += chunk.toString('latin1');
  }
  onEnd(trailers: readonly string[]): void {
    this.trailers = trailers;
    this.end();
  }
  onUpgrade(headers: readonly string[], socket: Duplex, head: Buffer): void {
    this.headers = headers;
    this.upgraded = { socket, head };
    this.end();
  }
  onFailure(failure: UpstreamFailure): void {
    this.failure = failure;
    this.end();
  }
}
