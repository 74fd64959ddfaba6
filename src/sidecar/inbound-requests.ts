/** Requests on proven connections: each goes down the path, and on to the local agent if it is permitted. */
import type { TLSSocket } from 'node:tls';
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import { withoutProof } from '../core/http-signature/received.ts';
import { parseLabels } from '../core/policy/labels.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import type { Call } from '../edge/http/call.ts';
import { httpExchange } from '../edge/http/exchange.ts';
import { sendProblem } from '../edge/http/problem.ts';
import { type RequestHeaders, readRequestHeaders, withoutCodings } from '../edge/http/request-headers.ts';
import { type UpgradeRequest, upgradeExchange } from '../edge/http/upgrade.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import type { PeerHttp } from '../edge/tls/settings.ts';
import type { HopRequest } from '../hop/path.ts';
import type { Permit } from '../hop/permit.ts';
import { refuseHop, takeHop } from '../hop/pipeline.ts';
import { watchRequest, watchResponse } from '../hop/response.ts';
import { isAging, isSession, type PlainConnection, type Session } from '../hop/session.ts';
import type { Exchange, HopSpan } from '../ports.ts';
import type { AgentAttempt } from './agent-breaker.ts';
import { AgentUpstream } from './agent-upstream.ts';
import { HeldBody } from './held-body.ts';
import { InboundHttp } from './inbound-http.ts';
import { type Caller, faultOf, type Line, lineName } from './inbound-line.ts';
import { nowSeconds, type Parts } from './parts.ts';
import { RequestProofs } from './request-proofs.ts';
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
  private readonly proofs: RequestProofs;

  constructor(parts: Parts) {
    this.parts = parts;
    this.verified = new VerifiedHeaders(parts);
    this.agent = new AgentUpstream(parts.config);
    this.proofs = new RequestProofs(parts.path.clock, parts.trust);
    this.http = new InboundHttp(parts, (...call) => this.take(...call));
  }

  /** Connections of one agent, with its sidecar or without. */
  linesOf(name: string): number {
    return this.callers.get(name)?.lines ?? 0;
  }

  serve(socket: TLSSocket, session: Session | PlainConnection, own: SidecarIdentity, http: PeerHttp): void {
    const name = lineName(session);
    const caller = this.callers.get(name) ?? this.newCaller(name);
    caller.lines++;
    this.callers.set(name, caller);
    socket.once('close', () => {
      caller.lines--;
      if (caller.lines === 0) this.callers.delete(name);
    });
    this.http.serve(socket, { session, own, caller, unanswered: 0, broken: false }, http);
  }

  private newCaller(name: string): Caller {
    const underWay = { requests: 0, heldBytes: 0 };
    const bodies = this.parts.guard.bodies(name, underWay);
    return Object.assign(underWay, { name, lines: 0, beforeApprover: 0, bodies });
  }

  private take(call: Call, line: Line, hop: string, upgrade: UpgradeRequest | undefined): void {
    const { parts } = this;
    const { session, own, caller: mine } = line;
    const entered = parts.guard.enter(mine.name, mine);
    call.onClose(() => parts.guard.leave(mine));
    const now = nowSeconds(parts);
    const read = readRequestHeaders(call.rawHeaders, call.version === '2' ? !call.endsWithHead : undefined);
    const retires = isAging(session, now) || parts.isDraining();
    // HTTP/2 is told in a header: Node's clients drop what they were about to send when they see GOAWAY.
    if (retires && call.version !== '2') call.retire();
    const span = parts.tracer()?.begin('inbound', call.method, read.forwarded);
    const fault = faultOf(call, line, read, entered, parts.config.limits, now, upgrade !== undefined);
    const proven = this.callerOf(call, line, read, fault);
    if (!proven.ok) {
      this.refuseUnproven(call, line, hop, proven, span);
      return;
    }
    const { headers, caller, proof, digest, sessionDeadline } = proven.value;
    const held = new HeldBody({
      call,
      hasBody: headers.hasBody,
      contentLength: headers.contentLength,
      idleMs: parts.config.limits.bodyTimeout * 1000,
      budget: mine.bodies,
    });
    const arrival: Arrival = { call, caller: mine.name, headers, session, hop, upgrade };
    takeHop(
      parts.path,
      {
        direction: 'inbound',
        hop,
        caller,
        proof,
        digest,
        sessionDeadline,
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
        fault,
        rate: (chain) => parts.guard.rates.task(chain),
        span,
      },
      {
        refuse: (denial) => {
          parts.clockAlarm.hear(denial, session.identified.id);
          sendProblem(call, denial, hop, false);
        },
        body: (mostBytes) => this.readBody(held, line, call, mostBytes),
        exchange: (permit) => {
          return this.exchange(arrival, permit, held.octets);
        },
      },
      (delegated) => {
        session.last = delegated;
      },
    );
  }

  /** Who asks, as far as this connection or this very request proves it; what is wrong anyway needs no proof on a session. */
  private callerOf(
    call: Call,
    { session, own }: Line,
    headers: RequestHeaders,
    fault: Denial | undefined,
  ): Verdict<ProvenCaller> {
    // What is configured may have changed since it connected.
    if (!isSession(session) && this.parts.config.inbound?.withoutSidecar !== true)
      return deny('request_proof_not_allowed', 'this sidecar takes nobody who has none');
    const proven =
      fault === undefined
        ? this.proofs.prove(session, call, headers.hasBody, own)
        : isSession(session)
          ? grant(undefined)
          : fault;
    if (!proven.ok) return proven;
    if (proven.value !== undefined) {
      const { caller, proof, digest, deadline } = proven.value;
      const forwarded = withoutProof(headers.forwarded);
      return grant({ caller, proof, digest, sessionDeadline: deadline, headers: { ...headers, forwarded } });
    }
    return isSession(session)
      ? grant({
          caller: session.peer,
          proof: 'session',
          digest: undefined,
          sessionDeadline: session.deadline,
          headers,
        })
      : deny('request_proof_missing', 'a request without a session has to prove itself');
  }

  /** On record under the name that TLS has shown; and a client without a session that can't prove itself begins anew. */
  private refuseUnproven(
    call: Call,
    line: Line,
    hop: string,
    denial: Denial,
    span: HopSpan | undefined,
  ): void {
    const { session, own } = line;
    const { method, target } = call;
    const proof = isSession(session) ? undefined : 'none';
    const facts = {
      direction: 'inbound',
      hop,
      caller: session.identified.id,
      callee: own.id,
      method,
      target,
    } as const;
    // Who only comes too fast may go on where it is.
    if (proof !== undefined && denial.retryAfterSeconds === undefined) {
      call.retire();
      line.close?.();
    }
    const reply = (): void => {
      this.parts.clockAlarm.hear(denial, session.identified.id);
      sendProblem(call, denial, hop, false);
    };
    refuseHop(this.parts.path, { ...facts, proof }, denial, undefined, reply, span);
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
      return deny(
        'caller_busy',
        `${lineName(session)} has ${MAX_BEFORE_APPROVER} requests before an approver`,
      );
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
    const { call, caller, headers, session, hop, upgrade } = arrival;
    const { limits } = this.parts.config;
    const { path, labels } = this.parts;
    const isUpgrade = upgrade !== undefined;
    const watch = isUpgrade ? undefined : watchResponse(path, permit);
    const inspector = isUpgrade
      ? undefined
      : watchRequest(permit, headers.forwarded, body?.length ?? headers.contentLength);
    const forwarded = watch?.readsBody === true ? withoutCodings(headers.forwarded) : headers.forwarded;
    labels.add(permit.delegated.chain, permit.labels);
    this.verified.addTo(forwarded, session, permit, hop);
    const attempt = this.parts.guard.agent.begin(caller);
    const shared = {
      call,
      upstream: this.agent.upstreamOf(call),
      target: call.target,
      headers: forwarded,
      headersTimeoutMs: limits.responseTimeout * 1000,
      hop,
      trusted: false,
      failures: { unreachable: 'upstream_unreachable', broken: 'upstream_failed' },
      responseHeaders: () => {
        attempt.answered();
        return this.headersBack(arrival, permit);
      },
    } as const;
    if (upgrade !== undefined) return heardBy(attempt, upgradeExchange({ ...shared, upgrade }));
    const exchange = httpExchange({
      ...shared,
      readsTrailers: headers.readsTrailers,
      hasBody: headers.hasBody,
      contentLength: headers.contentLength,
      body,
      maxBodyBytes: limits.bodyBytes,
      requestTimeoutMs: limits.bodyTimeout * 1000,
      inspector,
      watch,
    });
    return heardBy(attempt, exchange);
  }

  /** Connections with the agent. */
  get agentConnections(): AgentUpstream['counts'] {
    return this.agent.counts;
  }

  follow(limits: SidecarConfig['limits']): void {
    this.http.follow(limits);
  }

  closeIdle(): void {
    this.http.closeIdle();
  }

  close(): void {
    this.http.close();
    this.agent.destroy();
  }
}

/** The breaker hears how it ended. */
const heardBy = (attempt: AgentAttempt, { start }: Exchange): Exchange => ({
  start: (done) =>
    start((result) => {
      attempt.ended(result.result);
      done(result);
    }),
});

interface ProvenCaller extends Pick<HopRequest, 'caller' | 'proof' | 'digest' | 'sessionDeadline'> {
  readonly headers: RequestHeaders;
}

interface Arrival {
  readonly call: Call;
  readonly caller: string;
  readonly headers: RequestHeaders;
  readonly session: Session | PlainConnection;
  readonly hop: string;
  readonly upgrade: UpgradeRequest | undefined;
}
