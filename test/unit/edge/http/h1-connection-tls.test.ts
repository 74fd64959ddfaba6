/** A connection to an upstream over TLS, as between sidecars: it is used again and again, and its end is nobody's word. */
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { connect, createServer as createTlsServer, type Server, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { H1Connection } from '../../../../src/edge/http/h1-connection.ts';
import { issueSvidCa } from '../../../../src/verifier/authority/certificates.ts';
import { forgeCertificate } from '../../../testkit/certificates.ts';
import { eachRequest, Heard, requestOf } from '../../../testkit/raw-upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const LARGE = 'x'.repeat(200_000);

let server: Server;
let answer: (socket: TLSSocket) => void;
beforeAll(async () => {
  const authority = await issueSvidCa('company.com', {
    now: Math.floor(Date.now() / 1000),
    ttlSeconds: 3600,
  });
  const { svidPem, svidKeyPem } = await forgeCertificate(authority);
  server = createTlsServer({ cert: svidPem, key: svidKeyPem, minVersion: 'TLSv1.3' }, (socket) => {
    socket.on('error', () => {});
    answer(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => server.close());

let used: (Socket | H1Connection)[] = [];
afterEach(() => {
  for (const one of used.splice(0)) one.destroy();
  used = [];
});

const connected = async (port = (server.address() as AddressInfo).port) => {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const ended = Promise.withResolvers<void>();
  const connection = new H1Connection(socket, { onEnd: () => ended.resolve() });
  used.push(connection, socket);
  return { connection, socket, ended: ended.promise };
};

const send = (connection: H1Connection, over: Parameters<typeof requestOf>[0] = {}): Promise<Heard> => {
  const heard = new Heard();
  connection.send(requestOf(over), heard);
  return heard.done;
};

describe('over TLS', () => {
  test('one connection carries one request after the other, whenever they are sent and however large', async () => {
    answer = (socket) =>
      eachRequest(socket, (_, ordinal) =>
        socket.write(
          `${OK}content-length: ${LARGE.length}\r\n\r\n${LARGE.replace('x', String(ordinal % 10))}`,
        ),
      );
    const { connection } = await connected();
    for (let at = 0; at < 40; at++) {
      if (at % 3 === 1) await new Promise(setImmediate);
      if (at % 3 === 2) await new Promise((next) => process.nextTick(next));
      const body = at % 2 === 0 ? null : Buffer.alloc(at * 1000, 'y');
      const heard = await send(connection, { method: 'PUT', body });
      expect([heard.failure, heard.octets, heard.body[0]]).toEqual([
        undefined,
        LARGE.length,
        String(at % 10),
      ]);
      expect(connection.isIdle()).toBe(true);
    }
  });

  test('a body that only the end of the connection ends is not whole: anybody on the way can end it', async () => {
    answer = (socket) => eachRequest(socket, () => socket.end(`${OK}\r\nall of i`));
    const { connection, ended } = await connected();
    expect(await send(connection)).toMatchObject({
      status: 200,
      body: 'all of i',
      failure: { kind: 'broken' },
    });
    await ended;
  });

  test('a connection cut on the way in the middle of a body', async () => {
    answer = (socket) => eachRequest(socket, () => socket.write(`${OK}content-length: 10\r\n\r\nhello`));
    const through: Socket[] = [];
    const wire = createServer((ours) => {
      const theirs = connectTcp((server.address() as AddressInfo).port, '127.0.0.1');
      through.push(ours, theirs);
      for (const one of [ours, theirs]) one.on('error', () => {});
      ours.pipe(theirs).pipe(ours);
    }).listen(0, '127.0.0.1');
    await once(wire, 'listening');
    const { connection, ended } = await connected((wire.address() as AddressInfo).port);
    const heard = new Heard();
    heard.onData = () => {
      for (const one of through) one.destroy();
    };
    connection.send(requestOf(), heard);
    expect(await heard.done).toMatchObject({ failure: { kind: 'broken' }, trailers: undefined, ends: 1 });
    await ended;
    wire.close();
  });

  test('an idle one that the peer ends is over, and one that we close is ended at the peer', async () => {
    const theirs = Promise.withResolvers<TLSSocket>();
    answer = (socket) => theirs.resolve(socket);
    const first = await connected();
    (await theirs.promise).end();
    await first.ended;
    const others = Promise.withResolvers<TLSSocket>();
    answer = (socket) => others.resolve(socket.resume());
    const second = await connected();
    const other = await others.promise;
    const closed = once(other, 'end');
    second.connection.close();
    await closed;
    await second.ended;
  });
});
