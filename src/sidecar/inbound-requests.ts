/** Requests on proven connections: each goes down the path, and on to the local agent if it is permitted. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { parseLabels } from '../core/policy/labels.ts';
import type { ReasonCode } from '../core/reasons.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import { deny, type Verdict } from '../core/verdict.ts';
import { httpExchange } from '../edge/http/exchange.ts';
import { makeListener } from '../edge/http/listener.ts';
import { problemOf, sendProblem } from '../edge/http/problem.ts';
import { type RequestHeaders, readRequestHeaders, withoutCodings } from '../edge/http/request-headers.ts';
import { Pool } from '../edge/http/undici.ts';
import { responseOn, type UpgradeRequest, upgradeExchange } from '../edge/http/upgrade.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import type { Permit } from '../hop/permit.ts';
import { refuseHop, takeHop } from '../hop/pipeline.ts';
import { watchRequest, watchResponse } from '../hop/response.ts';
import { isAging, nextHopId, type Session } from '../hop/session.ts';
import type { Exchange } from '../ports.ts';
import { HeldBody } from './held-body.ts';
import { type Caller, faultOf, type Line, MAX_HEADERS } from './inbound-line.ts';
import { nowSeconds, type Parts } from './parts.ts';
import { VerifiedHeaders } from './verified-headers.ts';

/** Toward the agent: on loopback, so many are cheap. */
const AGENT_CONNECTIONS = 256;
/** What we know of the task counts, whatever the caller says of it. A list that is none was refused at the door. */
const labelsOf = (known: readonly string[], said: string | undefined): readonly string[] => {
  const sent = said === undefined ? undefined : parseLabels(said);
  if (sent === undefined) return known;
  return known.length === 0 ? sent : [...new Set([...sent, ...known])];
};

/** How long a peer that was refused may take to hang up. */
const LINGER_MS = 1000;

/** Milliseconds. */
const WARM_MS = 500;

/** Requests behind an unanswered one; our own connections to peers have none. */
const MAX_PIPELINED = 16;
/** Bodies of one agent that are held in memory for an approver's word. */
const MAX_BEFORE_APPROVER = 8;

export class InboundRequests {
  private readonly parts: Parts;
  private readonly http: Server;
  private readonly agent: Pool;
  private readonly origin: string;
  private readonly verified: VerifiedHeaders;
  private readonly lines = new WeakMap<object, Line>();
  private readonly callers = new Map<string, Caller>();
  /** Milliseconds, monotonic: when a request was last answered. */
  private answeredAt = Number.NEGATIVE_INFINITY;

  constructor(parts: Parts) {
    this.parts = parts;
    this.verified = new VerifiedHeaders(parts);
    const { limits, inbound } = parts.config;
    const agent = inbound?.agent ?? { host: '127.0.0.1', port: 0 };
    this.origin =
      'path' in agent
        ? 'http://agent'
        : `http://${agent.host.includes(':') ? `[${agent.host}]` : agent.host}:${agent.port}`;
    this.agent = new Pool(this.origin, {
      connections: AGENT_CONNECTIONS,
      pipelining: 1,
      connect: {
        timeout: limits.connectTimeout * 1000,
        ...('path' in agent ? { socketPath: agent.path } : {}),
      },
    });
    // Node would refuse a missing Host itself, off the path and off the record.
    this.http = makeListener(limits, { requireHostHeader: false });
    this.http.maxHeadersCount = MAX_HEADERS;
    this.http.on('request', (request, response) => this.onRequest(request, response));
    this.http.on('checkContinue', (request, response) => this.onRequest(request, response, true));
    this.http.on('checkExpectation', (request, response) => this.onRequest(request, response));
    this.http.on('upgrade', (request, socket, head) =>
      this.onRequest(request, responseOn(request, socket), false, { socket, head }),
    );
    this.http.on('connect', (request, socket) =>
      this.onBroken(socket as TLSSocket, 'http_upgrade', request.method ?? ''),
    );
    this.http.on('clientError', (error: NodeJS.ErrnoException, socket) =>
      this.onClientError(error, socket as TLSSocket),
    );
    // Node watches header timeouts from `listening` on; this server listens to no port of its own.
    this.http.emit('listening');
  }

