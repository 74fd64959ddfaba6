/** Sockets that share one buffer to read into don't share what was read. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { connectPlain } from '../../../../src/edge/http/plain-connect.ts';

let server: Server | undefined;
afterEach(() => server?.close());

/** A server that does this with whoever comes; how to reach it. */
const serve = async (with_: (socket: Socket) => void): Promise<{ host: string; port: number }> => {
  server = createServer(with_).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
};

const digest = (octets: Buffer): string => createHash('sha256').update(octets).digest('hex');

it('keeps what many sockets read at once apart, chunk by chunk', async () => {
  const bodies = Array.from({ length: 8 }, () => randomBytes(300_000));
  let next = 0;
  const address = await serve((socket) => {
    const body = bodies[next++] as Buffer;
    // In pieces of any size, so that reads of all of them lie between each other.
    for (let at = 0, size = 1; at < body.length; at += size, size = (size * 7 + 13) % 50_000)
      socket.write(body.subarray(at, at + size));
    socket.end();
  });
  const read = await Promise.all(
    bodies.map(async () => {
      const socket = connectPlain(address);
      // Kept as they come: a chunk that changes later would be seen.
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      await once(socket, 'end');
      return digest(Buffer.concat(chunks));
    }),
  );
  expect(read.sort()).toEqual(bodies.map(digest).sort());
});

it('stops reading while nobody takes what came, and loses nothing', async () => {
  const body = randomBytes(8 << 20);
  let sent: Socket | undefined;
  const address = await serve((socket) => {
    sent = socket;
    socket.write(body);
  });
  const socket = connectPlain(address);
  await once(socket, 'readable');
  while (sent?.writableNeedDrain !== true) await new Promise(setImmediate);
  // What is held here is bounded by the socket's own mark, and the rest waits on the other side.
  for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
  expect(socket.readableLength).toBeLessThan(1 << 18);
  expect(sent.writableLength).toBeGreaterThan(0);
  sent.end();
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  expect(digest(Buffer.concat(chunks))).toBe(digest(body));
});

it('says end, close and failure as any socket does', async () => {
  const address = await serve((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.resetAndDestroy());
  });
  const socket = connectPlain(address);
  await once(socket, 'connect');
  socket.write('x');
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('ECONNRESET');
  expect(socket.destroyed).toBe(true);
});
