/** `hopgate policy publish`, `rollback` and `approve`: what puts a policy in force. */
import type { Argv } from 'yargs';
import { type PolicyPublished, policyEndpoints } from '../api/policy.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { askYes } from './ask-yes.ts';
import { type Command, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { describeEnforced, WAIT_OPTIONS, type WaitOptions, whereEnforced } from './enforced.ts';
import {
  changesBetween,
  commitOf,
  inForce,
  policyInFile,
  policyNamed,
  printChanges,
} from './policy-words.ts';
import { print, printable, printJson } from './terminal.ts';
import { VERIFIER_OPTIONS, type VerifierOptions, WHY_OPTION, withVerifier } from './verifier-connection.ts';

interface PublishOptions extends VerifierOptions, WaitOptions {
  readonly file: string;
  readonly n: number;
  readonly why: string;
  readonly commit: string | undefined;
  readonly tests: string | undefined;
  readonly yes: boolean;
  readonly json: boolean;
}

const common = (yargs: Argv): Argv =>
  yargs
    .options(VERIFIER_OPTIONS)
    .options(WHY_OPTION)
    .options(WAIT_OPTIONS)
    .option('json', { type: 'boolean', default: false, describe: 'One JSON object' });

const REVISION = {
  type: 'number',
  demandOption: true,
  describe: 'Its number, as in "policy history"',
} as const;

const yesOption = {
  yes: { type: 'boolean', default: false, describe: 'Go on without asking' },
} as const;

/** What has come of it, and where it is enforced. */
const report = async (
  client: VerifierClient,
  { revision, isNew, bundle }: PolicyPublished,
  options: PublishOptions,
): Promise<ExitCode> => {
  const name = `${printable(revision.revision)} (revision ${revision.n})`;
  const isWaiting = revision.state === 'proposed';
  const where = isWaiting
    ? undefined
    : await whereEnforced(client, ({ policy }) => policy?.digest === revision.digest, options);
  if (options.json) {
    printJson({ ok: true, isNew, revision, bundle: bundle ?? null, enforced: where ?? null });
    return EXIT.ok;
  }
  if (isWaiting) {
    print(`${name} waits for a second person: hopgate policy approve ${revision.n} --why …`);
    return EXIT.ok;
  }
  print(
    isNew
      ? `${name} is in force, in bundle ${bundle?.epoch}.${bundle?.seq}.`
      : `Nothing to publish: ${name} is in force.`,
  );
  print(describeEnforced(where));
  return EXIT.ok;
};

const testsIn = (text: string | undefined) => {
  if (text === undefined) return undefined;
  const match = /^([0-9]{1,9})\/([0-9]{1,9})$/.exec(text);
  if (match === null) throw usageError(`--tests ${text}: passed/ran, such as 12/12`);
  return { passed: Number(match[1]), ran: Number(match[2]) };
};

const publish = async (client: VerifierClient, options: PublishOptions): Promise<ExitCode> => {
  const { file, why, json } = options;
  const next = policyInFile(file);
  const tests = testsIn(options.tests);
  const commit = options.commit ?? (await commitOf(file));
  const current = await inForce(client);
  if (!json) printChanges(changesBetween(await policyNamed(client, current && String(current.n)), next));
  const answer = await client.call(policyEndpoints.publishPolicy, {
    body: {
      source: next.source,
      why,
      base: current?.n ?? 0,
      ...(commit !== undefined && { commit }),
      ...(tests !== undefined && { tests }),
    },
  });
  return report(client, answer, options);
};

export const publishCommand: Command = {
  name: 'publish <file>',
  describe: 'Put a policy in force at every sidecar',
  options: (yargs) =>
    common(
      yargs.positional('file', { type: 'string', demandOption: true, describe: 'The policy, YAML; or -' }),
    )
      .option('commit', {
        type: 'string',
        requiresArg: true,
        describe: 'Of its source; that of its git repository, where it is in one',
      })
      .option('tests', { type: 'string', requiresArg: true, describe: 'passed/ran, as you say' })
      .example(
        '$0 policy publish policy.yaml --why "reports for auditors"',
        'checks it, shows what changes, publishes',
      )
      .example('$0 policy publish policy.yaml --why "CI" --tests 42/42 --no-wait --json', 'in a pipeline'),
  run: (given) => {
    const options = given as unknown as PublishOptions;
    return withFaultLines(() => withVerifier(options, (client) => publish(client, options)));
  },
};

export const rollbackCommand: Command = {
  name: 'rollback <n>',
  describe: 'Put the content of an earlier revision in force again, as a new one',
  options: (yargs) =>
    common(yargs.positional('n', REVISION))
      .options(yesOption)
      .example('$0 policy rollback 3 --why "revision 4 denies the auditors"', 'shows what changes and asks'),
  run: (given) => {
    const options = given as unknown as PublishOptions;
    return withFaultLines(() =>
      withVerifier(options, async (client) => {
        const { n: to, why, json } = options;
        if (!Number.isInteger(to) || to < 1) throw usageError('rollback: the number of a revision');
        const [from, next] = [await policyNamed(client, undefined), await policyNamed(client, String(to))];
        if (!json && next !== undefined) printChanges(changesBetween(from, next));
        await askYes(`Roll back to revision ${to}?`, 'nothing was rolled back', options);
        const base = (await inForce(client))?.n ?? 0;
        return report(
          client,
          await client.call(policyEndpoints.rollbackPolicy, { body: { to, base, why } }),
          options,
        );
      }),
    );
  },
};

export const approveCommand: Command = {
  name: 'approve <n>',
  describe: 'Approve a revision that somebody else proposed: it is in force then',
  options: (yargs) =>
    common(yargs.positional('n', REVISION))
      .options(yesOption)
      .example('$0 policy approve 4 --verifier https://verifier:14300 --as clients/bob --why "reviewed"', ''),
  run: (given) => {
    const options = given as unknown as PublishOptions;
    return withFaultLines(() =>
      withVerifier(options, async (client) => {
        const { n, why, json } = options;
        if (!Number.isInteger(n) || n < 1) throw usageError('approve: the number of a revision');
        const { digest, author } = await client.call(policyEndpoints.getPolicyRevision, { params: { n } });
        const [from, next] = [await policyNamed(client, undefined), await policyNamed(client, String(n))];
        if (!json && next !== undefined) {
          print(`Proposed by ${printable(author)}:`);
          printChanges(changesBetween(from, next));
        }
        await askYes(`Approve revision ${n}?`, 'nothing was approved', options);
        const answer = await client.call(policyEndpoints.approvePolicy, {
          params: { n },
          body: { digest, why },
        });
        return report(client, answer, options);
      }),
    );
  },
};
