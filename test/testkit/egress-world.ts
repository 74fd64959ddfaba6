/** One agent with a sidecar, and a world beyond the mesh with servers of the test in it. */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import pino from 'pino';
import { type Mesh, type MeshAgent, makeMesh } from './mesh.ts';
import { Outside } from './outside.ts';
import { closed } from './raw-http.ts';
import { makeWebCa, type WebCa } from './web-ca.ts';

export const AGENT = 'planning/abc123';
export const API_KEY = 'sk-live-0123456789abcdef';
export const EGRESS_SCOPE = [
  'cloud:read',
  'llm:chat',
  'llm:models',
  'partner:query',
  'partner:raw',
  'inside:read',
];

export const EGRESS_POLICY = {
  egress: [
    {
      name: 'chat',
      destination: 'api.llm.example:443',
      methods: ['POST'],
      path: '/v1/chat',
      scopes: ['llm:chat'],
    },
    {
      name: 'models',
      destination: 'api.llm.example:443',
      methods: ['GET', 'HEAD'],
      path: '/v1/*',
      scopes: ['llm:models'],
    },
    {
      name: 'talk',
      destination: 'api.llm.example:443',
      path: '/realtime',
      protocol: 'websocket',
      scopes: ['llm:chat'],
    },
    { name: 'partner', destination: 'db.partner.example:5432', mode: 'tunnel', scopes: ['partner:query'] },
    {
      name: 'partner-raw',
      destination: 'raw.partner.example:7000',
      mode: 'tunnel',
      inside: 'any',
      scopes: ['partner:raw'],
    },
    {
      name: 'inside',
      destination: 'wiki.inside.example:443',
      path: '/*',
      scopes: ['inside:read'],
      allowPrivate: ['10.2.0.0/16'],
    },
    { name: 'not-here', destination: 'elsewhere.example:443', path: '/*', scopes: ['llm:chat'] },
  ],
};

const EGRESS_CONFIG = [
  {
    destination: 'api.llm.example:443',
    credential: { secretFile: 'secrets/api-key' },
    caFile: 'secrets/web-ca',
  },
  { destination: 'db.partner.example:5432', mode: 'tunnel' },
  { destination: 'raw.partner.example:7000', mode: 'tunnel' },
  { destination: 'wiki.inside.example:443', caFile: 'secrets/web-ca' },
  { destination: 'unsigned.example:443', caFile: 'secrets/web-ca' },
  { destination: 'unsigned.example:5432', mode: 'tunnel' },
];

