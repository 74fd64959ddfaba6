/**
 * Keeps the trust of a sidecar up to the verifier's: a stream that pushes, a poll behind it, and every fault said once.
 * What comes is only handed on; `VerifiedTrust` decides whether it counts.
 */
import { type TrustEvent, trustEndpoints } from '../../api/trust.ts';
import { type Denial, deny } from '../../core/verdict.ts';
import type { Clock } from '../../ports.ts';
import { systemClock } from '../clock.ts';
import { MemoryRelief } from '../memory.ts';
import type { Logger } from '../telemetry/log.ts';
import { Backoff, type Delays, delay, jittered } from './backoff.ts';
import { unpackBundle } from './packed-bundle.ts';
import type { VerifiedTrust } from './verified-trust.ts';
import { VerifierError } from './verifier-error.ts';
import type { VerifierLink } from './verifier-link.ts';

export interface TrustFeedOptions {
  readonly link: VerifierLink;
  readonly trust: VerifiedTrust;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Milliseconds. */
  readonly pollMs?: number;
  readonly delays?: Delays;
}

const POLL_MS = 30_000;
/** Milliseconds. */
const DELAYS: Delays = { first: 500, most: 30_000 };
/** Milliseconds: stream, poll and renewal each bring news, and what one of them has brought overtakes the others on their way. */
const OVERTAKEN_MS = 5000;
/** Refusals in which a clock may have its part. */
const OF_TIME = new Set(['bundle_expired', 'bundle_stale']);

/** Reading one takes ten times its size for a moment. */
const LARGE_BUNDLE_BYTES = 262_144;

export interface FeedState {
  readonly stream: 'live' | 'down';
  /** Of the last bundle or timestamp that was refused, since one was taken. */
  readonly refused: Denial | undefined;
}

export class TrustFeed {
  private readonly options: TrustFeedOptions;
  private readonly stopping = new AbortController();
  private stream = new AbortController();
  private isLive = false;
  private refused: Denial | undefined;
  private said = '';
  /** Milliseconds, monotonic: when something newer was last taken. */
  private takenAt = Number.NEGATIVE_INFINITY;
  private readonly memory = new MemoryRelief(() => this.monotonic);

  constructor(options: TrustFeedOptions) {
    this.options = options;
    // A stream under an SVID that has been replaced would end with it.
    options.link.onRenew(() => this.stream.abort());
  }

  get state(): FeedState {
    return { stream: this.isLive ? 'live' : 'down', refused: this.refused };
  }

  start(): void {
    void this.follow();
    void this.poll();
  }

  stop(): void {
    this.stopping.abort();
    this.stream.abort();
    this.memory.stop();
  }

  private get isStopped(): boolean {
    return this.stopping.signal.aborted;
  }

  private async follow(): Promise<void> {
    const { link, delays = DELAYS } = this.options;
    const backoff = new Backoff(delays);
    while (!this.isStopped) {
      const own = new AbortController();
      this.stream = own;
      try {
        await link.run(async (client) => {
          for await (const event of client.stream(trustEndpoints.streamTrust, {}, own.signal)) {
            if (!this.isLive)
              this.options.log.info({ verifier: link.state.address }, 'following the verifier');
            this.isLive = true;
            backoff.reset();
            await this.onEvent(event);
          }
        });
      } catch (error) {
        this.say(error, 'the verifier’s stream is down; polling goes on');
      }
      this.isLive = false;
      // A new identity: nothing has failed.
      if (!own.signal.aborted) await delay(backoff.next(), this.stopping.signal);
    }
  }

  private async onEvent(event: TrustEvent): Promise<void> {
    const { trust } = this.options;
    if (event.event === 'timestamp') {
      this.takeTimestamp(event.timestamp);
      return;
    }
    if (event.digest !== trust.digest) {
      if (event.packed === undefined) await this.fetch();
      else await this.takePacked(event.packed);
    }
    if (event.timestamp !== undefined) this.takeTimestamp(event.timestamp);
  }

  private async poll(): Promise<void> {
    const { pollMs = POLL_MS } = this.options;
    while (!this.isStopped) {
      try {
        await this.fetch();
      } catch (error) {
        this.say(error, 'the verifier can’t be asked; what is in force stays');
      }
      await delay(jittered(pollMs), this.stopping.signal);
    }
  }

  /** Asks for what is newest. Throws `VerifierError`. */
  async fetch(): Promise<void> {
    const { link, trust } = this.options;
    const news = await link.run((client) =>
      client.callTagged(trustEndpoints.getBundle, {}, trust.digest, this.stopping.signal),
    );
    if (news !== undefined) {
      await this.takePacked(news.answer.packed);
      if (news.answer.timestamp !== undefined) this.takeTimestamp(news.answer.timestamp);
      return;
    }
    // With a stream timestamps come by themselves.
    if (this.isLive) return;
    const { timestamp } = await link.run((client) =>
      client.call(trustEndpoints.getTimestamp, {}, this.stopping.signal),
    );
    this.takeTimestamp(timestamp);
  }

  /** A bundle as it travels. */
  async takePacked(packed: string): Promise<void> {
    const { trust, log } = this.options;
    const text = await unpackBundle(packed);
    if (text === undefined) {
      this.hear(deny('jws_structure', 'what was sent can’t be unpacked'), 'bundle');
      return;
    }
    const before = trust.digest;
    this.hear(trust.takeBundle(text), 'bundle');
    if (trust.digest === before) return;
    this.takenAt = this.monotonic;
    if (text.length >= LARGE_BUNDLE_BYTES) this.memory.soon();
    const { bundleName, policy } = trust.last;
    log.info({ bundle: bundleName, policy: policy.policy.revision }, 'trust bundle in force');
  }

  takeTimestamp(text: string): void {
    const { trust } = this.options;
    if (trust.known === undefined) return;
    const { freshAt } = trust.last;
    this.hear(trust.takeTimestamp(text), 'timestamp');
    if (trust.last.freshAt > freshAt) this.takenAt = this.monotonic;
  }

  private hear(denial: Denial | undefined, what: 'bundle' | 'timestamp'): void {
    if (denial?.reason === 'bundle_rollback' && this.isOvertaken) {
      this.options.log.debug({ detail: denial.detail }, `${what} came late; a newer one is in force`);
      return;
    }
    this.refused = denial;
    if (denial === undefined) {
      this.options.trust.bar(false);
      this.said = '';
      return;
    }
    const { log, link } = this.options;
    const { reason, detail } = denial;
    if (this.said === `${what} ${reason}`) return;
    this.said = `${what} ${reason}`;
    log.error(
      { reason, detail, ...(OF_TIME.has(reason) ? link.clocks.facts() : {}) },
      `${what} refused; the last good one is kept`,
    );
  }

  private get monotonic(): number {
    return (this.options.clock ?? systemClock).monotonic();
  }

  /** What is older than what has just been taken was on its way; who replays it says so again later. */
  private get isOvertaken(): boolean {
    return this.monotonic - this.takenAt < OVERTAKEN_MS;
  }

  /** Once for each fault, until something else is heard. */
  private say(error: unknown, what: string): void {
    if (this.isStopped) return;
    const { log, link, trust } = this.options;
    if (!(error instanceof VerifierError)) {
      log.error({ err: error }, what);
      return;
    }
    const { reason, message: detail } = error;
    if (reason === 'id_retired') trust.bar(true);
    if (this.said === reason) return;
    this.said = reason;
    log.warn(
      {
        reason,
        detail,
        addresses: link.state.addresses,
        ...(/clock/.test(detail) ? link.clocks.facts() : {}),
      },
      what,
    );
  }
}
