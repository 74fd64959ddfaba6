/** Registration entries and agents at the API. */
import type { registryEndpoints } from '../../../api/registry.ts';
import { parseAgentId } from '../../../core/spiffe-id.ts';
import type { Publication } from '../../publication/publication.ts';
import { Refusal } from '../../refusal.ts';
import type { Agents } from '../../registry/agents.ts';
import type { Entries } from '../../registry/entries.ts';
import type { JoinTokens } from '../../registry/join-tokens.ts';
import type { Handlers } from '../handler.ts';
import type { RoleBindings } from '../role-bindings.ts';

const agentId = (text: string) => {
  const id = parseAgentId(text);
  if (id === undefined) throw new Refusal('api_malformed', 'not a SPIFFE ID of an agent');
  return id;
};

export const registryHandlers = ({
  entries,
  agents,
  tokens,
  roles,
  publication,
}: {
  readonly entries: Entries;
  readonly agents: Agents;
  readonly tokens: JoinTokens;
  readonly roles: RoleBindings;
  readonly publication: Pick<Publication, 'whenPublished'>;
}): Handlers<typeof registryEndpoints> => ({
  listEntries: async ({ query: { id, after, limit } }) => ({
    entries: [
      ...(id === undefined
        ? await entries.list({ limit, ...(after !== undefined && { after }) })
        : await entries.forId(id)),
    ],
  }),
  getEntry: ({ params }) => entries.get(params.name),
  addEntry: ({ actor, body: { why, ...wish } }) => {
    roles.checkRegistrar(actor, wish.id);
    return entries.add(actor, wish, why);
  },
  updateEntry: async ({ actor, params, body: { why, ...wish } }) => {
    roles.checkRegistrar(actor, (await entries.get(params.name)).id);
    return entries.update(actor, params.name, wish, why);
  },
  changeAttributes: async ({ actor, params, body: { why, ...change } }) => {
    const { entry, revision } = await entries.changeAttributes(actor, params.name, change, why);
    // What is taken away must not be granted by any more, wherever a sidecar listens.
    await publication.whenPublished(revision);
    return entry;
  },
  retireEntry: async ({ actor, params, body }) => {
    const { entry, agents: retired } = await agents.retireEntry(actor, params.name, body.why);
    return { entry, agents: [...retired] };
  },
  addJoinToken: async ({ actor, params, body }) => {
    const { id } = await entries.get(params.name);
    roles.checkRegistrar(actor, id);
    await entries.checkRegistrar(actor, id);
    return tokens.make(actor, params.name, body);
  },
  listAgents: async ({ query: { after, limit } }) => ({
    agents: [...(await agents.list({ limit, ...(after !== undefined && { after }) }))],
  }),
  getAgent: ({ params }) => agents.get(agentId(params.id)),
  retireAgent: ({ actor, params, body }) => agents.retire(actor, agentId(params.id), body.why),
});
