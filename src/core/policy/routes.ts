/** The route table: callee, method and path to required scopes (SPEC.md section 13). */
import { isScopeLiteral, isScopeSegment, type ScopeLiteral } from '../delegation/scope.ts';
import { anyInstanceOf } from '../spiffe-id.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import { type Callee, leavesMesh } from './destination.ts';
import type { EgressRule, RouteRule } from './model.ts';
import { TEMPLATE } from './template.ts';

interface CompiledRoute {
  readonly rule: RouteRule;
  readonly place: number;
  readonly segments: readonly string[];
  /** Ends in `/*`: one or more further segments. */
  readonly open: boolean;
  /** One path alone, in this very spelling. */
  readonly literal: boolean;
}

interface Found {
  readonly route: CompiledRoute;
  readonly values: Map<string, string>;
}

export interface RouteMatch {
  readonly rule: RouteRule;
  /** Of the templates of its path, and `server`. */
  readonly values: ReadonlyMap<string, string>;
  /** Whatever the body says. */
  readonly required: readonly ScopeLiteral[];
}

/** A first segment that is a template, or a path that is open from its root. */
const ANY_FIRST = '';
/** No list of callees. */
const ANY_CALLEE = '';

/** Whether a route leads out of the mesh. */
export const isEgress = (rule: RouteRule): rule is EgressRule => 'destination' in rule;

/** What a route is looked up by. INVARIANT: one that leads out of the mesh is for its destination alone, and none that is for any callee. */
const calleesOf = (rule: RouteRule): readonly string[] =>
  isEgress(rule) ? [rule.destination] : (rule.callees ?? [ANY_CALLEE]);

/** Of HTTP/2 a method is any word, and to some servers `trace` is TRACE. */
const NOT_SENT: ReadonlySet<string> = new Set(['CONNECT', 'TRACE']);

/** A tunnel carries no requests and an API no tunnel; TRACE would send back the credential that the sidecar adds. */
const isOfMode = ({ mode }: EgressRule, method: string): boolean =>
  mode === 'tunnel' ? method === 'CONNECT' : !NOT_SENT.has(method.toUpperCase());

/** And a request: what leaves the mesh by no route that is for agents. */
const namesOf = (callee: Callee): readonly string[] =>
  leavesMesh(callee) ? [callee] : [callee, anyInstanceOf(callee), ANY_CALLEE];

/** What follows the fixed part of a route's path, where an HTTP binding names its operation: '' or `/…`. */
export const pathBelow = (path: string, whole: string): string => {
  const fixed = path.endsWith('/*') ? path.slice(0, -2) : path;
  const depth = fixed === '' ? 0 : fixed.split('/').length - 1;
  return whole
    .split('/')
    .slice(depth + 1)
    .map((segment) => `/${segment}`)
    .join('');
};

/** Callee (or the pattern of its type), then first segment, to routes: cost follows those that can match. */
class RouteIndex {
  private readonly byCallee = new Map<string, Map<string, CompiledRoute[]>>();

  constructor(routes: readonly CompiledRoute[]) {
    for (const route of routes) {
      const [first = ANY_FIRST] = route.segments;
      // A path of one slash has an empty first segment, and no template has that.
      const key = first.startsWith('{') || route.segments.length === 0 ? ANY_FIRST : `/${first}`;
      for (const callee of calleesOf(route.rule)) this.enter(callee, key, route);
    }
  }

  private enter(callee: string, first: string, route: CompiledRoute): void {
    const table = this.byCallee.get(callee) ?? new Map<string, CompiledRoute[]>();
    this.byCallee.set(callee, table);
    const list = table.get(first);
    if (list === undefined) table.set(first, [route]);
    else list.push(route);
  }

  /** Those that may match, in the order of the policy. */
  private candidates(callee: Callee, first: string): readonly CompiledRoute[] {
    const found: (readonly CompiledRoute[])[] = [];
    for (const name of namesOf(callee)) {
      const table = this.byCallee.get(name);
      for (const key of [`/${first}`, ANY_FIRST]) {
        const list = table?.get(key);
        if (list !== undefined) found.push(list);
      }
    }
    return found.length <= 1 ? (found[0] ?? []) : found.flat().sort((a, b) => a.place - b.place);
  }

