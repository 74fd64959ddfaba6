/** Requests on proven connections: each goes down the path, and on to the local agent if it is permitted. */
import type { TLSSocket } from 'node:tls';
import { parseLabels } from '../core/policy/labels.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import { deny, type Verdict } from '../core/verdict.ts';
import type { Call } from '../edge/http/call.ts';
import { httpExchange } from '../edge/http/exchange.ts';
import { sendProblem } from '../edge/http/problem.ts';
import { type RequestHeaders, readRequestHeaders, withoutCodings } from '../edge/http/request-headers.ts';
import { type UpgradeRequest, upgradeExchange } from '../edge/http/upgrade.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import type { PeerHttp } from '../edge/tls/settings.ts';
import type { Permit } from '../hop/permit.ts';
import { takeHop } from '../hop/pipeline.ts';
import { watchRequest, watchResponse } from '../hop/response.ts';
import { isAging, type Session } from '../hop/session.ts';
import type { Exchange } from '../ports.ts';
import { AgentUpstream } from './agent-upstream.ts';
import { HeldBody } from './held-body.ts';
import { InboundHttp } from './inbound-http.ts';
import { type Caller, faultOf, type Line } from './inbound-line.ts';
import { nowSeconds, type Parts } from './parts.ts';
import { VerifiedHeaders } from './verified-headers.ts';

/** What we know of the task counts, whatever the caller says of it. A list that is none was refused at the door. */
const labelsOf = (known: readonly string[], said: string | undefined): readonly string[] => {
  const sent = said === undefined ? undefined : parseLabels(said);
  if (sent === undefined) return known;
  return known.length === 0 ? sent : [...new Set([...sent, ...known])];
};

/** Bodies of one agent that are held in memory for an approver's word. */
const MAX_BEFORE_APPROVER = 8;

export class InboundRequests {
  private readonly parts: Parts;
  private readonly http: InboundHttp;
  private readonly agent: AgentUpstream;
  private readonly verified: VerifiedHeaders;
  private readonly callers = new Map<string, Caller>();

  constructor(parts: Parts) {
    this.parts = parts;
    this.verified = new VerifiedHeaders(parts);
    this.agent = new AgentUpstream(parts.config);
    this.http = new InboundHttp(parts, (...call) => this.take(...call));
  }

  /** Proven connections of one agent. */
  linesOf(id: AgentId): number {
    return this.callers.get(id)?.lines ?? 0;
  }

  serve(socket: TLSSocket, session: Session, own: SidecarIdentity, http: PeerHttp): void {
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
    this.http.serve(socket, { session, own, caller, unanswered: 0, broken: false }, http);
  }

