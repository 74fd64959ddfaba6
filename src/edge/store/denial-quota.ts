/**
 * Denials of callers that are known: each of them has a record, until one caller has been denied for one reason so often that
 * it could fill the disk with them, and so have everything denied (SPEC.md section 14). From there on they are summed up.
 */
import type { DecisionRecord, RefusalsRecord } from '../../core/audit/record.ts';
import type { Clock } from '../../ports.ts';
import { RefusalTally } from './refusal-tally.ts';

/** Callers and reasons that are told apart in one interval. */
const MOST_COUNTED = 20_000;

export class DenialQuota {
  private mostWhole: number;
  private readonly tally: RefusalTally;
  private whole = new Map<string, number>();

  /** `mostRows` are told apart in one record. */
  constructor(mostWhole: number, mostRows: number, clock: Clock) {
    this.mostWhole = mostWhole;
    this.tally = new RefusalTally(mostRows, clock);
  }

  follow(mostWhole: number, mostRows: number): void {
    this.mostWhole = mostWhole;
    this.tally.tellApart(mostRows);
  }

  /** Whether this one has a record of its own; else it was counted. */
  isWhole({ caller, reason }: Pick<DecisionRecord, 'caller' | 'reason'>): boolean {
    const key = `${caller} ${reason}`;
    const count = this.whole.get(key) ?? 0;
    if (count < this.mostWhole && (count > 0 || this.whole.size < MOST_COUNTED)) {
      this.whole.set(key, count + 1);
      return true;
    }
    this.tally.count(caller, reason);
    return false;
  }

  /** The record of those that had none since the last one, and a new interval. */
  take(): RefusalsRecord | undefined {
    if (this.whole.size > 0) this.whole = new Map();
    return this.tally.take();
  }
}
