/** One outbound request: context, connection to the pinned peer, grant, decision, and on to the peer. */
import type { OutboundRoute } from '../config/sidecar-schema.ts';
import { parseLabels } from '../core/policy/labels.ts';
import { type AgentId, isAgentId } from '../core/spiffe-id.ts';
import { type Denial, deny, type Verdict } from '../core/verdict.ts';
import type { Call } from '../edge/http/call.ts';
import { httpExchange } from '../edge/http/exchange.ts';
import { sendProblem } from '../edge/http/problem.ts';
import { type RequestHeaders, withoutCodings } from '../edge/http/request-headers.ts';
import { type UpgradeRequest, upgradeExchange } from '../edge/http/upgrade.ts';
import type { PeerHttp } from '../edge/tls/settings.ts';
import type { Permit } from '../hop/permit.ts';
import { refuseHop, takeHop } from '../hop/pipeline.ts';
import { watchRequest, watchResponse } from '../hop/response.ts';
import { nextHopId } from '../hop/session.ts';
import type { Delegated } from '../hop/verify-chain.ts';
import type { Exchange, ExchangeResult, HopSpan } from '../ports.ts';
import type { BodyBudget } from './door-guard.ts';
import { Grants, parseDelegateRequest } from './grants.ts';
import { HeldBody } from './held-body.ts';
import type { OpenUploads } from './open-uploads.ts';
import { nowSeconds, type Parts } from './parts.ts';
import type { PeerConnection } from './peer-connection.ts';
import type { PeerPool, Peers } from './peers.ts';
import type { HeldChain } from './rebinding.ts';
import { proofOf } from './request-signing.ts';

/** A type pin names no one agent; until one has answered, its pattern stands for it in the log. */
const calleeOf = (route: OutboundRoute): AgentId | '' => (isAgentId(route.peer) ? route.peer : '');

/** gRPC and whatever else came over HTTP/2 goes on over it; a WebSocket can't. */
const peerHttp = (
  { http }: OutboundRoute,
  { version }: Call,
  upgrade: UpgradeRequest | undefined,
): PeerHttp => {
  if (upgrade !== undefined) return 'h1';
  if (http === 'as-received') return version === '2' ? 'h2' : 'h1';
  return http;
};

/** What the door out has once, whichever way a request leaves by. */
export interface OutboundShared {
  readonly peers: Peers;
  readonly uploads: OpenUploads;
  readonly bodies: BodyBudget;
}

export class OutboundRequests {
  private readonly parts: Parts;
  private readonly peers: Peers;
  private readonly grants = new Grants();
  private readonly bodies: BodyBudget;
  private readonly uploads: OpenUploads;

  constructor(parts: Parts, { peers, uploads, bodies }: OutboundShared) {
    this.parts = parts;
    this.peers = peers;
    this.uploads = uploads;
    this.bodies = bodies;
  }

  take(
    call: Call,
    headers: RequestHeaders,
    { route, target }: { readonly route: OutboundRoute; readonly target: string },
    upgrade?: UpgradeRequest,
  ): void {
    const { parts } = this;
    const span = parts.tracer()?.begin('outbound', call.method, headers.forwarded);
    const refuse = (denial: Denial): void => {
      parts.clockAlarm.hear(denial, route.host);
      const facts = {
        direction: 'outbound',
        hop: '',
        caller: parts.identity().id,
        callee: calleeOf(route),
        method: call.method,
        target,
      } as const;
      const reply = (): void => sendProblem(call, denial, '', true);
      refuseHop(parts.path, facts, denial, undefined, reply, span);
    };
    this.prepare({ call, headers, target, upgrade, span }, route).then(
      (denial) => {
        if (denial !== undefined) refuse(denial);
      },
      (error: unknown) => {
        parts.log.error({ err: error }, 'an outbound request failed unexpectedly');
        refuse(deny('internal', 'a fault in the sidecar'));
      },
    );
  }

  /** Finds context, connection and grant, and sends; or says why not. */
  private async prepare(arrival: Arrival, route: OutboundRoute): Promise<Denial | undefined> {
    const { parts } = this;
    const { call, headers, upgrade } = arrival;
    const context = parts.contexts.find(headers.context);
    if (!context.ok) return context;
    const wanted = headers.delegate === undefined ? undefined : parseDelegateRequest(headers.delegate);
    if (wanted !== undefined && !wanted.ok) return wanted;
    const pool = this.peers.pool(route, peerHttp(route, call, upgrade));
    const acquired = await pool.acquire();
    if (!acquired.ok) return acquired;
    const connection = acquired.value;
    let sent = false;
    try {
      if (call.isClosed) return deny('client_aborted', 'the agent went away before anything was sent');
      const held = parts.rebinding.chainUnder(context.value, connection.own, nowSeconds(parts));
      if (!held.ok) return held;
      const grant = this.grantFor(held.value, connection, route, wanted?.value);
      if (!grant.ok) return grant;
      this.send({ ...arrival, held: held.value, connection, pool, grantText: grant.value });
      sent = true;
      return undefined;
    } finally {
      if (!sent) pool.release(connection, true);
    }
  }

  private grantFor(
    { chain }: HeldChain,
    { session, own }: PeerConnection,
    route: OutboundRoute,
    wanted: Parameters<Grants['mint']>[4],
  ): Verdict<string | undefined> {
    const { delegate } = route;
    if (delegate === undefined) {
      if (wanted !== undefined && !wanted.none)
        return deny('delegate_widened', `the route to ${route.host} does not delegate`);
      return { ok: true, value: undefined };
    }
    const { parts } = this;
    const sets = parts.trust.last.policy.policy.scopeSets;
    return this.grants.mint(chain, session.peer, delegate, sets, wanted, own, nowSeconds(parts));
  }

