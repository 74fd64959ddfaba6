/** One HTTP/1.1 connection to an upstream, over real sockets: what is written, what is heard, and when it is used again. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { duplexPair, PassThrough, Readable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { H1Connection, type H1ConnectionOptions } from '../../../../src/edge/http/h1-connection.ts';
import {
  connectTo,
  eachRequest,
  Heard,
  type RawUpstream,
  rawUpstream,
  requestOf,
} from '../../../testkit/raw-upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const HELLO = `${OK}content-length: 5\r\n\r\nhello`;
const LARGE = 100_000;

let upstreams: RawUpstream[] = [];
let connections: H1Connection[] = [];
afterEach(async () => {
  for (const connection of connections) connection.destroy();
  await Promise.all(upstreams.map((one) => one.close()));
  upstreams = [];
  connections = [];
});

interface Ends {
  readonly connection: H1Connection;
  readonly ours: Socket;
  /** The upstream's end. */
  readonly theirs: () => Socket;
  readonly ended: Promise<void>;
  readonly idles: () => number;
}

const connected = async (
  answer: (socket: Socket) => void,
  options: H1ConnectionOptions = {},
): Promise<Ends> => {
  const upstream = await rawUpstream(answer);
  upstreams.push(upstream);
  const ours = await connectTo(upstream.port);
  const ended = Promise.withResolvers<void>();
  let idles = 0;
  const connection = new H1Connection(ours, {
    ...options,
    onEnd: () => ended.resolve(),
    onIdle: () => idles++,
  });
  connections.push(connection);
  return {
    connection,
    ours,
    theirs: () => upstream.sockets[0] as Socket,
    ended: ended.promise,
    idles: () => idles,
  };
};

const send = (connection: H1Connection, over: Parameters<typeof requestOf>[0] = {}) => {
  const heard = new Heard();
  const exchange = connection.send(requestOf(over), heard);
  return { heard, exchange, done: heard.done };
};

const comingOf = (stream: Readable, trailers: readonly string[] = []) => ({
  stream,
  trailers: () => trailers,
});

describe('what is written', () => {
  const written = async (over: Parameters<typeof requestOf>[0]): Promise<string> => {
    const { connection, theirs } = await connected((socket) =>
      eachRequest(socket, (text) => {
        seen = text;
        socket.write(HELLO);
      }),
    );
    let seen = '';
    const heard = await send(connection, over).done;
    expect(heard.failure).toBeUndefined();
    expect(heard.body).toBe('hello');
    expect(theirs().destroyed).toBe(false);
    return seen;
  };

  test('a request without a body', async () => {
    expect(await written({ target: '/a?b', headers: ['host', 'x', 'X-A', '1'] })).toBe(
      'GET /a?b HTTP/1.1\r\nhost: x\r\nX-A: 1\r\n\r\n',
    );
  });
  test('a POST without one says so', async () => {
    expect(await written({ method: 'POST' })).toBe(
      'POST / HTTP/1.1\r\nhost: agent\r\ncontent-length: 0\r\n\r\n',
    );
  });
  test('a body in hand, small or large, every octet of it', async () => {
    for (const body of [Buffer.from([0, 10, 13, 128, 255]), Buffer.alloc(LARGE, 0xfe)])
      expect(await written({ method: 'POST', body })).toBe(
        `POST / HTTP/1.1\r\nhost: agent\r\ncontent-length: ${body.length}\r\n\r\n${body.toString('latin1')}`,
      );
  });
  test('a body that comes, of known length', async () => {
    const headers = ['host', 'x', 'Content-Length', '7'];
    const stream = Readable.from([Buffer.from('abc'), Buffer.alloc(0), Buffer.from('defg')]);
    expect(await written({ method: 'PUT', headers, body: comingOf(stream) })).toBe(
      'PUT / HTTP/1.1\r\nhost: x\r\nContent-Length: 7\r\n\r\nabcdefg',
    );
  });
  test('a body that comes, in chunks and with trailers', async () => {
    const stream = Readable.from([Buffer.from('abc'), Buffer.alloc(0), Buffer.alloc(5000, 'x')]);
    expect(await written({ method: 'PUT', body: comingOf(stream, ['x-sum', '1']) })).toBe(
      `PUT / HTTP/1.1\r\nhost: agent\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1388\r\n${'x'.repeat(5000)}\r\n0\r\nx-sum: 1\r\n\r\n`,
    );
  });
  test('a body that had ended before', async () => {
    const stream = Readable.from([]);
    stream.resume();
    await once(stream, 'end');
    expect(await written({ method: 'PUT', body: comingOf(stream) })).toContain('\r\n\r\n0\r\n\r\n');
  });
  test('a large body at the pace of its reader', async () => {
    const { connection, theirs } = await connected((socket) => socket.pause());
    let produced = 0;
    const stream = new Readable({
      read() {
        produced += 65_536;
        this.push(produced > 64 * 1024 * 1024 ? null : Buffer.alloc(65_536));
      },
    });
    const { heard } = send(connection, { method: 'PUT', body: comingOf(stream) });
    await once(stream, 'pause');
    expect(produced).toBeLessThan(32 * 1024 * 1024);
    theirs().resume();
    await once(stream, 'end');
    theirs().write(HELLO);
    expect((await heard.done).body).toBe('hello');
  });
});

