/** Connections to one API beyond the mesh: each by a checked address and over TLS, used again while they stand. */
import type { SecureContext } from 'node:tls';
import type { Destination } from '../../core/policy/destination.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';
import { H1Connection } from '../http/h1-connection.ts';
import { dialTls } from './dial-tls.ts';
import type { EgressNetwork } from './network.ts';

export interface ApiConnectionsOptions {
  readonly destination: Destination;
  readonly network: EgressNetwork;
  readonly secureContext: SecureContext;
  /** Open and opening ones, at most. */
  readonly most: number;
  /** To connect, and to wait for one that is free. */
  readonly timeoutMs: number;
}

/** So many wait for a connection. */
const MOST_WAITING = 256;

/** Undefined: there is room for another one. */
type Give = (connection: H1Connection | undefined) => void;

export class ApiConnections {
  private readonly options: ApiConnectionsOptions;
  private readonly idle: H1Connection[] = [];
  private readonly open = new Set<H1Connection>();
  private readonly waiting = new Set<Give>();
  private readonly ending = new AbortController();
  private opening = 0;
  /** Under which private ranges those that are open were dialled. */
  private ranges = '';

  constructor(options: ApiConnectionsOptions) {
    this.options = options;
  }

  /**
   * A connection that takes one request; whoever sends none gives it back. Refuses with `egress_*`; never rejects.
   */
  async acquire(allowPrivate: readonly string[], signal: AbortSignal): Promise<Verdict<H1Connection>> {
    this.follow(allowPrivate);
    for (;;) {
      const known = this.takeIdle();
      if (known !== undefined) return grant(known);
      if (this.open.size + this.opening < this.options.most) return this.connect(allowPrivate, signal);
      const waited = await this.wait(signal);
      if (waited !== undefined) return waited;
    }
  }

  private async connect(
    allowPrivate: readonly string[],
    signal: AbortSignal,
  ): Promise<Verdict<H1Connection>> {
    const { destination, network, secureContext, timeoutMs } = this.options;
    this.opening++;
    const dialled = await dialTls(destination, {
      network,
      secureContext,
      allowPrivate,
      timeoutMs,
      signal: AbortSignal.any([signal, this.ending.signal]),
    });
    this.opening--;
    if (!dialled.ok) {
      this.wake();
      return dialled;
    }
    const connection = new H1Connection(dialled.value, { onIdle: this.onIdle, onEnd: this.onEnd });
    this.open.add(connection);
    return grant(connection);
  }

  giveBack(connection: H1Connection): void {
    if (connection.isIdle()) this.onIdle(connection);
    else connection.close();
  }

  /** Takes no new request; what is under way comes to its end. */
  close(): void {
    for (const connection of this.open) connection.close();
  }

  destroy(): void {
    this.ending.abort();
    for (const connection of [...this.open]) connection.destroy();
  }

  /** Policy may have closed a range again behind which a connection stands. */
  private follow(allowPrivate: readonly string[]): void {
    const ranges = allowPrivate.join(' ');
    if (ranges === this.ranges) return;
    this.ranges = ranges;
    this.idle.length = 0;
    this.close();
  }

  private takeIdle(): H1Connection | undefined {
    for (let connection = this.idle.pop(); connection !== undefined; connection = this.idle.pop()) {
      if (connection.isIdle()) return connection;
      connection.close();
    }
    return undefined;
  }

  private wait(signal: AbortSignal): Promise<Verdict<H1Connection> | undefined> {
    const { destination, timeoutMs } = this.options;
    const busy = deny('egress_busy', `all connections to ${destination} are in use`);
    if (this.waiting.size >= MOST_WAITING || signal.aborted) return Promise.resolve(busy);
    return new Promise((resolve) => {
      const end = (verdict: Verdict<H1Connection> | undefined): void => {
        this.waiting.delete(give);
        clearTimeout(late);
        signal.removeEventListener('abort', onAbort);
        resolve(verdict);
      };
      const give: Give = (connection) => end(connection && grant(connection));
      const onAbort = (): void => end(busy);
      const late = setTimeout(onAbort, timeoutMs);
      this.waiting.add(give);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  private readonly onIdle = (connection: H1Connection): void => {
    const [first] = this.waiting;
    if (first !== undefined) first(connection);
    else this.idle.push(connection);
  };

  private readonly onEnd = (connection: H1Connection): void => {
    this.open.delete(connection);
    const at = this.idle.lastIndexOf(connection);
    if (at !== -1) this.idle.splice(at, 1);
    this.wake();
  };

  private wake(): void {
    const [first] = this.waiting;
    first?.(undefined);
  }
}
