/** What the operations of a message need: the table of a route (SPEC.md section 13). */
import { isScopeLiteral, isScopeSegment, type ScopeLiteral } from '../delegation/scope.ts';
import type { Operation, Protocol } from '../message/message.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import type { OperationRule, RouteRule } from './model.ts';
import { TEMPLATE } from './template.ts';

const MESSAGE_NAMES: Readonly<Record<Protocol, readonly string[]>> = {
  http: [],
  mcp: ['method', 'tool', 'prompt'],
  a2a: ['method', 'skill'],
  'a2a-rest': ['method', 'skill'],
  websocket: [],
};
const METHOD = /^[A-Za-z0-9_$:.-]+(?:\/[A-Za-z0-9_$.-]+)*(?:\/\*)?$/;
const NAME = /^[!-~]{1,256}$/;

/** `tools/call`, `SendMessage`, `notifications/*`. */
export const isMethodName = (text: string): boolean => METHOD.test(text);

/** Names that the scopes of an operation may use besides those of the path. */
export const templateNames = ({ protocol = 'http', server }: RouteRule): readonly string[] => [
  ...(server === undefined ? [] : ['server']),
  ...MESSAGE_NAMES[protocol],
];

/** What is wrong with a rule for operations, as a sentence; `undefined` when nothing is. */
export const operationFault = (
  route: RouteRule,
  { methods, names, scopes }: OperationRule,
  pathNames: readonly string[],
): string | undefined => {
  const odd = methods?.find((method) => !isMethodName(method));
  if (odd !== undefined)
    return `"${odd}" is no method: "tools/call", "notifications/*", "SendMessage", "http:GET"`;
  const star = names?.find((name) => !NAME.test(name) || name.slice(0, -1).includes('*'));
  if (star !== undefined) return `"${star}" is no name: printable, and "*" stands only at its end`;
  const known = [...pathNames, ...templateNames(route)];
  for (const scope of scopes) {
    const unknown = [...scope.matchAll(TEMPLATE)].find((match) => !known.includes(match[1] ?? ''));
    if (unknown !== undefined)
      return `scope "${scope}" uses {${unknown[1]}}, which there is not: ${known.join(', ')}`;
    if (!isScopeLiteral(scope.replace(TEMPLATE, 'x'))) return `scope "${scope}" is not a literal`;
  }
  return undefined;
};

/** What an operation is about, by its method: a tool, a prompt, a resource or a skill; '' for none. */
export const nameOf = ({ tool, prompt, resource, skill }: Operation): string =>
  tool || prompt || resource || skill;

/** `tools/call` or `notifications/*`. */
export const methodMatches = (pattern: string, method: string): boolean =>
  pattern.endsWith('/*')
    ? method.startsWith(pattern.slice(0, -1)) && method.length >= pattern.length
    : pattern === method;

const nameMatches = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name;

const matches = ({ methods, names }: OperationRule, operation: Operation): boolean => {
  if (methods !== undefined && !methods.some((pattern) => methodMatches(pattern, operation.method)))
    return false;
  if (names === undefined) return true;
  const name = nameOf(operation);
  return name !== '' && names.some((pattern) => nameMatches(pattern, name));
};

/** The rule that names what an operation needs: the first of its route that matches. */
export const operationRuleFor = (
  { operations = [] }: RouteRule,
  operation: Operation,
): OperationRule | undefined => operations.find((one) => matches(one, operation));

/**
 * The scopes that one operation requires besides the route's own. Refuses with `operation_unmatched`, and with `route_value`
 * where a value is missing or is not one segment.
 */
export const operationScopes = (
  route: RouteRule,
  operation: Operation,
  values: ReadonlyMap<string, string>,
): Verdict<readonly ScopeLiteral[]> => {
  const rule = operationRuleFor(route, operation);
  if (rule === undefined)
    return deny('operation_unmatched', `route ${route.name} has nothing for ${describe(operation)}`);
  const { method, tool, prompt, skill } = operation;
  const all = new Map([...values, ['method', method], ['tool', tool], ['prompt', prompt], ['skill', skill]]);
  const scopes: ScopeLiteral[] = [];
  for (const template of rule.scopes) {
    for (const [, used = ''] of template.matchAll(TEMPLATE)) {
      if (!isScopeSegment(all.get(used) ?? ''))
        return deny('route_value', `{${used}} of ${describe(operation)} is not one scope segment`);
    }
    const scope = template.replace(TEMPLATE, (_, used: string) => all.get(used) ?? '');
    if (!isScopeLiteral(scope)) return deny('route_value', `${describe(operation)} yields no scope`);
    scopes.push(scope);
  }
  return grant(scopes);
};

/** For people; names are the sender's to choose, so they are cut and escaped. */
const describe = (operation: Operation): string => {
  const name = nameOf(operation);
  const shown = JSON.stringify(name.slice(0, 64));
  const method = JSON.stringify(operation.method.slice(0, 64));
  return name === '' ? method : `${method} of ${shown}`;
};

const UPKEEP = new Set([
  'initialize',
  'notifications/initialized',
  'notifications/cancelled',
  'ping',
  'tools/list',
  'http:GET',
  'http:DELETE',
]);

/**
 * What a `tool` caveat is held against: the tool or skill; `null` for what keeps an MCP session going and calls nothing, to
 * which such a caveat does not apply; undefined for all else.
 */
export const toolOf = (
  operation: Operation | undefined,
  protocol: Protocol | undefined,
): string | null | undefined => {
  if (operation === undefined) return undefined;
  const { tool, skill, method } = operation;
  return tool || skill || (protocol === 'mcp' && UPKEEP.has(method) ? null : undefined);
};
