/**
 * Leaves in peace what doesn't answer. Cockatiel and Opossum were looked at and not taken: both count exceptions, where our denials
 * are values, read the clock themselves, and are 400 KiB for what is a page here.
 */
import type { Clock } from '../ports.ts';

export interface BreakerLimits {
  /** In a row. */
  readonly failures: number;
  readonly coolDownMs: number;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

/** Says how an attempt ended; `untried`: it says nothing of whether there is an answer. */
export type Attempt = (outcome: 'answered' | 'failed' | 'untried') => void;

export class Breaker {
  private readonly limits: BreakerLimits;
  private readonly clock: Clock;
  private failed = 0;
  /** Milliseconds, monotonic; undefined while closed. */
  private openedAt: number | undefined;
  private probing = false;

  constructor(limits: BreakerLimits, clock: Clock) {
    this.limits = limits;
    this.clock = clock;
  }

  get state(): BreakerState {
    if (this.openedAt === undefined) return 'closed';
    return this.isCool(this.openedAt) ? 'half-open' : 'open';
  }

  /** Whether {@link begin} would let one try now. */
  get canBegin(): boolean {
    const { openedAt } = this;
    return openedAt === undefined || (!this.probing && this.isCool(openedAt));
  }

  /** Undefined: don't. Otherwise the caller says how it went, exactly once. */
  begin(): Attempt | undefined {
    const { openedAt } = this;
    if (openedAt === undefined) return (outcome) => this.end(outcome, undefined);
    if (!this.canBegin) return undefined;
    this.probing = true;
    return (outcome) => {
      this.probing = false;
      this.end(outcome, openedAt);
    };
  }

  private isCool(openedAt: number): boolean {
    return this.clock.monotonic() - openedAt >= this.limits.coolDownMs;
  }

  /** What began before it opened, and ends after, changes nothing: only the probe closes it. */
  private end(outcome: Parameters<Attempt>[0], begunIn: number | undefined): void {
    if (begunIn !== this.openedAt || outcome === 'untried') return;
    if (outcome === 'answered') {
      this.failed = 0;
      this.openedAt = undefined;
      return;
    }
    this.failed++;
    if (begunIn !== undefined || this.failed >= this.limits.failures) this.openedAt = this.clock.monotonic();
  }
}