export interface SeenByApi {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface EgressWorldOptions {
  readonly policy?: Record<string, unknown>;
  readonly config?: Record<string, unknown>;
  readonly egress?: readonly Record<string, unknown>[];
}

export class EgressWorld {
  readonly outside = new Outside();
  readonly seen: SeenByApi[] = [];
  /** How the API answers. */
  answer: (request: SeenByApi, response: ServerResponse) => void = (_, response) => response.end('fine');
  /** What the API does with a request for a WebSocket. As far as a proxy can see: what comes is sent back. */
  onUpgrade = (request: IncomingMessage, socket: Duplex): void => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSet-Cookie: session=ours\r\nSec-WebSocket-Accept: ${request.headers['sec-websocket-key']}\r\n\r\n`,
    );
    socket.pipe(socket);
  };
  /** What the sidecar says. */
  said = '';
  mesh!: Mesh;
  agent!: MeshAgent;
  context = '';
  readonly ca: WebCa;
  readonly echoed: Socket[] = [];
  private readonly api: HttpsServer;
  private readonly echo: Server;

  private constructor(ca: WebCa, cert: { readonly cert: string; readonly key: string }) {
    this.ca = ca;
    this.api = createHttpsServer(cert, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url = '', rawHeaders, headers } = request;
        const seen = { method, url, rawHeaders, headers, body: Buffer.concat(chunks).toString() };
        this.seen.push(seen);
        this.answer(seen, response);
      });
    });
    this.api.on('upgrade', (request, socket: Duplex) => {
      const { method = '', url = '', rawHeaders, headers } = request;
      this.seen.push({ method, url, rawHeaders, headers, body: '' });
      socket.on('error', () => undefined);
      this.onUpgrade(request, socket);
    });
    this.echo = createServer((socket) => {
      this.echoed.push(socket.on('error', () => undefined));
      socket.pipe(socket);
    });
  }

  static async start(options: EgressWorldOptions = {}): Promise<EgressWorld> {
    const ca = await makeWebCa();
    const cert = await ca.issue('api.llm.example', { dns: ['api.llm.example', 'wiki.inside.example'] });
    const world = new EgressWorld(ca, cert);
    for (const server of [world.api, world.echo]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
    const { outside } = world;
    outside.put('api.llm.example', 443, world.api);
    outside.put('db.partner.example', 5432, world.echo, '1.1.1.1');
    outside.put('raw.partner.example', 7000, world.echo, '1.1.1.1');
    outside.put('wiki.inside.example', 443, world.api, '10.2.3.4');
    outside.put('unsigned.example', 443, world.api, '8.8.8.8');
    outside.put('unsigned.example', 5432, world.echo, '8.8.8.8');
    const write = (line: string): void => {
      world.said += line;
    };
    world.mesh = await makeMesh({
      domain: { anchor: { scope: EGRESS_SCOPE } },
      policy: { ...EGRESS_POLICY, ...options.policy },
      network: outside,
      log: pino({ level: 'debug' }, { write }),
      config: options.config ?? {},
    });
    const secrets = path.join(world.mesh.directory, AGENT.replace('/', '-'), 'secrets');
    mkdirSync(secrets, { recursive: true });
    writeFileSync(path.join(secrets, 'api-key'), `${API_KEY}\n`);
    writeFileSync(path.join(secrets, 'web-ca'), ca.certificate);
    world.agent = await world.mesh.start(AGENT, {
      config: { outbound: { egress: options.egress ?? EGRESS_CONFIG } },
    });
    world.context = await world.task(EGRESS_SCOPE);
    return world;
  }

  secret(name: string): string {
    return path.join(this.agent.directory, 'secrets', name);
  }

  get apiPort(): number {
    return (this.api.address() as AddressInfo).port;
  }

  /** A task of its own, with this much. */
  task(scope: readonly string[]): Promise<string> {
    return this.mesh.startTask(AGENT, this.mesh.domain.mintChain([AGENT], { scope }));
  }

  /** A CONNECT as a client would send it; what came back up to the end of its head. */
  async connect(
    authority: string,
    headers: readonly string[] = [`Hopgate-Context: ${this.context}`],
    anonymous = false,
  ): Promise<{ readonly socket: Socket; readonly head: string }> {
    const proxy = new URL(this.agent.proxyUrl);
    const authorization = `Basic ${Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64')}`;
    const socket = connect(Number(proxy.port), proxy.hostname);
    socket.on('error', () => undefined);
    socket.write(
      [
        `CONNECT ${authority} HTTP/1.1`,
        `Host: ${authority}`,
        ...(anonymous ? [] : [`Proxy-Authorization: ${authorization}`]),
        ...headers,
        '',
        '',
      ].join('\r\n'),
    );
    let text = '';
    while (!isAnswered(text)) {
      const got = await Promise.race([once(socket, 'data').catch(() => undefined), closed(socket)]);
      if (got === undefined) break;
      text += (got[0] as Buffer).toString('latin1');
    }
    return { socket, head: text };
  }

  /** Of the kind, newest last. */
  records(kind: string): Record<string, unknown>[] {
    return this.agent.log().filter((record) => record.kind === kind);
  }

  stop(): void {
    this.mesh.stop();
    for (const socket of this.echoed) socket.destroy();
    this.echo.close();
    this.api.close();
    this.api.closeAllConnections();
  }
}

/** A tunnel is open, or a refusal is there whole. */
const isAnswered = (text: string): boolean => {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return false;
  const length = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1];
  return length === undefined || text.length >= end + 4 + Number(length);
};
