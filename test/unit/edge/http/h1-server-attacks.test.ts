/** What a client can do to our server of HTTP/1.1 between requests, or one request to the next on its connection. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deny } from '../../../../src/core/verdict.ts';
import { H1Server } from '../../../../src/edge/http/h1-server.ts';
import type { H1ServerCall } from '../../../../src/edge/http/h1-server-call.ts';
import { sendProblem } from '../../../../src/edge/http/problem.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const post = (length: number): string => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`;

let listener: Server;
let http: H1Server<string>;
let client: Socket;
let served: Socket;
let calls: H1ServerCall[];
let text: string;

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};
const nextCall = async (index: number): Promise<H1ServerCall> => {
  await until(() => calls.length > index);
  return calls[index] as H1ServerCall;
};
const answer = (call: H1ServerCall): void => {
  call.sendHead(200, []);
  call.end(Buffer.from('ok'));
};

beforeEach(async () => {
  [calls, text] = [[], ''];
  http = new H1Server(
    { headersTimeout: 10, idleTimeout: 75 },
    {
      onCall: (call) => {
        calls.push(call);
      },
      onFault: (socket) => {
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
  const { port } = listener.address() as { port: number };
  client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.setEncoding('latin1').on('data', (chunk) => {
    text += chunk;
  });
  client.on('error', () => undefined).setNoDelay(true);
  await once(client, 'connect');
});

afterEach(() => {
  client.destroy();
  http.destroy();
  served.destroy();
  listener.close();
});

test('who is refused another protocol, and does not hang up, keeps no connection', async () => {
  client.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\nmore');
  const call = await nextCall(0);
  let left = 0;
  call.onClose(() => {
    left++;
  });
  sendProblem(call, deny('http_upgrade', ''), '', false);
  await once(served, 'close');
  await until(() => text.includes('\r\n\r\n'));
  expect(text).toContain('HTTP/1.1 501');
  expect(left).toBe(1);
});

test('a client is heard leaving while a body of its that came whole waits to be read', async () => {
  client.write(post(65_536) + 'x'.repeat(65_535));
  const call = await nextCall(0);
  await until(() => call.body.readableLength === 65_535);
  client.write('x');
  await until(() => call.isComplete);
  client.end('GET');
  await until(() => call.isClosed);
  expect(call.isAnswered).toBe(false);
});

test('requests that are answered before their bodies came leave nothing on the connection', async () => {
  const stills: number[] = [];
  for (let index = 0; index < 20; index++) {
    client.write(`${post(4)}12`);
    const call = await nextCall(index);
    call.watchBody(60_000, () => stills.push(index));
    answer(call);
    await until(() => call.isAnswered);
    client.write('34');
  }
  client.write(GET);
  await nextCall(20);
  expect([served.listenerCount('timeout'), served.timeout ?? 0]).toEqual([0, 0]);
});

test('a request that is over has no say in the next one', async () => {
  client.write(post(2));
  const first = await nextCall(0);
  first.watchBody(60_000, () => undefined);
  client.write('ok');
  await until(() => first.isComplete);
  answer(first);
  client.write(post(2));
  const second = await nextCall(1);
  second.watchBody(50_000, () => undefined);
  first.watchBody(0);
  first.sendContinue();
  first.abort();
  expect([served.listenerCount('timeout'), served.timeout, served.destroyed]).toEqual([1, 50_000, false]);
  answer(second);
  client.write('ok');
  await until(() => text.split('200 OK').length === 3);
  expect(text).not.toContain(' 100 ');
});

test.each<readonly [string, readonly string[], string]>([
  ['less', ['abc'], 'abc'],
  ['nothing', [], ''],
  ['more', ['abcde', 'HTTP/1.1 200 OK\r\n\r\n'], 'abcde'],
  ['more at once', ['abcdeHTTP/1.1 200 OK\r\n\r\n'], ''],
])(
  '%s than an answer has announced is no answer, and the next one is not read with it',
  async (_, pieces, sent) => {
    client.write(GET.repeat(2));
    const call = await nextCall(0);
    call.sendHead(200, ['content-length', '5']);
    call.flush();
    await until(() => text.endsWith('\r\n\r\n'));
    const head = text.length;
    for (const piece of pieces) call.write(Buffer.from(piece));
    await until(() => text.length === head + sent.length || served.destroyed);
    call.end();
    await until(() => call.isClosed && client.readableEnded);
    expect([text.slice(head), call.isAnswered, calls.length]).toEqual([sent, false, 1]);
  },
);

test('a client that is refused in the midst of its body hears why, and then the end', async () => {
  const faults: Error[] = [];
  client.on('error', (fault) => faults.push(fault));
  client.write(post(20_000_000));
  const call = await nextCall(0);
  client.write(Buffer.alloc(10_000_000, 'x'));
  sendProblem(call, deny('http_body_too_large', ''), '', false);
  await until(() => client.readableEnded || client.destroyed);
  expect([text.slice(0, 12), faults]).toEqual(['HTTP/1.1 413', []]);
  // It does not hang up: it is hung up on.
  await once(served, 'close');
  expect(calls).toHaveLength(1);
});
