/** Waiting between attempts: longer each time, and never all sidecars at once. */
import { setTimeout as wait } from 'node:timers/promises';

/** Milliseconds. */
export interface Delays {
  readonly first: number;
  readonly most: number;
}

/** Somewhere between three quarters of a time and five quarters. */
export const jittered = (milliseconds: number): number => milliseconds * (0.75 + Math.random() / 2);

/** Doubles from `first` to `most`, jittered. */
export class Backoff {
  private readonly delays: Delays;
  private attempts = 0;

  constructor(delays: Delays) {
    this.delays = delays;
  }

  /** Milliseconds until the next attempt. */
  next(): number {
    const { first, most } = this.delays;
    const step = Math.min(first * 2 ** this.attempts, most);
    // Beyond this the exponent only grows.
    this.attempts = Math.min(this.attempts + 1, 32);
    return jittered(step);
  }

  reset(): void {
    this.attempts = 0;
  }
}

/** Resolves after a time, or when `signal` says so; holds no process. */
export const delay = async (milliseconds: number, signal: AbortSignal): Promise<void> => {
  await wait(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
};
