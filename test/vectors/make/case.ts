/** One vector. `expect.reason` is `ok` or a reason code. */
export interface Case {
  /** What is wrong, in words. */
  readonly comment: string;
  /** Section of src/core/SPEC.md. */
  readonly source: string;
  /** Seconds. */
  readonly now: number;
  readonly input: Readonly<Record<string, unknown>>;
  readonly expect: Readonly<Record<string, unknown>> & { readonly reason: string };
}

/** The clock of every vector that doesn't say otherwise: 2027-01-15T08:00:00Z. */
export const NOW = 1_800_000_000;
