/** Figures and systems, for people and for programs. */
import { release } from 'node:os';
import { table } from '../../../src/cli/terminal.ts';
import { type Row, summaryOf } from './throughput.ts';

export interface Figure {
  /** null: it could not be measured, and `how` says why. */
  readonly value: number | boolean | null;
  readonly how: string;
}

export interface Report {
  readonly figures: Readonly<Record<string, Figure>>;
  readonly rows: readonly Row[];
  /** Peers that are not here, with why. */
  readonly skipped: Readonly<Record<string, string>>;
}

const AIMS: Readonly<Record<string, string>> = {
  throughput_vs_bare_proxy: '≥ 0.9',
  throughput_vs_nginx: '≥ 0.9',
  throughput_vs_nginx_auth_request: '≥ 3',
  hop_added_p50_ms: '≤ 0.25',
  idle_connection_kb: '≤ 40',
  soak_rss_growth: '≤ 1.1',
  start_to_ready_ms: '≤ 300',
  revocation_denies_next: 'true',
};

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits));

const machine = (): string => `Linux ${release()}, Node ${process.version}`;

export const printReport = ({ figures, rows, skipped }: Report): void => {
  if (rows.length > 0) {
    const heads = ['system', 'request', 'requests/s', 'CPU µs each', 'its core', 'load', 'what it is'];
    const cells = rows.map((row) => {
      const { perSecond, micros, share, loadShare } = summaryOf(row);
      const percent = (part: number): string => `${round(part * 100, 0)} %`;
      const numbers = [
        String(round(perSecond, 0)),
        String(round(micros, 1)),
        percent(share),
        percent(loadShare),
      ];
      return [row.system.name, row.request, ...numbers, row.system.note];
    });
    process.stdout.write(`${table(heads, cells)}\n\n`);
  }
  const lines = Object.entries(figures).map(([name, { value, how }]) => [
    name,
    value === null ? 'none' : String(value),
    AIMS[name] ?? '',
    how,
  ]);
  process.stdout.write(`${table(['figure', 'value', 'aim', 'how'], lines)}\n`);
  for (const [name, reason] of Object.entries(skipped))
    process.stdout.write(`left out: ${name}, ${reason}\n`);
  process.stdout.write(`${machine()}\n`);
};

export const printReportJson = ({ figures, rows, skipped }: Report): void => {
  const all = Object.entries(figures);
  const document = {
    figures: Object.fromEntries(all.map(([name, { value }]) => [name, value])),
    details: {
      how: Object.fromEntries(all.map(([name, { how }]) => [name, how])),
      aims: AIMS,
      systems: rows.map((row) => ({
        name: row.system.name,
        note: row.system.note,
        request: row.request,
        ...summaryOf(row),
        runs: row.runs,
      })),
      skipped,
      machine: machine(),
    },
  };
  process.stdout.write(`${JSON.stringify(document)}\n`);
};
