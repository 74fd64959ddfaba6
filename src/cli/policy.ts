/** `hopgate policy`: check, publish, look at, compare and take back what is allowed. */
import { policyEndpoints } from '../api/policy.ts';
import { type Command, CommandError, EXIT } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { checkCommand } from './policy-check.ts';
import { explainCommand } from './policy-explain.ts';
import { approveCommand, publishCommand, rollbackCommand } from './policy-publish.ts';
import { replayCommand } from './policy-replay.ts';
import { suggestCommand } from './policy-suggest.ts';
import { testCommand } from './policy-test.ts';
import { changesBetween, policyNamed, printChanges, textDiff } from './policy-words.ts';
import { paint, print, printable, printJson, table } from './terminal.ts';
import { describeMoment, nowSeconds } from './time-words.ts';
import { VERIFIER_OPTIONS, type VerifierOptions, withVerifier } from './verifier-connection.ts';

interface PolicyOptions extends VerifierOptions {
  readonly what: string | undefined;
  readonly with: string | undefined;
  readonly limit: number;
  readonly json: boolean;
}

const JSON_OPTION = { json: { type: 'boolean', default: false, describe: 'One JSON object' } } as const;

const show: Command = {
  name: 'show [what]',
  describe: 'The text of a revision; of the one in force unless a number says which',
  options: (yargs) =>
    yargs
      .positional('what', { type: 'string', describe: 'Its number, as in "policy history"' })
      .options(VERIFIER_OPTIONS)
      .options(JSON_OPTION)
      .example('$0 policy show > policy.yaml', 'to change it'),
  run: (given) => {
    const options = given as unknown as PolicyOptions;
    return withFaultLines(() =>
      withVerifier(options, async (client) => {
        const { what, json } = options;
        if (what !== undefined && !/^[1-9][0-9]{0,7}$/.test(what))
          throw usageError('show: the number of a revision');
        const revision =
          what === undefined
            ? await client.call(policyEndpoints.getCurrentPolicy, {})
            : await client.call(policyEndpoints.getPolicyRevision, { params: { n: Number(what) } });
        if (json) printJson({ ok: true, ...revision });
        else process.stdout.write(revision.source.endsWith('\n') ? revision.source : `${revision.source}\n`);
        return EXIT.ok;
      }),
    );
  },
};

const diff: Command = {
  name: 'diff [what] [with]',
  describe: 'What would change: routes, rules, demands and limits in words, then the text',
  options: (yargs) =>
    yargs
      .positional('what', { type: 'string', describe: 'A file or the number of a revision' })
      .positional('with', { type: 'string', describe: 'Against which; the one in force unless given' })
      .options(VERIFIER_OPTIONS)
      .options(JSON_OPTION)
      .example('$0 policy diff policy.yaml', 'what publishing it would change')
      .example('$0 policy diff 4 3', 'what revision 4 has changed against 3'),
  run: (given) => {
    const options = given as unknown as PolicyOptions;
    return withFaultLines(() =>
      withVerifier(options, async (client) => {
        const { what, json } = options;
        if (what === undefined) throw usageError('diff of what? A file, or the number of a revision');
        const [to, from] = [await policyNamed(client, what), await policyNamed(client, options.with)];
        if (to === undefined) throw new CommandError('there is no such policy');
        const changes = changesBetween(from, to);
        const text = textDiff(from, to);
        if (json) printJson({ ok: true, from: from?.name ?? null, to: to.name, changes });
        else {
          printChanges(changes);
          if (text !== '') print(`\n${text}`);
        }
        return EXIT.ok;
      }),
    );
  },
};

const history: Command = {
  name: 'history',
  describe: 'Every revision: who, when, why, and which is in force',
  options: (yargs) =>
    yargs
      .options(VERIFIER_OPTIONS)
      .option('limit', { type: 'number', default: 20, requiresArg: true, describe: 'The most that is shown' })
      .options(JSON_OPTION)
      .example('$0 policy history', 'the newest first'),
  run: (given) => {
    const options = given as unknown as PolicyOptions;
    return withFaultLines(() =>
      withVerifier(options, async (client) => {
        const { limit, json } = options;
        if (!Number.isInteger(limit) || limit < 1 || limit > 200) throw usageError('--limit: 1 to 200');
        const { revisions } = await client.call(policyEndpoints.listPolicyRevisions, { query: { limit } });
        if (json) printJson({ ok: true, revisions });
        else if (revisions.length === 0)
          print('No policy was published yet: hopgate policy publish FILE --why …');
        else
          print(
            table(
              ['N', 'REVISION', 'STATE', 'WHEN', 'AUTHOR', 'APPROVED BY', 'COMMIT', 'WHY'],
              revisions.map((one) => [
                String(one.n),
                printable(one.revision),
                one.state === 'current' ? paint('green', 'in force') : one.state,
                describeMoment(one.at, nowSeconds()),
                printable(one.author),
                printable(one.approvals.map(({ actor }) => actor).join(', ') || '-'),
                one.commit === undefined
                  ? '-'
                  : printable(one.commit.replace(/^([0-9a-f]{12})[0-9a-f]*/, '$1')),
                printable(one.rollbackTo === undefined ? one.why : `back to ${one.rollbackTo}: ${one.why}`),
              ]),
            ),
          );
        return EXIT.ok;
      }),
    );
  },
};

const BELOW =
  'policy: check, test, explain, replay, suggest, publish, diff, show, history, rollback or approve';

export const command: Command = {
  name: 'policy',
  describe: 'What is allowed: check, publish, compare, roll back',
  below: [
    checkCommand,
    testCommand,
    explainCommand,
    replayCommand,
    suggestCommand,
    publishCommand,
    diff,
    show,
    history,
    rollbackCommand,
    approveCommand,
  ],
  options: (yargs) => yargs.demandCommand(1, BELOW),
  run: async () => {
    throw usageError(BELOW);
  },
};
