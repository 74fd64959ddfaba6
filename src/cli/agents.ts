/** `hopgate agents`: who may become an agent, and who is one. */
import type { Argv } from 'yargs';
import { registryEndpoints } from '../api/registry.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';
import {
  ENTRY_OPTIONS,
  type EntryOptions,
  entryFor,
  findAgent,
  fullAgentId,
  fullId,
  parseAttributeChanges,
  parseAttributes,
  parseSeconds,
} from './agents-entry.ts';
import {
  type ListOptions,
  listAgents,
  printAgent,
  printAttributes,
  printEntry,
  printJoinString,
} from './agents-report.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { print, printJson } from './terminal.ts';
import { VERIFIER_OPTIONS, type VerifierOptions, withVerifier } from './verifier-connection.ts';

interface CommonOptions extends VerifierOptions {
  readonly agent: string;
  readonly json: boolean;
  readonly why: string | undefined;
}

const COMMON = {
  ...VERIFIER_OPTIONS,
  json: { type: 'boolean', default: false, describe: 'One JSON object' },
} as const;
const WHY = {
  why: { type: 'string', requiresArg: true, describe: 'Why; it goes into the ledger' },
} as const;
const TOKEN_TTL = {
  ttl: {
    type: 'string',
    default: '10m',
    requiresArg: true,
    describe: 'How long the join string is good for, 30s to 1d',
  },
} as const;

const agentArgument = (yargs: Argv, describe: string): Argv =>
  yargs.positional('agent', { type: 'string', demandOption: true, describe });

const whyOf = ({ why }: CommonOptions, command: string): string => why ?? `hopgate agents ${command}`;

const agentsCommand = <Options extends VerifierOptions & { readonly json: boolean }>(
  name: string,
  describe: string,
  options: (yargs: Argv) => Argv,
  run: (client: VerifierClient, options: Options) => Promise<ExitCode>,
): Command => ({
  name,
  describe,
  options,
  run: (given) => {
    const typed = given as unknown as Options;
    return withFaultLines(() => withVerifier(typed, (client) => run(client, typed)));
  },
});

const list = agentsCommand<ListOptions & VerifierOptions>(
  'list',
  'Agents that have enrolled, and entries that wait for one',
  (yargs) => yargs.options(COMMON).example('$0 agents list', 'who is there, and until when'),
  listAgents,
);

const show = agentsCommand<CommonOptions>(
  'show <agent>',
  'One agent: its entry, how it was attested, its key',
  (yargs) => agentArgument(yargs, 'planning/1, a SPIFFE ID, or the name of an entry').options(COMMON),
  async (client, { agent: name, json }) => {
    const agent = name.includes('/') ? await findAgent(client, await fullId(client, name)) : undefined;
    const entry =
      agent === undefined
        ? await entryFor(client, name)
        : await client.call(registryEndpoints.getEntry, { params: { name: agent.entry } });
    if (json) printJson({ ok: true, entry, agent: agent ?? null });
    else {
      printEntry(entry);
      printAgent(agent);
    }
    return EXIT.ok;
  },
);

interface AddOptions extends CommonOptions, EntryOptions {
  readonly name: string | undefined;
  readonly ttl: string;
}

const add = agentsCommand<AddOptions>(
  'add <agent>',
  'Let a workload become an agent; prints its join string',
  (yargs) =>
    agentArgument(yargs, 'planning/1, client/alice, a SPIFFE ID, or inventory/{pod}')
      .options(COMMON)
      .options(ENTRY_OPTIONS)
      .options(TOKEN_TTL)
      .options(WHY)
      .option('name', { type: 'string', requiresArg: true, describe: 'Name of the entry' })
      .example('$0 agents add planning/1', 'prints the one line that planning/1 joins with')
      .example('$0 agents add planning/1 --attribute team=finance', 'for conditions in policy')
      .example(
        "$0 agents add 'inventory/{pod}' --selector k8s:ns=prod --selector k8s:sa=inventory",
        'every pod of a service account, under its own name',
      ),
  async (client, options) => {
    const { agent, selector = [], attribute, hint = '', json, name } = options;
    const id = await fullId(client, agent);
    const svidTtl = options['svid-ttl'];
    const ttlSeconds = parseSeconds('ttl', options.ttl);
    const why = whyOf(options, 'add');
    const entry = await client.call(registryEndpoints.addEntry, {
      body: {
        ...(name !== undefined && { name }),
        id,
        selectors: selector.length === 0 ? [`join:id=${id}`] : [...selector],
        ...(attribute !== undefined && { attributes: parseAttributes(attribute) }),
        ...(svidTtl !== undefined && { svidTtlSeconds: parseSeconds('svid-ttl', svidTtl) }),
        hint,
        why,
      },
    });
    if (selector.length > 0) {
      if (json) printJson({ ok: true, entry });
      else printEntry(entry);
      return EXIT.ok;
    }
    const token = await client.call(registryEndpoints.addJoinToken, {
      params: { name: entry.name },
      body: { ttlSeconds, why },
    });
    if (json) printJson({ ok: true, entry, ...token });
    else printJoinString(token);
    return EXIT.ok;
  },
);

