/** How fast somebody may go on asking for what costs others something: a bucket each, that empties with time. */
import { LRUCache } from 'lru-cache';
import { upTo } from '../core/lru.ts';
import type { Clock } from '../ports.ts';

export interface PaceLimits {
  /** At once. */
  readonly burst: number;
  /** After that. */
  readonly perSecond: number;
}

/** Members that are remembered. Those that went slowly are the first to be forgotten, and nothing is lost with them. */
const MAX_MEMBERS = 20_000;

/** What a member has asked for and time has not taken from it yet, as of `at` (milliseconds, monotonic). */
interface Spent {
  count: number;
  at: number;
}

export class Pace {
  private readonly limits: PaceLimits;
  private readonly clock: Clock;
  private readonly members: LRUCache<string, Spent>;

  constructor(limits: PaceLimits, clock: Clock, maxMembers = MAX_MEMBERS) {
    this.limits = limits;
    this.clock = clock;
    this.members = new LRUCache(upTo(maxMembers));
  }

  /** Takes note of one more, or of a large one as of several; false when it is too much. */
  allows(member: string, weight = 1): boolean {
    return this.take(member, weight) === 0;
  }

  /** The same, with the milliseconds until it would not be too much; 0: it was taken note of. */
  take(member: string, weight = 1): number {
    return this.takeWithin(member, weight, this.limits.burst - weight);
  }

  /**
   * As long as the member owes nothing, whatever the weight, which it then owes: for what is allowed at any size, but not one
   * after the other.
   */
  takeOnCredit(member: string, weight: number): number {
    return this.takeWithin(member, weight, this.limits.burst);
  }

  /** What is only known afterwards. */
  charge(member: string, weight: number): void {
    this.spentBy(member).count += weight;
  }

  private takeWithin(member: string, weight: number, most: number): number {
    const spent = this.spentBy(member);
    if (spent.count > most) return Math.ceil(((spent.count - most) / this.limits.perSecond) * 1000);
    spent.count += weight;
    return 0;
  }

  private spentBy(member: string): Spent {
    const at = this.clock.monotonic();
    const known = this.members.get(member);
    if (known === undefined) {
      const fresh = { count: 0, at };
      this.members.set(member, fresh);
      return fresh;
    }
    known.count = Math.max(0, known.count - ((at - known.at) / 1000) * this.limits.perSecond);
    known.at = at;
    return known;
  }
}
