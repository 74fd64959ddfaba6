/** The verifier's two doors: HTTPS for the mesh, and a unix socket for whoever owns the directory. */
import { constants } from 'node:crypto';
import { chmodSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, ListenOptions, Socket } from 'node:net';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { AnyEndpoint } from '../../api/endpoint.ts';
import type { ReasonCode } from '../../core/reasons.ts';
import { deny } from '../../core/verdict.ts';
import { createServer } from '../../edge/http/node-http.ts';
import { Pace, type PaceLimits } from '../../edge/pace.ts';
import type { Logger } from '../../edge/telemetry/log.ts';
import { authoritiesPem, secureContextOptions, type TlsIdentity } from '../../edge/tls/settings.ts';
import type { Clock } from '../../ports.ts';
import { Actors } from './actors.ts';
import { type ConnectionLimits, Connections } from './connections.ts';
import { EventStreams, type StreamTimes } from './event-stream.ts';
import { GuessLimit, type GuessLimits } from './guess-limit.ts';
import { PROBLEM, problemFor } from './problems.ts';
import type { RoleBindings } from './role-bindings.ts';
import { type Answered, makeRoutes } from './routes.ts';
import type { Standing } from './standing.ts';

export interface ServiceLimits extends ConnectionLimits, StreamTimes {
  readonly guesses: GuessLimits;
  /** Of what a member changes that has no role but its own. */
  readonly pace: PaceLimits;
  readonly headersMs: number;
  /** Headers and body together. */
  readonly requestMs: number;
  readonly idleMs: number;
}

export const DEFAULT_LIMITS: ServiceLimits = {
  connections: 8192,
  strangers: 512,
  strangersPerSource: 64,
  perMember: 64,
  pipelined: 16,
  pipelinedByStranger: 2,
  heartbeatMs: 15_000,
  slowMs: 10_000,
  guesses: { burst: 10, refillSeconds: 10 },
  pace: { burst: 300, perSecond: 2 },
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 75_000,
};

/** What HTTPS stands on; replaced as a whole when any of it changes. */
export interface ServiceTls {
  /** Of `spiffe://<trust domain>/verifier`. */
  readonly identity: TlsIdentity;
  /** SVID CA certificates (DER) of our trust domain, whose SVIDs are believed. */
  readonly authorities: readonly Buffer[];
}

export interface ServiceOptions {
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly roles: RoleBindings;
  readonly standing: Standing;
  /** SVID CA certificates (DER) that were dropped, under which an SVID is still good for its renewal. */
  readonly dropped?: () => readonly Buffer[];
  readonly contract: Readonly<Record<string, AnyEndpoint>>;
  /** `Handlers<typeof contract>`. */
  readonly handlers: Readonly<Record<string, unknown>>;
  readonly tls: ServiceTls;
  /** Hears how each request ended. */
  readonly onAnswered?: (answered: Answered) => void;
  readonly limits?: Partial<ServiceLimits>;
}

/** Throws when any of it can't be used: Node takes garbage without a word and then fails every handshake. */
const contextOf = (trustDomain: string, { identity, authorities }: ServiceTls): SecureContextOptions => {
  const options = secureContextOptions(identity, authoritiesPem(new Map([[trustDomain, authorities]])));
  createSecureContext(options);
  return options;
};

/** Of Node's parser, by code. */
const parserReason = (code: string | undefined): ReasonCode => {
  if (code === 'HPE_HEADER_OVERFLOW') return 'http_headers_too_large';
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'http_timeout' : 'http_malformed';
};

/** A request that Node's parser refuses; the connection ends behind the answer. */
const refuseUnparsed = (error: NodeJS.ErrnoException, socket: Socket): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const { status, body } = problemFor(
    deny(parserReason(error.code), 'the request is not well-formed HTTP/1.1'),
  );
  const head = `HTTP/1.1 ${status} Refused\r\nContent-Type: ${PROBLEM}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`;
  socket.end(head + body, () => socket.destroy());
};

export class Service {
  private readonly options: ServiceOptions;
  private readonly limits: ServiceLimits;
  private readonly connections: Connections;
  private readonly streams = new EventStreams();
  private readonly app: FastifyInstance;
  private readonly servers = new Map<Server, Set<Socket>>();
  private authorities: readonly Buffer[];
  private tls: SecureContextOptions;
  private https: TlsServer | undefined;