  /** Proven connections of one agent. */
  linesOf(id: AgentId): number {
    return this.callers.get(id)?.lines ?? 0;
  }

  serve(socket: TLSSocket, session: Session, own: SidecarIdentity): void {
    const caller = this.callers.get(session.peer.id) ?? {
      lines: 0,
      inFlight: 0,
      beforeApprover: 0,
      bodies: { mostBytes: this.parts.config.limits.heldBytes, heldBytes: 0 },
    };
    caller.lines++;
    this.callers.set(session.peer.id, caller);
    socket.once('close', () => {
      caller.lines--;
      if (caller.lines === 0) this.callers.delete(session.peer.id);
    });
    this.lines.set(socket, { session, own, caller, unanswered: 0, broken: false });
    this.http.emit('connection', socket);
    // The frames were read paused; the parser waits for a socket that flows.
    socket.resume();
  }

  private onRequest(
    request: IncomingMessage,
    response: ServerResponse,
    wantsContinue = false,
    upgrade?: UpgradeRequest,
  ): void {
    const line = this.lines.get(request.socket);
    if (line === undefined) {
      request.socket.destroy();
      return;
    }
    const { session, own, caller } = line;
    if (line.broken) return;
    // The socket is taken from the parser: an answer that is still owed could never be sent.
    if (upgrade !== undefined && line.unanswered > 0) {
      this.onBroken(request.socket as TLSSocket, 'http_upgrade', request.method ?? '');
      return;
    }
    if (line.unanswered >= MAX_PIPELINED) {
      this.onBroken(request.socket as TLSSocket, 'http_pipelined', request.method ?? '');
      return;
    }
    line.unanswered++;
    caller.inFlight++;
    response.once('close', () => {
      line.unanswered--;
      caller.inFlight--;
      this.answeredAt = this.parts.path.clock.monotonic();
    });
    const { parts } = this;
    const now = nowSeconds(parts);
    const headers = readRequestHeaders(request.rawHeaders);
    const hop = nextHopId(session);
    if (isAging(session, now) || parts.isDraining()) response.shouldKeepAlive = false;
    const target = request.url ?? '';
    const held = new HeldBody({
      request,
      response,
      hasBody: headers.hasBody,
      contentLength: headers.contentLength,
      idleMs: parts.config.limits.bodyTimeout * 1000,
      budget: caller.bodies,
      onRead: () => {
        if (wantsContinue) response.writeContinue();
      },
    });
    takeHop(
      parts.path,
      {
        direction: 'inbound',
        hop,
        caller: session.peer,
        proof: 'session',
        callee: own.id,
        calleeHolder: own,
        method: request.method ?? '',
        target,
        headers: headers.forwarded,
        size: headers.hasBody ? headers.contentLength : 0,
        labels: (chain) => labelsOf(parts.labels.of(chain), headers.labels),
        upgrade: headers.upgrade !== undefined,
        chainText: headers.chain,
        grantText: headers.grant,
        last: session.last,
        sessionDeadline: session.deadline,
        fault: faultOf(request, line, headers, parts.config.limits, now, upgrade !== undefined),
      },
      {
        refuse: (denial) => {
          parts.clockAlarm.hear(denial, session.peer.id);
          sendProblem(response, denial, hop, false);
        },
        body: (mostBytes) => this.readBody(held, line, response, mostBytes),
        exchange: (permit) => {
          if (upgrade !== undefined)
            return this.upgrade(upgrade, request, response, headers, session, permit, hop);
          if (wantsContinue && held.octets === undefined) response.writeContinue();
          return this.exchange(request, response, headers, session, permit, hop, held.octets);
        },
      },
      (delegated) => {
        session.last = delegated;
      },
    );
  }

