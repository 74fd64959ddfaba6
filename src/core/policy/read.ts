/** A policy as a bundle carries it: the JSON of SPEC.md section 13, read strictly. */
import { isScopePattern, type ScopeSets, scopeSetsFault } from '../delegation/scope.ts';
import type { Json, JsonObject } from '../encoding/json.ts';
import {
  checkMembers,
  type Is,
  isBoolean,
  isInteger,
  isListOf,
  isObject,
  type Members,
  optional,
} from '../encoding/members.ts';
import { HARD_MAX_DEPTH, MAX_TIME } from '../limits.ts';
import { isIdPattern, isPrincipal } from '../spiffe-id.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import type { Policy, PolicyLists, RouteRule } from './model.ts';
import { routeFault } from './routes.ts';

const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const isName: Is = (value) => typeof value === 'string' && NAME.test(value);
const isIds = (least: number): Is => isListOf(isIdPattern, least, 10_000);
const isPrincipals = (least: number): Is =>
  isListOf((uri) => typeof uri === 'string' && isPrincipal(uri), least, 10_000);
const isPatterns = isListOf((scope) => typeof scope === 'string' && isScopePattern(scope), 1, 1024);
const isSeconds = isInteger(1, MAX_TIME);

const isArray =
  (most: number): Is =>
  (value) =>
    Array.isArray(value) && value.length <= most;

const POLICY = {
  revision: isName,
  limits: isObject,
  scopeSets: isObject,
  lists: isObject,
  routes: isArray(4096),
  rules: isArray(4096),
  demands: optional(isArray(1024)),
} as const;
const LIMITS = {
  maxDepth: isInteger(1, HARD_MAX_DEPTH),
  linkTtlSeconds: isSeconds,
  callbacks: isBoolean,
  humanRoot: isBoolean,
  sessionSeconds: isSeconds,
  maxStalenessSeconds: optional(isSeconds),
  maxTaskAgeSeconds: optional(isSeconds),
} as const;
const LISTS = { allowAgents: isIds(0), blockAgents: isIds(0), blockPrincipals: isPrincipals(0) } as const;
const ROUTE = {
  name: isName,
  callees: optional(isIds(1)),
  methods: optional(isListOf((method) => /^[A-Z]+$/.test(method as string), 1, 64)),
  path: (value: Json) => typeof value === 'string' && value.startsWith('/'),
  scopes: isListOf(() => true, 1, 64),
} as const;
const RULE = {
  name: isName,
  effect: (value: Json) => value === 'allow' || value === 'deny',
  callers: optional(isIds(1)),
  callerTypes: optional(isListOf((type) => /^[A-Za-z0-9._-]+$/.test(type as string), 1, 1024)),
  callees: optional(isIds(1)),
  principals: optional(isPrincipals(1)),
  scopes: optional(isPatterns),
  routes: optional(isListOf(isName, 1, 10_000)),
} as const;
const SELECTORS = ['callers', 'callerTypes', 'callees', 'principals', 'scopes', 'routes'] as const;
const DEMAND = {
  scopes: isPatterns,
  approval: optional((value) => value === true),
  minScore: optional(isInteger(1, 1000)),
  maxStalenessSeconds: optional(isSeconds),
} as const;

const invalid = (detail: string): Denial => deny('policy_invalid', detail);

/** Every entry an object of these members, no two of one name. */
const readNamed = (list: readonly Json[], members: Members, what: string): Denial | undefined => {
  const names = new Set<Json>();
  for (const [index, entry] of list.entries()) {
    if (!isObject(entry)) return invalid(`${what} ${index + 1} is not an object`);
    const closed = checkMembers(entry, members, `${what} ${index + 1}`);
    if (!closed.ok) return invalid(closed.detail);
    if (entry.name === undefined) continue;
    if (names.has(entry.name)) return invalid(`${what} ${String(entry.name)} is there twice`);
    names.add(entry.name);
  }
  return undefined;
};

const closedObject = (value: Json | undefined, members: Members, what: string): Denial | undefined => {
  const closed = checkMembers((value ?? {}) as JsonObject, members, what);
  return closed.ok ? undefined : invalid(closed.detail);
};

/** Reads lists of their own (`lists` of a bundle) or a policy's. Refuses with `policy_invalid`. */
export const readLists = (value: JsonObject): Verdict<PolicyLists> =>
  closedObject(value, LISTS, 'lists') ?? grant(value as unknown as PolicyLists);

const setsFault = (sets: JsonObject): string | undefined => {
  for (const [name, members] of Object.entries(sets)) {
    if (!isListOf(() => true, 1, 1024)(members as Json)) return `scope set ${name} is no list of strings`;
  }
  return scopeSetsFault(sets as unknown as ScopeSets);
};

const routesFault = (routes: readonly Json[]): string | undefined => {
  for (const route of routes) {
    const fault = routeFault(
      withUndefined(route as JsonObject, ['callees', 'methods']) as unknown as RouteRule,
    );
    if (fault !== undefined) return `route ${String((route as JsonObject).name)}: ${fault}`;
  }
  return undefined;
};

/** What JSON leaves out is `undefined` in our types. */
const withUndefined = (object: JsonObject, names: readonly string[]): Record<string, unknown> => {
  const whole: Record<string, unknown> = { ...object };
  for (const name of names) whole[name] ??= undefined;
  return whole;
};

/** What only shows with all of it in view. */
const wholeFault = ({ scopeSets, routes, rules, demands }: JsonObject): string | undefined => {
  const fault = setsFault(scopeSets as JsonObject) ?? routesFault(routes as readonly Json[]);
  if (fault !== undefined) return fault;
  const known = new Set((routes as readonly JsonObject[]).map(({ name }) => name));
  for (const { name, routes: named } of rules as readonly JsonObject[]) {
    const unknown = (named as readonly string[] | undefined)?.find((route) => !known.has(route));
    if (unknown !== undefined) return `rule ${String(name)} names route ${unknown}, which is not there`;
  }
  const idle = listOf(demands).findIndex((demand) => Object.keys(demand).length === 1);
  return idle === -1 ? undefined : `demand ${idle + 1} demands nothing`;
};

const listOf = (value: Json | undefined): readonly JsonObject[] => (value ?? []) as readonly JsonObject[];

/** Reads the policy of a bundle. Refuses with `policy_invalid`. */
export const readPolicy = (value: JsonObject): Verdict<Policy> => {
  const denial =
    closedObject(value, POLICY, 'the policy') ??
    closedObject(value.limits, LIMITS, 'limits') ??
    closedObject(value.lists, LISTS, 'lists') ??
    readNamed(listOf(value.routes), ROUTE, 'route') ??
    readNamed(listOf(value.rules), RULE, 'rule') ??
    readNamed(listOf(value.demands), DEMAND, 'demand');
  if (denial !== undefined) return denial;
  const fault = wholeFault(value);
  if (fault !== undefined) return invalid(fault);
  return grant({
    ...value,
    routes: listOf(value.routes).map((route) => withUndefined(route, ['callees', 'methods'])),
    rules: listOf(value.rules).map((rule) => withUndefined(rule, SELECTORS)),
    demands: listOf(value.demands).map((demand) =>
      withUndefined(demand, ['approval', 'minScore', 'maxStalenessSeconds']),
    ),
  } as unknown as Policy);
};
