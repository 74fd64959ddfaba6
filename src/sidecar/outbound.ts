/** The door out: the local agent's requests, authenticated, tied to a context, and taken down the path to a pinned peer. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { resolve as resolvePath } from 'node:path';
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import { type Denial, deny, type Verdict } from '../core/verdict.ts';
import type { Call } from '../edge/http/call.ts';
import { acceptConnect, refuseConnect } from '../edge/http/connect-answer.ts';
import { sendProblem } from '../edge/http/problem.ts';
import { type RequestHeaders, readRequestHeaders } from '../edge/http/request-headers.ts';
import { type UpgradeRequest, upgradeFault } from '../edge/http/upgrade.ts';
import { refuseHop } from '../hop/pipeline.ts';
import { budgetOf } from './door-guard.ts';
import { EgressRequests } from './egress-requests.ts';
import { OpenUploads } from './open-uploads.ts';
import { OutboundHttp } from './outbound-http.ts';
import { OutboundRequests } from './outbound-requests.ts';
import {
  findConnect,
  isSamePlace,
  type OutboundTarget,
  type Place,
  Places,
  readOutboundTarget,
  withoutUserinfo,
} from './outbound-target.ts';
import type { Parts } from './parts.ts';
import { Peers } from './peers.ts';

const PROXY_USER = 'hopgate';

/** An authenticated CONNECT that ends here. */
interface Tunnel {
  readonly place: Place;
  readonly authority: string;
}

export class Outbound {
  private readonly parts: Parts;
  readonly peers: Peers;
  private readonly requests: OutboundRequests;
  private readonly egress: EgressRequests;
  /** What comes through an authenticated CONNECT belongs to the route that it named. */
  private readonly http: OutboundHttp<Tunnel>;
  private places: Places;
  /** The whole `Proxy-Authorization` value; undefined on a unix socket, whose permissions speak. */
  private readonly secret: Buffer | undefined;
  private readonly password = randomBytes(24).toString('base64url');

  constructor(parts: Parts) {
    this.parts = parts;
    const { outbound, limits } = parts.config;
    this.places = new Places(outbound);
    const onTcp = outbound !== undefined && !('path' in outbound.listen);
    this.secret = onTcp
      ? Buffer.from(`Basic ${Buffer.from(`${PROXY_USER}:${this.password}`).toString('base64')}`)
      : undefined;
    this.peers = new Peers(parts);
    const uploads = new OpenUploads(parts);
    const bodies = budgetOf(parts.config.limits.heldBytes);
    this.requests = new OutboundRequests(parts, { peers: this.peers, uploads, bodies });
    this.egress = new EgressRequests(parts, uploads, bodies);
    this.http = new OutboundHttp<Tunnel>(limits, {
      onCall: (call, tunnel, upgrade) => this.onCall(call, tunnel, upgrade),
      onConnect: (request, socket, head) => this.onConnect(request, socket, head),
      onTls: (socket, tunnel) => {
        const denial = deny(
          'egress_tls',
          'TLS where plain HTTP is expected: the sidecar speaks TLS to the peer',
        );
        this.record(
          { method: tunnel === undefined ? '' : 'CONNECT', target: tunnel?.authority ?? '' },
          denial,
          () => socket.destroy(),
        );
      },
    });
  }

  /** Listens, and writes the proxy URL with the secret of this start to `proxyUrlFile`, relative to the state directory. */
  async listen(stateDirectory: string): Promise<string> {
    const { listen = { host: '127.0.0.1', port: 0 }, proxyUrlFile = 'proxy-url' } =
      this.parts.config.outbound ?? {};
    if ('path' in listen) removeSocket(listen.path);
    // The mask holds from the moment of binding: between listen and chmod nobody else gets in.
    const mask = 'path' in listen ? process.umask(0o117) : undefined;
    await new Promise<void>((resolve, reject) => {
      const { server } = this.http;
      server.once('error', reject);
      const ready = (): void => {
        server.off('error', reject);
        resolve();
      };
      if ('path' in listen) server.listen(listen.path, ready);
      else server.listen(listen.port, listen.host, ready);
    }).finally(() => {
      if (mask !== undefined) process.umask(mask);
    });
    if ('path' in listen) {
      chmodSync(listen.path, 0o660);
      return `unix:${listen.path}`;
    }
    const address = this.http.server.address();
    const port = address !== null && typeof address === 'object' ? address.port : listen.port;
    const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
    const url = `http://${PROXY_USER}:${this.password}@${host}:${port}`;
    const file = resolvePath(stateDirectory, proxyUrlFile);
    // A new file, so that nobody holds it open or reads it under an older mode.
    rmSync(file, { force: true });
    writeFileSync(file, `${url}\n`, { mode: 0o600, flag: 'wx' });
    return `${host}:${port}`;
  }

  private isAuthenticated(rawHeaders: readonly string[]): boolean {
    if (this.secret === undefined) return true;
    const at = rawHeaders.findIndex(
      (name, index) => index % 2 === 0 && name.toLowerCase() === 'proxy-authorization',
    );
    const given = Buffer.from(at === -1 ? '' : (rawHeaders[at + 1] ?? ''), 'latin1');
    return given.length === this.secret.length && timingSafeEqual(given, this.secret);
  }

