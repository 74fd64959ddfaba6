/** HTTP on proven connections, 1.1 or 2: octets become calls, and what no parser takes is refused on record. */
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import { type Denial, deny } from '../core/verdict.ts';
import type { Call } from '../edge/http/call.ts';
import { type H1Fault, H1Server } from '../edge/http/h1-server.ts';
import { H2Server } from '../edge/http/h2-server.ts';
import { problemOf } from '../edge/http/problem.ts';
import type { UpgradeRequest } from '../edge/http/upgrade.ts';
import type { PeerHttp } from '../edge/tls/settings.ts';
import { refuseHop } from '../hop/pipeline.ts';
import { hopIdOf, isSession, nextHopId } from '../hop/session.ts';
import type { Line } from './inbound-line.ts';
import type { Parts } from './parts.ts';

/** How long a peer that was refused may take to hang up. */
const LINGER_MS = 1000;

/** What comes of a call on a line. */
export type TakeCall = (call: Call, line: Line, hop: string, upgrade: UpgradeRequest | undefined) => void;

export class InboundHttp {
  private readonly parts: Parts;
  private readonly take: TakeCall;
  private readonly h1: H1Server<Line>;
  private readonly h2 = new Set<H2Server>();

  constructor(parts: Parts, take: TakeCall) {
    this.parts = parts;
    this.take = take;
    this.h1 = new H1Server(parts.config.limits, {
      onCall: (call, line, upgrade) => this.onH1(call, line, upgrade),
      onFault: (socket, line, fault, method) => this.onBroken(socket, line, fault, method),
    });
  }

  /** From here on the socket is HTTP's. Nothing that was written to it is pending. */
  serve(socket: TLSSocket, line: Line, http: PeerHttp): void {
    if (http === 'h2') this.serveH2(socket, line);
    else this.h1.serve(socket, line);
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
    line.close = () => server.close();
    this.h2.add(server);
    socket.once('close', () => this.h2.delete(server));
  }

  private onH1(call: Call, line: Line, upgrade: UpgradeRequest | undefined): void {
    if (line.broken) return;
    line.unanswered++;
    call.onClose(() => {
      line.unanswered--;
    });
    this.take(call, line, nextHopId(line.session), upgrade);
  }

  /** A request that the parser refused, or one without a response object: it is on record, and the connection ends. */
  private onBroken(socket: Duplex, line: Line, reason: H1Fault, method: string): void {
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
    this.h1.follow(limits);
  }

  /** Ends connections on which nothing is under way. */
  closeIdle(): void {
    this.h1.closeIdle();
    for (const server of this.h2) server.close();
  }

  close(): void {
    this.h1.destroy();
    for (const server of this.h2) server.destroy();
  }
}
