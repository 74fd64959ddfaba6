/** A pool of HTTP/1.1 connections: which one is used, who waits, who is refused, and how it ends. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { H1Pool, type H1PoolOptions } from '../../../../src/edge/http/h1-pool.ts';
import {
  eachRequest,
  Heard,
  type RawUpstream,
  rawUpstream,
  requestOf,
} from '../../../testkit/raw-upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const UPGRADE = 'HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n';
const answerOf = (text: string | number): string => `${OK}content-length: ${`${text}`.length}\r\n\r\n${text}`;

let upstreams: RawUpstream[] = [];
let pools: H1Pool[] = [];
afterEach(async () => {
  for (const pool of pools) pool.destroy();
  await Promise.all(upstreams.map((one) => one.close()));
  upstreams = [];
  pools = [];
});

const poolTo = (address: H1PoolOptions['address'], over: Partial<H1PoolOptions> = {}): H1Pool => {
  const pool = new H1Pool({
    address,
    connections: 2,
    queue: 2,
    queueTimeoutMs: 20_000,
    connectTimeoutMs: 20_000,
    ...over,
  });
  pools.push(pool);
  return pool;
};

const pooled = async (answer: Parameters<typeof rawUpstream>[0], over: Partial<H1PoolOptions> = {}) => {
  const upstream = await rawUpstream(answer);
  upstreams.push(upstream);
  return { upstream, pool: poolTo({ host: '127.0.0.1', port: upstream.port }, over) };
};

const send = (pool: H1Pool, over: Parameters<typeof requestOf>[0] = {}) => {
  const heard = new Heard();
  const exchange = pool.send(requestOf(over), heard);
  return { heard, exchange, done: heard.done };
};

/** Answers when told to. */
const held = () => {
  const waiting: (() => void)[] = [];
  let more = Promise.withResolvers<void>();
  return {
    answer: (socket: Socket, ordinal: number): void =>
      eachRequest(socket, () => {
        waiting.push(() => socket.write(answerOf(ordinal)));
        more.resolve();
      }),
    /** The next request that waits. */
    next: async (): Promise<() => void> => {
      while (waiting.length === 0) {
        more = Promise.withResolvers();
        await more.promise;
      }
      return waiting.shift() as () => void;
    },
  };
};

