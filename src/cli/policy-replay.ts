/** `hopgate policy replay`: what another policy would have said of the decisions that are on record. */
import { Replay } from '../core/policy/analysis/replay.ts';
import {
  type ReplayCounts,
  type ReplayedHop,
  type ReplayReport,
  ReplayTally,
} from '../core/policy/analysis/replay-tally.ts';
import { type Command, EXIT } from './command.ts';
import { withFaultLines } from './command-faults.ts';
import { localDate, localTime, shortId } from './log-columns.ts';
import { policyInFile } from './policy-words.ts';
import {
  type CheckedLogs,
  checkLogs,
  LOG_OPTIONS,
  type LogOptions,
  recordsOf,
  soundness,
} from './recorded-logs.ts';
import { paint, print, printable, printError, printJson, table } from './terminal.ts';

interface ReplayOptions extends LogOptions {
  readonly policy: string;
  readonly base: string | undefined;
  readonly limit: number;
  readonly json: boolean;
}

/** Of requests and responses, as they are on record. */
const labelsIn = async (files: readonly string[]): Promise<ReadonlySet<string>> => {
  const labels = new Set<string>();
  for await (const record of recordsOf(files))
    if (record.kind === 'decision' || record.kind === 'outcome')
      for (const label of record.labels ?? []) labels.add(label);
  return labels;
};

const replayLogs = async (checked: CheckedLogs, { policy, base }: ReplayOptions): Promise<ReplayReport> => {
  const replay = new Replay(
    policyInFile(policy).policy,
    await labelsIn(checked.files),
    base === undefined ? undefined : policyInFile(base).policy,
  );
  const tally = new ReplayTally(replay);
  for await (const record of recordsOf(checked.files)) tally.take(record);
  return tally.report();
};

const CHANGES = ['denied', 'permitted', 'reason', 'unknown'] as const;
const TITLES: Readonly<Record<(typeof CHANGES)[number], string>> = {
  denied: 'newly denied',
  permitted: 'newly permitted',
  reason: 'denied for another reason',
  unknown: 'cannot tell',
};
const STYLES = { denied: 'red', permitted: 'yellow', reason: 'dim', unknown: 'cyan' } as const;

const idsOf = ({ changed }: ReplayReport, change: ReplayedHop['change']): readonly string[] =>
  changed.filter((one) => one.change === change).map(({ hop }) => hop);

const asJson = (report: ReplayReport, { signed }: CheckedLogs) => ({
  ok: true,
  signed,
  hops: report.hops,
  counts: report.counts,
  denied: idsOf(report, 'denied'),
  permitted: idsOf(report, 'permitted'),
  reasonChanged: idsOf(report, 'reason'),
  unknown: idsOf(report, 'unknown'),
  byRule: Object.fromEntries(report.byRule),
  byEdge: Object.fromEntries(report.byEdge),
  missing: Object.fromEntries(report.missing),
  changed: report.changed,
});

const name = (id: string): string => printable(shortId(id, id.split('/')[2] ?? ''));

const rowOf = ({ time, caller, callee, method, target, was, now, missing, hop }: ReplayedHop) => [
  `${localDate(time)} ${localTime(time)}`,
  `${name(caller)} → ${name(callee)}`,
  printable(`${method} ${target}`),
  was.verdict === 'permit' ? `permit ${printable(was.rule)}` : printable(was.reason),
  now === undefined
    ? `needs ${missing.join(', ')}`
    : now.verdict === 'permit'
      ? `permit ${printable(now.rule)}`
      : printable(now.rule === '' ? now.reason : `${now.reason} (${now.rule})`),
  printable(hop === '' ? '–' : hop),
];

const countRows = (counts: ReadonlyMap<string, ReplayCounts>): readonly (readonly string[])[] =>
  [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, count]) => [
      printable(key === '' ? '(no rule)' : key),
      ...CHANGES.map((change) => String(count[change])),
    ]);

const printReport = (report: ReplayReport, limit: number): void => {
  const { hops, counts, changed, byRule, byEdge, missing } = report;
  const total = CHANGES.reduce((sum, change) => sum + counts[change], 0);
  print(
    `${hops} hops: ${hops - total} as before, ${CHANGES.map((change) => `${counts[change]} ${TITLES[change]}`).join(', ')}`,
  );
  for (const change of CHANGES) {
    const rows = changed.filter((one) => one.change === change);
    if (rows.length === 0) continue;
    print(`\n${paint(STYLES[change], TITLES[change])}`);
    print(
      table(['WHEN', 'CALLER → CALLEE', 'WHAT', 'WAS', 'WOULD BE', 'HOP'], rows.slice(0, limit).map(rowOf)),
    );
    if (rows.length > limit) print(`… and ${rows.length - limit} more: --limit, or --json for all`);
  }
  if (total === 0) return;
  const heads = CHANGES.map((change) => TITLES[change].toUpperCase());
  print(`\n${table(['BY RULE', ...heads], countRows(byRule))}`);
  print(`\n${table(['BY EDGE', ...heads], countRows(byEdge))}`);
  if (missing.size > 0)
    print(`\nNo log holds: ${[...missing].map(([what, count]) => `${what} (${count})`).join(', ')}`);
};

export const replayCommand: Command = {
  name: 'replay <logs..>',
  describe: 'What a policy would have said of the decisions that are on record',
  options: (yargs) =>
    yargs
      .positional('logs', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'Log files of any sidecars',
      })
      .option('policy', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: 'The policy to try',
      })
      .option('base', {
        type: 'string',
        requiresArg: true,
        describe:
          'The policy under which they were recorded: what both say in the same words is not asked about',
      })
      .options(LOG_OPTIONS)
      .option('limit', {
        type: 'number',
        default: 50,
        requiresArg: true,
        describe: 'The most rows of each list',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'One JSON object, with the ids of all hops',
      })
      .example('$0 policy replay *.log --policy new.yaml', 'what would change')
      .example(
        '$0 policy replay a.log b.log --policy new.yaml --base old.yaml',
        'and less that can’t be told',
      )
      .example(
        '$0 policy replay *.log --policy new.yaml --json | jq .denied',
        'the hops that would be denied',
      )
      .epilogue(
        'Exits 0 whatever would change. A hop counts once, and is denied where either side would deny it. Headers, queries, arguments, scores and the life of links stand in no log: what hangs on them is listed as "cannot tell".',
      ),
  run: (given) =>
    withFaultLines(async () => {
      const options = given as unknown as ReplayOptions;
      const checked = await checkLogs(options);
      const report = await replayLogs(checked, options);
      if (options.json) printJson(asJson(report, checked));
      else {
        printReport(report, options.limit);
        printError(soundness(checked));
      }
      return EXIT.ok;
    }),
};
