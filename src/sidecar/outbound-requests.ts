/** One outbound request: context, connection to the pinned peer, grant, decision, and on to the peer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OutboundRoute } from '../config/sidecar-schema.ts';
import { type AgentId, isAgentId } from '../core/spiffe-id.ts';
import { type Denial, deny, type Verdict } from '../core/verdict.ts';
import { httpExchange } from '../edge/http/exchange.ts';
import { sendProblem } from '../edge/http/problem.ts';
import type { RequestHeaders } from '../edge/http/request-headers.ts';
import { refuseHop, takeHop } from '../hop/pipeline.ts';
import { nextHopId } from '../hop/session.ts';
import type { Delegated } from '../hop/verify-chain.ts';
import type { Exchange, ExchangeResult } from '../ports.ts';
import type { Context } from './contexts.ts';
import { Grants, parseDelegateRequest } from './grants.ts';
import type { OutboundTarget } from './outbound-target.ts';
import { nowSeconds, type Parts } from './parts.ts';
import type { PeerConnection } from './peer-connection.ts';
import type { PeerPool, Peers } from './peers.ts';

/** A type pin names no one agent; until one has answered, its pattern stands for it in the log. */
const calleeOf = (route: OutboundRoute): AgentId | '' => (isAgentId(route.peer) ? route.peer : '');

export class OutboundRequests {
  private readonly parts: Parts;
  private readonly peers: Peers;
  private readonly grants = new Grants();

  constructor(parts: Parts, peers: Peers) {
    this.parts = parts;
    this.peers = peers;
  }

  async take(
    request: IncomingMessage,
    response: ServerResponse,
    headers: RequestHeaders,
    { route, target }: OutboundTarget,
  ): Promise<void> {
    const { parts } = this;
    const refuse = (denial: Denial): void => {
      const facts = {
        direction: 'outbound',
        hop: '',
        caller: parts.identity().id,
        callee: calleeOf(route),
        method: request.method ?? '',
        target,
      } as const;
      refuseHop(parts.path, facts, denial, undefined, () => sendProblem(response, denial, '', true));
    };
    const context = parts.contexts.find(headers.context);
    if (!context.ok) {
      refuse(context);
      return;
    }
    const wanted = headers.delegate === undefined ? undefined : parseDelegateRequest(headers.delegate);
    if (wanted !== undefined && !wanted.ok) {
      refuse(wanted);
      return;
    }
    if (parts.isDraining() && parts.path.live.size === 0) {
      refuse(deny('draining', 'the sidecar is shutting down'));
      return;
    }
    const pool = this.peers.pool(route);
    const connection = await this.acquire(pool, response);
    if (connection === undefined) return;
    if (!connection.ok) {
      refuse(connection);
      return;
    }
    const grant = this.grantFor(context.value, connection.value, route, wanted?.value);
    if (!grant.ok) {
      pool.release(connection.value, true);
      refuse(grant);
      return;
    }
    this.send({
      request,
      response,
      headers,
      target,
      context: context.value,
      connection: connection.value,
      pool,
      grantText: grant.value,
    });
  }

  /** A connection, unless the agent went away while it was waited for. */
  private async acquire(
    pool: PeerPool,
    response: ServerResponse,
  ): Promise<Verdict<PeerConnection> | undefined> {
    const connection = await pool.acquire();
    if (!response.destroyed) return connection;
    if (connection.ok) pool.release(connection.value, true);
    return undefined;
  }

  private grantFor(
    context: Context,
    { session }: PeerConnection,
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
    return this.grants.mint(
      context.chain,
      session.peer,
      delegate,
      sets,
      wanted,
      parts.identity(),
      nowSeconds(parts),
    );
  }

  private send(hop: Outgoing): void {
    const { parts } = this;
    const { request, response, target, context, connection, pool, grantText } = hop;
    const { session } = connection;
    const hopId = nextHopId(session);
    // The peer counts requests as they come: one that isn't sent must not have been counted.
    const giveBack = (): void => {
      session.requests--;
      pool.release(connection, true);
    };
    takeHop(
      parts.path,
      {
        direction: 'outbound',
        hop: hopId,
        caller: parts.identity(),
        callee: session.peer.id,
        calleeHolder: session.peer,
        method: request.method ?? '',
        target,
        chainText: context.chainText,
        grantText,
        last: session.last,
        sessionDeadline: session.deadline,
        fault: undefined,
      },
      {
        refuse: (denial) => {
          giveBack();
          sendProblem(response, denial, hopId, true);
        },
        exchange: () => this.exchange(hop, hopId),
      },
      (delegated: Delegated) => {
        session.last = delegated;
      },
    );
  }

  private exchange(
    { request, response, headers, target, context, connection, pool, grantText }: Outgoing,
    hopId: string,
  ): Exchange {
    const { limits } = this.parts.config;
    const { forwarded } = headers;
    forwarded.push('delegation-chain', context.chainText);
    if (grantText !== undefined) forwarded.push('delegation-grant', grantText);
    const exchange = httpExchange({
      request,
      response,
      dispatcher: connection.client,
      origin: 'http://peer',
      target,
      headers: forwarded,
      hasBody: headers.hasBody,
      contentLength: headers.contentLength,
      maxBodyBytes: limits.bodyBytes,
      headersTimeoutMs: limits.responseTimeout * 1000,
      requestTimeoutMs: limits.bodyTimeout * 1000,
      hop: hopId,
      trusted: true,
      failures: { unreachable: 'peer_unreachable', broken: 'peer_failed' },
      responseHeaders: ['hopgate-hop', hopId],
    });
    const ended = (result: ExchangeResult): void => pool.release(connection, result.result === 'ok');
    return {
      start: (done) =>
        exchange.start((result) => {
          ended(result);
          done(result);
        }),
    };
  }
}

interface Outgoing {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly headers: RequestHeaders;
  readonly target: string;
  readonly context: Context;
  readonly connection: PeerConnection;
  readonly pool: PeerPool;
  readonly grantText: string | undefined;
}
