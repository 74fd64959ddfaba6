/** How the decision log does: what was written, what could not be, and how long records wait. */
import type { ReasonCode } from '../../core/reasons.ts';
import { Histogram } from '../telemetry/series.ts';

/** Seconds. */
const WRITE_BOUNDS = [
  0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
];

export class AuditFigures {
  /** Since the start. */
  records = 0;
  bytes = 0;
  /** Batches that could not be written. */
  failures = 0;
  /** From the first record of a batch until all of it is written: what every request waits for. */
  readonly waits = new Histogram(WRITE_BOUNDS);
  /** Refusals before authentication. */
  readonly refusals = new Map<ReasonCode, number>();
  /** Milliseconds, monotonic; undefined while nothing waits. */
  private since: number | undefined;

  refused(reason: ReasonCode): void {
    this.refusals.set(reason, (this.refusals.get(reason) ?? 0) + 1);
  }

  /** A record waits, and none before it. */
  began(now: number): void {
    this.since = now;
  }

  /** The batch is on its way: returns since when it has waited. */
  taken(): number | undefined {
    const { since } = this;
    this.since = undefined;
    return since;
  }

  wrote(records: number, bytes: number): void {
    this.records += records;
    this.bytes += bytes;
  }

  /** What it wrote is durable as configured. */
  settled(since: number | undefined, now: number): void {
    if (since !== undefined) this.waits.observe((now - since) / 1000);
  }

  /** Seconds for which the oldest record that waits has waited. */
  lag(now: number): number {
    return this.since === undefined ? 0 : (now - this.since) / 1000;
  }
}
