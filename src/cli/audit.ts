/** `hopgate audit verify`: whether logs are whole, unchanged and signed, and which part of them is. */
import { isDigest } from '../core/encoding/members.ts';
import type { ReasonCode } from '../core/reasons.ts';
import { agentTypeOf, parseAgentId } from '../core/spiffe-id.ts';
import { type AuditReport, type LogReport, readIssuers, verifyLogs } from './audit-verify.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { paint, print, printable, printJson, table } from './terminal.ts';

interface AuditOptions {
  readonly files: readonly string[];
  readonly bundle: readonly string[];
  readonly root: string;
  readonly json: boolean;
}

export const command: Command = {
  name: 'audit <action> <files..>',
  describe: 'Verify decision logs',
  options: (yargs) =>
    yargs
      .usage('$0 audit verify --bundle FILE --root THUMBPRINT <files..>\n\nVerify decision logs.')
      .positional('action', { choices: ['verify'] as const, demandOption: true, describe: 'What to do' })
      .positional('files', { type: 'string', array: true, demandOption: true, describe: 'Whole log files' })
      .option('bundle', {
        type: 'string',
        array: true,
        nargs: 1,
        demandOption: true,
        describe: 'Trust bundle with the WIT issuers’ keys; may have expired; several for several times',
      })
      .option('root', {
        type: 'string',
        demandOption: true,
        describe: 'Thumbprint of the root key, from a source other than the bundle',
      })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 audit verify --bundle bundle.jws --root="$ROOT" audit.log', 'one log')
      .example(
        '$0 audit verify --bundle bundle.jws --root="$ROOT" a.log b.log',
        'both sides of their hops: each shows whether the other was cut short',
      )
      .epilogue('audit.log.head, where it stands beside audit.log, says which record the log must reach.'),
  run: (options) => run(options as unknown as AuditOptions),
};

const run = async ({ files, bundle, root, json }: AuditOptions): Promise<ExitCode> => {
  if (!isDigest(root))
    throw new CommandError('--root is a key thumbprint: 43 characters of base64url', EXIT.usage);
  const report = await verifyLogs([...new Set(files)], await readIssuers(bundle, root));
  if (json) printJson(report);
  else printReport(report);
  return report.ok ? EXIT.ok : EXIT.refused;
};

/** What each fault means for whoever relies on the log. */
const MEANING: Partial<Record<ReasonCode, string>> = {
  audit_line: 'The file was edited or damaged here. Nothing from this line on can be relied upon.',
  audit_hash: 'This record was changed after it was written. Nothing from this line on can be relied upon.',
  audit_order: 'Records were moved, put in or taken out here. Nothing from this line on can be relied upon.',
  audit_gap: 'Records before this line were taken out. Nothing from this line on can be relied upon.',
  audit_checkpoint:
    'The checkpoint doesn’t prove what stands before it: records were rewritten and hashed anew, or it was made with a key or WIT that isn’t good. Nothing after the last good checkpoint can be relied upon.',
  audit_cut: 'The end of the log was cut off. What is there is sound, but it is not all that happened.',
};

const short = (id: string): string => {
  const agent = parseAgentId(id);
  return agent === undefined ? '–' : `${agentTypeOf(agent)}/${agent.slice(agent.lastIndexOf('/') + 1)}`;
};

const printReport = ({ files, unmatched }: AuditReport): void => {
  print(
    table(
      ['FILE', 'SIDECAR', 'RECORDS', 'SIGNED', 'NOT SIGNED', 'END', 'RESULT'],
      files.map((report) => [
        printable(report.file),
        short(report.sidecar),
        String(report.records),
        report.signedThrough === 0 ? 'none' : `1–${report.signedThrough}`,
        String(report.unsigned),
        report.endedCleanly ? 'clean' : report.unfinished ? 'unfinished line' : 'open',
        report.fault === undefined ? paint('green', 'sound') : paint('red', report.fault.reason),
      ]),
    ),
  );
  print('');
  const sound = files.filter(({ fault }) => fault === undefined);
  if (sound.length === files.length) {
    const records = files.reduce((sum, report) => sum + report.records, 0);
    print(
      paint(
        'green',
        `No fault in ${records} records of ${files.length} log${files.length === 1 ? '' : 's'}.`,
      ),
    );
  }
  for (const report of files) for (const sentence of sentencesFor(report)) print(sentence);
  for (const { kind, name, direction, shownBy, count, example } of unmatched) {
    if (kind !== 'hole') continue;
    print(
      paint(
        'yellow',
        `${printable(name)}: unmatched: ${count} ${direction} hop${count === 1 ? '' : 's'} that ${printable(shownBy)} shows (first in line ${example.line}) ${count === 1 ? 'is' : 'are'} not in this log, which goes on after them.`,
      ),
    );
  }
};

const sentencesFor = (report: LogReport): readonly string[] => {
  const { records, unsigned, signedThrough, fault, unfinished } = report;
  const file = printable(report.file);
  if (fault !== undefined) {
    const before =
      fault.reason === 'audit_cut'
        ? ''
        : signedThrough === 0
          ? ' No record before it is signed.'
          : ` Records 1–${signedThrough} are sound and signed.`;
    return [
      paint('red', `${file}:${fault.line}: ${fault.reason}: ${printable(fault.detail)}`),
      `  ${MEANING[fault.reason] ?? ''}${before}`,
    ];
  }
  const sentences: string[] = [];
  if (records === 0) sentences.push(`${file}: no records, so this proves nothing.`);
  if (unsigned > 0)
    sentences.push(
      `${file}: the last ${unsigned === 1 ? `record, line ${records}, is` : `${unsigned} records, from line ${signedThrough + 1} on, are`} chained but not yet signed: until the next checkpoint, whoever can write the file could replace what isn’t signed.`,
    );
  if (unfinished) sentences.push(`${file}:${records + 1}: an unfinished write, which is no record.`);
  if (records > 0 && !report.endedCleanly && unsigned === 0 && !unfinished)
    sentences.push(`${file}: not ended: the sidecar runs, or was killed.`);
  return sentences;
};
