/** Single octets that nobody takes hold no more memory than octets: neither of a request's body nor of a WebSocket. */
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { H1Server } from '../../../../src/edge/http/h1-server.ts';
import type { H1ServerCall } from '../../../../src/edge/http/h1-server-call.ts';
import { upgradeExchange } from '../../../../src/edge/http/upgrade.ts';
import type { Upstream } from '../../../../src/edge/http/upstream.ts';
import { releaseMemory } from '../../../../src/edge/memory.ts';
import { ownMemory } from '../../../../src/edge/own-memory.ts';
import { makeDomain } from '../../../testkit/domain.ts';

const DRIPS = 200;
const SLAB = 65_536;
const OTHERS = 60_000;

let listener: Server;
let http: H1Server<string>;
const calls: H1ServerCall[] = [];
const open: TLSSocket[] = [];
let upgraded: Duplex;
let asked: () => void;
const accepted: TLSSocket[] = [];
let upstreamAnswers = true;

const client = async (): Promise<TLSSocket> => {
  const { port } = listener.address() as { port: number };
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  socket.setNoDelay(true);
  socket.on('error', () => undefined).resume();
  open.push(socket);
  await once(socket, 'secureConnect');
  return socket;
};

const upstream = {
  send: (_request: unknown, handler: Parameters<Upstream['send']>[1]) => {
    if (!upstreamAnswers) return { pause: () => undefined, resume: () => undefined, abort: () => undefined };
    process.nextTick(() => {
      handler.onUpgrade(['upgrade', 'websocket', 'connection', 'upgrade'], upgraded, Buffer.alloc(0));
      asked();
    });
    return { pause: () => undefined, resume: () => undefined, abort: () => undefined };
  },
} as unknown as Upstream;

beforeEach(async () => {
  const domain = await makeDomain({ agents: ['planning/abc123'] });
  const { svidPem: cert, svidKeyPem: key } = domain.agent('planning/abc123');
  // Nobody reads what it is given, and it says nothing.
  upgraded = Object.assign(new Duplex({ write: () => undefined, read: () => undefined }), {
    destroySoon: () => upgraded.destroy(),
  });
  http = new H1Server(
    { headersTimeout: 60, idleTimeout: 75 },
    {
      onCall: (call, _context, upgrade) => {
        calls.push(call);
        if (upgrade === undefined) return;
        upgradeExchange({
          upgrade,
          call,
          upstream,
          target: '/',
          headers: [],
          headersTimeoutMs: 1000,
          hop: '1',
          trusted: true,
          failures: { unreachable: 'upstream_failed', broken: 'upstream_failed' },
          responseHeaders: () => [],
        }).start(() => undefined);
      },
      onFault: (socket) => {
        socket.destroy();
      },
    },
  );
  listener = createServer({ cert, key, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    accepted.push(socket);
    http.serve(socket, 'context');
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
});

afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
  calls.length = 0;
  accepted.length = 0;
  upstreamAnswers = true;
  http.destroy();
  listener.close();
});

const held = (): number => {
  releaseMemory();
  return process.memoryUsage().arrayBuffers;
};

/** One octet, and then requests of somebody else that fill a slab. */
const dripBetween = async (slow: TLSSocket, taken: () => number): Promise<void> => {
  const other = await client();
  const body = Buffer.alloc(OTHERS);
  for (let drip = 0; drip < DRIPS; drip++) {
    const before = taken();
    slow.write('x');
    while (taken() === before) await new Promise(setImmediate);
    const index = calls.length;
    other.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${OTHERS}\r\n\r\n`);
    other.write(body);
    while (calls.length === index) await new Promise(setImmediate);
    const call = calls.pop() as H1ServerCall;
    for await (const chunk of call.body) void chunk;
    call.sendHead(200, []);
    call.end(Buffer.from('ok'));
    await once(other, 'data');
  }
};

test('the body of a request to somebody who does not read it', async () => {
  const slow = await client();
  slow.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n`);
  while (calls.length === 0) await new Promise(setImmediate);
  const { body } = calls.pop() as H1ServerCall;
  const before = held();
  await dripBetween(slow, () => body.readableLength);
  expect(body.readableLength).toBe(DRIPS);
  expect(held() - before).toBeLessThan((DRIPS * SLAB) / 10);
});

/** Octets that its socket has been given so far: what is paused counts as well. */
const readOf = (socket: TLSSocket | undefined) => (): number => socket?.bytesRead ?? 0;

test('the body of a request whose reader has stopped, so that its socket is paused', async () => {
  const slow = await client();
  slow.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n`);
  while (calls.length === 0) await new Promise(setImmediate);
  const { body } = calls.pop() as H1ServerCall;
  slow.write(Buffer.alloc(SLAB));
  while (body.readableLength < SLAB) await new Promise(setImmediate);
  const served = accepted.at(-1);
  const before = held();
  await dripBetween(slow, readOf(served));
  expect(served?.isPaused()).toBe(true);
  expect(held() - before).toBeLessThan((DRIPS * SLAB) / 10);
});

test('what is sent behind a request for a WebSocket that nobody has answered', async () => {
  upstreamAnswers = false;
  const slow = await client();
  slow.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
  while (calls.length === 0) await new Promise(setImmediate);
  calls.length = 0;
  const before = held();
  await dripBetween(slow, readOf(accepted.at(-1)));
  expect(held() - before).toBeLessThan((DRIPS * SLAB) / 10);
});

test('a WebSocket to somebody who does not read it', async () => {
  const slow = await client();
  const isOpen = new Promise<void>((resolve) => {
    asked = resolve;
  });
  slow.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
  await isOpen;
  calls.length = 0;
  const before = held();
  await dripBetween(slow, () => upgraded.writableLength);
  expect(held() - before).toBeLessThan((DRIPS * SLAB) / 10);
});

test('a slice gets memory of its own where it is a small part of what it is of', () => {
  const slab = Buffer.alloc(SLAB, 'slab');
  const small = ownMemory(slab.subarray(5, 9));
  expect([small.toString(), small.buffer.byteLength]).toEqual(['labs', 4]);
  const large = slab.subarray(0, SLAB / 8);
  expect(ownMemory(large)).toBe(large);
});
