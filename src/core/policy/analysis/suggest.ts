/**
 * The least that lets through what was used: routes that matched, for each pair of kinds of agents an allow with the scopes
 * that were required, operations that were asked for. Nothing of it is wider than what is on record, but for the values of a
 * path and for the instance of an agent.
 */
import type { ScopeLiteral, ScopePattern } from '../../delegation/scope.ts';
import { isCovered } from '../../delegation/scope.ts';
import { type AgentId, agentTypeOf, type IdPattern, idMatches } from '../../spiffe-id.ts';
import { compilePolicy } from '../evaluate.ts';
import type { AccessRule, OperationRule, Policy, RouteRule, WithoutSidecarRule } from '../model.ts';
import { operationRuleFor } from '../operations.ts';
import { withoutSidecarEntry } from '../proofs.ts';
import { selects } from '../rules.ts';
import { deriveRoutes } from './derive-routes.ts';
import { operationsMeet, routesMeet } from './overlap.ts';
import { messagesOf, requestOf } from './recorded.ts';
import { deepest, typePattern, type UsedHop } from './usage.ts';

export interface SuggestedOperation extends OperationRule {
  readonly count: number;
  /** Its place in the base's route. */
  readonly at: number;
}

export interface SuggestedRoute {
  readonly rule: RouteRule;
  /** Its place in the base; undefined without one. */
  readonly at: number | undefined;
  readonly operations: readonly SuggestedOperation[] | undefined;
  readonly count: number;
  /** Definitions that were offered, and are not approved: name to digest. */
  readonly tools: ReadonlyMap<string, string>;
}

export interface SuggestedAllow {
  readonly rule: AccessRule;
  readonly count: number;
  /** Of them, only let through because their route is observed. */
  readonly observed: number;
}

export interface Suggestion {
  readonly routes: readonly SuggestedRoute[];
  readonly allows: readonly SuggestedAllow[];
  /** For clients that came without a sidecar; with a base its own stay. */
  readonly waysIn: readonly WithoutSidecarRule[];
  /** Links of the deepest chain. */
  readonly maxDepth: number;
  readonly hops: number;
  /** What no suggestion is made of: no route of the base is for it, or no rule of the base allows it. */
  readonly leftOut: readonly UsedHop[];
}

interface RouteUse {
  readonly route: RouteRule;
  readonly at: number | undefined;
  readonly methods: Set<string>;
  readonly callees: Set<IdPattern>;
  readonly operations: Map<
    number,
    { methods: Set<string>; names: Set<string>; bare: boolean; count: number }
  >;
  readonly tools: Map<string, string>;
  count: number;
}

interface AllowUse {
  readonly callers: IdPattern;
  readonly callees: Set<IdPattern>;
  readonly routes: Set<string>;
  readonly scopes: Set<ScopeLiteral>;
  readonly principals: Set<string> | undefined;
  readonly when: string | undefined;
  count: number;
  observed: number;
}

/** The agent alone where a rule names it so, else its kind: no other instance gets what the base gives to one. */
const namedBy = (id: AgentId, ...lists: readonly (readonly IdPattern[] | undefined)[]): IdPattern =>
  lists.some((list) => list?.includes(id as string as IdPattern))
    ? (id as string as IdPattern)
    : typePattern(id);

const calleeOf = ({ callees }: RouteRule, callee: AgentId): IdPattern =>
  callees?.find((pattern) => idMatches(pattern, callee)) ?? typePattern(callee);

const noteOperations = (use: RouteUse, hop: UsedHop): void => {
  const { operations = [] } = use.route;
  const ways = messagesOf(hop.record, use.route, 'cut too') ?? [];
  for (const operation of ways.flatMap((way) => way.operations)) {
    const rule = operationRuleFor(use.route, operation);
    const at = rule === undefined ? -1 : operations.indexOf(rule);
    if (at === -1) continue;
    const known = use.operations.get(at) ?? { methods: new Set(), names: new Set(), bare: false, count: 0 };
    known.methods.add(operation.method);
    const name = operation.tool || operation.prompt || operation.resource || operation.skill;
    if (ways.length === 1 && name !== '') known.names.add(name);
    else known.bare = true;
    known.count++;
    use.operations.set(at, known);
  }
};

