/**
 * Figures in the Prometheus text format, 0.0.4. To count is to add to a number in an array; names, labels and text are made when
 * somebody asks. prom-client looks its labels up on every count, and takes 15 MiB of memory.
 */

/** Puts one series of a family: its value, and its labels as {@link labelled} writes them. */
export type Put = (value: number, labels?: string) => void;

/** The series of one name. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Less `le`. */
  readonly labels: readonly string[];
  /** What a series with these labels adds to the name; only histograms have any. */
  readonly write: (put: Put, putPart: (suffix: string, value: number, labels: string) => void) => void;
}

const escaped = (value: string): string =>
  value.toWellFormed().replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** `direction="inbound",reason="ok"` */
export const labelled = (labels: Readonly<Record<string, string | number>>): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(String(value))}"`)
    .join(',');

const formatted = (value: number): string =>
  Number.isNaN(value) ? 'NaN' : Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : '-Inf';

const HELP_ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n' };

/** All families, each name once. A reading that throws is the caller's fault and breaks the whole text. */
export const textOf = (families: readonly Family[]): string => {
  const lines: string[] = [];
  for (const { name, help, type, write } of families) {
    lines.push(
      `# HELP ${name} ${help.replaceAll(/[\\\n]/g, (one) => HELP_ESCAPES[one] ?? '')}`,
      `# TYPE ${name} ${type}`,
    );
    const put = (suffix: string, value: number, labels: string): void => {
      lines.push(`${name}${suffix}${labels === '' ? '' : `{${labels}}`} ${formatted(value)}`);
    };
    write((value, labels = '') => put('', value, labels), put);
  }
  return `${lines.join('\n')}\n`;
};

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** A gauge or counter that is read when somebody asks. */
export const readFamily = (
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  labels: readonly string[],
  write: (put: Put) => void,
): Family => ({ name, help, type, labels, write });

/** Counts by the value of one label, which this program chooses; what a peer says is none. */
export class Tally {
  private readonly counts = new Map<string, number>();

  add(value: string, amount = 1): void {
    this.counts.set(value, (this.counts.get(value) ?? 0) + amount);
  }

  /** `prefix`: labels that all of them have besides. */
  write(put: Put, label: string, prefix = ''): void {
    for (const [value, count] of this.counts)
      put(count, `${prefix === '' ? '' : `${prefix},`}${labelled({ [label]: value })}`);
  }
}

/** Counts of observations up to each bound. */
export class Histogram {
  private readonly bounds: Float64Array;
  /** One for each bound, and one for what is above all of them. */
  private readonly counts: Float64Array;
  private sum = 0;

  /** Ascending. */
  constructor(bounds: readonly number[]) {
    this.bounds = Float64Array.from(bounds);
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at++;
    counts[at] = (counts[at] as number) + 1;
    this.sum += value;
  }

  write(put: (suffix: string, value: number, labels: string) => void, labels = ''): void {
    const prefix = labels === '' ? '' : `${labels},`;
    let total = 0;
    for (const [at, count] of this.counts.entries()) {
      total += count;
      const bound = this.bounds[at];
      put('_bucket', total, `${prefix}le="${bound === undefined ? '+Inf' : formatted(bound)}"`);
    }
    put('_sum', this.sum, labels);
    put('_count', total, labels);
  }
}

/** A family of histograms, by their labels. */
export const histogramFamily = (
  name: string,
  help: string,
  labels: readonly string[],
  members: () => Iterable<readonly [labels: string, histogram: Histogram]>,
): Family => ({
  name,
  help,
  type: 'histogram',
  labels,
  write: (_, put) => {
    for (const [text, histogram] of members()) histogram.write(put, text);
  },
});
