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
/** Of the quiet time: who uses more than that has something to do. */
const IDLE_SHARE = 0.05;

/** Whether the process has done next to nothing since it was asked last; counts from when it is made. */
export const idleness = (
  monotonic: () => number,
  cpuMs = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
): (() => boolean) => {
  let [at, used] = [monotonic(), cpuMs()];
  return () => {
    const [now, usedNow] = [monotonic(), cpuMs()];
    const isIdle = usedNow - used < IDLE_SHARE * (now - at);
    [at, used] = [now, usedNow];
    return isIdle;
  };
};

/**
 * Releases what large work has left behind, once nothing more of it comes for a moment, and not more than once in ten seconds. Left to
 * itself V8 keeps some 40 MiB after a bundle of 2 MB, for as long as the process lives.
 */
export class MemoryRelief {
  private readonly monotonic: () => number;
  private readonly release: () => void;
  private readonly mayPause: () => boolean;
  private timer: NodeJS.Timeout | undefined;
  private last = Number.NEGATIVE_INFINITY;

  /** `monotonic` in milliseconds. `mayPause`: whether a pause would do no harm now; where it would, it is asked again and again. */
  constructor(
    monotonic: () => number,
    release: () => void = releaseMemory,
    mayPause: () => boolean = () => true,
  ) {
    this.monotonic = monotonic;
    this.release = release;
    this.mayPause = mayPause;
  }

  /** Something large is done with. */
  soon(): void {
    clearTimeout(this.timer);
    const apart = this.last + APART_MS - this.monotonic();
    this.timer = setTimeout(this.onTimer, Math.max(QUIET_MS, apart));
    this.timer.unref();
  }

  private readonly onTimer = (): void => {
    if (!this.mayPause()) {
      this.soon();
      return;
    }
    this.last = this.monotonic();
    this.release();
  };

  stop(): void {
    clearTimeout(this.timer);
  }
}
