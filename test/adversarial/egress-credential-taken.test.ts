/** An agent that wants the credential of an API, or to be somebody else there, by ways that are no header and no body. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect as connectH2 } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { API_KEY, EgressWorld } from '../testkit/egress-world.ts';
import { sendThrough } from '../testkit/mesh.ts';
import { closed } from '../testkit/raw-http.ts';

const POLICY = {
  egress: [
    { name: 'any', destination: 'api.llm.example:443', path: '/v1/any', scopes: ['llm:chat'] },
    {
      name: 'live',
      destination: 'api.llm.example:443',
      path: '/v1/live',
      protocol: 'websocket',
      scopes: ['llm:chat'],
    },
  ],
};

const frameOf = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]);

describe('an agent that wants the credential', () => {
  let world: EgressWorld;
  let authorization: string;
  const sockets: (Socket | Duplex)[] = [];
  beforeAll(async () => {
    world = await EgressWorld.start({ policy: POLICY });
    const { username, password } = new URL(world.agent.proxyUrl);
    authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  });
  afterAll(() => {
    world.stop();
  });
  beforeEach(() => {
    world.seen.length = 0;
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  const door = async (): Promise<Socket> => {
    const { port, hostname } = new URL(world.agent.proxyUrl);
    const socket = connect(Number(port), hostname);
    sockets.push(socket.on('error', () => undefined));
    await once(socket, 'connect');
    return socket;
  };
  const head = (line: string, ...more: readonly string[]): string =>
    [
      `${line} HTTP/1.1`,
      'Host: api.llm.example',
      `Proxy-Authorization: ${authorization}`,
      `Hopgate-Context: ${world.context}`,
      ...more,
      '',
      '',
    ].join('\r\n');

  describe('through a WebSocket', () => {
    const open = async (answer: (key: string, socket: Duplex) => void) => {
      let asked: IncomingMessage | undefined;
      world.onUpgrade = (request, socket) => {
        asked = request;
        sockets.push(socket);
        socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n');
        answer(String(request.headers.authorization), socket);
      };
      const socket = await door();
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      socket.write(
        head(
          'GET http://api.llm.example/v1/live',
          'Connection: upgrade',
          'Upgrade: websocket',
          'Sec-WebSocket-Version: 13',
          'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
          'Sec-WebSocket-Extensions: permessage-deflate',
        ),
      );
      return { socket, text: () => text, asked: () => asked };
    };

    it('does not get it back, and the connection ends', async () => {
      const { socket, text, asked } = await open((key, other) => other.write(frameOf(key)));
      await closed(socket);
      expect(text()).toContain('101 Switching Protocols');
      expect(text()).not.toContain(API_KEY.slice(0, 13));
      // A compressed frame could hold it.
      expect(asked()?.headers).not.toHaveProperty('sec-websocket-extensions');
      await vi.waitFor(() =>
        expect(world.records('outcome').at(-1)).toMatchObject({
          result: 'egress_credential_shown',
          status: 101,
        }),
      );
    });
    it('does not get it back in pieces', async () => {
      const { socket, text } = await open((_, other) => {
        const frame = frameOf(API_KEY);
        other.write(frame.subarray(0, 18));
        setImmediate(() => other.write(frame.subarray(18)));
      });
      await closed(socket);
      expect(text()).not.toContain(API_KEY.slice(0, 13));
    });
    it('gets all else, at once, though a message ends as the credential begins', async () => {
      const { socket, text } = await open((_, other) => {
        other.write(frameOf('one message that ends in sk-live-01234567'));
        other.on('data', (chunk) => other.write(chunk));
      });
      await vi.waitFor(() => expect(text()).toContain('ends in sk-live-01234567'));
      socket.write(frameOf('and back'));
      await vi.waitFor(() => expect(text()).toContain('and back'));
      socket.end();
      await vi.waitFor(() =>
        expect(world.records('outcome').at(-1)).toMatchObject({ result: 'ok', status: 101 }),
      );
    });
  });

  it('as another account, by trailers: they don’t go out, and neither does anything of ours', async () => {
    let trailers: readonly string[] | undefined;
    world.answer = (_, response) => {
      trailers = (response as ServerResponse & { readonly req: IncomingMessage }).req.rawTrailers;
      response.end('fine');
    };
    const socket = await door();
    socket.write(
      `${head('POST http://api.llm.example/v1/any', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n${[
        'X-Api-Key: theirs-0123456789',
        'Cookie: session=theirs',
        'Authorization: Bearer theirs-0123456789',
        'Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        'X-Checksum: 1234',
      ].join('\r\n')}\r\n\r\n`,
    );
    await once(socket, 'data');
    expect(trailers).toEqual(['X-Checksum', '1234']);
  });

  it('by TRACE in another spelling, which HTTP/2 would carry: it is not sent', async () => {
    const socket = await door();
    const session = connectH2('http://api.llm.example', { createConnection: () => socket });
    for (const method of ['TRACE', 'trace', 'Trace']) {
      const stream = session.request({
        ':method': method,
        ':path': '/v1/any',
        'proxy-authorization': authorization,
        'hopgate-context': world.context,
      });
      stream.end();
      const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
      expect(answer[':status']).toBe(403);
      expect(world.records('decision').at(-1)).toMatchObject({ method, reason: 'route_unmatched' });
    }
    session.destroy();
    expect(world.seen).toEqual([]);
  });
});

it('a task that has 401s for itself takes the exchanged token from no other', async () => {
  let asked = 0;
  const endpoint = createServer((request, response) => {
    request.resume();
    asked++;
    response.writeHead(200, { 'content-type': 'application/json' }).end(
      JSON.stringify({
        access_token: `exchanged-${asked}-0123456789`,
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        token_type: 'Bearer',
        expires_in: 600,
      }),
    );
  });
  endpoint.listen(0, '127.0.0.1');
  await once(endpoint, 'listening');
  const tokenEndpoint = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/token`;
  const world = await EgressWorld.start({
    policy: {
      egress: [{ name: 'any', destination: 'api.llm.example:443', path: '/v1/*', scopes: ['llm:chat'] }],
    },
    egress: [
      {
        destination: 'api.llm.example:443',
        credential: { exchange: { tokenEndpoint, clientId: 'hopgate' } },
        caFile: 'secrets/web-ca',
      },
    ],
  });
  world.answer = ({ url }, response) => response.writeHead(url === '/v1/not-theirs' ? 401 : 200).end('');
  const other = await world.task(['llm:chat']);
  const statuses: number[] = [];
  for (const [path, context] of [
    ['/v1/fine', other],
    ['/v1/not-theirs', world.context],
    ['/v1/fine', other],
    ['/v1/not-theirs', world.context],
    ['/v1/fine', other],
  ])
    statuses.push(
      (await sendThrough(world.agent, `http://api.llm.example${path}`, { context: context ?? '' })).status,
    );
  expect(statuses).toEqual([200, 401, 200, 401, 200]);
  // Nor does it keep the endpoint busy.
  expect(asked).toBeLessThanOrEqual(3);
  expect(readFileSync(world.agent.logFile, 'utf8') + world.said).not.toContain('exchanged-');
  world.stop();
  endpoint.close();
  endpoint.closeAllConnections();
});
