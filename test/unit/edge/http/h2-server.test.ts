import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import type { H2Call } from '../../../../src/edge/http/h2-call.ts';
import { type H2Limits, H2Server } from '../../../../src/edge/http/h2-server.ts';
import { END_STREAM, H2Peer, h2Frame, requestFields, TYPE, uint32 } from '../../../testkit/raw-h2.ts';
import { headersFrame } from '../../../testkit/raw-h2-agent.ts';
import { RawPeer } from '../../../testkit/raw-peer.ts';
import { connectTo } from '../../../testkit/raw-upstream.ts';

let server: Server | undefined;
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
});

interface Ends {
  readonly client: H2Peer;
  /** The server's end. */
  readonly socket: Socket;
  readonly call: Promise<H2Call>;
}

const connected = async (limits: Partial<H2Limits> = {}): Promise<Ends> => {
  const called = Promise.withResolvers<H2Call>();
  const accepted = Promise.withResolvers<Socket>();
  server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    new H2Server(
      socket,
      { streams: 10, idleMs: 60_000, ...limits },
      {
        onCall: (call) => called.resolve(call),
        onRefused: () => undefined,
      },
    );
    accepted.resolve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const ours = await connectTo((server.address() as AddressInfo).port);
  sockets.push(ours);
  const client = new H2Peer(new RawPeer(ours as TLSSocket));
  await client.start();
  return { client, socket: await accepted.promise, call: called.promise };
};

const closed = (call: H2Call): Promise<void> => new Promise((resolve) => call.onClose(resolve));
const goodbye = (code = 0): Buffer => h2Frame(TYPE.goaway, 0, 0, Buffer.concat([uint32(0), uint32(code)]));

describe('a connection of HTTP/2 ends', () => {
  it('where the client said goodbye, made nghttp2 stop reading, and left: its requests are known to be gone', async () => {
    const { client, socket, call } = await connected({ pulseMs: 50 });
    client.write(headersFrame(client.newStream(), requestFields(), true));
    const open = await call;
    const gone = Promise.all([closed(open), once(socket, 'close')]);
    client.write(goodbye());
    await once(open.stream.session as never, 'goaway');
    // Frames of DATA belong to a stream.
    client.write(h2Frame(TYPE.data, 0, 0, 'x'));
    client.close();
    await gone;
    expect(open.isClosed).toBe(true);
  });

  it('not while the client still waits for an answer behind its goodbye', async () => {
    const { client, call } = await connected({ pulseMs: 250 });
    const stream = client.newStream();
    client.write(headersFrame(stream, requestFields(), true), goodbye());
    const open = await call;
    const questions = () =>
      client.frames.filter(({ type, flags }) => type === TYPE.settings && flags === 0).length;
    await client.until(() => questions() >= 4);
    expect(open.isClosed).toBe(false);
    open.sendHead(200, [], false);
    open.end(Buffer.from('late'));
    expect(await client.answerOn(stream)).toMatchObject({ status: 200, body: 'late', whole: true });
  });

  it('though its client does not hang up', async () => {
    const { client, socket } = await connected({ idleMs: 20 });
    client.peer.socket.pause();
    await once(socket, 'close');
  });
});

describe('an answered call', () => {
  it('keeps nothing of a body that nobody has read, whether the answer is taken or not', async () => {
    const { client, call } = await connected();
    client.write(h2Frame(TYPE.settings, 0, 0, Buffer.concat([Buffer.of(0, 4), uint32(0)])));
    const stream = client.newStream();
    client.write(headersFrame(stream, requestFields({ method: 'POST' })));
    const open = await call;
    for (let sent = 0; sent < 8; sent++) client.write(h2Frame(TYPE.data, 0, stream, 'x'.repeat(16_000)));
    await once(open.body, 'readable');
    open.sendHead(413, [], false);
    open.end(Buffer.from('too large'));
    client.write(h2Frame(TYPE.data, END_STREAM, stream));
    await once(open.body, 'end');
    expect(open.body.readableLength).toBe(0);
    open.abort();
    expect(await client.answerOn(stream)).toMatchObject({ status: 413, whole: false, reset: 2 });
  });
});
