/** Memory that the process has needed for a moment, given back to the system. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: Record<string, string>) => void;
let known: Collect | undefined;

const collector = (): Collect => {
  if (known !== undefined) return known;
  setFlagsFromString('--expose-gc');
  known = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return known;
};

/**
 * Collects once, thoroughly: half of what a fresh process holds is what its modules were compiled from.
 * Costs some 20 ms; call it where a pause does no harm.
 */
export const releaseMemory = (): void =>
  collector()({ type: 'major', execution: 'sync', flavor: 'last-resort' });

/** Milliseconds. */
const QUIET_MS = 2000;
const APART_MS = 10_000;

/**
 * Releases what large work has left behind, once nothing more of it comes for a moment, and not more than once in ten seconds. Left to
 * itself V8 keeps some 40 MiB after a bundle of 2 MB, for as long as the process lives.
 */
export class MemoryRelief {
  private readonly monotonic: () => number;
  private readonly release: () => void;
  private timer: NodeJS.Timeout | undefined;
  private last = Number.NEGATIVE_INFINITY;

  /** `monotonic` in milliseconds. */
  constructor(monotonic: () => number, release: () => void = releaseMemory) {
    this.monotonic = monotonic;
    this.release = release;
  }

  /** Something large is done with. */
  soon(): void {
    clearTimeout(this.timer);
    const apart = this.last + APART_MS - this.monotonic();
    this.timer = setTimeout(
      () => {
        this.last = this.monotonic();
        this.release();
      },
      Math.max(QUIET_MS, apart),
    );
    this.timer.unref();
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}
