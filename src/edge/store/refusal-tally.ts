/** Refusals summed up by source: those before authentication, so that nobody can fill the log from outside (SPEC.md section 14). */
import type { Outcome, RefusalsRecord } from '../../core/audit/record.ts';
import type { Clock } from '../../ports.ts';

const OTHER = 'other';

export class RefusalTally {
  private most: number;
  private readonly clock: Clock;
  private counts = new Map<string, { source: string; reason: Outcome; count: number }>();
  private from: number;

  /** `most` rows are told apart; the rest is counted as "other", by reason. */
  constructor(most: number, clock: Clock) {
    this.most = most;
    this.clock = clock;
    this.from = clock.now();
  }

  tellApart(most: number): void {
    this.most = most;
  }

  count(source: string, reason: Outcome): void {
    const row = this.counts.get(`${source} ${reason}`);
    if (row !== undefined) row.count++;
    else if (source === OTHER || this.counts.size < this.most)
      this.counts.set(`${source} ${reason}`, { source, reason, count: 1 });
    else this.count(OTHER, reason);
  }

  /** The record of the time since the last one; `undefined` when nobody was refused. */
  take(): RefusalsRecord | undefined {
    const { from } = this;
    const to = this.clock.now();
    this.from = to;
    if (this.counts.size === 0) return undefined;
    const sources = [...this.counts.values()].map(({ source, reason, count }) => ({ count, reason, source }));
    this.counts = new Map();
    return { from, kind: 'refusals', sources, to };
  }
}
