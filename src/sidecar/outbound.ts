/** The door out: the local agent's requests, authenticated, tied to a context, and taken down the path to a pinned peer. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { resolve as resolvePath } from 'node:path';
import type { OutboundRoute } from '../config/sidecar-schema.ts';
import { type Denial, deny } from '../core/verdict.ts';
import { makeListener } from '../edge/http/listener.ts';
import { problemOf, sendProblem } from '../edge/http/problem.ts';
import { type RequestHeaders, readRequestHeaders } from '../edge/http/request-headers.ts';
import { responseOn, type UpgradeRequest, upgradeFault } from '../edge/http/upgrade.ts';
import { refuseHop } from '../hop/pipeline.ts';
import { OutboundRequests } from './outbound-requests.ts';
import { findRoute, readOutboundTarget, withoutUserinfo } from './outbound-target.ts';
import type { Parts } from './parts.ts';
import { Peers } from './peers.ts';

const TLS_RECORD_HANDSHAKE = 0x16;
const PROXY_USER = 'hopgate';
/** How long a refused CONNECT may take to hang up. */
const LINGER_MS = 1000;

export class Outbound {
  private readonly parts: Parts;
  readonly peers: Peers;
  private readonly requests: OutboundRequests;
  private readonly http: Server;
  private readonly routes: ReadonlyMap<string, OutboundRoute>;
  /** The whole `Proxy-Authorization` value; undefined on a unix socket, whose permissions speak. */
  private readonly secret: Buffer | undefined;
  private readonly password = randomBytes(24).toString('base64url');
  /** Sockets inside an authenticated CONNECT: the route that it named. */
  private readonly tunnels = new WeakMap<object, OutboundRoute>();
  private readonly sockets = new Set<Socket>();

  constructor(parts: Parts) {
    this.parts = parts;
    const { outbound, limits } = parts.config;
    this.routes = new Map((outbound?.routes ?? []).map((route) => [route.host, route]));
    const onTcp = outbound !== undefined && !('path' in outbound.listen);
    this.secret = onTcp
      ? Buffer.from(`Basic ${Buffer.from(`${PROXY_USER}:${this.password}`).toString('base64')}`)
      : undefined;
    this.peers = new Peers(parts);
    this.requests = new OutboundRequests(parts, this.peers);
    this.http = makeListener(limits, { requireHostHeader: true });
    this.http.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
    this.http.on('request', (request, response) => this.onRequest(request, response));
    this.http.on('upgrade', (request, socket, head) =>
      this.onRequest(request, responseOn(request, socket), { socket, head }),
    );
    this.http.on('connect', (request, socket, head) => this.onConnect(request, socket as Socket, head));
    this.http.on('clientError', (_error, socket) => socket.destroy());
  }

  /** Listens, and writes the proxy URL with the secret of this start to `proxyUrlFile`, relative to the state directory. */
  async listen(stateDirectory: string): Promise<string> {
    const { listen = { host: '127.0.0.1', port: 0 }, proxyUrlFile = 'proxy-url' } =
      this.parts.config.outbound ?? {};
    if ('path' in listen) removeSocket(listen.path);
    // The mask holds from the moment of binding: between listen and chmod nobody else gets in.
    const mask = 'path' in listen ? process.umask(0o117) : undefined;
    await new Promise<void>((resolve, reject) => {
      this.http.once('error', reject);
      const ready = (): void => {
        this.http.off('error', reject);
        resolve();
      };
      if ('path' in listen) this.http.listen(listen.path, ready);
      else this.http.listen(listen.port, listen.host, ready);
    }).finally(() => {
      if (mask !== undefined) process.umask(mask);
    });
    if ('path' in listen) {
      chmodSync(listen.path, 0o660);
      return `unix:${listen.path}`;
    }
    const address = this.http.address();
    const port = address !== null && typeof address === 'object' ? address.port : listen.port;
    const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
    const url = `http://${PROXY_USER}:${this.password}@${host}:${port}`;
    const file = resolvePath(stateDirectory, proxyUrlFile);
    // A new file, so that nobody holds it open or reads it under an older mode.
    rmSync(file, { force: true });
    writeFileSync(file, `${url}\n`, { mode: 0o600, flag: 'wx' });
    return `${host}:${port}`;
  }

  private isAuthenticated(request: IncomingMessage): boolean {
    if (this.secret === undefined) return true;
    const given = Buffer.from(request.headers['proxy-authorization'] ?? '', 'latin1');
    return given.length === this.secret.length && timingSafeEqual(given, this.secret);
  }

