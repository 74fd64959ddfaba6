/** `hopgate policy test`: requests that nobody sent, and what a policy says of each. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ConfigError } from '../config/fault.ts';
import { parsePolicyTest } from '../config/policy-test.ts';
import { compilePolicy } from '../core/policy/evaluate.ts';
import { type Coverage, CoverageCount } from '../rehearsal/coverage.ts';
import { Rehearsal } from '../rehearsal/rehearse.ts';
import { type CaseResult, caseFaults, runCases } from '../rehearsal/run-tests.ts';
import { type Command, EXIT } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { type PolicyFile, policyInFile } from './policy-words.ts';
import { paint, print, printable, printJson } from './terminal.ts';
import { nowSeconds } from './time-words.ts';

interface TestOptions {
  readonly files: readonly string[];
  readonly policy: string | undefined;
  readonly 'min-coverage': number | undefined;
  readonly json: boolean;
}

interface TestedFile {
  readonly file: string;
  readonly policy: PolicyFile;
  readonly cases: readonly CaseResult[];
}

interface TestedPolicy {
  readonly policy: PolicyFile;
  readonly coverage: Coverage;
}

const policyFor = (file: string, named: string | undefined, given: string | undefined): string => {
  if (given !== undefined) return given;
  if (named === undefined) throw usageError(`${file} names no policy: say which with --policy`);
  return path.join(path.dirname(file), named);
};

const runFiles = async (
  files: readonly string[],
  given: string | undefined,
): Promise<{ readonly files: readonly TestedFile[]; readonly policies: readonly TestedPolicy[] }> => {
  const now = nowSeconds();
  const rehearsal = new Rehearsal();
  const counts = new Map<string, { readonly policy: PolicyFile; readonly count: CoverageCount }>();
  const tested: TestedFile[] = [];
  for (const file of files) {
    const source = parsePolicyTest(readFileSync(file, 'utf8'), file);
    const name = policyFor(file, source.value.policy, given);
    const policy = counts.get(name)?.policy ?? policyInFile(name);
    const entry = counts.get(name) ?? { policy, count: new CoverageCount(policy.policy) };
    counts.set(name, entry);
    const compiled = compilePolicy(policy.policy);
    const faults = caseFaults(source, compiled, now);
    if (faults.length > 0) throw new ConfigError(faults);
    tested.push({ file, policy, cases: await runCases(source, compiled, rehearsal, entry.count, now) });
  }
  const policies = [...counts.values()].map(({ policy, count }) => ({ policy, coverage: count.count() }));
  return { files: tested, policies };
};

const printCase = ({ name, ok, differences, detail, line }: CaseResult, file: string): void => {
  if (ok) {
    print(`${paint('green', 'ok')}    ${printable(name)}`);
    return;
  }
  print(`${paint('red', 'FAIL')}  ${printable(name)} (${printable(file)}:${line})`);
  for (const { what, expected, got } of differences)
    print(`        ${what}: ${printable(expected)} was expected, it is ${printable(got)}`);
  if (detail !== '') print(`        ${printable(detail)}`);
};

const printCoverage = ({ policy, coverage }: TestedPolicy): void => {
  const { parts, covered, percent, uncovered } = coverage;
  print(`${printable(policy.name)}: ${covered} of ${parts} parts had a say, ${percent} %`);
  for (const { kind, name, path: place } of uncovered) {
    const { line } = policy.placed.place(place, '');
    print(paint('yellow', `  never: ${kind} ${printable(name)} (line ${line})`));
  }
};

const report = (files: readonly TestedFile[], policies: readonly TestedPolicy[]): void => {
  for (const { file, cases } of files) {
    if (files.length > 1) print(paint('bold', printable(file)));
    for (const one of cases) printCase(one, file);
  }
  for (const policy of policies) printCoverage(policy);
  const all = files.flatMap(({ cases }) => cases);
  print(`${all.filter(({ ok }) => ok).length}/${all.length} passed`);
};

export const testCommand: Command = {
  name: 'test <files..>',
  describe: 'Try requests that nobody sent, by the code that decides about those that are',
  options: (yargs) =>
    yargs
      .positional('files', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'Tests, YAML of kind PolicyTest',
      })
      .option('policy', {
        type: 'string',
        requiresArg: true,
        describe: 'Which policy, whatever the files say',
      })
      .option('min-coverage', {
        type: 'number',
        requiresArg: true,
        describe: 'Per cent of rules, routes, operations and demands that must have had a say',
      })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 policy test policy.test.yaml', 'exits with 1 when a case fails')
      .example('$0 policy test --min-coverage 90 tests/*.yaml', 'and when too little of the policy was tried')
      .example(
        '$0 policy test --policy new.yaml policy.test.yaml',
        'whether a change breaks what was promised',
      ),
  run: (given) =>
    withFaultLines(async () => {
      const options = given as unknown as TestOptions;
      const least = options['min-coverage'];
      if (least !== undefined && !(least >= 0 && least <= 100)) throw usageError('--min-coverage: 0 to 100');
      const { files, policies } = await runFiles(options.files, options.policy);
      const failed = files.flatMap(({ cases }) => cases).filter(({ ok }) => !ok).length;
      const isCovered = policies.every(({ coverage }) => coverage.percent >= (least ?? 0));
      const ok = failed === 0 && isCovered;
      if (options.json)
        printJson({
          ok,
          files: files.map(({ file, policy, cases }) => ({ file, policy: policy.name, cases })),
          coverage: policies.map(({ policy, coverage }) => ({ policy: policy.name, ...coverage })),
        });
      else {
        report(files, policies);
        if (!isCovered) print(paint('red', `less than ${least} % had a say`));
      }
      return ok ? EXIT.ok : EXIT.refused;
    }),
};
