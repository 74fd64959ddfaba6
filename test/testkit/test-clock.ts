/** A clock that goes only when it is told to. It starts at the wall clock, which TLS looks at. */
import type { Clock } from '../../src/ports.ts';

export class TestClock implements Clock {
  private milliseconds: number;
  private readonly started = performance.now();
  private ahead = 0;

  constructor(milliseconds = Date.now()) {
    this.milliseconds = milliseconds;
  }

  now(): number {
    return this.milliseconds;
  }

  /** Goes on by itself too: durations are measured with it. */
  monotonic(): number {
    return performance.now() - this.started + this.ahead;
  }

  get seconds(): number {
    return Math.floor(this.milliseconds / 1000);
  }

  advanceSeconds(seconds: number): void {
    this.milliseconds += seconds * 1000;
    this.ahead += seconds * 1000;
  }
}
