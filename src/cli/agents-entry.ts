/** What the `hopgate agents` commands have in common: names of agents, entries of an ID, options of an entry. */

import { type AgentView, type Entry, registryEndpoints } from '../api/registry.ts';
import { trustEndpoints } from '../api/trust.ts';
import { parseDuration } from '../config/forms.ts';
import { isAgentId } from '../core/spiffe-id.ts';
import { isAttributeName, isAttributeValue } from '../core/trust/attributes.ts';
import { parseRoles } from '../core/trust/roles.ts';
import { type VerifierClient, VerifierError } from '../edge/verifier/client.ts';
import { CommandError } from './command.ts';
import { usageError } from './command-faults.ts';

/** `planning/1` is `spiffe://<the verifier's trust domain>/agent/planning/1`; `client/alice` is a client. */
export const fullId = async (client: VerifierClient, name: string): Promise<string> => {
  if (name.startsWith('spiffe://')) return name;
  const { roles: text } = await client.call(trustEndpoints.getRoles, {});
  const roles = parseRoles(text);
  if (!roles.ok) throw new CommandError(`the verifier’s roles: ${roles.detail}`);
  const path = name.startsWith('client/') ? name : `agent/${name}`;
  return `spiffe://${roles.value.roles.trustDomain}/${path}`;
};

/** A whole ID. Throws a usage error. */
export const fullAgentId = async (client: VerifierClient, name: string): Promise<string> => {
  const id = await fullId(client, name);
  if (!isAgentId(id)) throw usageError(`"${name}" names no agent: type/instance, such as planning/1`);
  return id;
};

/** The one active entry that is for this ID, by its ID or by its own name. */
export const entryFor = async (client: VerifierClient, name: string): Promise<Entry> => {
  if (!name.includes('/')) return client.call(registryEndpoints.getEntry, { params: { name } });
  const id = await fullId(client, name);
  const { entries } = await client.call(registryEndpoints.listEntries, { query: { id } });
  const active = entries.filter(({ state }) => state === 'active');
  const [entry = entries[0]] = active;
  if (entry === undefined)
    throw new CommandError(`no registration entry is for ${id}; "hopgate agents add ${name}" makes one`);
  if (active.length > 1)
    throw new CommandError(
      `${id} has several entries: ${active.map((one) => one.name).join(', ')}; name the one that you mean`,
    );
  return entry;
};

/** An agent that has enrolled; undefined when none has. */
export const findAgent = async (client: VerifierClient, id: string): Promise<AgentView | undefined> => {
  if (!isAgentId(id)) return undefined;
  try {
    return await client.call(registryEndpoints.getAgent, { params: { id } });
  } catch (error) {
    if (error instanceof VerifierError && error.reason === 'api_not_found') return undefined;
    throw error;
  }
};

export interface EntryOptions {
  readonly selector: readonly string[] | undefined;
  readonly attribute: readonly string[] | undefined;
  readonly 'svid-ttl': string | undefined;
  readonly hint: string | undefined;
}

/** For yargs. */
export const ENTRY_OPTIONS = {
  selector: {
    type: 'string',
    array: true,
    requiresArg: true,
    describe:
      'What the workload must be, such as k8s:ns=prod; all must hold. Without any, it joins by a token',
  },
  attribute: {
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'name=value, a fact about the agent for policy; an admin’s to give',
  },
  'svid-ttl': { type: 'string', requiresArg: true, describe: 'Life of its SVID, 5m to 1h' },
  hint: { type: 'string', requiresArg: true, describe: 'A note for people' },
} as const;

export const parseAttributes = (
  pairs: readonly string[],
  option = '--attribute ',
): Record<string, string> => {
  const read = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = pair.slice(0, at);
    const value = pair.slice(at + 1);
    if (at < 1) throw usageError(`${option}${pair}: name=value`);
    if (!isAttributeName(name))
      throw usageError(
        `${option}${pair}: a name is a letter a–z, then letters, digits, "_" and "-", 64 at most`,
      );
    if (value !== '' && !isAttributeValue(value))
      throw usageError(`${option}${pair}: a value is 1 to 256 printable ASCII characters`);
    if (read.has(name)) throw usageError(`${option}${pair}: ${name} is given twice`);
    read.set(name, value);
  }
  return Object.fromEntries(read);
};

/** What `agents attributes` names: `team=finance` is set, `env=` is taken away. */
export const parseAttributeChanges = (
  pairs: readonly string[],
): { readonly set: Record<string, string>; readonly remove: string[] } => {
  const all = Object.entries(parseAttributes(pairs, ''));
  return {
    set: Object.fromEntries(all.filter(([, value]) => value !== '')),
    remove: all.filter(([, value]) => value === '').map(([name]) => name),
  };
};

export const parseSeconds = (option: string, text: string): number => {
  const seconds = parseDuration(text);
  if (seconds === undefined) throw usageError(`--${option} ${text}: a time such as 10m or 1h`);
  return seconds;
};
