/** How a duration is spread: what the bench prints, and what it holds against its aims. */

export interface Distribution {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** The least value that at least this share of all does not exceed. */
const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;

export const distributionOf = (values: readonly number[]): Distribution => {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    count: sorted.length,
    p50: percentile(sorted, 0.5),
    p90: percentile(sorted, 0.9),
    p99: percentile(sorted, 0.99),
    max: percentile(sorted, 1),
  };
};

/** Milliseconds on the one monotonic clock of this machine (CLOCK_MONOTONIC), the same in every process. */
export const machineMs = (): number => Number(process.hrtime.bigint()) / 1e6;