  /** What keeps others out: processes without the secret, and web pages, which can reach loopback too. */
  private checkAgent(
    request: IncomingMessage,
    headers: RequestHeaders,
    tunnelled: boolean,
    isUpgrade: boolean,
  ): Denial | undefined {
    if (!tunnelled && !this.isAuthenticated(request))
      return deny('agent_unauthenticated', 'Proxy-Authorization is missing or wrong');
    if (headers.fromBrowser)
      return deny('agent_browser', 'a request with Origin or Sec-Fetch headers comes from a web page');
    return headers.fault ?? upgradeFault(request, headers, isUpgrade);
  }

  private onRequest(request: IncomingMessage, response: ServerResponse, upgrade?: UpgradeRequest): void {
    if (this.parts.isDraining()) response.shouldKeepAlive = false;
    const headers = readRequestHeaders(request.rawHeaders);
    const tunnel = this.tunnels.get(request.socket);
    const denial = this.checkAgent(request, headers, tunnel !== undefined, upgrade !== undefined);
    const url = request.url ?? '';
    if (denial !== undefined) {
      this.refuse(request, response, denial);
      return;
    }
    if (tunnel !== undefined && !url.startsWith('/')) {
      this.refuse(request, response, deny('http_malformed', 'inside CONNECT the request target is a path'));
      return;
    }
    const target = readOutboundTarget(this.routes, url, request.headers.host);
    if (!target.ok) {
      this.refuse(request, response, target);
      return;
    }
    if (tunnel !== undefined && tunnel !== target.value.route) {
      this.refuse(request, response, deny('http_malformed', 'Host names another peer than CONNECT'));
      return;
    }
    this.requests.take(request, response, headers, target.value, upgrade);
  }

  private refuse(request: IncomingMessage, response: ServerResponse, denial: Denial): void {
    // Who has no secret is nobody: it is counted, not written down one by one.
    if (denial.reason === 'agent_unauthenticated') {
      this.parts.path.audit.countRefusal(request.socket.remoteAddress ?? 'local', denial.reason);
      sendProblem(response, denial, '', true);
      return;
    }
    this.record(request, denial, () => sendProblem(response, denial, '', true));
  }

  private record(request: IncomingMessage, denial: Denial, reply: () => void): void {
    const { id } = this.parts.identity();
    // An absolute URL goes into the log without its query, like any target, and without a password.
    const facts = {
      direction: 'outbound',
      hop: '',
      caller: id,
      callee: '',
      method: request.method ?? '',
      target: withoutUserinfo(request.url ?? ''),
    } as const;
    refuseHop(this.parts.path, facts, denial, undefined, reply);
  }

  /** CONNECT to a mesh name ends here: what comes through it is read as requests (older Node proxies send it for `http://`). */
  private onConnect(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const denial = this.checkAgent(request, readRequestHeaders(request.rawHeaders), false, false);
    const route = findRoute(this.routes, request.url ?? '');
    const refusal = denial ?? (route.ok ? undefined : route);
    if (refusal !== undefined || !route.ok) {
      if (refusal?.reason === 'agent_unauthenticated')
        this.parts.path.audit.countRefusal(socket.remoteAddress ?? 'local', refusal.reason);
      const end = (): void => endConnect(socket, refusal ?? deny('internal', ''));
      if (refusal === undefined || refusal.reason === 'agent_unauthenticated') end();
      else this.record(request, refusal, end);
      return;
    }
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    const open = (first: Buffer): void => {
      if (first[0] === TLS_RECORD_HANDSHAKE) {
        this.record(request, deny('egress_tls', 'TLS inside CONNECT: send plain HTTP'), () =>
          socket.destroy(),
        );
        return;
      }
      this.tunnels.set(socket, route.value);
      socket.unshift(first);
      this.http.emit('connection', socket);
      // It was paused while its first octet was looked at; the parser waits for a socket that flows.
      socket.resume();
    };
    if (head.length > 0) open(head);
    else
      socket.once('data', (first: Buffer) => {
        socket.pause();
        open(first);
      });
  }

  stopListening(): void {
    this.http.close();
  }

  drain(): void {
    this.http.closeIdleConnections();
  }

  destroy(): void {
    this.http.close();
    this.http.closeAllConnections();
    for (const socket of this.sockets) socket.destroy();
    this.peers.close();
  }
}

/** Only a socket that was left behind is removed; a file of that name is somebody's. */
const removeSocket = (path: string): void => {
  if (existsSync(path) && !statSync(path).isSocket())
    throw new Error(`${path}: is not a socket; outbound.listen would replace it`);
  rmSync(path, { force: true });
};

const endConnect = (socket: Socket, denial: Denial): void => {
  const { status, body } = problemOf(denial, '', true);
  const challenge = status === 407 ? 'Proxy-Authenticate: Basic realm="hopgate"\r\n' : '';
  // No server watches this socket any more: who doesn't hang up would keep it for ever.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.end(
    `HTTP/1.1 ${status} Refused\r\n${challenge}Content-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
};
