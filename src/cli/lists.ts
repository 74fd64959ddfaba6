/** `hopgate lists`: who never takes part, and who alone does; besides the policy's own lists. */
import type { Argv } from 'yargs';
import { type ListName, type ListsAnswer, policyEndpoints } from '../api/policy.ts';
import { isIdPattern, isPrincipal } from '../core/spiffe-id.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import { askYes } from './ask-yes.ts';
import { type Command, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { describeEnforced, hasBundle, WAIT_OPTIONS, type WaitOptions, whereEnforced } from './enforced.ts';
import { print, printable, printJson, table } from './terminal.ts';
import { VERIFIER_OPTIONS, type VerifierOptions, WHY_OPTION, withVerifier } from './verifier-connection.ts';

interface ListsOptions extends VerifierOptions, WaitOptions {
  readonly who: readonly string[];
  readonly why: string;
  readonly yes: boolean;
  readonly json: boolean;
}

const TITLES: Readonly<Record<ListName, string>> = {
  allowAgents: 'allowed agent',
  blockAgents: 'blocked agent',
  blockPrincipals: 'blocked principal',
};

const printLists = (lists: ListsAnswer): void => {
  const rows = (Object.keys(TITLES) as ListName[]).flatMap((name) =>
    lists[name].map((one) => [TITLES[name], printable(one)]),
  );
  print(rows.length === 0 ? 'Both lists are empty.' : table(['LIST', 'WHO'], rows));
  if (lists.allowAgents.length > 0) print('Nobody but the allowed agents takes part.');
};

/** Agents and principals, told apart by their form. */
const partsOf = (who: readonly string[], action: 'block' | 'allow') => {
  const agents = who.filter(isIdPattern);
  const principals = who.filter((one) => !isIdPattern(one) && !one.startsWith('spiffe:') && isPrincipal(one));
  const wrong = who.find((one) => !agents.includes(one as never) && !principals.includes(one));
  if (wrong !== undefined)
    throw usageError(
      `"${printable(wrong)}" is neither an agent such as spiffe://company.com/agent/planning/1 (or …/*) nor a principal such as mailto:alice@company.com`,
    );
  if (action === 'allow' && principals.length > 0)
    throw usageError('the allowlist is of agents; which principals may delegate is for "hopgate principals"');
  return action === 'allow'
    ? { allowAgents: agents }
    : {
        ...(agents.length > 0 && { blockAgents: agents }),
        ...(principals.length > 0 && { blockPrincipals: principals }),
      };
};

/** What a change means that isn't plain from its words. */
const warn = async (client: VerifierClient, verb: string, options: ListsOptions): Promise<boolean> => {
  if (verb !== 'allow' && verb !== 'disallow') return false;
  const { allowAgents } = await client.call(policyEndpoints.getLists, {});
  if (verb === 'allow' && allowAgents.length === 0)
    await askYes(
      'There is no allowlist yet: from now on nobody but these takes part. Go on?',
      'nothing was changed',
      options,
    );
  const opens =
    verb === 'disallow' && allowAgents.length > 0 && allowAgents.every((one) => options.who.includes(one));
  if (opens)
    await askYes(
      'That leaves the allowlist empty: every agent takes part then. Go on?',
      'nothing was changed',
      options,
    );
  return opens;
};

const VERBS = {
  block: 'These never take part, at any position of a chain',
  unblock: 'Take them off the blocklist',
  allow: 'Only these take part, and those allowed before',
  disallow: 'Take them off the allowlist',
} as const;

const verbCommand = (verb: keyof typeof VERBS): Command => ({
  name: `${verb} <who..>`,
  describe: VERBS[verb],
  options: (yargs: Argv) =>
    yargs
      .positional('who', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: verb.endsWith('block') ? 'Agents (…/* for a type) or principals' : 'Agents, …/* for a type',
      })
      .options(VERIFIER_OPTIONS)
      .options(WHY_OPTION)
      .options(WAIT_OPTIONS)
      .option('yes', { type: 'boolean', default: false, describe: 'Go on without asking' })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example(
        verb.endsWith('block')
          ? `$0 lists ${verb} 'spiffe://company.com/agent/rogue/*' --why "CVE-2026-1"`
          : `$0 lists ${verb} 'spiffe://company.com/agent/planning/*' --why "pilot"`,
        '',
      ),
  run: (given) => {
    const options = given as unknown as ListsOptions;
    return withFaultLines(() =>
      withVerifier(options, async (client): Promise<ExitCode> => {
        const parts = partsOf(options.who, verb.endsWith('block') ? 'block' : 'allow');
        const opens = await warn(client, verb, options);
        const change = verb === 'block' || verb === 'allow' ? { add: parts } : { remove: parts };
        const answer = await client.call(policyEndpoints.changeLists, {
          body: { ...change, opens, why: options.why },
        });
        const where = await whereEnforced(client, hasBundle(answer.bundle), options);
        if (options.json) printJson({ ok: true, ...answer, enforced: where ?? null });
        else {
          print(answer.isNew ? describeEnforced(where) : 'That changes nothing: it was so already.');
          printLists(answer.lists);
        }
        return EXIT.ok;
      }),
    );
  },
});

const show: Command = {
  name: 'show',
  describe: 'Who is blocked, and who is allowed',
  options: (yargs) =>
    yargs
      .options(VERIFIER_OPTIONS)
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example('$0 lists show', ''),
  run: (given) => {
    const options = given as unknown as ListsOptions;
    return withFaultLines(() =>
      withVerifier(options, async (client) => {
        const lists = await client.call(policyEndpoints.getLists, {});
        if (options.json) printJson({ ok: true, ...lists });
        else printLists(lists);
        return EXIT.ok;
      }),
    );
  },
};

const BELOW = 'lists: show, block, unblock, allow or disallow';

export const command: Command = {
  name: 'lists',
  describe: 'Who never takes part, and who alone does: what can’t wait for a policy',
  below: [show, ...(Object.keys(VERBS) as (keyof typeof VERBS)[]).map(verbCommand)],
  options: (yargs) => yargs.demandCommand(1, BELOW),
  run: async () => {
    throw usageError(BELOW);
  },
};
