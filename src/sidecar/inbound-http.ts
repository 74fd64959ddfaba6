/** HTTP on proven connections, 1.1 or 2: octets become calls, and what no parser takes is refused on record. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { ReasonCode } from '../core/reasons.ts';
import { type Denial, deny } from '../core/verdict.ts';
import type { Call } from '../edge/http/call.ts';
import { H1Call } from '../edge/http/h1-call.ts';
import { H2Server } from '../edge/http/h2-server.ts';
import { boundListener, makeListener } from '../edge/http/listener.ts';
import { MAX_HEADERS } from '../edge/http/node-http2.ts';
import { problemOf } from '../edge/http/problem.ts';
import type { UpgradeRequest } from '../edge/http/upgrade.ts';
import type { PeerHttp } from '../edge/tls/settings.ts';
import { refuseHop } from '../hop/pipeline.ts';
import { hopIdOf, isSession, nextHopId } from '../hop/session.ts';
import type { Line } from './inbound-line.ts';
import type { Parts } from './parts.ts';

/** How long a peer that was refused may take to hang up. */
const LINGER_MS = 1000;
/** Requests behind an unanswered one; our own connections to peers have none. */
const MAX_PIPELINED = 16;

/** What comes of a call on a line. */
export type TakeCall = (call: Call, line: Line, hop: string, upgrade: UpgradeRequest | undefined) => void;

/** Of a connection of HTTP/1.1. */
interface Heard {
  /** Octets that came before the first request. */
  readonly before: number;
  last: IncomingMessage | undefined;
}

export class InboundHttp {
  private readonly parts: Parts;
  private readonly take: TakeCall;
  private readonly h1: Server;
  private readonly h2 = new Set<H2Server>();
  private readonly lines = new WeakMap<object, Line>();
  private readonly heard = new WeakMap<object, Heard>();

  constructor(parts: Parts, take: TakeCall) {
    this.parts = parts;
    this.take = take;
    // Node would refuse a missing Host itself, off the path and off the record.
    this.h1 = makeListener(parts.config.limits, { requireHostHeader: false });
    this.h1.maxHeadersCount = MAX_HEADERS;
    this.h1.on('request', (request, response) => this.onH1(request, new H1Call(request, response)));
    this.h1.on('checkContinue', (request, response) =>
      this.onH1(request, new H1Call(request, response, true)),
    );
    this.h1.on('checkExpectation', (request, response) => this.onH1(request, new H1Call(request, response)));
    this.h1.on('upgrade', (request, socket, head) =>
      this.onH1(request, H1Call.onSocket(request, socket), { socket, head }),
    );
    this.h1.on('connect', (request, socket) => this.onBroken(socket, 'http_upgrade', request.method ?? ''));
    this.h1.on('clientError', (error: NodeJS.ErrnoException, socket) => this.onClientError(error, socket));
    // Node watches header timeouts from `listening` on; this server listens to no port of its own.
    this.h1.emit('listening');
  }

  /** From here on the socket is HTTP's. Nothing that was written to it is pending. */
  serve(socket: TLSSocket, line: Line, http: PeerHttp): void {
    if (http === 'h2') this.serveH2(socket, line);
    else {
      this.lines.set(socket, line);
      this.heard.set(socket, { before: socket.bytesRead - socket.readableLength, last: undefined });
      this.h1.emit('connection', socket);
      // The frames were read paused; the parser waits for a socket that flows.
      socket.resume();
    }
  }

  private serveH2(socket: TLSSocket, line: Line): void {
    const { streams, idleTimeout } = this.parts.config.limits;
    const server = new H2Server(
      socket,
      { streams, idleMs: idleTimeout * 1000 },
      {
        onCall: (call, ordinal) => {
          line.unanswered++;
          call.onClose(() => {
            line.unanswered--;
          });
          this.take(call, line, hopIdOf(line.session, ordinal), undefined);
        },
        onRefused: (ordinal, detail) =>
          this.record(
            line,
            hopIdOf(line.session, ordinal),
            deny('http_malformed', detail),
            '',
            () => undefined,
          ),
      },
    );
    this.h2.add(server);
    socket.once('close', () => this.h2.delete(server));
  }

  private onH1(request: IncomingMessage, call: H1Call, upgrade?: UpgradeRequest): void {
    const { socket } = request;
    const line = this.lines.get(socket);
    if (line === undefined) {
      socket.destroy();
      return;
    }
    if (line.broken) return;
    // The socket is taken from the parser: an answer that is still owed could never be sent.
    const isBehind = upgrade !== undefined && line.unanswered > 0;
    if (isBehind || line.unanswered >= MAX_PIPELINED) {
      this.onBroken(socket, isBehind ? 'http_upgrade' : 'http_pipelined', call.method);
      return;
    }
    const heard = this.heard.get(socket);
    if (heard !== undefined) heard.last = request;
    line.unanswered++;
    call.onClose(() => {
      line.unanswered--;
    });
    this.take(call, line, nextHopId(line.session), upgrade);
  }

  private onClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    if (this.isNoRequest(error, socket as TLSSocket)) {
      socket.destroy();
      return;
    }
    const reason: ReasonCode =
      error.code === 'HPE_HEADER_OVERFLOW'
        ? 'http_headers_too_large'
        : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? 'http_timeout'
          : 'http_malformed';
    this.onBroken(socket, reason, '');
  }

  /** Whether the caller has begun none: what it never counted would be a hole in its log, and a denial that it never earned. */
  private isNoRequest({ code }: NodeJS.ErrnoException, socket: TLSSocket): boolean {
    const heard = this.heard.get(socket);
    if (heard === undefined) return false;
    // It has broken off the one that is on record, or sent nothing at all.
    if (code === 'HPE_INVALID_EOF_STATE') return heard.last?.complete === false;
    return code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === heard.before;
  }

  /** A request that the parser refused, or one without a response object: it is on record, and the connection ends. */
  private onBroken(socket: Duplex, reason: ReasonCode, method: string): void {
    const line = this.lines.get(socket);
    if (line === undefined) {
      socket.destroy();
      return;
    }
    if (line.broken) return;
    line.broken = true;
    const { session } = line;
    const hop = nextHopId(session);
    const denial = deny(reason, 'the connection is closed');
    this.record(line, hop, denial, method, () => {
      // The peer would take it for the answer to the request before, or for a part of it.
      if (line.unanswered > 0) {
        socket.destroy();
        return;
      }
      const { status, body } = problemOf(denial, hop, false);
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
      socket.end(
        `HTTP/1.1 ${status} Refused\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
    });
  }

  /** What never became a request is on record too. */
  private record({ session }: Line, hop: string, denial: Denial, method: string, then: () => void): void {
    refuseHop(
      this.parts.path,
      {
        direction: 'inbound',
        hop,
        caller: session.identified.id,
        ...(!isSession(session) && { proof: 'none' }),
        callee: this.parts.identity().id,
        method,
        target: '',
      },
      denial,
      undefined,
      then,
    );
  }

  follow(limits: SidecarConfig['limits']): void {
    boundListener(this.h1, limits);
  }

  /** Ends connections on which nothing is under way. */
  closeIdle(): void {
    this.h1.closeIdleConnections();
    for (const server of this.h2) server.close();
  }

  close(): void {
    this.h1.close();
    this.h1.closeAllConnections();
    for (const server of this.h2) server.destroy();
  }
}
