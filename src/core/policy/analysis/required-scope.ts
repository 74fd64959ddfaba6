/**
 * What a route may require: scopes of which parts are known only when a request comes. `ec2:{action}` stands for all literals
 * that its template can become, and a pattern may cover all of them, some, or none.
 */
import { covers, isScopePattern, type ScopePattern } from '../../delegation/scope.ts';
import type { OperationRule, RouteRule } from '../model.ts';
import { TEMPLATE } from '../template.ts';

/** Stands in a scope for what is not known: no scope has it. */
const HOLE = '\u0000';
const ONE_VALUE = '[A-Za-z0-9._/-]+';

/** A literal, or one with holes. */
export interface RequiredScope {
  /** As the policy has it. */
  readonly template: string;
  readonly text: string;
}

const fill = (template: string, known: ReadonlyMap<string, string>): RequiredScope => ({
  template,
  text: template.replace(TEMPLATE, (_, name: string) => known.get(name) ?? HOLE),
});

const baseValues = ({ server }: RouteRule): Map<string, string> =>
  new Map(server === undefined ? [] : [['server', server]]);

export const routeScopes = (route: RouteRule): readonly RequiredScope[] =>
  route.scopes.map((scope) => fill(scope, baseValues(route)));

/** `read_*` becomes `read_` and a hole. */
const opened = (pattern: string): string => pattern.replace(/\*$/, HOLE);

/** Of one operation: a scope for each method and name that it names. */
export const operationScopesOf = (
  route: RouteRule,
  { methods = ['*'], names = ['*'], scopes }: OperationRule,
): readonly RequiredScope[] => {
  const found = new Map<string, RequiredScope>();
  for (const scope of scopes)
    for (const method of methods)
      for (const name of names) {
        const known = baseValues(route).set('method', opened(method));
        for (const member of ['tool', 'prompt', 'skill']) known.set(member, opened(name));
        const made = fill(scope, known);
        found.set(made.text, made);
      }
  return [...found.values()];
};

const isWhole = ({ text }: RequiredScope): boolean => !text.includes(HOLE);

const headOf = ({ text }: RequiredScope): string => text.slice(0, text.indexOf(HOLE));

const segmentsOf = (text: string): readonly string[] => text.split(':');

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');

const canBe = (segment: string, literal: string): boolean =>
  new RegExp(`^${segment.split(HOLE).map(escaped).join(ONE_VALUE)}$`).test(literal);

const canBegin = (segment: string, prefix: string): boolean => {
  const hole = segment.indexOf(HOLE);
  const head = hole === -1 ? segment : segment.slice(0, hole);
  return prefix.length <= head.length ? head.startsWith(prefix) : hole !== -1 && prefix.startsWith(head);
};

/** Whether a pattern covers at least one literal that the scope may be. */
export const mayCover = (pattern: ScopePattern, scope: RequiredScope): boolean => {
  if (isWhole(scope)) return isScopePattern(scope.text) && covers(pattern, scope.text);
  const given = segmentsOf(scope.text);
  const isOpen = pattern.endsWith(':*');
  const wanted = segmentsOf(isOpen ? pattern.slice(0, -2) : pattern);
  if (isOpen ? given.length <= wanted.length : given.length !== wanted.length) return false;
  return wanted.every((segment, at) => {
    const own = given[at] ?? '';
    return segment.endsWith('*') ? canBegin(own, segment.slice(0, -1)) : canBe(own, segment);
  });
};

/** Whether a pattern covers all literals that the scope may be. */
export const mustCover = (pattern: ScopePattern, scope: RequiredScope): boolean => {
  if (isWhole(scope)) return isScopePattern(scope.text) && covers(pattern, scope.text);
  if (!pattern.endsWith('*') || !headOf(scope).startsWith(pattern.slice(0, -1))) return false;
  return pattern.endsWith(':*') || segmentsOf(scope.text).length === segmentsOf(pattern).length;
};

/** Literals alone; of the others nobody can say what they will be. */
export const literalOf = (scope: RequiredScope): string | undefined =>
  isWhole(scope) ? scope.text : undefined;