/** The condition under which the base allows this; `false` where it doesn't. */
const allowOf = (
  base: Policy,
  route: RouteRule,
  { record, observed }: UsedHop,
): AccessRule | undefined | false => {
  const request = requestOf(record);
  if (request === undefined) return false;
  const allows = base.rules.filter(
    (rule) =>
      rule.effect === 'allow' &&
      rule.shadow === undefined &&
      selects(rule, request.chain, request.callee, route.name) &&
      (rule.scopes === undefined ||
        record.required.every((scope) => isCovered(rule.scopes ?? [], scope as ScopePattern))),
  );
  if (allows.length === 0) return observed ? undefined : false;
  return (
    allows.find(({ when, principals }) => when === undefined && principals === undefined) ??
    allows.find(({ name }) => name === record.rule) ??
    allows[0]
  );
};

const cameWithoutSidecar = ({ record }: UsedHop): boolean => record.proof === 'request';

/** Whether the base lets this caller come as it did. */
const letsCome = (base: Policy, route: RouteRule, hop: UsedHop): boolean => {
  const { caller, callee, required } = hop.record;
  const who = { caller, callee, route: route.name, required: required as readonly ScopeLiteral[] };
  return !cameWithoutSidecar(hop) || withoutSidecarEntry(base, who) !== undefined;
};

const safeName = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 58) || 'rule';

/** Names of their own, `-2` behind a second. */
const unique = (taken: Set<string>, wanted: string): string => {
  let name = wanted;
  for (let count = 2; taken.has(name); count++) name = `${wanted}-${count}`;
  taken.add(name);
  return name;
};

/** Names and methods are the sender's to choose: one that ends in a star would stand for more than was asked for. */
const exact = (names: ReadonlySet<string>): readonly string[] | undefined =>
  names.size === 0 || [...names].some((name) => name.includes('*') || !/^[!-~]{1,256}$/.test(name))
    ? undefined
    : [...names].sort();

/**
 * From the last to the first: what comes before another that has requests in common with it stays as wide as it was, used or not.
 * Without it, or narrowed, it would leave these to the other, which may ask for less.
 */
const operationsOf = ({ route, operations }: RouteUse): readonly SuggestedOperation[] | undefined => {
  if (route.operations === undefined) return undefined;
  const kept: SuggestedOperation[] = [];
  for (const [at, rule] of [...route.operations.entries()].reverse()) {
    const used = operations.get(at);
    const isBefore = kept.some((one) => operationsMeet(rule, one));
    if (used === undefined && !isBefore) continue;
    const isNarrow = used !== undefined && !isBefore;
    kept.unshift({
      methods: (isNarrow ? exact(used.methods) : undefined) ?? rule.methods,
      names: (isNarrow && !used.bare ? exact(used.names) : undefined) ?? rule.names,
      scopes: rule.scopes,
      count: used?.count ?? 0,
      at,
    });
  }
  return kept;
};

const routeOf = (use: RouteUse, isBefore: boolean): SuggestedRoute => {
  const { route, at, methods, callees, count, tools } = use;
  const operations = operationsOf(use);
  const narrowed = { methods: [...methods].sort(), callees: [...callees].sort() };
  return { rule: { ...route, ...(isBefore ? {} : narrowed), operations }, at, operations, count, tools };
};

const unused = (route: RouteRule, at: number): SuggestedRoute => ({
  rule: route,
  at,
  operations: route.operations?.map((rule, place) => ({ ...rule, count: 0, at: place })),
  count: 0,
  tools: new Map(),
});

/** As operations are: those that were used, and those before them that keep requests from them. */
const routesOf = (
  base: readonly RouteRule[],
  uses: ReadonlyMap<string, RouteUse>,
): readonly SuggestedRoute[] => {
  const kept: SuggestedRoute[] = [];
  for (const [at, route] of [...base.entries()].reverse()) {
    const use = uses.get(route.name);
    const isBefore = kept.some(({ rule }) => routesMeet(route, rule));
    if (use !== undefined) kept.unshift(routeOf(use, isBefore));
    else if (isBefore) kept.unshift(unused(route, at));
  }
  return kept;
};

interface WayUse {
  readonly callers: IdPattern;
  readonly callees: Set<IdPattern>;
  readonly routes: Set<string>;
  readonly scopes: Set<ScopeLiteral>;
}

