/** Our server of HTTP/1.1: turns, bodies, answers and time, on real sockets. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type H1Fault, H1Server } from '../../../../src/edge/http/h1-server.ts';
import type { H1ServerCall } from '../../../../src/edge/http/h1-server-call.ts';
import type { UpgradeRequest } from '../../../../src/edge/http/upgrade.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const post = (target: string, length: number, more = ''): string =>
  `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n${more}\r\n`;

let listener: Server;
let http: H1Server<string>;
let client: Socket;
let served: Socket;
let calls: { readonly call: H1ServerCall; readonly upgrade: UpgradeRequest | undefined }[];
let faults: H1Fault[];
let text: string;

/** Waits until what is asked is so, looking at each turn of the event loop. */
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};
const nextCall = async (index: number): Promise<H1ServerCall> => {
  await until(() => calls.length > index);
  return calls[index]?.call as H1ServerCall;
};

/** As if so many seconds had gone by. */
const look = (seconds: number): void => {
  const { connections } = http as unknown as { connections: Set<{ look: (now: number) => void }> };
  for (const connection of connections) connection.look(performance.now() + seconds * 1000);
};

beforeEach(async () => {
  [calls, faults, text] = [[], [], ''];
  http = new H1Server(
    { headersTimeout: 10, idleTimeout: 75 },
    {
      onCall: (call, _context, upgrade) => {
        calls.push({ call, upgrade });
      },
      onFault: (socket, _context, fault) => {
        faults.push(fault);
        socket.destroy();
      },
    },
  );
  listener = createServer({ pauseOnConnect: true }, (socket) => {
    served = socket;
    socket.on('error', () => socket.destroy());
    http.serve(socket as TLSSocket, 'context');
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  client = connect((listener.address() as { port: number }).port, '127.0.0.1');
  client.setEncoding('latin1').on('data', (chunk) => {
    text += chunk;
  });
  client.on('error', () => undefined);
  await once(client, 'connect');
});

afterEach(() => {
  client.destroy();
  http.destroy();
  listener.close();
});

test('what comes behind a request waits until it is answered', async () => {
  client.write(GET.repeat(3));
  const first = await nextCall(0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(calls).toHaveLength(1);
  first.sendHead(200, []);
  first.end(Buffer.from('1'));
  (await nextCall(1)).sendHead(204, []);
  expect(calls).toHaveLength(2);
  calls[1]?.call.end();
  await nextCall(2);
  await until(() => text.includes(' 204 '));
  expect(text).toBe(
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\n1' +
      'HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\n',
  );
});

test.each([
  ['at once', [GET.repeat(18)]],
  ['octet by octet', [...GET.repeat(18)]],
])('more than 16 of them end the connection: %s', async (_, pieces) => {
  client.setNoDelay(true);
  for (const piece of pieces) client.write(piece);
  await until(() => faults.length > 0);
  expect(faults).toEqual(['http_pipelined']);
  expect(calls).toHaveLength(1);
});

test('a body comes whole, with trailers, and asks its client to wait while nobody reads', async () => {
  client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  const call = await nextCall(0);
  expect(call.isComplete).toBe(false);
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
  client.write(chunk.repeat(200));
  client.write('0\r\nSum: 1\r\n\r\n');
  await until(() => served.isPaused());
  let read = 0;
  call.body.on('data', (octets: Buffer) => {
    read += octets.length;
  });
  await once(call.body, 'end');
  expect(read).toBe(200 * 65_536);
  expect(call.trailers()).toEqual(['Sum', '1']);
});

test('a body that nobody wants is read past, and the next request is the next request', async () => {
  client.write(post('/', 100_000));
  const call = await nextCall(0);
  call.sendHead(200, ['content-length', '2']);
  call.end(Buffer.from('ok'));
  client.write(`${'GET /evil HTTP/1.1\r\n\r\n'.repeat(5000).slice(0, 100_000)}${GET}`);
  expect((await nextCall(1)).target).toBe('/');
});

test('a client that sends the rest of such a body for ever has an idle connection’s time for it', async () => {
  client.write(post('/', 100));
  const call = await nextCall(0);
  call.sendHead(200, ['content-length', '0']);
  call.end();
  await until(() => call.isAnswered);
  look(74);
  client.write('x');
  await until(() => served.bytesRead === post('/', 100).length + 1);
  expect(served.destroyed).toBe(false);
  look(76);
  await until(() => client.destroyed);
});

test('who is gone is heard of, and so is a body that will not come', async () => {
  client.write(`${post('/', 10)}half`);
  const call = await nextCall(0);
  const failed = once(call.body.resume(), 'error');
  client.end();
  await failed;
  await until(() => call.isClosed);
  expect([call.isAnswered, call.isComplete]).toEqual([false, false]);
});

test('an answer without a length goes in chunks, and trailers to who reads them', async () => {
  client.write(`GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n${GET}`);
  for (const index of [0, 1]) {
    const call = await nextCall(index);
    call.sendHead(200, []);
    call.write(Buffer.from('abc'));
    call.end(Buffer.from('d'), ['Sum', '1', 'Bad\r\nX', '2', 'Content-Length', '3']);
  }
  await until(() => text.endsWith('0\r\n\r\n'));
  const head =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\n';
  expect(text).toBe(`${head}3\r\nabc\r\n1\r\nd\r\n0\r\nSum: 1\r\n\r\n${head}3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n`);
});

test('HEAD has the head of its answer and nothing more', async () => {
  client.write(`HEAD / HTTP/1.1\r\nHost: a\r\n\r\n${GET}`);
  const call = await nextCall(0);
  call.sendHead(200, ['content-length', '500']);
  call.end(Buffer.from('not for HEAD'));
  await nextCall(1);
  await until(() => text !== '');
  expect(text).toBe(
    'HTTP/1.1 200 OK\r\ncontent-length: 500\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\n',
  );
});

test('a head that would end a line early is not sent', async () => {
  client.write(GET);
  const call = await nextCall(0);
  expect(call.sendHead(200, ['x', 'a\r\nSet-Cookie: b'])).toBe(false);
  expect(call.sendHead(200, ['x', 'č'])).toBe(false);
  expect(call.sendHead(200, ['x y', 'a'])).toBe(false);
  expect(call.isHeadSent).toBe(false);
});

test('a client that wants the end, or one that is to go, gets it behind the answer', async () => {
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const call = await nextCall(0);
  call.sendHead(200, []);
  call.end();
  await until(() => client.destroyed);
  expect(text).toBe('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
});

test('who waits for 100 is told, once and before the answer', async () => {
  client.write(post('/', 2, 'Expect: 100-Continue\r\n'));
  const call = await nextCall(0);
  expect(call.waits).toBe(true);
  call.sendContinue();
  client.write('hi');
  call.body.resume();
  await once(call.body, 'end');
  call.sendHead(200, []);
  call.end();
  await until(() => text.includes('200'));
  expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
});

test('another protocol gets the socket with what came behind the head', async () => {
  client.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nframes');
  await until(() => calls.length > 0);
  expect(calls[0]?.upgrade?.head.toString()).toBe('frames');
  const more = once(served.resume(), 'data');
  client.write('more');
  expect(String((await more)[0])).toBe('more');
});

test.each([
  ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\n\r\n', 'http_upgrade'],
  ['a method that nobody knows', 'FOO / HTTP/1.1\r\n\r\n', 'http_malformed'],
  ['garbage', 'garbage\r\n\r\n', 'http_malformed'],
  ['too many fields', `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(201)}\r\n`, 'http_headers_too_large'],
])('%s is a fault, and nothing behind it a request', async (_, octets, fault) => {
  client.write(octets + GET);
  await until(() => client.destroyed);
  expect(faults).toEqual([fault]);
  expect(calls).toEqual([]);
});

test('a head has its time from its first octet on; a connection without one has that of an idle one', async () => {
  await until(() => served !== undefined);
  look(60);
  expect(faults).toEqual([]);
  client.write('GET / HT');
  await until(() => served.bytesRead === 8);
  look(9);
  expect(faults).toEqual([]);
  look(11);
  expect(faults).toEqual(['http_timeout']);
});

test('an idle connection ends without a word', async () => {
  client.write(GET);
  const call = await nextCall(0);
  call.sendHead(204, []);
  call.end();
  await until(() => text !== '');
  look(80);
  await until(() => client.destroyed);
  expect(faults).toEqual([]);
});
