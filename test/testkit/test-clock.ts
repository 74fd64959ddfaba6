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
    return Math.floor(this.now() / 1000);
  }

  advanceSeconds(seconds: number): void {
    this.milliseconds += seconds * 1000;
    this.ahead += seconds * 1000;
  }
}

/** One that goes with the wall clock: for a verifier whose callers are commands of their own, which know no other. */
export class WallClock extends TestClock {
  private readonly wall = Date.now();

  override now(): number {
    return super.now() + Date.now() - this.wall;
  }
}
