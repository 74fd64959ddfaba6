/**
 * Connections to one peer. Over HTTP/1.1 each is used by one request at a time, over HTTP/2 by many; new ones when all are
 * busy, up to a limit, then a queue.
 */
import { createSecureContext } from 'node:tls';
import type { OutboundRoute } from '../config/sidecar-schema.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import { authoritiesPem, type PeerHttp, secureContextOptions } from '../edge/tls/settings.ts';
import { checkSession, isAging } from '../hop/session.ts';
import type { TrustSnapshot } from '../ports.ts';
import { nowSeconds, type Parts } from './parts.ts';
import { connectPeer, type OwnTls, type PeerConnection } from './peer-connection.ts';

const SHUTTING_DOWN = deny('draining', 'the sidecar is shutting down');

interface Place {
  readonly connection: PeerConnection;
  /** Requests that have it, sent or about to be. */
  taken: number;
  /** Good for what is under way, not for more. */
  retired: boolean;
}

export class PeerPool {
  private readonly parts: Parts;
  private readonly route: OutboundRoute;
  private readonly http: PeerHttp;
  private readonly ownTls: () => OwnTls;
  private closed = false;
  /** Its route is not configured any more: what was asked before is still sent. */
  private isLeft = false;
  /** With room for a request, the last used one at the end. */
  private readonly free: Place[] = [];
  private readonly places = new Map<PeerConnection, Place>();
  private readonly queue: ((wake: Denial | undefined) => void)[] = [];
  private connecting = 0;

  constructor(parts: Parts, route: OutboundRoute, http: PeerHttp, ownTls: () => OwnTls) {
    this.parts = parts;
    this.route = route;
    this.http = http;
    this.ownTls = ownTls;
  }

  /** Connections, and requests that wait for one. */
  get counts(): { readonly open: number; readonly connecting: number; readonly waiting: number } {
    return { open: this.places.size, connecting: this.connecting, waiting: this.queue.length };
  }

  get connections(): readonly PeerConnection[] {
    return [...this.places.keys()];
  }

  /** A connection with a place that is nobody else's until it is given back. Refuses like {@link connectPeer}. */
  async acquire(): Promise<Verdict<PeerConnection>> {
    for (;;) {
      const connection = this.takeFree();
      if (connection !== undefined) return grant(connection);
      if (this.mayConnect()) {
        const opened = await this.open();
        if (!opened.ok) return opened;
        // Whoever else waits gets what room it has beyond this request's.
        this.wake(opened.value.most() - 1);
        return opened;
      }
      const denial = await this.waitForTurn();
      if (denial !== undefined) return denial;
    }
  }

