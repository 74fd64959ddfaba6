/** What a WIT says of how its agent was recognised. */
import type { Entry } from '../../api/registry.ts';
import type { Attested } from './entry-match.ts';

/** A WIT has 4096 octets for everything. */
const MAX_FACTS_BYTES = 1024;
const MAX_FACT_BYTES = 256;

/**
 * `method`, the facts as `k8s.ns` → `prod` (the first of each name, as many as fit), and the entry's attributes, which nothing
 * can overwrite. Token ids stay out.
 */
export const attestedFor = (
  { method, facts }: Attested,
  { attributes }: Entry,
): Readonly<Record<string, string>> => {
  const shown: Record<string, string> = {};
  let room = MAX_FACTS_BYTES;
  for (const fact of facts) {
    const [, kind = '', name = '', value = ''] = /^([a-z0-9]+):([a-z_-]+)=(.*)$/.exec(fact) ?? [];
    const key = `${kind}.${name}`;
    const size = key.length + value.length + 6;
    if (name === '' || fact.length > MAX_FACT_BYTES || size > room || Object.hasOwn(shown, key)) continue;
    shown[key] = value;
    room -= size;
  }
  return { ...shown, ...attributes, method };
};
