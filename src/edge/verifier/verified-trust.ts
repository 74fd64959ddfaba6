/** Bundle and policy from the verifier: each verified before it counts, in force before it is on disk, and never an older one. */
import { parseJws } from '../../core/encoding/jws.ts';
import { CLOCK_SKEW_SECONDS } from '../../core/limits.ts';
import { type CompiledPolicy, compilePolicy } from '../../core/policy/evaluate.ts';
import { freshnessOf, verifyBundle } from '../../core/trust/bundle.ts';
import { verifyTimestamp } from '../../core/trust/timestamp.ts';
import { type Denial, deny, type Verdict } from '../../core/verdict.ts';
import type { Clock, TrustSnapshot } from '../../ports.ts';
import { type HeldTrust, TrustState } from '../store/trust-state.ts';
import { authoritiesPem } from '../tls/settings.ts';
import type { TrustRoot } from './enrolment.ts';
import { KeptTrust } from './kept-trust.ts';

export interface VerifiedTrustOptions {
  readonly trust: TrustRoot;
  readonly clock: Clock;
  /** Where the last bundle is kept; it exists. */
  readonly directory: string;
  /** A folder that has a bundle for the first start, as `hopgate join` writes it. */
  readonly seed?: string | undefined;
  /** Hears of a disk that doesn't take it, and with undefined that it does again. */
  readonly onDiskFault: (error: Error | undefined) => void;
}

export class VerifiedTrust implements HeldTrust {
  private readonly options: VerifiedTrustOptions;
  private readonly kept: KeptTrust;
  private readonly state: TrustState;
  private bundleText = '';
  private timestampText: string | undefined;
  /** Seconds: `iat` of the last timestamp taken for the bundle in force. */
  private since = 0;
  /** Why what was on disk is not in force. */
  readonly keptFault: Denial | undefined;

  /** Takes up the bundle that is on disk, verified anew. Throws `TrustError` when the order on disk is damaged. */
  constructor(options: VerifiedTrustOptions) {
    this.options = options;
    this.kept = new KeptTrust(options.directory, options.seed, options.onDiskFault);
    const { order, bundle, timestamp } = this.kept.read();
    this.state = new TrustState(options.clock, order);
    this.keptFault = bundle === undefined ? undefined : this.take(bundle);
    if (timestamp !== undefined && this.state.known !== undefined) this.takeKeptTimestamp(timestamp);
  }

  current(): Verdict<TrustSnapshot> {
    return this.state.current();
  }

  get last(): TrustSnapshot {
    return this.state.last;
  }

  get known(): TrustSnapshot | undefined {
    return this.state.known;
  }

  /** Of the bundle in force. */
  get digest(): string | undefined {
    return this.state.known?.bundle.digest;
  }

  /** The root's epoch, of which no earlier one is believed. */
  get epoch(): number {
    return this.state.order.epoch;
  }

  onChange(listener: () => void): void {
    this.state.onChange(listener);
  }

  /** Puts a bundle in force if it holds. Refuses as `verifyBundle` does, and the one before stays. */
  takeBundle(text: string): Denial | undefined {
    if (text === this.bundleText) return undefined;
    const denial = this.take(text);
    if (denial === undefined) this.keep();
    return denial;
  }

  private take(text: string): Denial | undefined {
    const { trust, clock } = this.options;
    const verified = verifyBundle(text, {
      ...trust,
      last: this.state.order,
      now: Math.floor(clock.now() / 1000),
    });
    if (!verified.ok) return verified;
    const bundle = verified.value;
    const { policy, lists } = bundle;
    let compiled: CompiledPolicy | undefined;
    try {
      authoritiesPem(bundle.authorities);
      compiled = policy === undefined ? undefined : compilePolicy(policy, lists);
    } catch (error) {
      return deny('claim_invalid', (error as Error).message);
    }
    this.bundleText = text;
    this.timestampText = undefined;
    this.since = 0;
    this.state.replace(bundle, compiled, freshnessOf(bundle, policy?.limits ?? {}));
    return undefined;
  }

  /** Notes that the bundle in force is the newest. Refuses as `verifyTimestamp` does. */
  takeTimestamp(text: string): Denial | undefined {
    if (text === this.timestampText) return undefined;
    const { bundle } = this.state.last;
    const timestamp = verifyTimestamp(text, bundle, this.since, Math.floor(this.options.clock.now() / 1000));
    if (!timestamp.ok) return timestamp;
    this.noteTimestamp(text, timestamp.value.iat);
    this.keep();
    return undefined;
  }

  /** One that was taken before this start says how fresh the bundle was then, though nobody would be given it any more. */
  private takeKeptTimestamp(text: string): void {
    const now = Math.floor(this.options.clock.now() / 1000);
    const parsed = parseJws(text, 'timestamp+jwt');
    const iat = parsed.ok ? parsed.value.payload.iat : undefined;
    if (typeof iat !== 'number' || iat > now + CLOCK_SKEW_SECONDS) return;
    const timestamp = verifyTimestamp(text, this.state.last.bundle, 0, iat);
    if (timestamp.ok) this.noteTimestamp(text, timestamp.value.iat);
  }

  private noteTimestamp(text: string, iat: number): void {
    this.timestampText = text;
    this.since = iat;
    this.state.refresh(iat);
  }

  private keep(): void {
    this.kept.keep({ bundle: this.bundleText, timestamp: this.timestampText, order: this.state.order });
  }

  /** The verifier says that this agent is nobody any more: it gets no bundle that would say so. With false it is one again. */
  bar(isBarred: boolean): void {
    this.state.bar(
      isBarred
        ? deny('revoked_agent', 'the verifier says that this agent was retired or revoked')
        : undefined,
    );
  }

  /** Resolves when what is in force is on disk, or the disk has refused it. */
  settled(): Promise<void> {
    return this.kept.settled();
  }
}