describe('what is not fit is not written', () => {
  const unfit: Readonly<Record<string, Parameters<typeof requestOf>[0]>> = {
    'a line end in a value': { headers: ['host', 'x', 'a', 'b\r\nc: d'] },
    'a bare CR in a value': { headers: ['host', 'x', 'a', 'b\rc'] },
    'a bare LF in a value': { headers: ['host', 'x', 'a', 'b\nc'] },
    'a NUL in a value': { headers: ['host', 'x', 'a', 'b\0'] },
    'a letter that Latin-1 would cut down to an LF': { headers: ['host', 'x', 'a', 'b\u010ac: d'] },
    'a line end in a name': { headers: ['host', 'x', 'a: b\r\nc', 'd'] },
    'a space in a name': { headers: ['host', 'x', 'transfer-encoding ', 'chunked'] },
    'an empty name': { headers: ['host', 'x', '', 'chunked'] },
    'a line end in the target': { target: '/ HTTP/1.1\r\nhost: y\r\n\r\nGET /' },
    'a space in the target': { target: '/a b' },
    'a target of another form': { target: 'http://other/' },
    'a target cut down to an LF': { target: '/\u010a' },
    'a space in the method': { method: 'GET /admin' },
    CONNECT: { method: 'CONNECT' },
    'no host': { headers: [] },
    'two hosts': { headers: ['host', 'x', 'Host', 'y'] },
    'a transfer coding': { headers: ['host', 'x', 'Transfer-Encoding', 'chunked'] },
    'a connection': { headers: ['host', 'x', 'Connection', 'close'] },
    'two lengths': {
      headers: ['host', 'x', 'content-length', '1', 'Content-Length', '1'],
      body: Buffer.of(1),
    },
    'a length that is not the body’s': { headers: ['host', 'x', 'content-length', '2'], body: Buffer.of(1) },
    'a length without a body': { headers: ['host', 'x', 'content-length', '2'] },
    'a length that is no number': { headers: ['host', 'x', 'content-length', '+1'], body: Buffer.of(1) },
    'an upgrade with a body': { upgrade: true, body: Buffer.of(1) },
  };
  test.each(Object.entries(unfit))('%s', async (_, over) => {
    let octets = 0;
    const { connection, idles } = await connected((socket) => {
      socket.on('data', (chunk) => (octets += chunk.length));
      eachRequest(socket, () => socket.write(HELLO));
    });
    const { heard, done } = send(connection, over);
    expect(heard.ends).toBe(0);
    expect((await done).failure).toEqual({ kind: 'broken', detail: 'the request is not fit to be sent' });
    // Nothing of it went out: the next request is all that the upstream sees.
    expect((await send(connection).done).body).toBe('hello');
    expect(octets).toBe('GET / HTTP/1.1\r\nhost: agent\r\n\r\n'.length);
    expect(idles()).toBe(2);
  });

  test.each([
    ['more', [Buffer.from('abcd')], 'longer'],
    ['more, later', [Buffer.from('ab'), Buffer.from('cd')], 'longer'],
    ['less', [Buffer.from('ab')], 'shorter'],
    ['text', ['abc'], 'text'],
  ])('a body of %s than was announced', async (_, chunks, detail) => {
    let seen = '';
    const { connection, ended, theirs } = await connected((socket) =>
      socket.on('data', (chunk) => (seen += chunk.toString('latin1'))),
    );
    const heard = await send(connection, {
      method: 'PUT',
      headers: ['host', 'x', 'content-length', '3'],
      body: comingOf(Readable.from(chunks)),
    }).done;
    expect(heard.failure).toMatchObject({ kind: 'broken', detail: expect.stringContaining(detail) });
    await ended;
    if (!theirs().destroyed) await once(theirs(), 'close');
    expect(seen.split('\r\n\r\n')[1]?.length ?? 0).toBeLessThan(3);
  });

  test.each([
    [['a', 'b\r\n\r\nGET / HTTP/1.1']],
    [['content-length', '3']],
    [['transfer-encoding', 'chunked']],
    [['a b', 'c']],
  ])('trailers like %j', async (trailers) => {
    const { connection, ended } = await connected((socket) => socket.resume());
    const heard = await send(connection, {
      method: 'PUT',
      body: comingOf(Readable.from([Buffer.of(1)]), trailers),
    }).done;
    expect(heard.failure?.detail).toMatch('trailers');
    await ended;
  });

  test('what follows a body that broke off', async () => {
    const { connection, ended } = await connected((socket) => socket.resume());
    const stream = new PassThrough();
    const { heard } = send(connection, { method: 'PUT', body: comingOf(stream) });
    stream.write('abc');
    stream.destroy(new Error('the client left'));
    expect((await heard.done).failure).toEqual({ kind: 'broken', detail: 'the request body broke off' });
    await ended;
  });
});

