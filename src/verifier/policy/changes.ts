/** What two policies differ in, in words: for who publishes and who approves. */
import type { Policy } from '../../core/policy/model.ts';
import { absent, flatEntry, of } from './entry-words.ts';

export interface PolicyChange {
  readonly kind: 'added' | 'removed' | 'changed';
  /** `rule reviewers-read`, `limit linkTtlSeconds`. */
  readonly what: string;
  /** A line each; none for what is removed. */
  readonly details: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

const say = (name: string, value: unknown): string =>
  value === undefined
    ? absent(name)
    : Array.isArray(value)
      ? value.join(', ') || 'none'
      : value === true
        ? 'yes'
        : value === false
          ? 'no'
          : // A condition may go over several lines; what is said of it is one.
            String(value)
              .trim()
              .replace(/\s*\n\s*/g, ' ');

const fieldsOf = (entry: Fields): string[] =>
  Object.entries(entry)
    .filter(([name, value]) => name !== 'name' && value !== undefined)
    .map(([name, value]) => `${name}: ${say(name, value)}`);

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
  return [`${name}: ${say(name, from)} → ${say(name, to)}`];
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

const byName = (entries: readonly { readonly name: string }[] = []): ReadonlyMap<string, Fields> =>
  new Map(entries.map((entry) => [entry.name, flatEntry(entry)]));

/** What has no name goes by what it is for, and how many there are of one tells them apart. */
const bySubject = (
  entries: Iterable<readonly [subject: string, entry: Fields]>,
): ReadonlyMap<string, Fields> => {
  const named = new Map<string, Fields>();
  for (const [subject, entry] of entries) {
    let name = subject;
    for (let count = 2; named.has(name); count++) name = `${subject} (${count})`;
    named.set(name, entry);
  }
  return named;
};

const byScopes = (demands: Policy['demands']): ReadonlyMap<string, Fields> =>
  bySubject(
    demands.map(({ scopes, labels, ...rest }) => [
      `for ${scopes?.join(', ') ?? 'any scope'}${of('on data labelled', labels)}`,
      rest,
    ]),
  );

const byPoint = (points: Policy['decisionPoints'] = []): ReadonlyMap<string, Fields> =>
  bySubject(points.map(({ point, path, ...rest }) => [`${point} ${path}`, rest]));

const single = (entries: Fields): ReadonlyMap<string, Fields> =>
  new Map(Object.entries(entries).map(([name, value]) => [name, { is: value }]));

/** The first route that matches counts, so their order is part of what they say. */
const orderChange = (from: Policy, to: Policy): PolicyChange[] => {
  const namesOf = ({ routes, egress = [] }: Policy) =>
    new Set([...routes, ...egress].map(({ name }) => name));
  const [was, is] = [namesOf(from), namesOf(to)];
  const now = [...is].filter((name) => was.has(name));
  if ([...was].filter((name) => is.has(name)).join() === now.join()) return [];
  return [{ kind: 'changed', what: 'order of routes', details: [`now: ${now.join(', ')}`] }];
};

type Parts = Omit<Policy, 'revision' | 'limits' | 'lists'> & {
  readonly limits: Fields;
  readonly lists: Fields;
};

const EMPTY: Parts = { limits: {}, scopeSets: {}, lists: {}, routes: [], rules: [], demands: [] };

const otherwiseOf = ({ delegation }: Pick<Policy, 'delegation'>): ReadonlyMap<string, Fields> =>
  single(delegation === undefined ? {} : { otherwise: delegation.otherwise });

/** `from` undefined: there was none. */
export const policyChanges = (from: Policy | undefined, to: Policy): readonly PolicyChange[] => {
  const was: Parts = from === undefined ? EMPTY : (from as unknown as Parts);
  return [
    ...entryChanges('limit', single(was.limits), single(to.limits as unknown as Fields)),
    ...entryChanges('scope set', single(was.scopeSets), single(to.scopeSets)),
    ...entryChanges('list', single(was.lists), single(to.lists as unknown as Fields)),
    ...entryChanges('route', byName(was.routes), byName(to.routes)),
    ...(from === undefined ? [] : orderChange(from, to)),
    ...entryChanges('egress', byName(was.egress), byName(to.egress)),
    ...entryChanges('rule', byName(was.rules), byName(to.rules)),
    ...entryChanges('demand', byScopes(was.demands), byScopes(to.demands)),
    ...entryChanges('delegation', otherwiseOf(was), otherwiseOf(to)),
    ...entryChanges('delegation rule', byName(was.delegation?.rules), byName(to.delegation?.rules)),
    ...entryChanges('content rule', byName(was.content), byName(to.content)),
    ...entryChanges('decision point', byPoint(was.decisionPoints), byPoint(to.decisionPoints)),
    ...entryChanges('way in without a sidecar', byName(was.withoutSidecar), byName(to.withoutSidecar)),
  ];
};
