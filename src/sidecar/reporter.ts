/** Tells the verifier what is enforced here and how hops went. One report at a time, none of them queued: a lost one is lost. */
import { type Report, reportEndpoints } from '../api/reports.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import type { HeldTrust } from '../edge/store/trust-state.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import { VerifierError } from '../edge/verifier/verifier-error.ts';
import type { VerifierLink } from '../edge/verifier/verifier-link.ts';
import type { Clock } from '../ports.ts';
import type { Evidence } from './evidence.ts';

export interface ReporterOptions {
  readonly link: VerifierLink;
  readonly trust: HeldTrust;
  readonly evidence: Evidence;
  readonly identity: () => SidecarIdentity;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Milliseconds. */
  readonly intervalMs?: number;
}

const INTERVAL_MS = 10_000;
/** Who has nothing to tell says so all the same: the verifier takes longer silence for absence. */
const MAX_SILENCE_SECONDS = 60;
/** Changes that come together are one report; and all sidecars don't report at one moment. */
const CHANGE_MS = 50;

export class Reporter {
  private readonly options: ReporterOptions;
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private soon: NodeJS.Timeout | undefined;
  private isSending = false;
  private since: number;
  /** What the verifier knows of what is enforced. */
  private reported = '';
  private reportedAt = 0;

  constructor(options: ReporterOptions) {
    this.options = options;
    this.since = this.now;
  }

  private get now(): number {
    return Math.floor(this.options.clock.now() / 1000);
  }

  start(): void {
    const { trust, intervalMs = INTERVAL_MS } = this.options;
    this.timer = setInterval(() => this.send(), intervalMs);
    this.timer.unref();
    trust.onChange(() => this.sendSoon());
    this.sendSoon();
  }

  private sendSoon(): void {
    if (this.stopping.signal.aborted) return;
    this.soon ??= setTimeout(
      () => {
        this.soon = undefined;
        this.send();
      },
      CHANGE_MS * (1 + Math.random()),
    ).unref();
  }

  private send(): void {
    const { evidence, trust } = this.options;
    if (trust.known === undefined) return;
    if (this.isSending) {
      this.sendSoon();
      return;
    }
    const enforced = this.enforced();
    const text = JSON.stringify(enforced);
    const isFresh = this.now - this.reportedAt < MAX_SILENCE_SECONDS;
    if (evidence.isEmpty && text === this.reported && isFresh) return;
    const body: Report = { ...enforced, ...this.moment(), ...evidence.take() };
    this.isSending = true;
    void this.post(body)
      .then((sent) => {
        if (!sent) return;
        this.reported = text;
        this.reportedAt = this.now;
      })
      .finally(() => {
        this.isSending = false;
      });
  }

  private enforced() {
    const { trust, identity, version } = this.options;
    const { bundle } = trust.last;
    const { svidNotAfter, key } = identity();
    const { policy, policyDigest } = bundle;
    return {
      version,
      bundle: { epoch: bundle.epoch, seq: bundle.seq, digest: bundle.digest },
      ...(policy !== undefined &&
        policyDigest !== undefined && { policy: { revision: policy.revision, digest: policyDigest } }),
      svidNotAfter,
      agentKey: key.thumbprint,
    };
  }

  private moment(): Pick<Report, 'freshAt' | 'from' | 'to'> {
    const from = this.since;
    this.since = this.now;
    return { freshAt: this.options.trust.last.freshAt, from, to: this.since };
  }

  /** Whether it has arrived. */
  private async post(body: Report): Promise<boolean> {
    const { link, log } = this.options;
    try {
      await link.run((client) => client.call(reportEndpoints.sendReport, { body }, this.stopping.signal));
      return true;
    } catch (error) {
      if (error instanceof VerifierError) log.debug({ reason: error.reason }, 'a report was lost');
      else log.error({ err: error }, 'a report could not be made');
      return false;
    }
  }

  stop(): void {
    clearInterval(this.timer);
    clearTimeout(this.soon);
    this.stopping.abort();
  }
}