  /** What keeps others out: processes without the secret, and web pages, which can reach loopback too. */
  private checkAgent(
    rawHeaders: readonly string[],
    headers: RequestHeaders,
    isTunnelled: boolean,
  ): Denial | undefined {
    if (!isTunnelled && !this.isAuthenticated(rawHeaders))
      return deny('agent_unauthenticated', 'Proxy-Authorization is missing or wrong');
    if (headers.fromBrowser)
      return deny('agent_browser', 'a request with Origin or Sec-Fetch headers comes from a web page');
    return headers.fault;
  }

  private onCall(call: Call, tunnel: Tunnel | undefined, upgrade: UpgradeRequest | undefined): void {
    if (this.parts.isDraining() && call.version !== '2') call.retire();
    const headers = readRequestHeaders(
      call.rawHeaders,
      call.version === '2' ? !call.endsWithHead : undefined,
    );
    const target = this.targetOf(call, headers, tunnel, upgrade !== undefined);
    if (!target.ok) {
      this.refuse(call, target);
      return;
    }
    const { place, target: path } = target.value;
    if ('entry' in place) this.egress.take(call, headers, { entry: place.entry, target: path }, upgrade);
    else this.requests.take(call, headers, { route: place.route, target: path }, upgrade);
  }

  private targetOf(
    call: Call,
    headers: RequestHeaders,
    tunnel: Tunnel | undefined,
    isUpgrade: boolean,
  ): Verdict<OutboundTarget> {
    const malformed = call.malformed === undefined ? undefined : deny('http_malformed', call.malformed);
    const denial =
      this.checkAgent(call.rawHeaders, headers, tunnel !== undefined) ??
      malformed ??
      upgradeFault(call, headers, isUpgrade);
    if (denial !== undefined) return denial;
    if (tunnel !== undefined && !call.target.startsWith('/'))
      return deny('http_malformed', 'inside CONNECT the request target is a path');
    const target = readOutboundTarget(this.places, call.target, headers.host);
    if (target.ok && tunnel !== undefined && !isSamePlace(tunnel.place, target.value.place))
      return deny('http_malformed', 'Host names another peer than CONNECT');
    return target;
  }

  private refuse(call: Call, denial: Denial): void {
    // Who has no secret is nobody: it is counted, not written down one by one.
    if (denial.reason === 'agent_unauthenticated') {
      this.countStranger(denial);
      sendProblem(call, denial, '', true);
      return;
    }
    this.record(call, denial, () => sendProblem(call, denial, '', true));
  }

  private countStranger({ reason }: Denial): void {
    this.parts.path.audit.countRefusal('local', reason);
  }

  private record(
    { method, target }: Pick<Call, 'method' | 'target'>,
    denial: Denial,
    reply: () => void,
  ): void {
    const { id } = this.parts.identity();
    // An absolute URL goes into the log without its query, like any target, and without a password.
    const facts = {
      direction: 'outbound',
      hop: '',
      caller: id,
      callee: '',
      method,
      target: withoutUserinfo(target),
    } as const;
    refuseHop(this.parts.path, facts, denial, undefined, reply);
  }

  /**
   * CONNECT to a mesh name, or to an API, ends here: what comes through it is read as requests (older Node proxies send it for
   * `http://`). To the destination of a tunnel it leads out, if policy says so.
   */
  private onConnect(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const headers = readRequestHeaders(request.rawHeaders);
    const denial = this.checkAgent(request.rawHeaders, headers, false);
    const place = denial ?? findConnect(this.places, request.url ?? '');
    if (!place.ok) {
      const end = (): void => {
        refuseConnect(socket, place);
      };
      if (place.reason === 'agent_unauthenticated') {
        this.countStranger(place);
        end();
      } else this.record({ method: 'CONNECT', target: request.url ?? '' }, place, end);
      return;
    }
    const { value } = place;
    if ('entry' in value && value.entry.mode === 'tunnel') {
      this.egress.connect(request, headers, socket, head, value.entry);
      return;
    }
    acceptConnect(socket, '', () =>
      this.http.serve(socket, head.length > 0 ? head : undefined, {
        place: value,
        authority: request.url ?? '',
      }),
    );
  }

  /** What has to be made ready for another configuration, and can fail at it. */
  prepare(next: SidecarConfig): ReturnType<EgressRequests['prepare']> {
    return this.egress.prepare(next);
  }

  /** Routes and bounds as they are configured now; a request that has found its route keeps it. */
  follow(config: SidecarConfig): void {
    this.places = new Places(config.outbound);
    this.peers.follow(config.outbound?.routes ?? []);
    this.http.follow(config.limits);
    this.egress.follow(config);
  }

  destroy(): void {
    this.http.destroy();
    this.egress.destroy();
    this.peers.close();
  }
}

/** Only a socket that was left behind is removed; a file of that name is somebody's. */
const removeSocket = (path: string): void => {
  if (existsSync(path) && !statSync(path).isSocket())
    throw new Error(`${path}: is not a socket; outbound.listen would replace it`);
  rmSync(path, { force: true });
};
