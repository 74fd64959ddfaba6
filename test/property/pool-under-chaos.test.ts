/** A pool before an upstream that does everything wrong: each request ends once, in its own response or in none, and nothing stays. */
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { H1Pool } from '../../src/edge/http/h1-pool.ts';
import type { UpstreamFailure } from '../../src/edge/http/upstream.ts';
import { Random } from '../fuzz/random.ts';
import { eachRequest, Heard, type RawUpstream, rawUpstream } from '../testkit/raw-upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const EVIL = `${OK}content-length: 4\r\n\r\nevil`;
const of = (text: string, more = ''): string => `${OK}${more}content-length: ${text.length}\r\n\r\n${text}`;
const inChunks = (text: string): string =>
  `${OK}transfer-encoding: chunked\r\n\r\n${[...text].map((one) => `1\r\n${one}\r\n`).join('')}0\r\n\r\n`;

/**
 * What it answers, and how that ends where it is no response. One that closes after a whole response and doesn't say so is not
 * among them: the next request may be on its way to it, and is lost as in every HTTP/1.1 client that sends nothing twice.
 */
const WAYS: Readonly<
  Record<string, { say: (socket: Socket, text: string) => void; fails?: UpstreamFailure['kind'] }>
> = {
  plain: { say: (socket, text) => socket.write(of(text)) },
  chunks: { say: (socket, text) => socket.write(inChunks(text)) },
  pieces: {
    say: (socket, text) => {
      socket.write(of(text).slice(0, 20));
      setImmediate(() => socket.write(of(text).slice(20)));
    },
  },
  interim: {
    say: (socket, text) => socket.write(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 A\r\n\r\n${of(text)}`),
  },
  large: { say: (socket, text) => socket.write(of(text.padEnd(70_000, '.'))) },
  'closes, and says so': { say: (socket, text) => socket.end(of(text, 'connection: close\r\n')) },
  'ends it by closing': { say: (socket, text) => socket.end(`${OK}\r\n${text}`) },
  'another response behind it': { say: (socket, text) => socket.write(of(text) + EVIL) },
  'an octet behind it': { say: (socket, text) => socket.write(`${inChunks(text)}\n`) },
  'HTTP/1.0': { say: (socket, text) => socket.write(of(text).replace('1.1', '1.0')) },
  nothing: { say: (socket) => socket.destroy(), fails: 'broken' },
  'half a head': { say: (socket) => socket.end('HTTP/1.1 200 OK\r\nx: '), fails: 'broken' },
  'half a body': { say: (socket, text) => socket.end(of(text).slice(0, -1)), fails: 'broken' },
  'half the chunks': { say: (socket, text) => socket.end(inChunks(text).slice(0, -3)), fails: 'broken' },
  'two lengths': {
    say: (socket, text) => socket.write(of(text, 'content-length: 1\r\n')),
    fails: 'malformed',
  },
  'bare LFs': { say: (socket, text) => socket.write(of(text).replaceAll('\r', '')), fails: 'malformed' },
  silence: { say: () => {}, fails: 'timeout' },
};
const NAMES = Object.keys(WAYS).filter((name) => name !== 'silence');

let upstream: RawUpstream;
let pool: H1Pool;
beforeAll(async () => {
  upstream = await rawUpstream((socket) =>
    eachRequest(socket, (request) => {
      const [, way = '', text = ''] = /^x-way: (.+)\r\nx-text: (.+)\r$/m.exec(request) ?? [];
      WAYS[way]?.say(socket, text);
    }),
  );
  pool = new H1Pool({
    address: { host: '127.0.0.1', port: upstream.port },
    connections: 8,
    queue: 100,
    queueTimeoutMs: 20_000,
    connectTimeoutMs: 20_000,
  });
});
afterAll(async () => {
  pool.destroy();
  await upstream.close();
});

const bodyOf = (random: Random, text: string) => {
  switch (random.below(4)) {
    case 0:
      return Buffer.from(text);
    case 1:
      return { stream: Readable.from([Buffer.from(text), Buffer.from('.')]), trailers: () => [] };
    default:
      return null;
  }
};

test('of 2,000 requests each ends once, as its upstream did, and hears no other’s response', async () => {
  const random = new Random(20_251_129);
  const faults: unknown[] = [];
  const counts = { whole: 0, failed: 0, aborted: 0 };

  const one = async (ordinal: number): Promise<void> => {
    const way = ordinal % 500 === 250 ? 'silence' : random.pick(NAMES);
    const text = `text-${ordinal}`;
    const headers = ['host', 'agent', 'x-way', way, 'x-text', text];
    const heard = new Heard();
    const exchange = pool.send(
      {
        method: 'POST',
        target: '/',
        headers,
        body: bodyOf(random, text),
        headersTimeoutMs: way === 'silence' ? 20 : 20_000,
      },
      heard,
    );
    if (random.once(10)) {
      exchange.pause();
      setImmediate(() => exchange.resume());
    }
    if (random.once(15)) {
      for (let turns = random.below(4); turns > 0; turns--) await new Promise(setImmediate);
      const ended = heard.ends;
      exchange.abort();
      counts.aborted++;
      await new Promise(setImmediate);
      if (heard.ends !== ended) faults.push({ way, text, why: 'heard after abort' });
      return;
    }
    await heard.done;
    const fails = WAYS[way]?.fails;
    const isRight =
      fails === undefined
        ? heard.failure === undefined && heard.body.replaceAll('.', '') === text
        : heard.failure?.kind === fails && !heard.body.includes('evil');
    if (fails === undefined) counts.whole++;
    else counts.failed++;
    if (!isRight || heard.ends !== 1)
      faults.push({ way, text, failure: heard.failure, body: heard.body.slice(0, 50) });
  };

  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < 2000) await one(next++);
  };
  await Promise.all(Array.from({ length: 24 }, worker));
  expect(faults.slice(0, 5)).toEqual([]);
  expect(counts.whole).toBeGreaterThan(1000);
  expect(counts.failed).toBeGreaterThan(300);
  expect(counts.aborted).toBeGreaterThan(60);
  expect(pool.counts).toMatchObject({ connecting: 0, queued: 0 });
  expect(pool.counts.open).toBe(pool.counts.idle);
  pool.close();
  expect(pool.counts.open).toBe(0);
});