  find(callee: Callee, method: string, path: string): Found | undefined {
    const segments = path.split('/').slice(1);
    for (const route of this.candidates(callee, segments[0] ?? '')) {
      const { methods } = route.rule;
      if (methods !== undefined && !methods.includes(method)) continue;
      if (isEgress(route.rule) && !isOfMode(route.rule, method)) continue;
      const values = matchSegments(route, segments);
      if (values !== undefined) return { route, values };
    }
    return undefined;
  }
}

/** As servers have it that heed neither case nor a final slash, such as Express by itself. */
const foldPath = (path: string): string => path.toLowerCase().replace(/(.)\/$/, '$1');

const folded = (route: CompiledRoute): CompiledRoute => ({
  ...route,
  segments: route.segments.map((one) => (one.startsWith('{') ? one : one.toLowerCase())),
});

export class RouteTable {
  private readonly routes: RouteIndex;
  private readonly folded: RouteIndex;
  private readonly hasCapitals: boolean;

  constructor(rules: readonly RouteRule[]) {
    const routes = rules.map((rule, place): CompiledRoute => {
      const open = rule.path.endsWith('/*');
      const segments = (open ? rule.path.slice(0, -2) : rule.path).split('/').slice(1);
      return { rule, place, open, segments, literal: !open && !rule.path.includes('{') };
    });
    this.routes = new RouteIndex(routes);
    this.folded = new RouteIndex(routes.map(folded));
    this.hasCapitals = rules.some(({ path }) => path !== path.toLowerCase());
  }

  /** The first route that matches. Refuses with `route_unmatched`, `route_value`. */
  match(callee: Callee, method: string, path: string): Verdict<RouteMatch> {
    const found = this.routes.find(callee, method, path);
    if (found === undefined) return deny('route_unmatched', `no route for ${method} at ${callee}`);
    const { route, values } = found;
    const meant = route.literal ? undefined : this.meant(callee, method, path);
    // `/MCP` is no path of `/mcp`, but to many a server it is: a wide route behind it must not let it through.
    if (meant !== undefined && meant.place < route.place)
      return deny('route_unmatched', `another spelling of a path of route ${meant.rule.name}`);
    return requiredScopes(route.rule, values);
  }

  /** The route of a server that reads paths loosely, where it reads this one otherwise. */
  private meant(callee: Callee, method: string, path: string): CompiledRoute | undefined {
    const plain = foldPath(path);
    return plain === path && !this.hasCapitals ? undefined : this.folded.find(callee, method, plain)?.route;
  }
}

const matchSegments = (
  route: CompiledRoute,
  segments: readonly string[],
): Map<string, string> | undefined => {
  const { length } = route.segments;
  if (route.open ? segments.length <= length : segments.length !== length) return undefined;
  const values = new Map<string, string>();
  for (const [index, wanted] of route.segments.entries()) {
    const given = segments[index] ?? '';
    if (wanted.startsWith('{') && wanted.endsWith('}')) {
      if (given === '') return undefined;
      values.set(wanted.slice(1, -1), given);
    } else if (wanted !== given) return undefined;
  }
  return values;
};

const requiredScopes = (rule: RouteRule, values: Map<string, string>): Verdict<RouteMatch> => {
  if (values.size > 0) {
    for (const [name, value] of values) {
      if (!isScopeSegment(value))
        return deny('route_value', `{${name}} of route ${rule.name} is not one scope segment`);
    }
  }
  if (rule.server !== undefined) values.set('server', rule.server);
  const required = rule.scopes.map((scope) =>
    scope.replace(TEMPLATE, (_, name: string) => values.get(name) ?? ''),
  );
  // What operations need is added to it; a route without them that needs nothing would be open to all.
  const isOpen = required.length === 0 && (rule.operations ?? []).length === 0;
  if (isOpen || !required.every(isScopeLiteral))
    return deny('route_value', `route ${rule.name} yields no scope`);
  return grant({ rule, values, required });
};
