/** Connections to one peer, each used by one request at a time; new ones when all are busy, up to a limit, then a queue. */
import { createSecureContext, type SecureContext } from 'node:tls';
import type { OutboundRoute } from '../config/sidecar-schema.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import { authoritiesPem, secureContextOptions } from '../edge/tls/settings.ts';
import { isAging } from '../hop/session.ts';
import type { TrustSnapshot } from '../ports.ts';
import { nowSeconds, type Parts } from './parts.ts';
import { connectPeer, type PeerConnection } from './peer-connection.ts';

export class PeerPool {
  private readonly parts: Parts;
  private readonly route: OutboundRoute;
  private readonly context: () => SecureContext;
  private readonly idle: PeerConnection[] = [];
  private readonly busy = new Set<PeerConnection>();
  private readonly queue: ((wake: Denial | undefined) => void)[] = [];
  private connecting = 0;

  constructor(parts: Parts, route: OutboundRoute, context: () => SecureContext) {
    this.parts = parts;
    this.route = route;
    this.context = context;
  }

  get connections(): readonly PeerConnection[] {
    return [...this.idle, ...this.busy];
  }

  /** A connection that is nobody else's until it is given back. Refuses like {@link connectPeer}. */
  async acquire(): Promise<Verdict<PeerConnection>> {
    for (;;) {
      const connection = this.takeIdle();
      if (connection !== undefined) return grant(connection);
      if (this.busy.size + this.connecting < this.parts.config.limits.peerConnections) return this.open();
      const denial = await new Promise<Denial | undefined>((resolve) => this.queue.push(resolve));
      if (denial !== undefined) return denial;
    }
  }

  private takeIdle(): PeerConnection | undefined {
    const now = nowSeconds(this.parts);
    for (let connection = this.idle.pop(); connection !== undefined; connection = this.idle.pop()) {
      if (connection.isAlive() && !isAging(connection.session, now)) {
        this.busy.add(connection);
        return connection;
      }
      void connection.client.close();
    }
    return undefined;
  }

  private async open(): Promise<Verdict<PeerConnection>> {
    this.connecting++;
    try {
      const connection = await connectPeer(this.parts, this.route, this.context());
      if (connection.ok) this.busy.add(connection.value);
      else this.wakeNext();
      return connection;
    } finally {
      this.connecting--;
    }
  }

  /** Gives a connection back; one that can't be used again is closed. */
  release(connection: PeerConnection, reusable: boolean): void {
    this.busy.delete(connection);
    if (reusable && connection.isAlive()) this.idle.push(connection);
    else void connection.client.destroy();
    this.wakeNext();
  }

  private wakeNext(): void {
    this.queue.shift()?.(undefined);
  }

  /** Ends connections whose time is over or whose peer was revoked. */
  sweep(trust: TrustSnapshot, now: number): void {
    for (const connection of this.connections) {
      const { peer, deadline } = connection.session;
      if (now >= deadline || trust.bundle.revocations.checkHolder(peer.id, peer.key.thumbprint) !== undefined)
        void connection.client.destroy();
    }
  }

  /** Idle connections were made with the old SVID: the next request makes a new one. */
  retireIdle(): void {
    for (const connection of this.idle.splice(0)) void connection.client.close();
  }

  close(): void {
    this.retireIdle();
    for (const connection of this.busy) void connection.client.destroy();
    for (const wake of this.queue.splice(0)) wake(deny('draining', 'the sidecar is shutting down'));
  }
}

/** The pools of all routes, over one TLS context that follows the identity. */
export class Peers {
  private readonly parts: Parts;
  private readonly pools = new Map<OutboundRoute, PeerPool>();
  private context: SecureContext;

  constructor(parts: Parts) {
    this.parts = parts;
    this.context = this.makeContext();
  }

  private makeContext(): SecureContext {
    return createSecureContext(
      secureContextOptions(
        this.parts.identity().tls,
        authoritiesPem(this.parts.trust.last.bundle.authorities),
      ),
    );
  }

  pool(route: OutboundRoute): PeerPool {
    const known = this.pools.get(route);
    if (known !== undefined) return known;
    const pool = new PeerPool(this.parts, route, () => this.context);
    this.pools.set(route, pool);
    return pool;
  }

  renew(): void {
    this.context = this.makeContext();
    for (const pool of this.pools.values()) pool.retireIdle();
  }

  sweep(trust: TrustSnapshot, now: number): void {
    for (const pool of this.pools.values()) pool.sweep(trust, now);
  }

  get sessions(): {
    readonly id: string;
    readonly session: string;
    readonly deadline: number;
    readonly requests: number;
  }[] {
    return [...this.pools.values()].flatMap((pool) =>
      pool.connections.map(({ session }) => ({
        id: session.peer.id,
        session: session.id,
        deadline: session.deadline,
        requests: session.requests,
      })),
    );
  }

  close(): void {
    for (const pool of this.pools.values()) pool.close();
  }
}
