/** The table of docs/metrics.md, from the very families that a sidecar answers with. */
import { ProcessFigures } from '../src/edge/telemetry/process-figures.ts';
import type { Family } from '../src/edge/telemetry/series.ts';
import type { FigureSources } from '../src/sidecar/figures.ts';
import { SidecarMetrics } from '../src/sidecar/metrics.ts';

const BEGIN = '<!-- made by npm run gen -->';
const END = '<!-- end -->';

/** Nothing is asked of a family but its name. */
const NOTHING = new Proxy({}, { get: () => undefined }) as never;

/** Of a sidecar with everything on. */
export const documentedFamilies = (): readonly Family[] => {
  const metrics = new SidecarMetrics({
    config: { listen: 'off' },
    clock: NOTHING,
    log: NOTHING,
    points: NOTHING,
  });
  const ofProcess = new ProcessFigures();
  ofProcess.stop();
  return [...metrics.families({} as FigureSources), ...ofProcess.families];
};

const rowOf = ({ name, type, labels, help }: Family): string =>
  `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help.replaceAll('|', '\\|')} |`;

/** `page` with its table as it should be. Throws where the page has no place for it. */
export const withMetricsTable = (page: string): string => {
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from === -1 || to < from) throw new Error(`docs/metrics.md has no ${BEGIN} … ${END}`);
  const table = [
    '| metric | type | labels | meaning |',
    '|---|---|---|---|',
    ...documentedFamilies().map(rowOf),
  ];
  return `${page.slice(0, from)}${BEGIN}\n${table.join('\n')}\n${page.slice(to)}`;
};