describe('what is heard', () => {
  test('one response after the other, on one connection', async () => {
    const { connection, idles } = await connected((socket) =>
      eachRequest(socket, (_, ordinal) => socket.write(`${OK}content-length: 1\r\n\r\n${ordinal}`)),
    );
    for (let ordinal = 0; ordinal < 5; ordinal++) {
      const heard = await send(connection).done;
      expect([heard.status, heard.body, heard.trailers, heard.ends]).toEqual([200, `${ordinal}`, [], 1]);
    }
    expect(idles()).toBe(5);
  });

  test('one that comes octet by octet', async () => {
    const { connection } = await connected((socket) =>
      eachRequest(socket, async () => {
        const text = `HTTP/1.1 103 Hints\r\n\r\n${OK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nt: 1\r\n\r\n`;
        for (const octet of Buffer.from(text))
          await new Promise((sent) => socket.write(Buffer.of(octet), sent));
      }),
    );
    const heard = await send(connection).done;
    expect(heard).toMatchObject({
      informations: [103],
      status: 200,
      body: 'abc',
      trailers: ['t', '1'],
      ends: 1,
    });
    expect(connection.isIdle()).toBe(true);
  });

  test('one that ends with the connection', async () => {
    const { connection, ended } = await connected((socket) =>
      eachRequest(socket, () => socket.end(`${OK}\r\nall of it`)),
    );
    expect(await send(connection).done).toMatchObject({ status: 200, body: 'all of it', failure: undefined });
    await ended;
  });

  const brokenOff: Readonly<Record<string, string>> = {
    nothing: '',
    'half a head': `${OK}content-le`,
    'half a body': `${OK}content-length: 10\r\n\r\nhello`,
    'half a chunk': `${OK}transfer-encoding: chunked\r\n\r\na\r\nhello`,
    'chunks without the last': `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`,
    'half trailers': `${OK}transfer-encoding: chunked\r\n\r\n0\r\na: b\r\n`,
  };
  for (const how of ['end', 'resetAndDestroy'] as const)
    test.each(Object.entries(brokenOff))(`broken: %s, then ${how}`, async (_, octets) => {
      const { connection, ended } = await connected((socket) =>
        eachRequest(socket, () => socket.write(octets, () => socket[how]())),
      );
      const heard = await send(connection).done;
      expect(heard).toMatchObject({ failure: { kind: 'broken' }, trailers: undefined, ends: 1 });
      await ended;
      expect(connection.isAlive()).toBe(false);
    });

  test('an upstream killed within an upgrade', async () => {
    const { connection, ended } = await connected((socket) =>
      eachRequest(socket, () =>
        socket.write('HTTP/1.1 101 Switching\r\nupgrade: web', () => socket.destroy()),
      ),
    );
    const heard = await send(connection, { upgrade: true }).done;
    expect(heard).toMatchObject({ failure: { kind: 'broken' }, upgraded: undefined, ends: 1 });
    await ended;
  });

  test('malformed: nothing of it goes further, and the connection is over', async () => {
    const { connection, ended } = await connected((socket) =>
      eachRequest(socket, () => socket.write(`${OK}content-length: 1\r\ncontent-length: 2\r\n\r\nab`)),
    );
    const heard = await send(connection).done;
    expect(heard).toMatchObject({ failure: { kind: 'malformed' }, status: 0, body: '', ends: 1 });
    await ended;
  });

  test('no head in time', async () => {
    const { connection, ended } = await connected((socket) =>
      eachRequest(socket, () => socket.write('HTTP/1.1 103 Hints\r\n\r\n')),
    );
    const heard = await send(connection, { headersTimeoutMs: 50 }).done;
    expect(heard).toMatchObject({ failure: { kind: 'timeout' }, informations: [103] });
    await ended;
  });

  test('a body may take longer than the head', async () => {
    const { connection, theirs } = await connected((socket) =>
      eachRequest(socket, () => socket.write(`${OK}content-length: 2\r\n\r\na`)),
    );
    const { heard } = send(connection, { headersTimeoutMs: 20 });
    await heard.head;
    // By the time that this one gives up, the other would have.
    const silent = await connected((socket) => socket.resume());
    await send(silent.connection, { headersTimeoutMs: 30 }).done;
    theirs().write('b');
    expect(await heard.done).toMatchObject({ body: 'ab', failure: undefined });
  });

  test('a request body may take longer than the head, which has its time from there on', async () => {
    const { connection } = await connected((socket) => socket.resume());
    const stream = new PassThrough();
    const { heard } = send(connection, { method: 'PUT', body: comingOf(stream), headersTimeoutMs: 20 });
    for (const part of ['a', 'b', 'c']) {
      stream.write(part);
      const silent = await connected((socket) => socket.resume());
      await send(silent.connection, { headersTimeoutMs: 25 }).done;
    }
    expect(heard.ends).toBe(0);
    stream.end();
    expect((await heard.done).failure).toMatchObject({ kind: 'timeout' });
  });

  test('an upstream that takes no more of a body is late too', async () => {
    const { connection } = await connected((socket) => socket.pause());
    const stream = new Readable({
      read() {
        this.push(Buffer.alloc(65_536));
      },
    });
    const { done } = send(connection, { method: 'PUT', body: comingOf(stream), headersTimeoutMs: 40 });
    expect((await done).failure).toMatchObject({ kind: 'timeout' });
    stream.destroy();
  });

  test('nothing more after it was aborted', async () => {
    const [a, b] = ['a'.repeat(5000), 'b'.repeat(5000)];
    const { connection, ended, theirs } = await connected((socket) =>
      eachRequest(socket, () =>
        socket.write(`${OK}transfer-encoding: chunked\r\n\r\n1388\r\n${a}\r\n1388\r\n${b}\r\n0\r\n\r\n`),
      ),
    );
    const heard = new Heard();
    heard.onData = (chunk) => {
      heard.body += chunk.toString();
      exchange.abort();
    };
    const exchange = connection.send(requestOf(), heard);
    await ended;
    if (!theirs().destroyed) await once(theirs(), 'close');
    expect(heard).toMatchObject({ ends: 0 });
    expect(heard.body).toMatch(/^a+$/);
    exchange.abort();
    exchange.pause();
    exchange.resume();
  });

  test('an exchange that is over has no hold on the next', async () => {
    const { connection } = await connected((socket) => eachRequest(socket, () => socket.write(HELLO)));
    const first = send(connection);
    await first.done;
    const second = send(connection);
    first.exchange.pause();
    first.exchange.abort();
    expect((await second.done).body).toBe('hello');
  });

  test('what never began can be aborted too', async () => {
    const { connection } = await connected((socket) => eachRequest(socket, () => socket.write(HELLO)));
    const first = send(connection);
    const second = send(connection);
    second.exchange.abort();
    await first.done;
    expect(second.heard.ends).toBe(0);
  });

  test('a second request while one is under way is not sent', async () => {
    const { connection } = await connected((socket) => eachRequest(socket, () => socket.write(HELLO)));
    const [first, second] = [send(connection), send(connection)];
    expect((await second.done).failure).toMatchObject({ kind: 'unreachable' });
    expect((await first.done).body).toBe('hello');
  });

  test('a body at the pace of its reader, in memory that stays flat', async () => {
    const size = 256 * 1024 * 1024;
    const { connection, theirs } = await connected((socket) =>
      eachRequest(socket, () => {
        socket.write(`${OK}content-length: ${size}\r\n\r\n`);
        let left = size;
        const chunk = Buffer.alloc(1024 * 1024);
        const more = (): void => {
          while (left > 0 && !socket.destroyed) {
            left -= chunk.length;
            if (!socket.write(chunk)) {
              socket.once('drain', more);
              return;
            }
          }
        };
        more();
      }),
    );
    const heard = new Heard();
    let most = 0;
    let pauses = 0;
    heard.onData = (chunk) => {
      heard.octets += chunk.length;
      exchange.pause();
      pauses++;
      if (pauses % 64 === 0)
        most = Math.max(most, process.memoryUsage().arrayBuffers + theirs().writableLength);
      setImmediate(() => exchange.resume());
    };
    const before = process.memoryUsage().arrayBuffers;
    const exchange = connection.send(requestOf(), heard);
    await heard.done;
    expect(heard.octets).toBe(size);
    expect(most - before).toBeLessThan(64 * 1024 * 1024);
  });

  test('over a socket that answers within the write', async () => {
    const [ours, theirs] = duplexPair();
    theirs.on('data', () => theirs.write(HELLO));
    const connection = new H1Connection(ours);
    connections.push(connection);
    for (let at = 0; at < 3; at++) {
      const { heard, done } = send(connection);
      expect(heard.status).toBe(0);
      expect(await done).toMatchObject({ failure: undefined, body: 'hello' });
    }
  });
});