  /** Over HTTP/2 one at a time: what waits meanwhile finds room on it. */
  private mayConnect(): boolean {
    if (this.places.size + this.connecting >= this.parts.config.limits.peerConnections) return false;
    return this.http === 'h1' || this.connecting === 0;
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

  private takeFree(): PeerConnection | undefined {
    const now = nowSeconds(this.parts);
    for (let place = this.free.at(-1); place !== undefined; place = this.free.at(-1)) {
      const { connection } = place;
      if (!place.retired && connection.isAlive() && !isAging(connection.session, now)) {
        place.taken++;
        if (place.taken >= connection.most()) this.free.pop();
        return connection;
      }
      this.free.pop();
      this.retirePlace(place);
    }
    return undefined;
  }

  private async open(): Promise<Verdict<PeerConnection>> {
    this.connecting++;
    let connection: Verdict<PeerConnection> | undefined;
    try {
      let ownTls = this.ownTls();
      connection = await this.connect(ownTls);
      // The agent key was replaced meanwhile: what is asked now is asked under the new one.
      while (connection.ok && connection.value.own.key.x !== this.ownTls().own.key.x) {
        connection.value.destroy();
        ownTls = this.ownTls();
        connection = await this.connect(ownTls);
      }
      if (!connection.ok) return connection;
      if (this.closed) {
        connection.value.destroy();
        return SHUTTING_DOWN;
      }
      const place = {
        connection: connection.value,
        taken: 1,
        retired: this.isLeft || ownTls !== this.ownTls(),
      };
      this.places.set(connection.value, place);
      if (!place.retired && place.taken < connection.value.most()) this.free.push(place);
      return connection;
    } finally {
      this.connecting--;
      // Who waits has a place now, whatever became of this one.
      if (connection?.ok !== true) this.wake(1);
    }
  }

  private async connect(ownTls: OwnTls): Promise<Verdict<PeerConnection>> {
    const { handshakes, path } = this.parts;
    const started = path.clock.monotonic();
    const connection = await connectPeer(this.parts, this.route, this.http, ownTls);
    if (connection.ok) handshakes?.proven('outbound', path.clock.monotonic() - started);
    else handshakes?.failed('outbound', connection.reason);
    return connection;
  }

  /** Gives a place back; over HTTP/1.1 a connection that can't be used again is closed. */
  release(connection: PeerConnection, reusable: boolean): void {
    const place = this.places.get(connection);
    if (place === undefined) return;
    place.taken--;
    if (!reusable && this.http === 'h1') {
      this.places.delete(connection);
      connection.destroy();
    } else if (!connection.isAlive() || place.retired || this.closed) this.retirePlace(place);
    else if (!this.free.includes(place)) this.free.push(place);
    this.wake(1);
  }

  private wake(count: number): void {
    for (const wake of this.queue.splice(0, Math.max(count, 0))) wake(undefined);
  }

  /** No more requests for it. Who has a place on it has yet to send: it is closed when all have given theirs back. */
  private retirePlace(place: Place): void {
    place.retired = true;
    if (place.taken > 0) return;
    this.places.delete(place.connection);
    place.connection.close();
  }

  /** Ends connections whose time is over or whose peer was revoked. */
  sweep(trust: TrustSnapshot, now: number): void {
    for (const connection of this.connections) {
      if (checkSession(connection.session, trust, now) !== undefined) connection.destroy();
      if (!connection.isAlive()) this.forget(connection);
    }
  }

  /** It has ended: what nobody has a place on is not counted any more. */
  private forget(connection: PeerConnection): void {
    const place = this.places.get(connection);
    if (place === undefined || place.taken > 0) return;
    const at = this.free.indexOf(place);
    if (at !== -1) this.free.splice(at, 1);
    this.retirePlace(place);
  }

  /** The peer has said that it takes no more on this connection. */
  retireConnection(connection: PeerConnection): void {
    const place = this.places.get(connection);
    if (place === undefined || place.retired) return;
    const at = this.free.indexOf(place);
    if (at !== -1) this.free.splice(at, 1);
    this.retirePlace(place);
  }

  /** These connections were made with the old SVID: the next request makes a new one. */
  retire(): void {
    this.free.splice(0);
    for (const place of this.places.values()) this.retirePlace(place);
  }

  leave(): void {
    this.isLeft = true;
    this.retire();
  }

  get isUnused(): boolean {
    return this.places.size + this.queue.length + this.connecting === 0;
  }

  close(): void {
    this.closed = true;
    this.retire();
    for (const connection of this.connections) connection.destroy();
    for (const wake of this.queue.splice(0)) wake(SHUTTING_DOWN);
  }
}

/** The pools of all routes, over one TLS context that follows the identity. */
export class Peers {
  private readonly parts: Parts;
  private readonly pools = new Map<OutboundRoute, Map<PeerHttp, PeerPool>>();
  /** Of routes that are not configured any more. */
  private readonly left = new Set<PeerPool>();
  private routes: ReadonlySet<OutboundRoute>;
  private ownTls: OwnTls;

  constructor(parts: Parts) {
    this.parts = parts;
    this.routes = new Set(parts.config.outbound?.routes);
    this.ownTls = this.makeOwnTls();
  }

  private makeOwnTls(): OwnTls {
    const own = this.parts.identity();
    const secureContext = createSecureContext(
      secureContextOptions(own.tls, authoritiesPem(this.parts.trust.last.bundle.authorities)),
    );
    return { own, secureContext };
  }

  pool(route: OutboundRoute, http: PeerHttp): PeerPool {
    const pools = this.pools.get(route) ?? new Map<PeerHttp, PeerPool>();
    this.pools.set(route, pools);
    const pool = pools.get(http) ?? new PeerPool(this.parts, route, http, () => this.ownTls);
    pools.set(http, pool);
    if (!this.routes.has(route)) this.leave(route);
    return pool;
  }

  /** Routes that are the same as before keep their connections. */
  follow(routes: readonly OutboundRoute[]): void {
    this.routes = new Set(routes);
    for (const route of this.pools.keys()) if (!this.routes.has(route)) this.leave(route);
  }

  private leave(route: OutboundRoute): void {
    for (const pool of this.pools.get(route)?.values() ?? []) {
      pool.leave();
      this.left.add(pool);
    }
    this.pools.delete(route);
  }

  private get all(): PeerPool[] {
    return [...[...this.pools.values()].flatMap((pools) => [...pools.values()]), ...this.left];
  }

  renew(): void {
    this.ownTls = this.makeOwnTls();
    for (const pool of this.all) pool.retire();
  }

  sweep(trust: TrustSnapshot, now: number): void {
    for (const pool of this.all) pool.sweep(trust, now);
    for (const pool of this.left) if (pool.isUnused) this.left.delete(pool);
  }

  /** Of all pools together. */
  get counts(): PeerPool['counts'] {
    const counts = this.all.map((pool) => pool.counts);
    const sum = (what: keyof PeerPool['counts']): number =>
      counts.reduce((total, one) => total + one[what], 0);
    return { open: sum('open'), connecting: sum('connecting'), waiting: sum('waiting') };
  }

  get sessions(): {
    readonly id: string;
    readonly http: PeerHttp;
    readonly session: string;
    readonly deadline: number;
    readonly requests: number;
  }[] {
    return this.all.flatMap((pool) =>
      pool.connections.map(({ session, http }) => ({
        id: session.peer.id,
        http,
        session: session.id,
        deadline: session.deadline,
        requests: session.requests,
      })),
    );
  }

  close(): void {
    for (const pool of this.all) pool.close();
  }
}
