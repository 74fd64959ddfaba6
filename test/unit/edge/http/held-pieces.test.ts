/** A body that comes in single octets and waits to be read takes about as much memory as it has octets. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Call } from '../../../../src/edge/http/call.ts';
import { H1Connection } from '../../../../src/edge/http/h1-connection.ts';
import { H1Server } from '../../../../src/edge/http/h1-server.ts';
import { H1ServerCall } from '../../../../src/edge/http/h1-server-call.ts';
import { H2Server } from '../../../../src/edge/http/h2-server.ts';
import { connectPlain } from '../../../../src/edge/http/plain-connect.ts';
import { readRequestBody } from '../../../../src/edge/http/request-body.ts';
import { releaseMemory } from '../../../../src/edge/memory.ts';
import { ownMemory } from '../../../../src/edge/own-memory.ts';
import { H2Peer, h2Frame, requestFields, TYPE } from '../../../testkit/raw-h2.ts';
import { headersFrame } from '../../../testkit/raw-h2-agent.ts';
import { RawPeer } from '../../../testkit/raw-peer.ts';
import { connectTo } from '../../../testkit/raw-upstream.ts';

const OCTETS = 60_000;

let server: Server;
let ours: Socket;
let client: H2Peer;
let call: Promise<Call>;

/** One call at what `serve` makes of the socket. */
const listen = async (serve: (socket: Socket, onCall: (call: Call) => void) => void): Promise<void> => {
  const called = Promise.withResolvers<Call>();
  call = called.promise;
  server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    serve(socket, called.resolve);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  ours = await connectTo((server.address() as AddressInfo).port);
};

const listenH2 = async (): Promise<number> => {
  await listen(
    (socket, onCall) =>
      new H2Server(socket, { streams: 10, idleMs: 60_000 }, { onCall, onRefused: () => undefined }),
  );
  client = new H2Peer(new RawPeer(ours as TLSSocket));
  await client.start();
  const stream = client.newStream();
  client.write(headersFrame(stream, requestFields({ method: 'POST' }), false));
  return stream;
};

const dripFrames = (stream: number, octets: number): void => {
  const frame = h2Frame(TYPE.data, 0, stream, 'x');
  client.write(Buffer.concat(Array.from({ length: octets }, () => frame)));
};

let before = 0;
const used = (): number => {
  releaseMemory();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};
beforeEach(() => {
  before = used();
});
afterEach(() => {
  ours?.destroy();
  server?.close();
});

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise(setImmediate);
};

test('over HTTP/2, a frame each', async () => {
  const stream = await listenH2();
  const { body } = await call;
  before = used();
  dripFrames(stream, OCTETS);
  await until(() => body.readableLength === OCTETS);
  expect(used() - before).toBeLessThan(20 * OCTETS);
  client.write(h2Frame(TYPE.data, 1, stream, 'end'));
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).toString()).toBe(`${'x'.repeat(OCTETS)}end`);
});

test('over HTTP/2, between frames that fill what is read with them', async () => {
  const stream = await listenH2();
  const { body } = await call;
  before = used();
  // Frames of a type that nobody knows are skipped (RFC 9113 §4.1).
  const filler = h2Frame(0xee, 0, 0, Buffer.alloc(16_000));
  for (let drip = 1; drip <= 300; drip++) {
    client.write(h2Frame(TYPE.data, 0, stream, 'x'), filler, filler, filler);
    await until(() => body.readableLength === drip);
  }
  expect(used() - before).toBeLessThan(300 * 4000);
});

test('over HTTP/1.1, a read each', async () => {
  const http = new H1Server<string>(
    { headersTimeout: 60, idleTimeout: 75 },
    { onCall: () => undefined, onFault: (socket) => void socket.destroy() },
  );
  await listen((socket, onCall) => {
    Object.assign(http.handlers, { onCall });
    http.serve(socket as TLSSocket, '');
  });
  ours.setNoDelay(true);
  ours.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${OCTETS}\r\n\r\n`);
  const { body } = await call;
  before = used();
  for (let sent = 1; sent <= 20_000; sent++) {
    ours.write('x');
    await until(() => body.readableLength === sent);
  }
  expect(used() - before).toBeLessThan(60 * 20_000);
  http.destroy();
});

test('over HTTP/1.1, an answer of an agent whose reader has stopped, a read each', async () => {
  const agents: Socket[] = [];
  await listen((socket) => {
    agents.push(socket.setNoDelay(true).resume());
  });
  const { port } = server.address() as AddressInfo;
  const socket = connectPlain({ port, host: '127.0.0.1' });
  await once(socket, 'connect');
  await until(() => agents.length === 2);
  const connection = new H1Connection(socket);
  let taken = 0;
  const exchange = connection.send(
    { method: 'GET', target: '/', headers: ['host', 'a'], body: null, headersTimeoutMs: 60_000 },
    {
      onInformation: () => undefined,
      onHead: () => exchange.pause(),
      onData: (chunk) => {
        taken += chunk.length;
      },
      onEnd: () => undefined,
      onUpgrade: () => undefined,
      onFailure: () => undefined,
    },
  );
  agents.at(-1)?.write(`HTTP/1.1 200 OK\r\ncontent-length: ${OCTETS}\r\n\r\n`);
  await until(() => socket.isPaused());
  before = used();
  for (let sent = 1; sent <= 20_000; sent++) {
    agents.at(-1)?.write('x');
    await until(() => socket.readableLength === sent);
  }
  expect(used() - before).toBeLessThan(60 * 20_000);
  exchange.resume();
  await until(() => taken === 20_000);
  connection.destroy();
});

test('an answer in single octets to a client that does not take it', () => {
  const socket = new Duplex({ write: () => undefined, read: () => undefined, decodeStrings: false });
  const line = { socket: socket as TLSSocket, keepAlive: '', onBodyWanted: () => undefined };
  const head = { method: 'GET', target: '/', version: '1.1', headers: [] };
  const answer = new H1ServerCall(
    { ...line, onAnswered: () => undefined },
    { ...head, hasBody: false, closes: false, upgrades: false },
    false,
  );
  answer.sendHead(200, ['content-length', '1000000']);
  before = used();
  let octets = 1;
  while (answer.write(ownMemory(Buffer.from('x')))) octets++;
  expect(octets).toBeGreaterThan(OCTETS);
  expect(used() - before).toBeLessThan(100 * octets);
  expect(socket.writableLength).toBeGreaterThan(octets);
});

test('a body that is read whole before anything is decided', async () => {
  const stream = await listenH2();
  const open = await call;
  const read = readRequestBody(open, { mostBytes: 10 * OCTETS, idleMs: 10_000 });
  before = used();
  let taken = 0;
  open.body.on('data', (chunk: Buffer) => {
    taken += chunk.length;
  });
  // As much as there is window, again and again.
  for (let sent = OCTETS; sent <= 5 * OCTETS; sent += OCTETS) {
    dripFrames(stream, OCTETS);
    await until(() => taken === sent);
  }
  expect(used() - before).toBeLessThan(30 * OCTETS);
  client.write(h2Frame(TYPE.data, 1, stream, 'end'));
  const body = await read;
  expect(body.ok && body.value.toString()).toBe(`${'x'.repeat(5 * OCTETS)}end`);
});
