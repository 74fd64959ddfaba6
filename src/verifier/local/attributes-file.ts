/** `attributes.yaml` of a local trust domain: what policy goes by, said by whoever has the folder, signed with the next bundle. */
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { principalRecord } from '../../api/principals.ts';
import { attributes } from '../../api/registry.ts';
import { ConfigError, parseConfig } from '../../config/load.ts';
import type { AttributesEntry } from '../publication/entries.ts';
import { agentIdIn, type DomainState, LocalDomainError, layoutOf } from './layout.ts';

/** Only of whom there is here: a slip of the pen would be said of nobody, and a rule that denies by it never hold. */
const schemaOf = ({ agents, principals }: DomainState) => {
  const types = new Set(agents.map((name) => `${name.slice(0, name.indexOf('/'))}/*`));
  return z.strictObject({
    agents: z
      .record(
        z
          .string()
          .refine(
            (name) => agents.includes(name) || types.has(name),
            'an agent of this domain, such as planning/1, or a type of them, such as planning/*',
          ),
        attributes,
      )
      .default({}),
    principals: z
      .record(
        z
          .string()
          .refine((name) => Object.hasOwn(principals, name), 'a principal of this domain, such as alice'),
        z.strictObject({ groups: principalRecord.shape.groups }),
      )
      .default({}),
  });
};

const idOf = ({ trustDomain }: DomainState, name: string): string =>
  name.endsWith('/*') ? `spiffe://${trustDomain}/agent/${name}` : agentIdIn(trustDomain, name);

/** For the bundle; undefined where there is no such file. Throws {@link LocalDomainError} with every fault, by line. */
export const readAttributesFile = (directory: string, state: DomainState): AttributesEntry | undefined => {
  const file = layoutOf(directory).attributes;
  if (!existsSync(file)) return undefined;
  try {
    const { agents, principals } = parseConfig(readFileSync(file, 'utf8'), file, schemaOf(state)).value;
    return {
      agents: Object.fromEntries(Object.entries(agents).map(([name, said]) => [idOf(state, name), said])),
      principals: Object.fromEntries(
        Object.entries(principals)
          .filter(([, { groups }]) => groups.length > 0)
          .map(([name, { groups }]) => [state.principals[name] ?? '', { groups }]),
      ),
    };
  } catch (error) {
    if (error instanceof ConfigError) throw new LocalDomainError(error.message);
    throw error;
  }
};
