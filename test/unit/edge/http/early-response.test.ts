/** An upstream that answers before it has read the request: the answer arrives, and the client's connection is left in order. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { httpExchange } from '../../../../src/edge/http/exchange.ts';
import { H1Call } from '../../../../src/edge/http/h1-call.ts';
import { H1Pool } from '../../../../src/edge/http/h1-pool.ts';
import { readRequestHeaders } from '../../../../src/edge/http/request-headers.ts';
import type { ExchangeResult } from '../../../../src/ports.ts';
import { type RawUpstream, rawUpstream } from '../../../testkit/raw-upstream.ts';

const LARGE = 'HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge';
const HELLO = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello';

let door: Server;
let agent: RawUpstream;
let pool: H1Pool;
let client: Socket;
afterEach(async () => {
  client.destroy();
  pool.destroy();
  door.close();
  await agent.close();
});

/** A client of a door to an agent that answers the first octets it gets. */
const start = async (): Promise<{ results: ExchangeResult[]; text: (until: string) => Promise<string> }> => {
  let ordinal = 0;
  agent = await rawUpstream((socket) =>
    socket.once('data', () => socket.write(ordinal++ === 0 ? LARGE : HELLO)),
  );
  pool = new H1Pool({
    address: { host: '127.0.0.1', port: agent.port },
    connections: 8,
    queue: 8,
    queueTimeoutMs: 10_000,
    connectTimeoutMs: 10_000,
  });
  const results: ExchangeResult[] = [];
  door = createServer((request, response) => {
    const { forwarded, hasBody, contentLength } = readRequestHeaders(request.rawHeaders);
    httpExchange({
      call: new H1Call(request, response),
      upstream: pool,
      target: '/',
      headers: forwarded,
      hasBody,
      contentLength,
      maxBodyBytes: 100_000_000,
      headersTimeoutMs: 10_000,
      requestTimeoutMs: 10_000,
      hop: 'hop',
      trusted: true,
      failures: { unreachable: 'upstream_unreachable', broken: 'upstream_failed' },
      responseHeaders: () => [],
    }).start((result) => results.push(result));
  }).listen(0, '127.0.0.1');
  await once(door, 'listening');
  client = connect((door.address() as AddressInfo).port, '127.0.0.1');
  client.on('error', () => {});
  let seen = '';
  client.on('data', (chunk: Buffer) => {
    seen += chunk.toString('latin1');
    client.emit('more');
  });
  const text = async (until: string): Promise<string> => {
    while (!seen.includes(until)) await once(client, 'more');
    return seen;
  };
  return { results, text };
};

test.each([
  ['in chunks', 'transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n', '5\r\nworld\r\n0\r\n\r\n'],
  ['of known length', 'content-length: 10\r\n\r\nhello', 'world'],
])(
  'while the client sends a body %s: the rest is read and dropped, and the next request is answered',
  async (_, begins, ends) => {
    const { results, text } = await start();
    client.write(`PUT / HTTP/1.1\r\nhost: x\r\n${begins}`);
    expect(await text('large')).toMatch(/^HTTP\/1\.1 413/);
    expect(results).toMatchObject([{ result: 'ok', status: 413 }]);
    client.write(`${ends}GET / HTTP/1.1\r\nhost: x\r\n\r\n`);
    expect(await text('hello')).toMatch(/HTTP\/1\.1 200 OK/);
    expect(results).toMatchObject([{ status: 413 }, { result: 'ok', status: 200 }]);
  },
);

test('while the client sends more than anybody holds', async () => {
  const { text } = await start();
  client.write('PUT / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
  const part = `10000\r\n${'x'.repeat(65_536)}\r\n`;
  for (let at = 0; at < 200; at++) client.write(part);
  client.write('0\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n');
  expect(await text('large')).toMatch(/^HTTP\/1\.1 413/);
  expect(await text('hello')).toMatch(/HTTP\/1\.1 200 OK/);
});
