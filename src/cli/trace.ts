/** `hopgate trace`: who did what on whose behalf in one task. */
import { readRecordLine } from '../core/audit/read-record.ts';
import { type Trace, TraceBuilder } from '../core/audit/trace.ts';
import { decodeLine, readLines } from '../edge/store/log-reader.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { checkReadable, placeOf, progressOf } from './log-file.ts';
import { paint, print, printable, printError, printJson } from './terminal.ts';
import { renderTrace } from './trace-tree.ts';

interface TraceOptions {
  readonly task: string;
  readonly files: readonly string[];
  readonly principal?: string;
  readonly json: boolean;
}

export const command: Command = {
  name: 'trace [task] [files..]',
  describe: 'Show the delegation tree of a task',
  options: (yargs) =>
    yargs
      .usage('$0 trace <task> <files..>\n\nShow the delegation tree of a task.')
      // One in 64 task ids begins with "-"; what stands behind "--" is kept apart by yargs.
      .parserConfiguration({ 'populate--': true })
      .positional('task', { type: 'string', describe: 'Task id, or how it begins' })
      .positional('files', { type: 'string', array: true, describe: 'Log files' })
      .option('principal', {
        type: 'string',
        describe: 'Whose task, where several principals have one that begins so',
      })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 trace Zk3 *.log', 'who acted in that task, and on whose authority')
      .example('$0 trace Zk3 --principal mailto:alice@company.com *.log', 'hers, not another’s')
      .example('$0 trace --json Zk3 *.log | jq .actions', 'for programs')
      .epilogue(
        'It shows what the logs say; "hopgate audit verify" checks that they are whole. A task id that begins with "-" goes behind "--".',
      ),
  run: (options) => {
    const { '--': behind = [], ...given } = options as unknown as TraceOptions & { readonly '--'?: string[] };
    const [task, ...files] = [...(given.task === undefined ? [] : [given.task]), ...given.files, ...behind];
    if (task === undefined || task === '' || files.length === 0)
      throw new CommandError('name a task and at least one log file', EXIT.usage);
    return run({ ...given, task, files });
  },
};

const run = async ({ task, files, principal, json }: TraceOptions): Promise<ExitCode> => {
  const traces = await readTraces(task, [...new Set(files)], principal);
  const [trace, other] = traces;
  if (trace === undefined)
    throw new CommandError(`no decision in these logs is of a task ${printable(task)}…`);
  if (other !== undefined)
    throw new CommandError(
      `several tasks begin with ${printable(task)}; give more of it, or --principal:\n${traces
        .map((found) => `  ${found.task}  ${printable(found.principal)}`)
        .join('\n')}`,
      EXIT.usage,
    );
  if (json) printJson(trace);
  else {
    print(renderTrace(trace, process.stdout.columns));
    print(paint('dim', 'As the logs say; "hopgate audit verify" checks them.'));
  }
  return EXIT.ok;
};

const readTraces = async (
  task: string,
  files: readonly string[],
  principal: string | undefined,
): Promise<readonly Trace[]> => {
  const sizes = new Map<string, number>();
  for (const file of files) sizes.set(file, await checkReadable(file));
  const builders = new Map<string, TraceBuilder>();
  for (const file of files) {
    const onProgress = progressOf(file, sizes.get(file) ?? 0);
    for await (const line of readLines(file, onProgress && { onProgress })) {
      // Most lines of a large log are of other tasks: not worth reading as JSON.
      if (line.state !== 'whole' || !line.octets.includes(task)) continue;
      const record = readRecordLine(decodeLine(line) ?? '');
      if (!record.ok) {
        printError(`${placeOf(line)}: not a record (${record.detail})`);
        continue;
      }
      const { value } = record;
      if (value.kind !== 'decision' || !value.task.startsWith(task) || value.task === '') continue;
      if (principal !== undefined && value.principal !== principal) continue;
      const key = `${value.task} ${value.principal}`;
      const builder = builders.get(key) ?? new TraceBuilder(value.task, value.principal);
      builders.set(key, builder);
      builder.take(value);
    }
  }
  return [...builders.values()].map((builder) => builder.trace());
};