describe('an early response', () => {
  test('is heard while the body is sent, and the connection is not used again', async () => {
    const { connection, ended, idles } = await connected((socket) =>
      socket.once('data', () => socket.write(HELLO)),
    );
    const stream = new PassThrough();
    stream.write('abc');
    const heard = await send(connection, { method: 'PUT', body: comingOf(stream) }).done;
    expect(heard).toMatchObject({ status: 200, body: 'hello', failure: undefined });
    await ended;
    expect(idles()).toBe(0);
    expect(connection.isAlive()).toBe(false);
    // The rest is its owner's.
    expect([stream.destroyed, stream.isPaused(), stream.listenerCount('data')]).toEqual([false, true, 0]);
    stream.destroy(new Error('never heard of again'));
  });

  test('goes on beside a body that goes on', async () => {
    const { connection, ended, idles, theirs } = await connected((socket) =>
      socket.once('data', () => socket.write(`${OK}transfer-encoding: chunked\r\n\r\n1\r\na\r\n`)),
    );
    const stream = new PassThrough();
    stream.write('abc');
    const { heard } = send(connection, { method: 'PUT', body: comingOf(stream) });
    await heard.head;
    let seen = '';
    theirs().on('data', (chunk) => {
      seen += chunk.toString('latin1');
      if (seen.endsWith('\r\n0\r\n\r\n')) theirs().write('1\r\nb\r\n0\r\n\r\n');
    });
    stream.end('def');
    expect(await heard.done).toMatchObject({ body: 'ab', failure: undefined });
    await ended;
    expect(idles()).toBe(0);
  });
});

