/** `hopgate policy check`: what is wrong with a policy, and what is odd about it. */
import { type ConfigFault, formatFault } from '../config/fault.ts';
import type { Finding, Severity } from '../core/policy/analysis/finding.ts';
import { lintPolicy } from '../core/policy/analysis/lint.ts';
import { compileText } from '../verifier/policy/compile.ts';
import { type Command, CommandError, EXIT } from './command.ts';
import { withFaultLines } from './command-faults.ts';
import { countWords, policyCounts } from './policy-counts.ts';
import { type PolicyFile, policyInFile } from './policy-words.ts';
import { paint, print, printable, printJson } from './terminal.ts';
import { nowSeconds } from './time-words.ts';

interface CheckOptions {
  readonly file: string;
  readonly strict: boolean;
  readonly json: boolean;
}

interface PlacedFinding extends ConfigFault {
  readonly code: Finding['code'];
  readonly severity: Severity;
}

/** In the order of the text. */
const findingsIn = ({ placed, policy }: PolicyFile): readonly PlacedFinding[] =>
  lintPolicy(policy, nowSeconds())
    .map(({ code, severity, path, message }) => ({ code, severity, ...placed.place(path, message) }))
    .sort((a, b) => a.line - b.line || a.column - b.column);

const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

const printFindings = (findings: readonly PlacedFinding[]): void => {
  for (const finding of findings) {
    const { severity, code } = finding;
    const mark = paint(severity === 'fault' ? 'red' : 'yellow', `${severity} ${code}`);
    print(`${printable(formatFault(finding))} [${mark}]`);
  }
};

export const checkCommand: Command = {
  name: 'check <file>',
  describe: 'What is wrong with a policy and what is odd about it, by line and column; no verifier is asked',
  options: (yargs) =>
    yargs
      .positional('file', { type: 'string', demandOption: true, describe: 'The policy, YAML' })
      .option('strict', { type: 'boolean', default: false, describe: 'Warnings are faults' })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 policy check policy.yaml', 'exits with 1 when there is a fault')
      .example('$0 policy check --strict policy.yaml', 'for a pipeline: no warning either')
      .epilogue(
        'Faults: what stands there has no effect, or denies all that it is about. Warnings: it may be more, or less, than was meant.',
      ),
  run: (given) =>
    withFaultLines(async () => {
      const { file, strict, json } = given as unknown as CheckOptions;
      const read = policyInFile(file);
      const compiled = compileText(read.source, read.name);
      if (!compiled.ok) throw new CommandError(compiled.detail);
      const findings = findingsIn(read);
      const faults = findings.filter(({ severity }) => strict || severity === 'fault').length;
      const { revision } = read.policy;
      const { digest } = compiled.value;
      const ok = faults === 0;
      if (json)
        printJson({
          ok,
          revision,
          digest,
          ...policyCounts(read.policy),
          findings,
        });
      else {
        printFindings(findings);
        const found = [
          counted(findings.filter(({ severity }) => severity === 'fault').length, 'fault'),
          counted(findings.filter(({ severity }) => severity === 'warning').length, 'warning'),
        ].join(', ');
        print(
          `${printable(revision)}: ${countWords(read.policy)}; ${findings.length === 0 ? 'nothing wrong' : found}. Digest ${digest}`,
        );
      }
      return ok ? EXIT.ok : EXIT.refused;
    }),
};
