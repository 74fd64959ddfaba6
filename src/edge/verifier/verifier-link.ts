/** The way to the verifier: several addresses of which one answers, and always the newest identity and CAs. */
import type { BodyFor } from '../../api/endpoint.ts';
import { taskEndpoints } from '../../api/tasks.ts';
import type { Clock } from '../../ports.ts';
import type { TlsIdentity } from '../tls/settings.ts';
import { VerifierClient } from './client.ts';
import { ClockCompare } from './clock-compare.ts';
import { findVerifier, type TrustRoot } from './enrolment.ts';
import { VerifierError } from './verifier-error.ts';

export interface VerifierLinkOptions {
  /** `host:port`, the preferred one first; one or more. */
  readonly addresses: readonly string[];
  readonly trust: TrustRoot;
  readonly clock: Clock;
  /** SVID CA certificates (DER) by which a verifier proves itself, and the epoch in which the root named them. */
  readonly authorities: () => { readonly x509: readonly Buffer[]; readonly epoch: number } | undefined;
  readonly identity: () => TlsIdentity | undefined;
}

/** What is known of the connection, for people. Times in seconds. */
export interface LinkState {
  readonly addresses: readonly string[];
  /** That answered last. */
  readonly address: string | undefined;
  readonly lastContact: number | undefined;
  readonly lastError: { readonly at: number; readonly reason: string; readonly detail: string } | undefined;
}

/** Another address may do better; what the verifier itself refuses, each of them would. */
const isOfAddress = ({ reason }: VerifierError): boolean =>
  reason === 'verifier_unreachable' || reason === 'verifier_untrusted' || reason === 'api_unavailable';

/** Milliseconds: twice what one call may take. */
const RETIRED_MS = 30_000;

export class VerifierLink {
  readonly clocks: ClockCompare;
  private readonly options: VerifierLinkOptions;
  private readonly clients = new Map<string, VerifierClient>();
  private readonly listeners: (() => void)[] = [];
  /** Connected under an identity or CAs that were replaced. */
  private readonly retired = new Set<VerifierClient>();
  private preferred = 0;
  private closed = false;
  private contact: number | undefined;
  private error: LinkState['lastError'];
  /** Learned from roles that the root has signed, where what we had was too old. */
  private learned: { readonly x509: readonly Buffer[]; readonly epoch: number } | undefined;

  constructor(options: VerifierLinkOptions) {
    this.options = options;
    this.clocks = new ClockCompare(options.clock);
  }

  get state(): LinkState {
    const { addresses } = this.options;
    return {
      addresses,
      address: this.contact === undefined ? undefined : addresses[this.preferred],
      lastContact: this.contact,
      lastError: this.error,
    };
  }

  /** To the verifier that answered last; undefined before it is known by what it proves itself. */
  get client(): VerifierClient | undefined {
    if (this.closed || this.authorities() === undefined) return undefined;
    return this.clientAt(this.options.addresses[this.preferred] ?? '');
  }

  /** Does something at the verifier that answered last, or at the next one that answers. Throws {@link VerifierError}. */
  async run<T>(work: (client: VerifierClient) => Promise<T>): Promise<T> {
    const { addresses } = this.options;
    let last: VerifierError | undefined;
    for (let step = 0; step < addresses.length; step++) {
      const index = (this.preferred + step) % addresses.length;
      try {
        return await this.runAt(addresses[index] ?? '', work);
      } catch (error) {
        if (!(error instanceof VerifierError)) throw error;
        this.error = { at: this.now, reason: error.reason, detail: error.message };
        last = error;
        if (!isOfAddress(error)) break;
      }
    }
    throw last ?? new VerifierError('verifier_unreachable', 'no address is configured');
  }

  /** Tells that a task is over. Throws {@link VerifierError}. */
  async endTask(
    task: string,
    body: BodyFor<typeof taskEndpoints.endTask>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.run((client) => client.call(taskEndpoints.endTask, { params: { task }, body }, signal));
  }

  private async runAt<T>(address: string, work: (client: VerifierClient) => Promise<T>): Promise<T> {
    const known = this.authorities();
    if (known === undefined) await this.learn(address);
    try {
      return await work(this.clientAt(address));
    } catch (error) {
      // Its CA may have changed while we were away: the root says which it is now.
      if (known === undefined || !(error instanceof VerifierError) || error.reason !== 'verifier_untrusted')
        throw error;
      if (!(await this.learn(address, known.epoch))) throw error;
      return work(this.clientAt(address));
    }
  }

  private authorities(): { readonly x509: readonly Buffer[]; readonly epoch: number } | undefined {
    const known = this.options.authorities();
    const { learned } = this;
    return known !== undefined && (learned === undefined || learned.epoch <= known.epoch) ? known : learned;
  }

  /** Whether the root names other CAs than those we know. Never those of an epoch that is over. */
  private async learn(address: string, since = 0): Promise<boolean> {
    const { trust } = this.options;
    const { roles } = await findVerifier(urlOf(address), trust, this.now, undefined, {
      onDate: (seconds) => this.clocks.heard(seconds),
    });
    if (roles.epoch < since)
      throw new VerifierError(
        'verifier_untrusted',
        `${address}: its roles are of epoch ${roles.epoch}, known is ${since}`,
      );
    if (roles.epoch === since) return false;
    this.learned = roles;
    this.drop();
    return true;
  }

  private clientAt(address: string): VerifierClient {
    if (this.closed) throw new VerifierError('verifier_unreachable', 'the sidecar is stopping');
    const open = this.clients.get(address);
    if (open !== undefined) return open;
    const { trust, identity } = this.options;
    const client = new VerifierClient(
      {
        kind: 'https',
        url: urlOf(address),
        trustDomain: trust.trustDomain,
        authorities: this.authorities()?.x509 ?? [],
        identity: identity(),
      },
      { onDate: (seconds) => this.heard(address, seconds) },
    );
    this.clients.set(address, client);
    return client;
  }

  private heard(address: string, seconds: number): void {
    this.preferred = this.options.addresses.indexOf(address);
    this.contact = this.now;
    this.error = undefined;
    this.clocks.heard(seconds);
  }

  private get now(): number {
    return Math.floor(this.options.clock.now() / 1000);
  }

  /** Hears that connections are made anew. */
  onRenew(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Identity or CAs are others now: what was connected under the old ones ends. */
  renew(): void {
    this.drop();
    for (const listener of this.listeners) listener();
  }

  /** Nothing more is begun over these connections; a request under way, such as a renewal of two turns, may end on them. */
  private drop(): void {
    for (const client of this.clients.values()) {
      client.endStreams();
      this.retired.add(client);
      setTimeout(() => this.discard(client), RETIRED_MS).unref();
    }
    this.clients.clear();
  }

  private discard(client: VerifierClient): void {
    this.retired.delete(client);
    void client.close();
  }

  close(): void {
    this.closed = true;
    this.drop();
    for (const client of this.retired) this.discard(client);
  }
}

const urlOf = (address: string): string => `https://${address}`;