  private send(hop: Outgoing): void {
    const { parts } = this;
    const { call, headers, target, held, connection, pool, grantText, span } = hop;
    const { session, own } = connection;
    // The peer counts requests as they come: what isn't sent has no number, and what has one is sent or ends the connection.
    let numbered: Numbered = { id: '', ordinal: 0 };
    const body = new HeldBody({
      call,
      hasBody: headers.hasBody,
      contentLength: headers.contentLength,
      idleMs: parts.config.limits.bodyTimeout * 1000,
      budget: this.bodies,
    });
    takeHop(
      parts.path,
      {
        direction: 'outbound',
        hop: '',
        caller: own,
        proof: 'session',
        callee: session.peer.id,
        calleeHolder: session.peer,
        method: call.method,
        target,
        headers: headers.forwarded,
        size: headers.hasBody ? headers.contentLength : 0,
        labels: (chain) => parts.labels.of(chain),
        upgrade: headers.upgrade !== undefined,
        chainText: held.chainText,
        grantText,
        last: session.last,
        sessionDeadline: session.deadline,
        fault: undefined,
        span,
      },
      {
        refuse: (denial) => {
          pool.release(connection, numbered.id === '');
          sendProblem(call, denial, '', true);
        },
        number: () => {
          numbered = { id: nextHopId(session), ordinal: session.requests };
          return numbered.id;
        },
        body: (mostBytes = parts.config.limits.approvalBodyBytes) => body.read(mostBytes),
        exchange: (permit) => this.exchange(hop, numbered, permit, body.octets),
      },
      (delegated: Delegated) => {
        session.last = delegated;
      },
    );
  }

  private exchange(
    { call, headers, target, upgrade, held, connection, pool, grantText }: Outgoing,
    { id: hopId, ordinal }: Numbered,
    permit: Permit,
    body: Buffer | undefined,
  ): Exchange {
    const { limits } = this.parts.config;
    const { path, labels } = this.parts;
    const { chain } = held;
    const watch = watchResponse(path, permit);
    const inspector = watchRequest(permit, headers.forwarded, body?.length ?? headers.contentLength);
    const forwarded = watch?.readsBody === true ? withoutCodings(headers.forwarded) : headers.forwarded;
    labels.add(chain, permit.labels);
    if (permit.labels.length > 0) forwarded.push('delegation-labels', permit.labels.join(' '));
    let returned: readonly string[] = [];
    forwarded.push('delegation-chain', held.chainText);
    if (grantText !== undefined) forwarded.push('delegation-grant', grantText);
    const onLabels = (text: string | undefined): Denial | undefined => {
      const sent = text === undefined ? [] : parseLabels(text);
      if (sent === undefined) return deny('response_malformed', 'Delegation-Labels is no list of labels');
      returned = [...new Set([...sent, ...(permit.route.labels?.response ?? [])])];
      labels.add(chain, returned);
      if (returned.length > 0) this.uploads.labelled(permit);
      return undefined;
    };
    if (permit.demanded.requestProof) {
      const { method } = call;
      const sent = { method, target, rawHeaders: forwarded, hasBody: headers.hasBody };
      forwarded.push(...proofOf(sent, body, connection, nowSeconds(this.parts)));
    }
    const shared = {
      call,
      upstream: connection.upstream,
      target,
      headers: forwarded,
      headersTimeoutMs: limits.responseTimeout * 1000,
      hop: hopId,
      trusted: true,
      failures: { unreachable: 'peer_unreachable', broken: 'peer_failed' },
      responseHeaders: () => ['hopgate-hop', hopId],
      onLabels,
    } as const;
    const plain = (): Exchange =>
      httpExchange({
        ...shared,
        ordinal,
        readsTrailers: headers.readsTrailers,
        hasBody: headers.hasBody,
        contentLength: headers.contentLength,
        body,
        maxBodyBytes: limits.bodyBytes,
        requestTimeoutMs: limits.bodyTimeout * 1000,
        onRetire: () => pool.retireConnection(connection),
        inspector,
        watch,
      });
    const exchange = upgrade === undefined ? plain() : upgradeExchange({ ...shared, upgrade });
    const ended = (result: ExchangeResult): void =>
      pool.release(connection, upgrade === undefined && result.result === 'ok');
    return {
      start: (done) => {
        let sent: (() => void) | undefined;
        let isOver = false;
        const cut = exchange.start((result) => {
          isOver = true;
          sent?.();
          ended(result);
          done(returned.length === 0 ? result : { ...result, labels: returned });
        });
        const streams = upgrade !== undefined || (body === undefined && headers.hasBody);
        if (streams && !isOver && !call.isComplete) {
          sent = this.uploads.add(permit, cut);
          if (upgrade === undefined) call.body.once('end', sent);
        }
        return cut;
      },
    };
  }
}

/** A hop's id, and the place in it. */
interface Numbered {
  readonly id: string;
  readonly ordinal: number;
}

interface Arrival {
  readonly call: Call;
  readonly headers: RequestHeaders;
  readonly target: string;
  readonly upgrade: UpgradeRequest | undefined;
  readonly span: HopSpan | undefined;
}

interface Outgoing extends Arrival {
  /** The context's chain, as this connection's key holds it. */
  readonly held: HeldChain;
  readonly connection: PeerConnection;
  readonly pool: PeerPool;
  readonly grantText: string | undefined;
}