describe('the next request', () => {
  test.each([
    ['Connection: close', `${OK}connection: close\r\ncontent-length: 0\r\n\r\n`],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n'],
    ['a server that keeps it for a second', `${OK}keep-alive: timeout=1\r\ncontent-length: 0\r\n\r\n`],
    ['octets behind the response', `${HELLO}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`],
    ['one octet behind the response', `${OK}transfer-encoding: chunked\r\n\r\n0\r\n\r\n\n`],
  ])('has no connection after %s', async (_, octets) => {
    const { connection, ended, idles } = await connected((socket) =>
      eachRequest(socket, () => socket.write(octets)),
    );
    expect(await send(connection).done).toMatchObject({ status: 200, failure: undefined });
    await ended;
    expect([idles(), connection.isAlive(), connection.isIdle()]).toEqual([0, false, false]);
    expect((await send(connection).done).failure).toMatchObject({ kind: 'unreachable' });
  });

  test('never gets what was sent before it', async () => {
    const { connection, ended, theirs } = await connected((socket) =>
      eachRequest(socket, () => socket.write(HELLO)),
    );
    await send(connection).done;
    theirs().write(`${OK}content-length: 4\r\n\r\nevil`);
    await ended;
    expect((await send(connection).done).failure).toMatchObject({ kind: 'unreachable' });
  });

  test('never gets what lay in the socket before the first', async () => {
    const upstream = await rawUpstream((socket) => socket.resume());
    upstreams.push(upstream);
    const ours = await connectTo(upstream.port);
    ours.pause();
    ours.unshift(Buffer.from(`${OK}content-length: 4\r\n\r\nevil`));
    const connection = new H1Connection(ours);
    expect(connection.isIdle()).toBe(false);
    expect((await send(connection).done).failure).toMatchObject({ kind: 'unreachable' });
    expect(ours.destroyed).toBe(true);
  });

  test('finds a socket that was paused reading again', async () => {
    const upstream = await rawUpstream((socket) => eachRequest(socket, () => socket.write(HELLO)));
    upstreams.push(upstream);
    const ours = await connectTo(upstream.port);
    ours.pause();
    const connection = new H1Connection(ours);
    connections.push(connection);
    expect((await send(connection).done).body).toBe('hello');
  });

  test('has none that the server has closed', async () => {
    const { connection, ended, theirs } = await connected((socket) =>
      eachRequest(socket, () => socket.write(HELLO)),
    );
    await send(connection).done;
    theirs().end();
    await ended;
    expect(connection.isIdle()).toBe(false);
  });

  test('has none that was idle for too long', async () => {
    const { connection, ended } = await connected(
      (socket) => eachRequest(socket, () => socket.write(HELLO)),
      { idleMs: 30 },
    );
    await send(connection).done;
    expect(connection.isIdle()).toBe(true);
    expect(connection.isIdle(performance.now() + 31)).toBe(false);
    await ended;
  });

  test('comes after one that was paused at its end', async () => {
    const { connection } = await connected((socket) => eachRequest(socket, () => socket.write(HELLO)));
    const heard = new Heard();
    heard.onData = () => exchange.pause();
    const exchange = connection.send(requestOf(), heard);
    await heard.done;
    expect((await send(connection).done).body).toBe('hello');
  });

  test('is the last after close', async () => {
    const { connection, ended } = await connected((socket) => eachRequest(socket, () => socket.write(HELLO)));
    const { done } = send(connection);
    connection.close();
    expect((await done).body).toBe('hello');
    await ended;
    expect((await send(connection).done).failure).toMatchObject({ kind: 'unreachable' });
  });

  test('close ends an idle one, and destroy what is under way', async () => {
    const idle = await connected((socket) => socket.resume());
    idle.connection.close();
    await idle.ended;
    await once(idle.ours, 'close');
    const busy = await connected((socket) => socket.resume());
    const { done } = send(busy.connection);
    busy.connection.destroy();
    expect((await done).failure).toMatchObject({ kind: 'broken' });
    await busy.ended;
  });
});

