/** The route table: callee, method and path to required scopes (SPEC.md section 13). */
import { isScopeLiteral, isScopeSegment, type ScopeLiteral } from '../delegation/scope.ts';
import { type AgentId, idMatches } from '../spiffe-id.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import type { RouteRule } from './model.ts';
import { operationFault, templateNames } from './operations.ts';
import { isCanonicalPath } from './target.ts';
import { TEMPLATE, WHOLE_TEMPLATE } from './template.ts';

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

/** What is wrong with a path pattern or its scopes, as a sentence; `undefined` when nothing is. */
export const routeFault = (rule: RouteRule): string | undefined => {
  if (!rule.path.startsWith('/')) return 'path starts with "/"';
  // A pattern that no canonical path can match would be a route that silently isn't there, and a deny with it.
  const fixed = rule.path.endsWith('/*') ? rule.path.slice(0, -2) : rule.path;
  if (fixed.split('/').some((segment) => /[{}]/.test(segment) && !WHOLE_TEMPLATE.test(segment)))
    return 'a template stands for one whole segment: {name}, a letter first';
  if (fixed.includes('*')) return '"*" stands only at the end, as "/*"';
  const plain = fixed.replace(TEMPLATE, 'x');
  if (fixed === rule.path ? !isCanonicalPath(plain) : fixed !== '' && !isCanonicalPath(`${plain}/x`))
    return 'path is not canonical, so that no request could match it';
  const names = [...rule.path.matchAll(TEMPLATE)].map((match) => match[1] ?? '');
  if (new Set(names).size !== names.length) return 'a template name occurs twice in path';
  const taken = templateNames(rule).find((name) => names.includes(name));
  if (taken !== undefined) return `{${taken}} of path has the name of a value of the message`;
  if (rule.server !== undefined) names.push('server');
  for (const operation of rule.operations ?? []) {
    const fault = operationFault(rule, operation, names);
    if (fault !== undefined) return fault;
  }
  for (const scope of rule.scopes) {
    const unknown = [...scope.matchAll(TEMPLATE)].find((match) => !names.includes(match[1] ?? ''));
    if (unknown !== undefined) return `scope "${scope}" uses {${unknown[1]}}, which path does not have`;
    if (!isScopeLiteral(scope.replace(TEMPLATE, 'x'))) return `scope "${scope}" is not a literal`;
  }
  return undefined;
};

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
