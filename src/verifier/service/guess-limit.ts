/** How many wrong secrets one source may bring: a fixed table, so that nobody can fill memory with addresses. */
import { hash, randomBytes } from 'node:crypto';
import { networkOf } from '../../edge/network-of.ts';
import type { Clock } from '../../ports.ts';

const SLOTS = 4096;

export interface GuessLimits {
  /** Wrong ones at once. */
  readonly burst: number;
  /** One more after so long. */
  readonly refillSeconds: number;
}

/**
 * Only what is wrong counts, after it was found wrong; a source that asks many times at once goes into debt for them. Sources
 * that share a slot share its allowance: the table's key is secret, so that nobody can choose whose.
 */
export class GuessLimit {
  private readonly limits: GuessLimits;
  private readonly clock: Clock;
  private readonly key = randomBytes(16).toString('hex');
  /** Wrong ones that are not forgiven yet, as of the time beside them. */
  private readonly wrong = new Float64Array(SLOTS);
  private readonly since = new Float64Array(SLOTS);

  constructor(limits: GuessLimits, clock: Clock) {
    this.limits = limits;
    this.clock = clock;
  }

  /** Whether this source may bring another one. */
  allows(source: string): boolean {
    return this.standing(this.slotOf(source)) + 1 <= this.limits.burst;
  }

  /** A secret from this source was wrong. */
  countWrong(source: string): void {
    const slot = this.slotOf(source);
    this.wrong[slot] = this.standing(slot) + 1;
    this.since[slot] = this.clock.monotonic();
  }

  private slotOf(source: string): number {
    return Number.parseInt(hash('sha256', this.key + networkOf(source)).slice(0, 8), 16) % SLOTS;
  }

  private standing(slot: number): number {
    const seconds = (this.clock.monotonic() - (this.since[slot] ?? 0)) / 1000;
    return Math.max(0, (this.wrong[slot] ?? 0) - seconds / this.limits.refillSeconds);
  }
}