describe('an upgrade', () => {
  const SWITCH =
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nx: y\r\n\r\n';

  test('hands over the socket and what came behind the head, and keeps nothing of it', async () => {
    let asked = '';
    const { connection, ours, theirs, ended } = await connected((socket) =>
      eachRequest(socket, (text) => {
        asked = text;
        socket.write(`${SWITCH}first`);
      }),
    );
    const heard = await send(connection, { upgrade: true }).done;
    expect(asked).toBe('GET / HTTP/1.1\r\nhost: agent\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    expect(heard.upgraded?.socket).toBe(ours);
    expect(heard.upgraded?.head.toString()).toBe('first');
    expect(heard.headers).toEqual(['connection', 'upgrade', 'upgrade', 'websocket', 'x', 'y']);
    await ended;
    for (const event of ['data', 'end', 'close', 'drain'])
      expect(ours.listenerCount(event), event).toBeLessThan(2);
    expect(ours.listenerCount('data')).toBe(0);
    // Nothing is lost before somebody reads.
    theirs().write('second');
    expect(ours.isPaused()).toBe(true);
    connection.destroy();
    expect(ours.destroyed).toBe(false);
    const read = once(ours, 'data');
    ours.resume();
    expect(String((await read)[0])).toBe('second');
    const closed = new Promise((resolve) => ours.once('close', resolve));
    ours.destroy(new Error('hurts nobody'));
    await closed;
  });

  test('that is declined is an answer like any other', async () => {
    const { connection } = await connected((socket) =>
      eachRequest(socket, () => socket.write('HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno')),
    );
    expect(await send(connection, { upgrade: true }).done).toMatchObject({ status: 403, body: 'no' });
    expect(connection.isIdle()).toBe(true);
  });

  test('that nobody asked for is malformed', async () => {
    const { connection } = await connected((socket) => eachRequest(socket, () => socket.write(SWITCH)));
    expect(await send(connection).done).toMatchObject({
      failure: { kind: 'malformed' },
      upgraded: undefined,
    });
  });
});

test('it leaves nothing on a socket that it gave up but one listener of errors', async () => {
  const { connection, ours, ended } = await connected((socket) =>
    eachRequest(socket, () => socket.write(HELLO)),
  );
  const before = ours.listenerCount('error') - 2;
  await send(connection).done;
  connection.destroy();
  await ended;
  expect(ours.listenerCount('error') - before).toBe(1);
  ours.emit('error', new Error('late'));
});
