import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deny, grant, type Verdict } from '../../../../src/core/verdict.ts';
import { type TunnelOptions, tunnelExchange } from '../../../../src/edge/egress/tunnel.ts';
import type { ExchangeResult } from '../../../../src/ports.ts';
import { closed } from '../../../testkit/raw-http.ts';
import { makeWebCa } from '../../../testkit/web-ca.ts';

const listening = async (server: Server): Promise<number> => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

const readAll = async (socket: Socket): Promise<string> => {
  let text = '';
  for await (const chunk of socket) text += (chunk as Buffer).toString('latin1');
  return text;
};

describe('a tunnel', () => {
  /** Takes the agent's connection, as the door does behind a CONNECT. */
  let door: Server;
  let echo: Server;
  let echoPort: number;
  const sockets: Socket[] = [];
  beforeEach(async () => {
    door = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    echo = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.push(socket.on('error', () => undefined));
      socket.pipe(socket);
    });
    echoPort = await listening(echo);
    await listening(door);
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    door.close();
    echo.close();
  });

  const toEcho = async (): Promise<Verdict<Socket>> => {
    const socket = connect({ port: echoPort, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    return grant(socket);
  };

  const begin = async (more: Partial<TunnelOptions> = {}) => {
    const accepted = once(door, 'connection') as Promise<[Socket]>;
    const client = connect({ port: (door.address() as AddressInfo).port, host: '127.0.0.1' });
    client.on('error', () => undefined);
    const [agent] = await accepted;
    sockets.push(client, agent);
    let cut: (reason: 'revoked_task') => void = () => undefined;
    const result = new Promise<ExchangeResult>((resolve) => {
      cut = tunnelExchange({
        agent,
        head: Buffer.alloc(0),
        hop: 'hop.1',
        dial: toEcho,
        serverName: undefined,
        idleMs: 60_000,
        helloMs: 60_000,
        ...more,
      }).start(resolve);
    });
    return { client, result, cut: () => cut('revoked_task') };
  };

  it('carries octets both ways, counts them, and ends with either side', async () => {
    const { client, result } = await begin();
    client.write('hello ');
    client.end('there');
    const text = await readAll(client);
    expect(text).toBe('HTTP/1.1 200 Connection Established\r\nHopgate-Hop: hop.1\r\n\r\nhello there');
    expect(await result).toEqual({ status: 200, result: 'ok', received: 11, sent: 11 });
  });
  it('carries what came behind the CONNECT first', async () => {
    const { client, result } = await begin({ head: Buffer.from('early ') });
    client.end('late');
    expect(await readAll(client)).toContain('\r\n\r\nearly late');
    expect(await result).toMatchObject({ received: 10 });
  });
  it('carries a great deal at the pace of the slower side', async () => {
    const { client, result } = await begin();
    const octets = 4 * 1024 * 1024;
    client.end(Buffer.alloc(octets, 'x'));
    expect((await readAll(client)).length).toBeGreaterThan(octets);
    expect(await result).toMatchObject({ received: octets, sent: octets, result: 'ok' });
  });
  it('is not opened where the destination can’t be reached, and says why', async () => {
    const { client, result } = await begin({ dial: async () => deny('egress_address_forbidden', 'inside') });
    const text = await readAll(client);
    expect(text).toMatch(/^HTTP\/1.1 403 /);
    expect(text).toContain('"code":"egress_address_forbidden"');
    expect(await result).toEqual({ status: 403, result: 'egress_address_forbidden', received: 0, sent: 0 });
  });
  it('is cut at once when what permitted it ends', async () => {
    const { client, result, cut } = await begin();
    client.write('hello');
    while (!String(await once(client, 'data')).includes('hello'));
    cut();
    expect(await result).toMatchObject({ result: 'revoked_task', status: 200, received: 5, sent: 5 });
    await closed(client);
  });
  it('is not opened when that happens while it is being opened', async () => {
    let give: (dialled: Verdict<Socket>) => void = () => undefined;
    const { client, result, cut } = await begin({ dial: () => new Promise((resolve) => (give = resolve)) });
    cut();
    expect(await result).toMatchObject({ result: 'revoked_task', sent: 0 });
    expect(await readAll(client)).toMatch(/^HTTP\/1.1 403 /);
    const late = await toEcho();
    give(late);
    if (late.ok) await closed(late.value);
  });
  it('ends when nothing goes through it', async () => {
    const { client, result } = await begin({ idleMs: 30 });
    expect(await result).toMatchObject({ result: 'egress_idle' });
    await closed(client.resume());
  });
  it('says when the destination breaks off', async () => {
    const { result } = await begin({
      dial: async () => {
        const dialled = await toEcho();
        if (dialled.ok) setImmediate(() => dialled.value.destroy(new Error('reset')));
        return dialled;
      },
    });
    expect(await result).toMatchObject({ result: 'egress_failed' });
  });

  describe('for TLS to one host', () => {
    const only = { serverName: 'api.example.com' };
    const overTunnel = async (client: Socket, servername: string) => {
      await once(client, 'data');
      const tls = connectTls({ socket: client, servername, rejectUnauthorized: false });
      return tls;
    };
    it('lets through TLS that names it, in whatever case', async () => {
      const { cert, key } = await (await makeWebCa()).issue('api.example.com');
      const server = createTlsServer({ cert, key }, (socket) => socket.end('over TLS'));
      const port = await listening(server);
      const dial = async (): Promise<Verdict<Socket>> => {
        const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
        await once(socket, 'connect');
        return grant(socket);
      };
      const { client, result } = await begin({ ...only, dial });
      const tls = await overTunnel(client, 'API.example.com');
      expect(await readAll(tls)).toBe('over TLS');
      client.destroy();
      expect(await result).toMatchObject({ status: 200 });
      server.close();
    });
    it('refuses TLS that names another, with an alert and before the destination sees any of it', async () => {
      let seen = 0;
      echo.on('connection', (socket: Socket) => socket.on('data', () => seen++));
      const { client, result } = await begin(only);
      const tls = await overTunnel(client, 'evil.example.com');
      const [error] = (await once(tls, 'error')) as [Error];
      expect(error.message).toMatch(/access denied/i);
      expect(await result).toMatchObject({ result: 'egress_sni', sent: 0, received: 0 });
      expect(seen).toBe(0);
    });
    it.each([
      ['what is no TLS', 'GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n'],
      ['an end', ''],
    ])('refuses %s', async (_what, text) => {
      const { client, result } = await begin(only);
      await once(client, 'data');
      client.end(text);
      expect(await result).toMatchObject({ result: 'egress_sni', sent: 0 });
    });
    it('does not wait for a name for ever', async () => {
      const { client, result } = await begin({ ...only, helloMs: 30 });
      client.write(Buffer.from([22]));
      client.resume();
      expect(await result).toMatchObject({ result: 'egress_idle', received: 0 });
    });
  });
});
