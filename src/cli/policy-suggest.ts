/** `hopgate policy suggest`: the least policy that lets through what was really used. */
import { writeFileSync } from 'node:fs';
import type { ScopePattern } from '../core/delegation/scope.ts';
import { covers } from '../core/delegation/scope.ts';
import { type Suggestion, suggestPolicy } from '../core/policy/analysis/suggest.ts';
import { type GrantedUse, grantedUses, Usage, type UsedHop } from '../core/policy/analysis/usage.ts';
import { type Command, CommandError, EXIT } from './command.ts';
import { withFaultLines } from './command-faults.ts';
import { policyInFile } from './policy-words.ts';
import { checkLogs, LOG_OPTIONS, type LogOptions, recordsOf, soundness } from './recorded-logs.ts';
import { baseFrom, renderSuggestion } from './suggested-policy.ts';
import { print, printable, printError, printJson } from './terminal.ts';

interface SuggestOptions extends LogOptions {
  readonly base: string | undefined;
  readonly out: string | undefined;
  readonly json: boolean;
}

const usedIn = async (files: readonly string[]): Promise<readonly UsedHop[]> => {
  const usage = new Usage();
  for await (const record of recordsOf(files)) usage.take(record);
  return usage.used();
};

/** Patterns of a grant that nothing has needed, and those of which little was needed. */
const adviceOf = ({ agent, granted, used }: GrantedUse): readonly string[] =>
  granted.flatMap((pattern) => {
    const below = used.filter((scope) => covers(pattern as ScopePattern, scope as ScopePattern));
    if (below.length === 0) return [`${agent} held ${pattern}, and nothing needed it`];
    const shown = below.slice(0, 6).join(', ') + (below.length > 6 ? `, and ${below.length - 6} more` : '');
    return pattern.endsWith('*') ? [`${agent} held ${pattern}, and needed ${shown}`] : [];
  });

const headOf = (
  { hops, leftOut }: Suggestion,
  advice: readonly string[],
  used: readonly UsedHop[],
): readonly string[] => {
  const times = used.map(({ record }) => record.time);
  const day = (ms: number): string => new Date(ms).toISOString();
  return [
    `Made by hopgate policy suggest from ${hops} permitted hops, ${day(Math.min(...times))} to ${day(Math.max(...times))}.`,
    'What was not used then is denied now: read it before you publish it, and try it with hopgate policy replay.',
    'How long links lived stands in no log: linkTtl is the base’s, or the default.',
    ...(leftOut.length === 0
      ? []
      : [`Left out: ${leftOut.length} hops for which there is no route or no allow to go by.`]),
    ...(advice.length === 0 ? [] : ['', 'Delegations that hold more than was needed:']),
    ...advice.map((line) => `  ${printable(line)}`),
  ];
};

export const suggestCommand: Command = {
  name: 'suggest <logs..>',
  describe: 'The least policy that lets through what was really used',
  options: (yargs) =>
    yargs
      .positional('logs', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'Log files of any sidecars',
      })
      .option('base', {
        type: 'string',
        requiresArg: true,
        describe: 'The policy in force: its routes, labels, conditions, denies and all else stay',
      })
      .option('out', { type: 'string', requiresArg: true, describe: 'File to write; stdout if left out' })
      .options(LOG_OPTIONS)
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'One JSON object with the policy as text',
      })
      .example(
        '$0 policy suggest *.log --base policy.yaml --out least.yaml',
        'then look at policy diff and replay',
      )
      .example('$0 policy suggest a.log b.log', 'without a policy: routes from the paths that were asked for')
      .epilogue(
        'Only hops that were permitted on every side count. Values of paths are opened where more than three differ.',
      ),
  run: (given) =>
    withFaultLines(async () => {
      const options = given as unknown as SuggestOptions;
      const checked = await checkLogs(options);
      const used = await usedIn(checked.files);
      if (used.length === 0)
        throw new CommandError('the logs have no permitted hop: there is nothing to go by');
      const file = options.base === undefined ? undefined : policyInFile(options.base);
      const base = file && baseFrom(file.source, file.policy);
      const suggestion = suggestPolicy(used, file?.policy);
      if (suggestion.routes.length === 0)
        throw new CommandError('no hop of the logs is for a route of the base: there is nothing to go by');
      const advice = grantedUses(used).flatMap(adviceOf);
      const text = renderSuggestion(suggestion, base, headOf(suggestion, advice, used));
      const { routes, allows, leftOut } = suggestion;
      if (options.json)
        printJson({
          ok: true,
          signed: checked.signed,
          hops: used.length,
          routes: routes.length,
          allows: allows.length,
          leftOut: leftOut.map(({ record }) => record.hop),
          advice,
          policy: text,
        });
      else if (options.out === undefined) print(text.trimEnd());
      if (options.out !== undefined) writeFileSync(options.out, text);
      if (!options.json) printError(soundness(checked));
      return EXIT.ok;
    }),
};