  /** Throws when an endpoint has no handler, or the TLS material is not usable. */
  constructor(options: ServiceOptions) {
    this.options = options;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.connections = new Connections(this.limits);
    this.tls = contextOf(options.trustDomain, options.tls);
    this.authorities = options.tls.authorities;
    const { contract, handlers, log, clock, trustDomain, roles, standing, dropped, onAnswered } = options;
    this.app = makeRoutes({
      contract,
      handlers,
      log,
      connections: this.connections,
      guesses: {
        strangers: new GuessLimit(this.limits.guesses, clock),
        members: new GuessLimit(this.limits.guesses, clock),
      },
      pace: new Pace(this.limits.pace, clock),
      streams: this.streams,
      streamTimes: this.limits,
      ...(onAnswered && { onAnswered }),
      actors: new Actors({
        trustDomain,
        clock,
        roles,
        standing,
        authorities: () => this.authorities,
        ...(dropped && { dropped }),
      }),
    });
  }

  /** Open event streams. */
  get subscribers(): number {
    return this.streams.count;
  }

  /** New certificate or CAs: new connections get them at once, live ones are judged by the new CAs with their next request. */
  replaceTls(tls: ServiceTls): void {
    this.tls = contextOf(this.options.trustDomain, tls);
    this.authorities = tls.authorities;
    this.https?.setSecureContext(this.tls);
  }

  /** Ends the streams of whoever may not listen any more: for when somebody was revoked. */
  recheckStreams(): Promise<void> {
    return this.streams.recheck();
  }

  /** Opens HTTPS; the address, with the port that the system chose for 0. */
  async listenHttps(address: { readonly host: string; readonly port: number }): Promise<AddressInfo> {
    const { headersMs, requestMs, idleMs } = this.limits;
    const server = createTlsServer(
      {
        ...this.tls,
        requestCert: true,
        // Nobody is turned away here for what their certificate is: the endpoint decides, and says why.
        rejectUnauthorized: false,
        secureOptions: constants.SSL_OP_NO_TICKET,
        ALPNProtocols: ['http/1.1'],
        handshakeTimeout: headersMs,
        ...httpOptions({ headersMs, requestMs, idleMs }),
      },
      this.app.routing,
    );
    server.prependListener('connection', (socket: Socket) => {
      if (!this.connections.enter(socket)) socket.destroy();
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.https = server;
    await this.open(server, address);
    return server.address() as AddressInfo;
  }

  /** Opens the unix socket, mode 0600. Whoever holds the store's lock may: an old socket file is a dead one's. */
  async listenSocket(path: string): Promise<void> {
    const server = createServer(httpOptions(this.limits), this.app.routing);
    rmSync(path, { force: true });
    // The mask holds from the moment of binding: between listen and chmod nobody else gets in.
    const mask = process.umask(0o177);
    try {
      await this.open(server, { path });
      chmodSync(path, 0o600);
    } finally {
      process.umask(mask);
    }
  }

  private async open(server: Server | TlsServer, where: ListenOptions): Promise<void> {
    await this.app.ready();
    const sockets = new Set<Socket>();
    this.servers.set(server as Server, sockets);
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.on('clientError', refuseUnparsed as never);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(where, () => {
        server.off('error', reject);
        resolve();
      });
    });
  }

  /** Ends streams at once, lets requests under way finish within `graceMs`, then closes what is left. */
  async close(graceMs = 2000): Promise<void> {
    this.streams.endAll();
    const closing = [...this.servers].map(
      ([server, sockets]) =>
        new Promise<void>((resolve) => {
          const timer = setTimeout(() => {
            for (const socket of sockets) socket.destroy();
          }, graceMs);
          server.close(() => {
            clearTimeout(timer);
            resolve();
          });
          server.closeIdleConnections();
        }),
    );
    await Promise.all(closing);
    await this.app.close();
  }
}

const httpOptions = ({
  headersMs,
  requestMs,
  idleMs,
}: Pick<ServiceLimits, 'headersMs' | 'requestMs' | 'idleMs'>) => ({
  maxHeaderSize: 16_384,
  headersTimeout: headersMs,
  requestTimeout: requestMs,
  keepAliveTimeout: idleMs,
  connectionsCheckingInterval: 1000,
  insecureHTTPParser: false,
  requireHostHeader: true,
  noDelay: true,
});
