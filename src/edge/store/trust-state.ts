/** The trust in force: one snapshot that is replaced as a whole, whose replacement is heard, and that never goes back. */
import { CLOCK_SKEW_SECONDS } from '../../core/limits.ts';
import { type CompiledPolicy, compilePolicy } from '../../core/policy/evaluate.ts';
import type { Bundle, BundleOrder } from '../../core/trust/bundle.ts';
import { type Denial, deny, grant, type Verdict } from '../../core/verdict.ts';
import type { Clock, TrustPort, TrustSnapshot } from '../../ports.ts';
import { authoritiesPem } from '../tls/settings.ts';
import { orderOf } from './bundle-order.ts';
import { TrustError } from './trust-error.ts';

/** Trust as a sidecar holds it, wherever it comes from. */
export interface HeldTrust extends TrustPort {
  /** Even when it has expired or lacks a policy: what a sidecar needs to say so. Throws {@link TrustError} before the first. */
  readonly last: TrustSnapshot;
  /** As `last`, for who may come before the first. */
  readonly known: TrustSnapshot | undefined;
  /** Hears that another bundle or policy is in force; not of freshness. */
  onChange(listener: () => void): void;
}

export interface Freshness {
  /** Seconds: when this was last said to be the newest. */
  readonly freshAt: number;
  /** Seconds after that. */
  readonly maxStalenessSeconds: number;
}

/** Nothing is routed and nothing allowed by it. */
const NO_POLICY = compilePolicy({
  revision: '',
  limits: { maxDepth: 1, linkTtlSeconds: 1, callbacks: false, humanRoot: true, sessionSeconds: 1 },
  scopeSets: {},
  lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
  routes: [],
  rules: [],
  demands: [],
});

export class TrustState implements HeldTrust {
  private readonly clock: Clock;
  private readonly listeners: (() => void)[] = [];
  private snapshot: TrustSnapshot | undefined;
  private lacking: Denial | undefined = deny('policy_unavailable', 'no trust bundle has been received yet');
  private accepted: BundleOrder;
  private barred: Denial | undefined;

  /** `order` is that of the last bundle accepted, before this start. */
  constructor(clock: Clock, order: BundleOrder) {
    this.clock = clock;
    this.accepted = order;
  }

  /** Of the last bundle accepted: the next one must not be before it. */
  get order(): BundleOrder {
    return this.accepted;
  }

  get known(): TrustSnapshot | undefined {
    return this.snapshot;
  }

  get last(): TrustSnapshot {
    if (this.snapshot === undefined) throw new TrustError('no trust bundle has been received yet');
    return this.snapshot;
  }

  current(): Verdict<TrustSnapshot> {
    if (this.barred !== undefined) return this.barred;
    if (this.snapshot === undefined || this.lacking !== undefined)
      return this.lacking ?? deny('policy_unavailable', '');
    const { exp } = this.snapshot.bundle;
    const now = Math.floor(this.clock.now() / 1000);
    return now < exp + CLOCK_SKEW_SECONDS
      ? grant(this.snapshot)
      : deny('bundle_expired', `the trust bundle expired at ${exp}, it is ${now}`);
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Puts a verified bundle in force, and all who listen to work. Throws, and changes nothing, when TLS could not use its CAs. */
  replace(bundle: Bundle, policy: CompiledPolicy | undefined, freshness: Freshness): void {
    authoritiesPem(bundle.authorities);
    this.snapshot = {
      generation: (this.snapshot?.generation ?? 0) + 1,
      bundle,
      policy: policy ?? NO_POLICY,
      bundleName: `${bundle.epoch}.${bundle.seq}`,
      ...freshness,
    };
    this.lacking =
      policy === undefined
        ? deny('policy_unavailable', `bundle ${this.snapshot.bundleName} carries no policy`)
        : undefined;
    this.accepted = orderOf(bundle);
    for (const listener of this.listeners) listener();
  }

  /** With a denial nothing is permitted any more, whatever the bundle says; with undefined it is again. */
  bar(denial: Denial | undefined): void {
    if (this.barred?.reason === denial?.reason) return;
    this.barred = denial;
    if (denial !== undefined && this.snapshot !== undefined)
      for (const listener of this.listeners) listener();
  }

  /** The bundle in force was found to be the newest at `freshAt`, in seconds; nothing else changes. */
  refresh(freshAt: number): void {
    if (this.snapshot !== undefined && freshAt > this.snapshot.freshAt)
      this.snapshot = { ...this.snapshot, freshAt };
  }
}