  private take(
    call: Call,
    line: Line,
    hop: string,
    wantsContinue: boolean,
    upgrade: UpgradeRequest | undefined,
  ): void {
    const { parts } = this;
    const { session, own, caller } = line;
    caller.inFlight++;
    call.onClose(() => {
      caller.inFlight--;
    });
    const now = nowSeconds(parts);
    const headers = readRequestHeaders(
      call.rawHeaders,
      call.version === '2' ? !call.endsWithHead : undefined,
    );
    const retires = isAging(session, now) || parts.isDraining();
    // HTTP/2 is told in a header: Node's clients drop what they were about to send when they see GOAWAY.
    if (retires && call.version !== '2') call.retire();
    const held = new HeldBody({
      call,
      hasBody: headers.hasBody,
      contentLength: headers.contentLength,
      idleMs: parts.config.limits.bodyTimeout * 1000,
      budget: caller.bodies,
      onRead: () => {
        if (wantsContinue) call.sendContinue();
      },
    });
    const arrival: Arrival = { call, headers, session, hop, upgrade };
    takeHop(
      parts.path,
      {
        direction: 'inbound',
        hop,
        caller: session.peer,
        proof: 'session',
        callee: own.id,
        calleeHolder: own,
        method: call.method,
        target: call.target,
        headers: headers.forwarded,
        size: headers.hasBody ? headers.contentLength : 0,
        labels: (chain) => labelsOf(parts.labels.of(chain), headers.labels),
        upgrade: headers.upgrade !== undefined,
        chainText: headers.chain,
        grantText: headers.grant,
        last: session.last,
        sessionDeadline: session.deadline,
        fault: faultOf(call, line, headers, parts.config.limits, now, upgrade !== undefined),
      },
      {
        refuse: (denial) => {
          parts.clockAlarm.hear(denial, session.peer.id);
          sendProblem(call, denial, hop, false);
        },
        body: (mostBytes) => this.readBody(held, line, call, mostBytes),
        exchange: (permit) => {
          if (wantsContinue && held.octets === undefined) call.sendContinue();
          return this.exchange(arrival, permit, held.octets);
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
    call: Call,
    mostBytes: number | undefined,
  ): Promise<Verdict<Buffer>> {
    if (mostBytes !== undefined) return held.read(mostBytes);
    if (caller.beforeApprover >= MAX_BEFORE_APPROVER)
      return deny('caller_busy', `${session.peer.id} has ${MAX_BEFORE_APPROVER} requests before an approver`);
    if (call.isClosed) return deny('client_aborted', 'the client went away');
    caller.beforeApprover++;
    call.onClose(() => {
      caller.beforeApprover--;
    });
    return held.read(this.parts.config.limits.approvalBodyBytes);
  }

  /** What the task has touched by now, for the other sidecar, and whether this connection takes more. */
  private headersBack(
    { session, call }: Arrival,
    { route, delegated: { chain } }: Permit,
  ): readonly string[] {
    const { parts } = this;
    const { labels } = parts;
    labels.add(chain, route.labels?.response ?? []);
    const known = labels.of(chain);
    const back = known.length === 0 ? [] : ['delegation-labels', known.join(' ')];
    const retires = call.version === '2' && (parts.isDraining() || isAging(session, nowSeconds(parts)));
    return retires ? [...back, 'hopgate-retire', '1'] : back;
  }

  private exchange(arrival: Arrival, permit: Permit, body: Buffer | undefined): Exchange {
    const { call, headers, session, hop, upgrade } = arrival;
    const { limits } = this.parts.config;
    const { path, labels } = this.parts;
    const isUpgrade = upgrade !== undefined;
    const watch = isUpgrade ? undefined : watchResponse(path, permit);
    const inspector = isUpgrade
      ? undefined
      : watchRequest(permit, headers.forwarded, body?.length ?? headers.contentLength);
    const forwarded = watch?.readsBody === true ? withoutCodings(headers.forwarded) : headers.forwarded;
    labels.add(permit.delegated.chain, permit.labels);
    if (headers.readsTrailers && this.agent.speaksH2(call)) forwarded.push('te', 'trailers');
    this.verified.addTo(forwarded, session, permit, hop);
    const shared = {
      call,
      upstream: this.agent.upstreamOf(call),
      target: call.target,
      headers: forwarded,
      headersTimeoutMs: limits.responseTimeout * 1000,
      hop,
      trusted: false,
      failures: { unreachable: 'upstream_unreachable', broken: 'upstream_failed' },
      responseHeaders: () => this.headersBack(arrival, permit),
    } as const;
    if (upgrade !== undefined) return upgradeExchange({ ...shared, upgrade });
    return httpExchange({
      ...shared,
      hasBody: headers.hasBody,
      contentLength: headers.contentLength,
      body,
      maxBodyBytes: limits.bodyBytes,
      requestTimeoutMs: limits.bodyTimeout * 1000,
      inspector,
      watch,
    });
  }

  closeIdle(): void {
    this.http.closeIdle();
  }

  close(): void {
    this.http.close();
    this.agent.destroy();
  }
}

interface Arrival {
  readonly call: Call;
  readonly headers: RequestHeaders;
  readonly session: Session;
  readonly hop: string;
  readonly upgrade: UpgradeRequest | undefined;
}