describe('connections', () => {
  test('one is enough for one request after the other', async () => {
    const { pool, upstream } = await pooled((socket, ordinal) =>
      eachRequest(socket, () => socket.write(answerOf(ordinal))),
    );
    for (let at = 0; at < 10; at++) expect((await send(pool).done).body).toBe('0');
    expect(upstream.sockets.length).toBe(1);
    expect(pool.counts).toEqual({ open: 1, idle: 1, connecting: 0, queued: 0 });
  });

  test('the one used last is used first', async () => {
    const { answer, next } = held();
    const { pool } = await pooled(answer);
    const [first, second] = [send(pool), send(pool)];
    const [one, other] = [await next(), await next()];
    one();
    other();
    const bodies = [(await first.done).body, (await second.done).body];
    const third = send(pool);
    (await next())();
    expect((await third.done).body).toBe(bodies[1]);
    expect(pool.counts.idle).toBe(2);
  });

  test('a bound, and the next in turn behind it', async () => {
    const { answer, next } = held();
    const { pool, upstream } = await pooled(answer, { connections: 1 });
    const first = send(pool);
    const second = send(pool, { target: '/2' });
    const third = send(pool, { target: '/3' });
    const answered = await next();
    expect(pool.counts).toEqual({ open: 1, idle: 0, connecting: 0, queued: 2 });
    answered();
    await first.done;
    (await next())();
    await second.done;
    expect(third.heard.ends).toBe(0);
    (await next())();
    await third.done;
    expect(upstream.sockets.length).toBe(1);
  });

  test('one that breaks makes room for another', async () => {
    const { pool, upstream } = await pooled(
      (socket, ordinal) =>
        eachRequest(socket, () => (ordinal === 0 ? socket.destroy() : socket.write(answerOf(ordinal)))),
      { connections: 1 },
    );
    const [first, second] = [send(pool), send(pool)];
    expect((await first.done).failure).toMatchObject({ kind: 'broken' });
    expect((await second.done).body).toBe('1');
    expect(upstream.sockets.length).toBe(2);
  });

  test('one that the server closes while idle is not used again', async () => {
    const { pool, upstream } = await pooled((socket, ordinal) =>
      eachRequest(socket, () => socket.write(answerOf(ordinal))),
    );
    await send(pool).done;
    const [socket] = upstream.sockets;
    socket?.end();
    await new Promise((closed) => socket?.once('close', closed));
    await expect.poll(() => pool.counts.open).toBe(0);
    expect((await send(pool).done).body).toBe('1');
  });

  test('one that becomes a WebSocket takes nobody’s place', async () => {
    const { pool } = await pooled(
      (socket) =>
        eachRequest(socket, (text) => socket.write(/upgrade/.test(text) ? UPGRADE : answerOf('plain'))),
      { connections: 1 },
    );
    const one = await send(pool, { upgrade: true }).done;
    const other = await send(pool, { upgrade: true }).done;
    expect((await send(pool).done).body).toBe('plain');
    expect(pool.counts.open).toBe(1);
    pool.destroy();
    expect([one.upgraded?.socket.destroyed, other.upgraded?.socket.destroyed]).toEqual([false, false]);
    one.upgraded?.socket.destroy();
    other.upgraded?.socket.destroy();
  });

  test('over a unix socket', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'h1-'));
    try {
      const file = path.join(folder, 'agent.sock');
      upstreams.push(
        await rawUpstream((socket) => eachRequest(socket, () => socket.write(answerOf('unix'))), file),
      );
      expect((await send(poolTo({ path: file })).done).body).toBe('unix');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('a request that is not fit to be sent', () => {
  test('takes no connection from those that are', async () => {
    const { pool, upstream } = await pooled(
      (socket, ordinal) => eachRequest(socket, () => socket.write(answerOf(ordinal))),
      { connections: 1, idleMs: 20_000 },
    );
    for (let at = 0; at < 5; at++) {
      const unfit = send(pool, { headers: ['host', 'agent', 'a', 'b\r\nc: d'] });
      expect((await unfit.done).failure?.kind).toBe('broken');
      expect((await send(pool).done).body).toBe('0');
    }
    expect(upstream.sockets.length).toBe(1);
  });
});

describe('unreachable', () => {
  test('nobody listens', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    const pool = poolTo({ host: '127.0.0.1', port }, { connections: 1, queue: 10 });
    const all = [send(pool), send(pool), send(pool)];
    expect(all.map(({ heard }) => heard.ends)).toEqual([0, 0, 0]);
    for (const { done } of all)
      expect((await done).failure).toEqual({ kind: 'unreachable', detail: 'no connection: ECONNREFUSED' });
    expect(pool.counts).toEqual({ open: 0, idle: 0, connecting: 0, queued: 0 });
  });

  test('no such unix socket', async () => {
    const { failure } = await send(poolTo({ path: '/nonexistent/agent.sock' })).done;
    expect(failure).toEqual({ kind: 'unreachable', detail: 'no connection: ENOENT' });
  });

  test('the queue is full', async () => {
    const { answer, next } = held();
    const { pool } = await pooled(answer, { connections: 1, queue: 1 });
    const first = send(pool);
    const answered = await next();
    const [second, third] = [send(pool), send(pool)];
    expect((await third.done).failure?.kind).toBe('unreachable');
    answered();
    await first.done;
    (await next())();
    expect((await second.done).failure).toBeUndefined();
  });

  test('nothing was free in time, and what was under way is not touched', async () => {
    const { answer, next } = held();
    const { pool } = await pooled(answer, { connections: 1, queueTimeoutMs: 30 });
    const first = send(pool);
    const answered = await next();
    const second = send(pool);
    expect((await second.done).failure).toEqual({
      kind: 'unreachable',
      detail: 'no connection was free in time',
    });
    answered();
    expect((await first.done).failure).toBeUndefined();
  });

  test('a connection that is not made in time', async () => {
    // A name that nobody ever resolves.
    const address = { host: 'agent.invalid', port: 1, lookup: () => {} };
    const { failure } = await send(poolTo(address, { connectTimeoutMs: 30 })).done;
    expect(failure).toEqual({ kind: 'unreachable', detail: 'no connection in time' });
  });
});

describe('a request that waits', () => {
  test('can be aborted, and hears nothing', async () => {
    const { answer, next } = held();
    const { pool } = await pooled(answer, { connections: 1, queue: 3 });
    const first = send(pool);
    const answered = await next();
    const [second, third, fourth] = [send(pool), send(pool), send(pool)];
    third.exchange.abort();
    third.exchange.abort();
    expect(pool.counts.queued).toBe(2);
    answered();
    await first.done;
    (await next())();
    await second.done;
    (await next())();
    await fourth.done;
    expect(third.heard.ends).toBe(0);
    expect(pool.counts).toEqual({ open: 1, idle: 1, connecting: 0, queued: 0 });
  });

  test('can be aborted once it is under way', async () => {
    const { answer, next } = held();
    const { pool } = await pooled(answer, { connections: 1 });
    const first = send(pool);
    await next();
    first.exchange.abort();
    expect(pool.counts.open).toBe(0);
    expect(first.heard.ends).toBe(0);
    const second = send(pool);
    (await next())();
    expect((await second.done).body).toBe('1');
  });

  test('can be paused before it begins', async () => {
    const { pool } = await pooled((socket) => eachRequest(socket, () => socket.write(answerOf('late'))));
    const { heard, exchange, done } = send(pool);
    exchange.pause();
    await expect.poll(() => pool.counts.open).toBe(1);
    expect(heard.ends).toBe(0);
    exchange.resume();
    expect((await done).body).toBe('late');
  });

  test('makes no hole when a handler sends the next request at once', async () => {
    const { pool, upstream } = await pooled(
      (socket) => eachRequest(socket, () => socket.write(answerOf('x'))),
      {
        connections: 1,
      },
    );
    let left = 200;
    const over = Promise.withResolvers<void>();
    const again = (): void => {
      if (left-- === 0) over.resolve();
      else {
        const heard = new Heard();
        heard.onEnd = again;
        heard.onFailure = ({ detail }) => over.reject(new Error(detail));
        pool.send(requestOf(), heard);
      }
    };
    again();
    await over.promise;
    expect(upstream.sockets.length).toBe(1);
  });
});

describe('the end', () => {
  test('close lets go on what is under way and what waits, and takes nothing more', async () => {
    const { answer, next } = held();
    const { pool, upstream } = await pooled(answer, { connections: 1 });
    const first = send(pool);
    const answered = await next();
    const second = send(pool);
    pool.close();
    expect((await send(pool).done).failure).toEqual({ kind: 'unreachable', detail: 'the pool is closed' });
    answered();
    await first.done;
    (await next())();
    expect((await second.done).failure).toBeUndefined();
    expect(pool.counts).toEqual({ open: 0, idle: 0, connecting: 0, queued: 0 });
    const [socket] = upstream.sockets;
    if (socket?.destroyed === false) await once(socket, 'close');
  });

  test('destroy ends all of it', async () => {
    const { answer, next } = held();
    const { pool } = await pooled(answer, { connections: 1 });
    const first = send(pool);
    await next();
    const second = send(pool);
    pool.destroy();
    expect((await first.done).failure?.kind).toBe('broken');
    expect((await second.done).failure?.kind).toBe('unreachable');
    expect(pool.counts).toEqual({ open: 0, idle: 0, connecting: 0, queued: 0 });
  });

  test('destroy while it connects', async () => {
    const { pool } = await pooled(() => {});
    const { done } = send(pool);
    pool.destroy();
    expect((await done).failure?.kind).toBe('unreachable');
    await expect.poll(() => pool.counts.connecting).toBe(0);
  });
});