  /** Without a bound: as much as a human can approve, of few requests at once, since people take their time. */
  private async readBody(
    held: HeldBody,
    { caller, session }: Line,
    response: ServerResponse,
    mostBytes: number | undefined,
  ): Promise<Verdict<Buffer>> {
    if (mostBytes !== undefined) return held.read(mostBytes);
    if (caller.beforeApprover >= MAX_BEFORE_APPROVER)
      return deny('caller_busy', `${session.peer.id} has ${MAX_BEFORE_APPROVER} requests before an approver`);
    if (response.destroyed) return deny('client_aborted', 'the client went away');
    caller.beforeApprover++;
    response.once('close', () => {
      caller.beforeApprover--;
    });
    return held.read(this.parts.config.limits.approvalBodyBytes);
  }

  private upgrade(
    upgrade: UpgradeRequest,
    request: IncomingMessage,
    response: ServerResponse,
    { forwarded }: RequestHeaders,
    session: Session,
    permit: Permit,
    hop: string,
  ): Exchange {
    const { labels } = this.parts;
    const { chain } = permit.delegated;
    labels.add(chain, permit.labels);
    this.verified.addTo(forwarded, session, permit, hop);
    return upgradeExchange({
      upgrade,
      response,
      dispatcher: this.agent,
      origin: this.origin,
      target: request.url ?? '',
      headers: forwarded,
      hop,
      trusted: false,
      failures: { unreachable: 'upstream_unreachable', broken: 'upstream_failed' },
      responseHeaders: () => this.labelsBack(permit),
    });
  }

  /** What the task has touched by now, for the other sidecar. */
  private labelsBack({ route, delegated: { chain } }: Permit): readonly string[] {
    const { labels } = this.parts;
    labels.add(chain, route.labels?.response ?? []);
    const known = labels.of(chain);
    return known.length === 0 ? [] : ['delegation-labels', known.join(' ')];
  }

  private exchange(
    request: IncomingMessage,
    response: ServerResponse,
    headers: RequestHeaders,
    session: Session,
    permit: Permit,
    hop: string,
    body: Buffer | undefined,
  ): Exchange {
    const { limits } = this.parts.config;
    const { path, labels } = this.parts;
    const { chain } = permit.delegated;
    const watch = watchResponse(path, permit);
    const inspector = watchRequest(permit, headers.forwarded, body?.length ?? headers.contentLength);
    const forwarded = watch?.readsBody === true ? withoutCodings(headers.forwarded) : headers.forwarded;
    labels.add(chain, permit.labels);
    this.verified.addTo(forwarded, session, permit, hop);
    return httpExchange({
      request,
      response,
      dispatcher: this.agent,
      origin: this.origin,
      target: request.url ?? '',
      headers: forwarded,
      hasBody: headers.hasBody,
      contentLength: headers.contentLength,
      body,
      maxBodyBytes: limits.bodyBytes,
      headersTimeoutMs: limits.responseTimeout * 1000,
      requestTimeoutMs: limits.bodyTimeout * 1000,
      hop,
      trusted: false,
      failures: { unreachable: 'upstream_unreachable', broken: 'upstream_failed' },
      responseHeaders: () => this.labelsBack(permit),
      inspector,
      watch,
    });
  }

  private onClientError(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) {
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

  /** A request that the parser refused, or one without a response object: it is on record, and the connection ends. */
  private onBroken(socket: TLSSocket, reason: ReasonCode, method: string): void {
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
    const callee = this.parts.identity().id;
    refuseHop(
      this.parts.path,
      { direction: 'inbound', hop, caller: session.peer.id, callee, method, target: '' },
      denial,
      undefined,
      () => {
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
      },
    );
  }

  /** Whether a connection was used so lately that its next request may be on the way: to close it now would lose that. */
  get isWarm(): boolean {
    return this.parts.path.clock.monotonic() - this.answeredAt < WARM_MS;
  }

  closeIdle(): void {
    this.http.closeIdleConnections();
  }

  close(): void {
    this.http.close();
    this.http.closeAllConnections();
    void this.agent.destroy();
  }
}
