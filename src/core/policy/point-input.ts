/** What decision points are asked with: everything that conditions can read, as one JSON document (docs/opa.md). */
import { deny, grant, type Verdict } from '../verdict.ts';
import type { Values } from './condition.ts';
import { ENVIRONMENT, READABLE_HEADERS } from './environment.ts';

/** A member that is added leaves it; one that changes its meaning or goes makes a new one. */
export const INPUT_VERSION = 'hopgate.dev/v1';

/** Integers of conditions are bigints, times are dates: in JSON numbers, times in seconds since 1970. */
const plain = (value: unknown): unknown => {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return Math.floor(value.getTime() / 1000);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const members: Record<string, unknown> = Object.create(null);
  for (const [name, member] of Object.entries(value)) members[name] = plain(member);
  return members;
};

/** Conditions may read `x-` headers, which stay in this process; some carry keys. */
const withoutSecrets = (headers: unknown): unknown =>
  Object.fromEntries(
    Object.entries(headers as Readonly<Record<string, string>>).filter(([name]) =>
      READABLE_HEADERS.has(name),
    ),
  );

/**
 * `size`: octets of the body; -1 where nobody knows, which is for the point to judge. Refuses with `rule_error` where a value can't be had (a query parameter or a header that occurs twice): what is left out would be
 * undefined in Rego, and `not` of it true.
 */
export const pointInput = (values: Values, size: number): Verdict<Readonly<Record<string, unknown>>> => {
  const input: Record<string, unknown> = { version: INPUT_VERSION };
  const given = values as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  let at = 'now';
  try {
    input.now = plain(given.now);
    for (const [variable, members] of Object.entries(ENVIRONMENT)) {
      const made: Record<string, unknown> = {};
      for (const member of Object.keys(members)) {
        at = `${variable}.${member}`;
        const value = at === 'request.size' ? size : given[variable]?.[member];
        made[member] = plain(member === 'headers' ? withoutSecrets(value) : value);
      }
      input[variable] = made;
    }
  } catch {
    return deny('rule_error', `${at} has no value, and a decision point is asked with all`);
  }
  return grant(input);
};
