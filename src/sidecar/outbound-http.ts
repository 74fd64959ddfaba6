/**
 * The agent's octets become calls: HTTP/1.1, or HTTP/2 without TLS, which is told apart by its first octets (RFC 9113 §3.4), as gRPC
 * clients send it through a CONNECT or to a unix socket.
 */
import type { IncomingMessage, Server } from 'node:http';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { Call } from '../edge/http/call.ts';
import { H1Call } from '../edge/http/h1-call.ts';
import { H2Server } from '../edge/http/h2-server.ts';
import { boundListener, makeListener } from '../edge/http/listener.ts';
import type { UpgradeRequest } from '../edge/http/upgrade.ts';

const TLS_RECORD_HANDSHAKE = 0x16;
const H2_PREFACE = 'PRI';

export interface OutboundHttpEvents<Tunnel> {
  readonly onCall: (call: Call, tunnel: Tunnel | undefined, upgrade: UpgradeRequest | undefined) => void;
  /** CONNECT, which HTTP/1.1 alone has here: the socket is the listener's. */
  readonly onConnect: (request: IncomingMessage, socket: Socket, head: Buffer) => void;
  /** A ClientHello where requests were expected. */
  readonly onTls: (socket: Socket, tunnel: Tunnel | undefined) => void;
}

export class OutboundHttp<Tunnel> {
  private limits: SidecarConfig['limits'];
  private readonly events: OutboundHttpEvents<Tunnel>;
  readonly server: NetServer;
  private readonly h1: Server;
  private readonly h2 = new Set<H2Server>();
  private readonly tunnels = new WeakMap<object, Tunnel>();
  private readonly sockets = new Set<Socket>();

  constructor(limits: SidecarConfig['limits'], events: OutboundHttpEvents<Tunnel>) {
    this.limits = limits;
    this.events = events;
    this.server = createServer({ noDelay: true }, (socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      this.serve(socket, undefined, undefined);
    });
    this.h1 = makeListener(limits, { requireHostHeader: true });
    const call = (one: H1Call, upgrade?: UpgradeRequest): void =>
      events.onCall(one, this.tunnels.get(one.request.socket), upgrade);
    this.h1.on('request', (request, response) => call(new H1Call(request, response)));
    this.h1.on('checkContinue', (request, response) => call(new H1Call(request, response, true)));
    this.h1.on('upgrade', (request, socket, head) =>
      call(H1Call.onSocket(request, socket), { socket, head }),
    );
    this.h1.on('connect', (request, socket, head) => events.onConnect(request, socket as Socket, head));
    this.h1.on('clientError', (_error, socket) => socket.destroy());
    this.h1.emit('listening');
  }

  /** Reads what comes on a socket as requests; `first` was read of it already. */
  serve(socket: Socket, first: Buffer | undefined, tunnel: Tunnel | undefined): void {
    if (tunnel !== undefined) this.tunnels.set(socket, tunnel);
    const late = setTimeout(() => socket.destroy(), this.limits.idleTimeout * 1000);
    const onGone = (): void => clearTimeout(late);
    socket.once('close', onGone);
    let read = first ?? Buffer.alloc(0);
    const look = (): void => {
      const text = read.subarray(0, H2_PREFACE.length).toString('latin1');
      // Not enough yet to tell it from POST, PUT or PATCH.
      if (text.length < H2_PREFACE.length && H2_PREFACE.startsWith(text)) return;
      socket.off('data', onData);
      socket.off('close', onGone);
      clearTimeout(late);
      socket.pause();
      if (read[0] === TLS_RECORD_HANDSHAKE) this.events.onTls(socket, tunnel);
      else this.handOver(socket, read, tunnel, text === H2_PREFACE);
    };
    const onData = (chunk: Buffer): void => {
      read = read.length === 0 ? chunk : Buffer.concat([read, chunk]);
      look();
    };
    socket.on('data', onData);
    if (read.length > 0) look();
  }

  private handOver(socket: Socket, read: Buffer, tunnel: Tunnel | undefined, isH2: boolean): void {
    socket.unshift(read);
    if (isH2) {
      const { streams, idleTimeout } = this.limits;
      const server = new H2Server(
        socket,
        { streams, idleMs: idleTimeout * 1000 },
        {
          onCall: (call) => this.events.onCall(call, tunnel, undefined),
          // The local agent's own broken requests are nobody's attack, as over HTTP/1.1.
          onRefused: () => undefined,
        },
      );
      this.h2.add(server);
      socket.once('close', () => this.h2.delete(server));
      return;
    }
    this.h1.emit('connection', socket);
    // It was paused while its first octets were looked at; the parser waits for a socket that flows.
    socket.resume();
  }

  follow(limits: SidecarConfig['limits']): void {
    this.limits = limits;
    boundListener(this.h1, limits);
  }

  stopListening(): void {
    this.server.close();
  }

  closeIdle(): void {
    this.h1.closeIdleConnections();
    for (const server of this.h2) server.close();
  }

  destroy(): void {
    this.server.close();
    this.h1.close();
    this.h1.closeAllConnections();
    for (const server of this.h2) server.destroy();
    for (const socket of this.sockets) socket.destroy();
  }
}
