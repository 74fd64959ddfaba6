/** Routes out of the paths that were asked for, where no policy says what a path means. */
import type { OperationNote } from '../../audit/record.ts';
import { isScopeSegment } from '../../delegation/scope.ts';
import type { MessageProtocol } from '../../message/message.ts';
import type { IdPattern } from '../../spiffe-id.ts';
import type { OperationRule, Policy, RouteRule } from '../model.ts';
import { routeFault } from '../route-faults.ts';
import { namedBy } from './recorded.ts';
import { typePattern, type UsedHop } from './usage.ts';

/** More values than these in one place of a path are values, and no names. */
const MOST_LITERALS = 3;

interface Group {
  readonly callee: IdPattern;
  readonly method: string;
  readonly path: string;
  readonly required: readonly string[];
  readonly hops: readonly UsedHop[];
}

const groupsOf = (hops: readonly UsedHop[]): readonly Group[] =>
  [
    ...Map.groupBy(hops, ({ record }) =>
      [typePattern(record.callee), record.method, record.target].join(' '),
    ).values(),
  ].flatMap((same) => {
    const [first] = same;
    if (first === undefined) return [];
    const { callee, method, target } = first.record;
    // What every one of them required the path requires; the rest is what their messages asked for.
    const required = first.record.required.filter((scope) =>
      same.every(({ record }) => record.required.includes(scope)),
    );
    return [{ callee: typePattern(callee), method, path: target, required, hops: same }];
  });

const isMessage = ({ hops }: Group): boolean => hops.some(({ record }) => record.operations !== undefined);

const protocolOf = ({ hops }: Group): MessageProtocol =>
  hops.some(({ record }) =>
    record.operations?.some(({ method }) => /^(?:[A-Z]|http:agent-card$)/.test(method)),
  )
    ? 'a2a'
    : 'mcp';

/** What policy can go by: no task, whose name is good once; a skill where a scope that was required has its name. */
const nameGoneBy = (
  protocol: MessageProtocol,
  { method, name }: OperationNote,
  required: readonly string[],
): string => {
  const meanings = namedBy(protocol, method);
  if (!meanings.includes('taskId')) return name;
  const isSkill = meanings.includes('skill') && required.some((scope) => scope.split(':').includes(name));
  return isSkill ? name : '';
};

/** One for each method and name, with what it required besides; of batches nobody can say what required what. */
const operationsOf = (group: Group): readonly OperationRule[] => {
  const { hops, required } = group;
  const protocol = protocolOf(group);
  const found = new Map<string, OperationRule>();
  for (const { record } of hops) {
    const { operations = [] } = record;
    for (const note of operations) {
      const { method } = note;
      const name = nameGoneBy(protocol, note, record.required);
      // A star in what the sender chose would stand for more than was asked for.
      if (`${method}${name}`.includes('*')) continue;
      const more = record.required.filter((scope) => !required.includes(scope));
      const key = `${method} ${name}`;
      const known = found.get(key);
      const scopes = known === undefined ? more : known.scopes.filter((scope) => more.includes(scope));
      found.set(key, { methods: [method], names: name === '' ? undefined : [name], scopes });
    }
  }
  return [...found.values()].sort((a, b) => Number(a.names === undefined) - Number(b.names === undefined));
};

const segmentsOf = (path: string): readonly string[] => path.split('/').slice(1);

/** Groups that differ in one segment behind the first, of which there are too many to be names. */
const valuesOf = (
  groups: readonly Group[],
): { readonly open: readonly Group[]; readonly rest: readonly Group[] } => {
  const open: Group[] = [];
  const taken = new Set<Group>();
  const places = Math.max(0, ...groups.map(({ path }) => segmentsOf(path).length));
  for (let place = 1; place < places; place++) {
    const alike = Map.groupBy(
      groups.filter((group) => !taken.has(group) && isScopeSegment(segmentsOf(group.path)[place] ?? '')),
      ({ callee, method, path, required }) =>
        [
          callee,
          method,
          required.join(),
          ...segmentsOf(path).map((one, at) => (at === place ? '{id}' : one)),
        ].join(' '),
    );
    for (const same of alike.values()) {
      const [first] = same;
      if (first === undefined || same.length <= MOST_LITERALS || first.path.includes('{')) continue;
      for (const group of same) taken.add(group);
      const path = `/${segmentsOf(first.path)
        .map((one, at) => (at === place ? '{id}' : one))
        .join('/')}`;
      open.push({ ...first, path, hops: same.flatMap(({ hops }) => hops) });
    }
  }
  return { open, rest: groups.filter((group) => !taken.has(group)) };
};

const nameOf = ({ callee, method, path }: Group): string => {
  const type = callee.split('/').at(-2) ?? '';
  return (
    `${type} ${method} ${path}`
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 58) || 'route'
  );
};

const routeOf = (group: Group, name: string): RouteRule => ({
  name,
  callees: [group.callee],
  methods: [group.method],
  path: group.path,
  scopes: group.required,
  ...(isMessage(group) && { protocol: protocolOf(group), operations: operationsOf(group) }),
});

/** A policy of routes alone. Paths that no route can name are left out. */
export const deriveRoutes = (hops: readonly UsedHop[]): Policy => {
  const all = groupsOf(hops.filter(({ record }) => !/[*{}]/.test(record.target)));
  const { open, rest } = valuesOf(all.filter((group) => !isMessage(group)));
  const names = new Map<string, number>();
  // Literal paths first: the first that matches counts.
  const routes = [...rest, ...all.filter(isMessage), ...open].flatMap((group): RouteRule[] => {
    const wanted = nameOf(group);
    const count = (names.get(wanted) ?? 0) + 1;
    names.set(wanted, count);
    const route = routeOf(group, count === 1 ? wanted : `${wanted}-${count}`);
    return routeFault(route) === undefined ? [route] : [];
  });
  return {
    revision: 'suggested-1',
    limits: { maxDepth: 8, linkTtlSeconds: 7200, callbacks: true, humanRoot: false, sessionSeconds: 3600 },
    scopeSets: {},
    lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
    routes,
    rules: [],
    demands: [],
  };
};
