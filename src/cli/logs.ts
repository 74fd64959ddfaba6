/** `hopgate logs`: what a sidecar decided, as it decides it. */
import { type AuditRecord, readRecordLine } from '../core/audit/read-record.ts';
import type { Direction } from '../core/audit/record.ts';
import { followLines } from '../edge/store/log-follower.ts';
import { decodeLine, type LogLine, mergeByTime, readLines } from '../edge/store/log-reader.ts';
import { type Command, EXIT, type ExitCode } from './command.ts';
import { LineOutput } from './line-output.ts';
import { LogColumns } from './log-columns.ts';
import { checkReadable } from './log-file.ts';
import { LogSelection, parseReason, parseSince } from './log-filter.ts';
import { printable, printError } from './terminal.ts';

interface LogsOptions {
  readonly files: readonly string[];
  readonly follow: boolean;
  readonly json: boolean;
  readonly wide: boolean;
  readonly outcomes: boolean;
  readonly verdict?: 'permit' | 'deny';
  readonly task?: string;
  readonly agent?: string;
  readonly reason?: string;
  readonly direction?: Direction;
  readonly since?: string;
  readonly flag?: string;
  readonly label?: string;
  readonly shadow: boolean;
  readonly observed: boolean;
}

export const command: Command = {
  name: 'logs <files..>',
  describe: 'Show or follow decision logs',
  options: (yargs) =>
    yargs
      .positional('files', { type: 'string', array: true, demandOption: true, describe: 'Log files' })
      .option('follow', { alias: 'f', type: 'boolean', default: false, describe: 'Go on as the logs grow' })
      .option('verdict', { choices: ['permit', 'deny'] as const, describe: 'Only permits, or only denials' })
      .option('task', { type: 'string', describe: 'Only this task (its id, or how it begins)' })
      .option('agent', { type: 'string', describe: 'Only where an agent’s ID contains this' })
      .option('reason', { type: 'string', describe: 'Only this reason code' })
      .option('direction', { choices: ['inbound', 'outbound'] as const, describe: 'Only one side of hops' })
      .option('flag', { type: 'string', describe: 'Only what this rule has marked' })
      .option('label', { type: 'string', describe: 'Only data with this label' })
      .option('shadow', {
        type: 'boolean',
        default: false,
        describe: 'Only where a rule in shadow would have had a say',
      })
      .option('observed', {
        type: 'boolean',
        default: false,
        describe: 'Only what was let through because its route is observed',
      })
      .option('since', { type: 'string', describe: 'Only since then: 10m, 2h, 1d or 2026-11-20T13:59' })
      .option('outcomes', { type: 'boolean', default: false, describe: 'How permitted requests ended, too' })
      .option('wide', { type: 'boolean', default: false, describe: 'Full IDs, task, hop and rule' })
      .option('json', { type: 'boolean', default: false, describe: 'The lines of the log, unchanged' })
      .example('$0 logs -f audit.log', 'follow what the sidecar decides')
      .example('$0 logs --verdict deny --since 1h *.log', 'what was refused in the last hour, anywhere')
      .example(
        '$0 logs --observed *.log',
        'what would be denied, were it in force; --shadow: by single rules',
      )
      .example('$0 logs --task Zk3 --outcomes a.log b.log', 'one task through two sidecars')
      .example('$0 logs --json --agent inventory a.log | jq .target', 'for programs'),
  run: (options) => run(options as unknown as LogsOptions),
};

interface Entry {
  readonly line: LogLine;
  readonly record: AuditRecord | undefined;
  readonly fault: string | undefined;
}

const run = async (options: LogsOptions): Promise<ExitCode> => {
  const selection = new LogSelection({
    ...options,
    reason: options.reason === undefined ? undefined : parseReason(options.reason),
    since: options.since === undefined ? undefined : parseSince(options.since, Date.now()),
  });
  if (!options.follow) for (const file of options.files) await checkReadable(file);
  const columns = new LogColumns({ terminalColumns: terminalColumns(), wide: options.wide });
  const output = new LineOutput();
  if (!options.json && process.stdout.isTTY) await output.line(columns.header());

  for await (const { line, record, fault } of entries(options, output.signal)) {
    if (output.signal.aborted) break;
    if (record === undefined) {
      printError(`${printable(line.path)}:${line.number}: ${fault}`);
      continue;
    }
    const shown = selection.select(record);
    if (shown === undefined) continue;
    if (options.json) await output.line(line.octets);
    else for (const text of columns.lines(shown)) await output.line(text);
  }
  return EXIT.ok;
};

const terminalColumns = (): number | undefined => (process.stdout.isTTY ? process.stdout.columns : undefined);

const entries = (options: LogsOptions, signal: AbortSignal): AsyncIterable<Entry> => {
  if (!options.follow)
    return mergeByTime(
      options.files.map((file) => readEntries(readLines(file))),
      ({ record }) => record?.time,
    );
  const notice = (path: string, what: string): void => printError(`${printable(path)} ${what}`);
  const timeOf = (line: LogLine): number | undefined => entryOf(line).record?.time;
  return readEntries(followLines(options.files, { signal, timeOf, notice }));
};

async function* readEntries(lines: AsyncIterable<LogLine>): AsyncGenerator<Entry> {
  for await (const line of lines) yield entryOf(line);
}

const entryOf = (line: LogLine): Entry => {
  if (line.state === 'unfinished') return { line, record: undefined, fault: 'an unfinished write' };
  const text = line.state === 'oversize' ? undefined : decodeLine(line);
  if (text === undefined) return { line, record: undefined, fault: 'not a record (too long, or not UTF-8)' };
  const record = readRecordLine(text);
  return record.ok
    ? { line, record: record.value, fault: undefined }
    : { line, record: undefined, fault: `not a record (${record.detail})` };
};