const token = agentsCommand<AddOptions>(
  'token <agent>',
  'A new join string for an agent, to be used once',
  (yargs) =>
    agentArgument(yargs, 'planning/1, a SPIFFE ID, or the name of an entry')
      .options(COMMON)
      .options(TOKEN_TTL)
      .options(WHY)
      .example('$0 agents token planning/1', 'when the first one has expired, or the agent moves'),
  async (client, options) => {
    const entry = await entryFor(client, options.agent);
    const made = await client.call(registryEndpoints.addJoinToken, {
      params: { name: entry.name },
      body: { ttlSeconds: parseSeconds('ttl', options.ttl), why: whyOf(options, 'token') },
    });
    if (options.json) printJson({ ok: true, entry: entry.name, ...made });
    else printJoinString(made);
    return EXIT.ok;
  },
);

const update = agentsCommand<CommonOptions & EntryOptions>(
  'update <agent>',
  'Change an entry; what is not named stays. Agents take it with their next renewal',
  (yargs) =>
    agentArgument(yargs, 'planning/1, a SPIFFE ID, or the name of an entry')
      .options(COMMON)
      .options(ENTRY_OPTIONS)
      .options(WHY)
      .example(
        '$0 agents update planning/1 --svid-ttl 10m --hint "moved to the new cluster"',
        'from its next renewal on',
      ),
  async (client, options) => {
    const { selector, attribute, hint, json } = options;
    const svidTtl = options['svid-ttl'];
    if ([selector, attribute, hint, svidTtl].every((one) => one === undefined))
      throw usageError('update what? --selector, --attribute, --svid-ttl or --hint');
    const was = await entryFor(client, options.agent);
    const ttl = svidTtl === undefined ? was.svidTtlSeconds : parseSeconds('svid-ttl', svidTtl);
    const entry = await client.call(registryEndpoints.updateEntry, {
      params: { name: was.name },
      body: {
        selectors: selector === undefined ? was.selectors : [...selector],
        ...(attribute !== undefined && { attributes: parseAttributes(attribute) }),
        ...(ttl !== undefined && { svidTtlSeconds: ttl }),
        hint: hint ?? was.hint,
        why: whyOf(options, 'update'),
      },
    });
    if (json) printJson({ ok: true, entry });
    else printEntry(entry);
    return EXIT.ok;
  },
);

const attributes = agentsCommand<CommonOptions & { readonly pairs: readonly string[] }>(
  'attributes <agent> [pairs..]',
  'What policy goes by: set and take away, or without any, show. An admin’s to say',
  (yargs) =>
    agentArgument(yargs, 'planning/1, a SPIFFE ID, or the name of an entry')
      .positional('pairs', {
        type: 'string',
        array: true,
        default: [] as readonly string[],
        describe: 'name=value, or name= to take it away; what is not named stays',
      })
      .options(COMMON)
      .options(WHY)
      .example('$0 agents attributes planning/1 team=finance env=', 'sets one, takes one away')
      .example("$0 agents attributes 'inventory/{pod}' env=prod", 'of every pod that this entry names'),
  async (client, options) => {
    const { set, remove } = parseAttributeChanges(options.pairs);
    const was = await entryFor(client, options.agent);
    const entry =
      options.pairs.length === 0
        ? was
        : await client.call(registryEndpoints.changeAttributes, {
            params: { name: was.name },
            body: { set, remove, why: whyOf(options, 'attributes') },
          });
    if (options.json) printJson({ ok: true, entry: entry.name, id: entry.id, attributes: entry.attributes });
    else printAttributes(entry);
    return EXIT.ok;
  },
);

const retire = agentsCommand<CommonOptions>(
  'retire <agent>',
  'End an agent for good: revoked at once, never renewed. With the name of an entry: all its agents',
  (yargs) =>
    agentArgument(yargs, 'planning/1, a SPIFFE ID, or the name of an entry')
      .options(COMMON)
      .options(WHY)
      .example(
        '$0 agents retire planning/1 --why "moved to planning/2"',
        'a retired name does not come back',
      ),
  async (client, options) => {
    const { agent: name, json } = options;
    const why = whyOf(options, 'retire');
    const agents: string[] = [];
    const entries: string[] = [];
    const id = name.includes('/') ? await fullId(client, name) : undefined;
    const found =
      id === undefined
        ? [await client.call(registryEndpoints.getEntry, { params: { name } })]
        : (await client.call(registryEndpoints.listEntries, { query: { id } })).entries;
    for (const entry of found) {
      const done = await client.call(registryEndpoints.retireEntry, {
        params: { name: entry.name },
        body: { why },
      });
      entries.push(entry.name);
      agents.push(...done.agents);
    }
    // One agent of an entry with a template: the others go on.
    if (id !== undefined && !agents.includes(id)) {
      const one = await findAgent(client, id);
      if (one !== undefined && one.state !== 'retired') {
        await client.call(registryEndpoints.retireAgent, {
          params: { id: await fullAgentId(client, id) },
          body: { why },
        });
        agents.push(id);
      }
    }
    if (entries.length + agents.length === 0) throw new CommandError(`there is no agent or entry "${name}"`);
    if (json) printJson({ ok: true, entries, agents });
    else {
      for (const entry of entries) print(`retired the entry ${entry}`);
      for (const agent of agents) print(`retired and revoked ${agent}`);
    }
    return EXIT.ok;
  },
);

const below = [list, show, add, update, attributes, retire, token];

export const command: Command = {
  name: 'agents',
  describe: 'Who may become an agent, and who is one',
  below,
  options: (yargs) =>
    yargs.demandCommand(1, `agents: ${below.map(({ name }) => name.split(' ')[0]).join(', ')}`),
  run: async () => {
    throw usageError('agents: list, show, add, update, attributes, retire or token');
  },
};
