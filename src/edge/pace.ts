/** How fast somebody may go on asking for what costs the disk and the time of all. */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../ports.ts';

export interface PaceLimits {
  /** At once. */
  readonly burst: number;
  /** After that. */
  readonly perSecond: number;
}

/** Members that are remembered. Those that went slowly are the first to be forgotten, and nothing is lost with them. */
const MAX_MEMBERS = 20_000;

export class Pace {
  private readonly limits: PaceLimits;
  private readonly clock: Clock;
  private readonly spent = new LRUCache<string, { readonly count: number; readonly at: number }>({
    max: MAX_MEMBERS,
  });

  constructor(limits: PaceLimits, clock: Clock) {
    this.limits = limits;
    this.clock = clock;
  }

  /** Takes note of one more, or of a large one as of several; false when it is too much. */
  allows(member: string, weight = 1): boolean {
    const { burst, perSecond } = this.limits;
    const at = this.clock.monotonic();
    const was = this.spent.get(member);
    const left = was === undefined ? 0 : Math.max(0, was.count - ((at - was.at) / 1000) * perSecond);
    if (left + weight > burst) return false;
    this.spent.set(member, { count: left + weight, at });
    return true;
  }
}
