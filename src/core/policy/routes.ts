/** The route table: callee, method and path to required scopes (SPEC.md section 13). */
import { isScopeLiteral, isScopeSegment, type ScopeLiteral } from '../delegation/scope.ts';
import { type AgentId, idMatches } from '../spiffe-id.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import type { RouteRule } from './model.ts';
import { TEMPLATE } from './template.ts';

interface CompiledRoute {
  readonly rule: RouteRule;
  readonly segments: readonly string[];
  /** Ends in `/*`: one or more further segments. */
  readonly open: boolean;
}

export interface RouteMatch {
  readonly rule: RouteRule;
  /** Of the templates of its path, and `server`. */
  readonly values: ReadonlyMap<string, string>;
  /** Whatever the body says. */
  readonly required: readonly ScopeLiteral[];
}

export class RouteTable {
  // First segment to candidates, in order: cost follows the routes that can match.
  private readonly byFirst = new Map<string, CompiledRoute[]>();
  private readonly anyFirst: CompiledRoute[] = [];

  constructor(rules: readonly RouteRule[]) {
    const compiled = rules.map((rule): CompiledRoute => {
      const open = rule.path.endsWith('/*');
      return { rule, open, segments: (open ? rule.path.slice(0, -2) : rule.path).split('/').slice(1) };
    });
    for (const route of compiled) {
      const first = route.segments[0];
      if (first === undefined || first.startsWith('{')) {
        this.anyFirst.push(route);
        for (const list of this.byFirst.values()) list.push(route);
      } else {
        const list = this.byFirst.get(first) ?? [...this.anyFirst];
        list.push(route);
        this.byFirst.set(first, list);
      }
    }
  }

  /** The first route that matches. Refuses with `route_unmatched`, `route_value`. */
  match(callee: AgentId, method: string, path: string): Verdict<RouteMatch> {
    const segments = path.split('/').slice(1);
    for (const route of this.byFirst.get(segments[0] ?? '') ?? this.anyFirst) {
      const { rule } = route;
      if (rule.methods !== undefined && !rule.methods.includes(method)) continue;
      if (rule.callees !== undefined && !rule.callees.some((pattern) => idMatches(pattern, callee))) continue;
      const values = matchSegments(route, segments);
      if (values !== undefined) return requiredScopes(rule, values);
    }
    return deny('route_unmatched', `no route for ${method} at ${callee}`);
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