/** For each kind of caller and callee what was used, as allows are. */
const waysInOf = (
  hops: readonly UsedHop[],
  routeOfHop: (hop: UsedHop) => RouteRule | undefined,
): readonly WithoutSidecarRule[] => {
  const uses = new Map<string, WayUse>();
  for (const hop of hops) {
    const route = cameWithoutSidecar(hop) ? routeOfHop(hop) : undefined;
    if (route === undefined) continue;
    const { caller, callee, required } = hop.record;
    const callers = typePattern(caller);
    const key = `${callers} ${typePattern(callee)}`;
    const use = uses.get(key) ?? { callers, callees: new Set(), routes: new Set(), scopes: new Set() };
    uses.set(key, use);
    use.callees.add(calleeOf(route, callee));
    use.routes.add(route.name);
    for (const scope of required) use.scopes.add(scope as ScopeLiteral);
  }
  const taken = new Set<string>();
  return [...uses.values()].map(({ callers, callees, routes, scopes }) => ({
    name: unique(taken, safeName(agentTypeOf(callers as unknown as AgentId))),
    callers: [callers],
    callerTypes: undefined,
    callees: [...callees].sort(),
    scopes: [...scopes].sort(),
    routes: [...routes],
  }));
};

const allowRule = (use: AllowUse, taken: Set<string>): SuggestedAllow => {
  const { callers, callees, routes, scopes, principals, when, count, observed } = use;
  const [callee = callers] = callees;
  const name = `${agentTypeOf(callers as unknown as AgentId)}-to-${agentTypeOf(callee as unknown as AgentId)}`;
  return {
    rule: {
      name: unique(taken, safeName(name)),
      effect: 'allow',
      callers: [callers],
      callerTypes: undefined,
      callees: [...callees].sort(),
      principals: principals === undefined ? undefined : [...principals].sort(),
      scopes: [...scopes].sort(),
      routes: [...routes],
      ...(when !== undefined && { when }),
    },
    count,
    observed,
  };
};

/** `base`: whose routes, conditions and all else stay; without it routes are made of the paths that were asked for. */
export const suggestPolicy = (hops: readonly UsedHop[], base: Policy | undefined): Suggestion => {
  const table = base ?? deriveRoutes(hops);
  const compiled = compilePolicy(table);
  const uses = new Map<string, RouteUse>();
  const allows = new Map<string, AllowUse>();
  const leftOut: UsedHop[] = [];
  for (const hop of hops) {
    const { record } = hop;
    const match = compiled.routes.match(record.callee, record.method, record.target);
    const route = match.ok ? match.value.rule : undefined;
    const allow = route === undefined ? false : base === undefined ? undefined : allowOf(base, route, hop);
    const isLet = base === undefined || route === undefined || letsCome(base, route, hop);
    if (route === undefined || allow === false || !isLet) {
      leftOut.push(hop);
      continue;
    }
    const use: RouteUse = uses.get(route.name) ?? {
      route,
      at: base === undefined ? undefined : table.routes.indexOf(route),
      methods: new Set(),
      callees: new Set(),
      operations: new Map(),
      tools: new Map(),
      count: 0,
    };
    uses.set(route.name, use);
    use.methods.add(record.method);
    use.callees.add(calleeOf(route, record.callee));
    use.count++;
    for (const [name, digest] of hop.tools) use.tools.set(name, digest);
    noteOperations(use, hop);
    const callers = namedBy(record.caller, allow?.callers);
    const key = [
      callers,
      typePattern(record.callee),
      allow?.when ?? '',
      allow?.principals === undefined,
    ].join(' ');
    const known: AllowUse = allows.get(key) ?? {
      callers,
      callees: new Set(),
      routes: new Set(),
      scopes: new Set(),
      principals: allow?.principals === undefined ? undefined : new Set(),
      when: allow?.when,
      count: 0,
      observed: 0,
    };
    allows.set(key, known);
    known.callees.add(
      allow?.callees === undefined
        ? calleeOf(route, record.callee)
        : namedBy(record.callee, route.callees, allow.callees),
    );
    known.routes.add(route.name);
    for (const scope of record.required) known.scopes.add(scope as ScopeLiteral);
    known.principals?.add(record.principal);
    known.count++;
    if (hop.observed) known.observed++;
  }
  const taken = new Set(base?.rules.filter(({ effect }) => effect !== 'allow').map(({ name }) => name));
  const order = (name: string): number => table.routes.findIndex((one) => one.name === name);
  const derived = [...uses.values()]
    .sort((a, b) => order(a.route.name) - order(b.route.name))
    .map((use) => routeOf(use, false));
  return {
    routes: base === undefined ? derived : routesOf(base.routes, uses),
    allows: [...allows.values()].map((use) => allowRule(use, taken)),
    waysIn:
      base === undefined
        ? waysInOf(hops, ({ record }) => {
            const match = compiled.routes.match(record.callee, record.method, record.target);
            return match.ok ? match.value.rule : undefined;
          })
        : [],
    maxDepth: deepest(hops),
    hops: hops.length,
    leftOut,
  };
};
