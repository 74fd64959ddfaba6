/** What looks at bodies may have a fault: then nothing of the body goes on, and only this exchange ends. */
import { createServer, request as httpRequest, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ExchangeOptions, httpExchange } from '../../../../src/edge/http/exchange.ts';
import { H1Call } from '../../../../src/edge/http/h1-call.ts';
import { H1Pool } from '../../../../src/edge/http/h1-pool.ts';
import { readRequestHeaders } from '../../../../src/edge/http/request-headers.ts';
import type { BodyInspector, ExchangeResult, ResponseWatch } from '../../../../src/ports.ts';

const fails = (): never => {
  throw new Error('a fault');
};
const AT_ONCE: BodyInspector = { push: fails, end: () => ({ pass: [] }) };
const AT_THE_END: BodyInspector = { push: () => ({ pass: [] }), end: fails };
const noting = (inspector: BodyInspector) => ({ ...inspector, notes: () => ({ content: [], tools: [] }) });
const watching = (inspector: BodyInspector): ResponseWatch => ({
  readsBody: true,
  notes: { content: [], tools: [] },
  open: () => ({ ok: true as const, value: { inspector, keepsLength: true, headNow: false } }),
  closing: () => undefined,
});

let agent: Server;
let door: Server;
let pool: H1Pool;
let asked: Partial<ExchangeOptions> = {};
let received = '';
let answer: (response: ServerResponse) => void;
const results: ExchangeResult['result'][] = [];

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });

beforeAll(async () => {
  agent = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => {
      received += chunk.toString();
    });
    request.on('end', () => answer(response));
  });
  pool = new H1Pool({
    address: { host: '127.0.0.1', port: await listen(agent) },
    connections: 8,
    queue: 8,
    queueTimeoutMs: 1000,
    connectTimeoutMs: 1000,
  });
  door = createServer((request, response) => {
    const { forwarded, hasBody, contentLength } = readRequestHeaders(request.rawHeaders);
    httpExchange({
      call: new H1Call(request, response),
      upstream: pool,
      target: '/',
      headers: forwarded,
      hasBody,
      contentLength,
      maxBodyBytes: 1000,
      headersTimeoutMs: 10_000,
      requestTimeoutMs: 10_000,
      hop: 'hop',
      trusted: true,
      failures: { unreachable: 'upstream_unreachable', broken: 'upstream_failed' },
      responseHeaders: () => [],
      ...asked,
    } as ExchangeOptions).start(({ result }) => results.push(result));
  });
  await listen(door);
});
afterAll(async () => {
  pool.destroy();
  agent.close();
  door.close();
});
beforeEach(() => {
  answer = (response) => response.end('secret');
  received = '';
});

const send = (options: Partial<ExchangeOptions>): Promise<{ status: number | undefined; body: string }> => {
  asked = options;
  return new Promise((resolve, reject) => {
    const { port } = door.address() as AddressInfo;
    const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('error', reject).on('end', () => resolve({ status: response.statusCode, body }));
    });
    request.on('error', reject).end('question');
  });
};

test.each<[string, Partial<ExchangeOptions>]>([
  ['of a request as it goes by', { inspector: noting(AT_ONCE) }],
  ['at its end', { inspector: noting(AT_THE_END) }],
  ['of one in hand', { inspector: noting(AT_ONCE), body: Buffer.from('question') }],
  ['at the end of one in hand', { inspector: noting(AT_THE_END), body: Buffer.from('question') }],
])('a fault %s', async (_, options) => {
  expect(await send(options)).toMatchObject({ status: 500, body: expect.stringContaining('"internal"') });
  expect(received).toBe('');
  expect(results.at(-1)).toBe('internal');
});

test.each([AT_ONCE, AT_THE_END])('a fault in what looks at the response', async (inspector) => {
  const { status, body } = await send({ watch: watching(inspector) });
  expect(status).toBe(500);
  expect(body).not.toContain('secret');
  expect(results.at(-1)).toBe('internal');
});

test('without one', async () => {
  expect(await send({})).toEqual({ status: 200, body: 'secret' });
  expect(received).toBe('question');
});

test('an answer of an announced length that is cut ends without a word of ours in it', async () => {
  answer = (response) => {
    response.writeHead(200, { 'content-length': 1000 }).write('half');
  };
  const found = { ok: false as const, reason: 'content_denied' as const, detail: 'found' };
  const cuts: BodyInspector = { push: (chunk) => ({ pass: [chunk], denial: found }), end: fails };
  const closings: string[] = [];
  const closing = (problem: string): Buffer => {
    closings.push(problem);
    return Buffer.from(problem);
  };
  await expect(send({ watch: { ...watching(cuts), closing } })).rejects.toThrow();
  expect([results.at(-1), closings]).toEqual(['content_denied', []]);
});
