/** What policy goes by besides names: attributes of agents, groups of principals, as a bundle carries both. */
import type { AttributesEntry } from '../publication/entries.ts';
import type { Source } from '../publication/sources.ts';
import type { Records } from '../records.ts';
import { AGENT_ATTRIBUTES, attributesOfAgents } from '../registry/agent-attributes.ts';
import { PRINCIPAL } from './kinds.ts';

/** For publication. Who has none adds nothing to a bundle. */
export const attributesSource = (records: Records): Source<AttributesEntry | undefined> => ({
  kinds: [AGENT_ATTRIBUTES.prefix, PRINCIPAL.prefix],
  read: async () => {
    const agents = await attributesOfAgents(records);
    const principals = Object.fromEntries(
      (await records.list(PRINCIPAL)).flatMap(({ value: { uri, groups } }) =>
        groups.length === 0 ? [] : [[uri, { groups }]],
      ),
    );
    const isNone = Object.keys(agents).length + Object.keys(principals).length === 0;
    return isNone ? undefined : { agents, principals };
  },
});
