/** Whose clock is wrong: what a sidecar can tell when something signed is from the future, or has expired when it comes. */
import { CLOCK_SKEW_SECONDS } from '../../core/limits.ts';
import type { Clock } from '../../ports.ts';

export class ClockCompare {
  private readonly clock: Clock;
  /** Seconds that the verifier's clock was ahead of ours when it last spoke. */
  private ahead: number | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Seconds: the verifier's time, as it has just said it. */
  heard(seconds: number): void {
    this.ahead = seconds - Math.floor(this.clock.now() / 1000);
  }

  /** For a log line: both times in seconds, and in words how they differ. */
  facts(): { readonly now: number; readonly verifierNow?: number; readonly clocks: string } {
    const now = Math.floor(this.clock.now() / 1000);
    if (this.ahead === undefined)
      return { now, clocks: 'the verifier has not said what time it is there; compare both clocks' };
    return { now, verifierNow: now + this.ahead, clocks: this.words(this.ahead) };
  }

  private words(ahead: number): string {
    if (Math.abs(ahead) <= CLOCK_SKEW_SECONDS)
      return 'both clocks agree: what was received is old, or was made by a clock that is wrong';
    return `this machine’s clock is ${Math.abs(ahead)} s ${ahead > 0 ? 'behind' : 'ahead of'} the verifier’s`;
  }
}
