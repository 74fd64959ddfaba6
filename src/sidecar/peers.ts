/** Connections to one peer, each used by one request at a time; new ones when all are busy, up to a limit, then a queue. */
import { createSecureContext } from 'node:tls';
import type { OutboundRoute } from '../config/sidecar-schema.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import { authoritiesPem, secureContextOptions } from '../edge/tls/settings.ts';
import { checkSession, isAging } from '../hop/session.ts';
import type { TrustSnapshot } from '../ports.ts';
import { nowSeconds, type Parts } from './parts.ts';
import { connectPeer, type OwnTls, type PeerConnection } from './peer-connection.ts';

const SHUTTING_DOWN = deny('draining', 'the sidecar is shutting down');

export class PeerPool {
  private readonly parts: Parts;
  private readonly route: OutboundRoute;
  private readonly ownTls: () => OwnTls;
  private closed = false;
  /** Connections made before the last renewal: good for what is under way, not for more. */
  private readonly retired = new WeakSet<PeerConnection>();
  private readonly idle: PeerConnection[] = [];
  private readonly busy = new Set<PeerConnection>();
  private readonly queue: ((wake: Denial | undefined) => void)[] = [];
  private connecting = 0;

  constructor(parts: Parts, route: OutboundRoute, ownTls: () => OwnTls) {
    this.parts = parts;
    this.route = route;
    this.ownTls = ownTls;
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
      const denial = await this.waitForTurn();
      if (denial !== undefined) return denial;
    }
  }

  private waitForTurn(): Promise<Denial | undefined> {
    const { connectTimeout, peerConnections } = this.parts.config.limits;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.queue.splice(this.queue.indexOf(wake), 1);
        resolve(
          deny('peer_unreachable', `all ${peerConnections} connections were busy for ${connectTimeout} s`),
        );
      }, connectTimeout * 1000);
      const wake = (denial: Denial | undefined): void => {
        clearTimeout(timer);
        resolve(denial);
      };
      this.queue.push(wake);
    });
  }

  private takeIdle(): PeerConnection | undefined {
    const now = nowSeconds(this.parts);
    for (let connection = this.idle.pop(); connection !== undefined; connection = this.idle.pop()) {
      if (connection.isAlive() && !isAging(connection.session, now)) {
        this.busy.add(connection);
        return connection;
      }
      connection.close();
    }
    return undefined;
  }

  private async open(): Promise<Verdict<PeerConnection>> {
    this.connecting++;
    let connection: Verdict<PeerConnection> | undefined;
    try {
      let ownTls = this.ownTls();
      connection = await connectPeer(this.parts, this.route, ownTls);
      // The agent key was replaced meanwhile: what is asked now is asked under the new one.
      while (connection.ok && connection.value.own.key.x !== this.ownTls().own.key.x) {
        connection.value.destroy();
        ownTls = this.ownTls();
        connection = await connectPeer(this.parts, this.route, ownTls);
      }
      if (!connection.ok) return connection;
      if (this.closed) {
        connection.value.destroy();
        return SHUTTING_DOWN;
      }
      if (ownTls !== this.ownTls()) this.retired.add(connection.value);
      this.busy.add(connection.value);
      return connection;
    } finally {
      this.connecting--;
      // Who waits has a place now, whatever became of this one.
      if (connection?.ok !== true) this.wakeNext();
    }
  }

  /** Gives a connection back; one that can't be used again is closed. */
  release(connection: PeerConnection, reusable: boolean): void {
    if (!this.busy.delete(connection)) return;
    if (!reusable) connection.destroy();
    else if (connection.isAlive() && !this.retired.has(connection) && !this.closed)
      this.idle.push(connection);
    else connection.close();
    this.wakeNext();
  }

  private wakeNext(): void {
    this.queue.shift()?.(undefined);
  }

  /** Ends connections whose time is over or whose peer was revoked. */
  sweep(trust: TrustSnapshot, now: number): void {
    for (const connection of this.connections)
      if (checkSession(connection.session, trust, now) !== undefined) connection.destroy();
  }

  /** These connections were made with the old SVID: the next request makes a new one. */
  retire(): void {
    for (const connection of this.busy) this.retired.add(connection);
    for (const connection of this.idle.splice(0)) connection.close();
  }

  close(): void {
    this.closed = true;
    this.retire();
    for (const connection of this.busy) connection.destroy();
    for (const wake of this.queue.splice(0)) wake(SHUTTING_DOWN);
  }
}

/** The pools of all routes, over one TLS context that follows the identity. */
export class Peers {
  private readonly parts: Parts;
  private readonly pools = new Map<OutboundRoute, PeerPool>();
  private ownTls: OwnTls;

  constructor(parts: Parts) {
    this.parts = parts;
    this.ownTls = this.makeOwnTls();
  }

  private makeOwnTls(): OwnTls {
    const own = this.parts.identity();
    const secureContext = createSecureContext(
      secureContextOptions(own.tls, authoritiesPem(this.parts.trust.last.bundle.authorities)),
    );
    return { own, secureContext };
  }

  pool(route: OutboundRoute): PeerPool {
    const known = this.pools.get(route);
    if (known !== undefined) return known;
    const pool = new PeerPool(this.parts, route, () => this.ownTls);
    this.pools.set(route, pool);
    return pool;
  }

  renew(): void {
    this.ownTls = this.makeOwnTls();
    for (const pool of this.pools.values()) pool.retire();
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
