/** What two policies differ in, in words: for who publishes and who approves. */
import type { Policy } from '../../core/policy/model.ts';

export interface PolicyChange {
  readonly kind: 'added' | 'removed' | 'changed';
  /** `rule reviewers-read`, `limit linkTtlSeconds`. */
  readonly what: string;
  /** A line each; none for what is removed. */
  readonly details: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

const say = (value: unknown): string =>
  value === undefined
    ? 'any'
    : Array.isArray(value)
      ? value.join(', ') || 'none'
      : value === true
        ? 'yes'
        : value === false
          ? 'no'
          : String(value);

const fieldsOf = (entry: Fields): string[] =>
  Object.entries(entry)
    .filter(([name, value]) => name !== 'name' && value !== undefined)
    .map(([name, value]) => `${name}: ${say(value)}`);

/** A list that has both by what came and what went; anything else as it was and as it is. */
const fieldChange = (name: string, from: unknown, to: unknown): string[] => {
  if (JSON.stringify(from) === JSON.stringify(to)) return [];
  if (Array.isArray(from) && Array.isArray(to)) {
    const came = to.filter((one) => !from.includes(one));
    const went = from.filter((one) => !to.includes(one));
    if (came.length + went.length === 0) return [`${name}: in another order`];
    return [
      ...(came.length > 0 ? [`${name}: + ${came.join(', ')}`] : []),
      ...(went.length > 0 ? [`${name}: - ${went.join(', ')}`] : []),
    ];
  }
  return [`${name}: ${say(from)} → ${say(to)}`];
};

const namesIn = (from: Fields, to: Fields): string[] => [
  ...new Set([...Object.keys(from), ...Object.keys(to)]),
];

const fieldChanges = (from: Fields, to: Fields): string[] =>
  namesIn(from, to).flatMap((name) => fieldChange(name, from[name], to[name]));

/** Entries by name, in the order of the newer policy and then those that went. */
const entryChanges = (
  what: string,
  from: ReadonlyMap<string, Fields>,
  to: ReadonlyMap<string, Fields>,
): PolicyChange[] => {
  const changes: PolicyChange[] = [];
  for (const [name, entry] of to) {
    const was = from.get(name);
    if (was === undefined) changes.push({ kind: 'added', what: `${what} ${name}`, details: fieldsOf(entry) });
    else {
      const details = fieldChanges(was, entry);
      if (details.length > 0) changes.push({ kind: 'changed', what: `${what} ${name}`, details });
    }
  }
  for (const [name, entry] of from)
    if (!to.has(name)) changes.push({ kind: 'removed', what: `${what} ${name}`, details: fieldsOf(entry) });
  return changes;
};

const byName = (entries: readonly { readonly name: string }[]): ReadonlyMap<string, Fields> =>
  new Map(entries.map((entry) => [entry.name, entry as unknown as Fields]));

/** Demands have no name: those for the same scopes are the same, and how many there are tells them apart. */
const byScopes = (demands: Policy['demands']): ReadonlyMap<string, Fields> => {
  const named = new Map<string, Fields>();
  for (const { scopes, ...rest } of demands) {
    const base = `for ${scopes?.join(', ') ?? 'any scope'}`;
    let name = base;
    for (let count = 2; named.has(name); count++) name = `${base} (${count})`;
    named.set(name, rest);
  }
  return named;
};

const single = (entries: Fields): ReadonlyMap<string, Fields> =>
  new Map(Object.entries(entries).map(([name, value]) => [name, { is: value }]));

/** The first route that matches counts, so their order is part of what they say. */
const orderChange = (from: Policy, to: Policy): PolicyChange[] => {
  const common = (policy: Policy, other: Policy) =>
    policy.routes.map(({ name }) => name).filter((name) => other.routes.some((route) => route.name === name));
  const now = common(to, from);
  if (common(from, to).join() === now.join()) return [];
  return [{ kind: 'changed', what: 'order of routes', details: [`now: ${now.join(', ')}`] }];
};

const EMPTY: Pick<Policy, 'scopeSets' | 'routes' | 'rules' | 'demands'> & { limits: Fields; lists: Fields } =
  {
    limits: {},
    scopeSets: {},
    lists: {},
    routes: [],
    rules: [],
    demands: [],
  };

/** `from` undefined: there was none. */
export const policyChanges = (from: Policy | undefined, to: Policy): readonly PolicyChange[] => {
  const was = from ?? EMPTY;
  return [
    ...entryChanges('limit', single(was.limits as unknown as Fields), single(to.limits as unknown as Fields)),
    ...entryChanges('scope set', single(was.scopeSets), single(to.scopeSets)),
    ...entryChanges('list', single(was.lists as Fields), single(to.lists as unknown as Fields)),
    ...entryChanges('route', byName(was.routes), byName(to.routes)),
    ...(from === undefined ? [] : orderChange(from, to)),
    ...entryChanges('rule', byName(was.rules), byName(to.rules)),
    ...entryChanges('demand', byScopes(was.demands), byScopes(to.demands)),
  ];
};
