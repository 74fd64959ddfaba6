import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Duplex, PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { carry, endSoon } from '../../../src/edge/carry.ts';
import { H1Connection } from '../../../src/edge/http/h1-connection.ts';
import { WebSocketEdge } from '../../../src/edge/http/stream-edge.ts';
import { sayGoodbye } from '../../../src/edge/http/websocket-goodbye.ts';

const handler = {
  onInformation: () => undefined,
  onHead: () => undefined,
  onData: () => undefined,
  onEnd: () => undefined,
  onUpgrade: () => undefined,
  onFailure: () => undefined,
};

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
};

/** Somebody who takes what it is given when it is told to, and not before. */
class Slow extends Duplex {
  taken = '';
  private isOpen = false;
  private next: (() => void) | undefined;
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, next: () => void): void {
    this.taken += chunk.toString('latin1');
    if (this.isOpen) next();
    else this.next = next;
  }
  open(): void {
    this.isOpen = true;
    this.next?.();
  }
}

const OCTETS = 5000;
const TEXT = Array.from({ length: OCTETS }, (_, at) => String.fromCharCode(97 + (at % 26))).join('');

const drip = async (into: { write: (octet: string) => unknown }): Promise<void> => {
  for (const octet of TEXT) {
    into.write(octet);
    await turns(1);
  }
};

describe('single octets to somebody who does not take them', () => {
  it('wait as few pieces where two sockets are joined, and lose nothing', async () => {
    const to = new Slow();
    const from = new PassThrough();
    carry(from, to);
    await drip(from);
    expect(to.writableLength).toBeLessThanOrEqual(256);
    to.open();
    while (to.taken.length < OCTETS) await turns(1);
    expect(to.taken).toBe(TEXT);
    from.end();
    await once(to, 'finish');
  });

  it('wait as few pieces where they are the body of a request', async () => {
    const to = new Slow();
    const connection = new H1Connection(to);
    const stream = new PassThrough();
    connection.send(
      {
        method: 'POST',
        target: '/',
        headers: ['host', 'a', 'content-length', `${OCTETS}`],
        body: { stream, trailers: () => [] },
        headersTimeoutMs: 60_000,
      },
      handler,
    );
    await drip(stream);
    expect(to.writableLength).toBeLessThanOrEqual(1024);
    to.open();
    while (!to.taken.endsWith(TEXT)) await turns(1);
    connection.destroy();
  });
});

it('small chunks of an answer that came together are no part of a pool that others fill', () => {
  const socket = new Slow();
  const heard: Buffer[] = [];
  new H1Connection(socket).send(
    { method: 'GET', target: '/', headers: ['host', 'a'], body: null, headersTimeoutMs: 60_000 },
    { ...handler, onData: (chunk) => heard.push(chunk) },
  );
  const say = (text: string) => socket.emit('data', Buffer.from(text));
  say('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
  say('1\r\na\r\n1\r\nb\r\n');
  expect(heard.map(String)).toEqual(['ab']);
  expect(heard[0]?.buffer.byteLength).toBe(2);
  socket.destroy();
});

it('a frame without end is not taken faster than its reader takes it, though a WebSocket is to end', async () => {
  const chunk = Buffer.alloc(65_536);
  let given = 0;
  const from = new Duplex({
    read() {
      given += chunk.length;
      setImmediate(() => this.push(chunk));
    },
    write: (_chunk, _encoding, next) => next(),
  });
  const to = new Slow();
  const edge = new WebSocketEdge();
  // A binary frame of 2^40 octets.
  edge.push(Buffer.from([0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0]));
  sayGoodbye({ from, to, edge, toClient: true, stop: () => undefined });
  await turns(200);
  expect(to.writableLength).toBeLessThan(1 << 20);
  expect(given).toBeLessThan(1 << 20);
});

it('a socket whose other side does not take the last octets does not stay for it', async () => {
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer({ pauseOnConnect: true }, accepted.resolve);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const other = await accepted.promise;
  // More than the system holds for it.
  while (socket.writableLength < 1 << 20) {
    socket.write(Buffer.alloc(1 << 20));
    await turns(5);
  }
  const gone = once(socket, 'close');
  endSoon(socket, 20);
  expect(socket.destroyed).toBe(false);
  await gone;
  other.destroy();
  server.close();
});
