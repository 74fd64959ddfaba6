/** What is wrong with a route, and with what it says of the messages that come by it (SPEC.md section 13). */
import { isScopeLiteral, isScopeSegment } from '../delegation/scope.ts';
import { type FaultPath, firstOf, type PolicyFault, within } from './fault.ts';
import type { OperationRule, RouteRule } from './model.ts';
import { isMethodName, operationFault, templateNames } from './operations.ts';
import { isCanonicalPath } from './target.ts';
import { TEMPLATE, WHOLE_TEMPLATE } from './template.ts';

const namesOf = (path: string): readonly string[] =>
  [...path.matchAll(TEMPLATE)].map((match) => match[1] ?? '');

const pathFault = (rule: RouteRule): string | undefined => {
  if (!rule.path.startsWith('/')) return 'path starts with "/"';
  // A pattern that no canonical path can match would be a route that silently isn't there, and a deny with it.
  const fixed = rule.path.endsWith('/*') ? rule.path.slice(0, -2) : rule.path;
  if (fixed.split('/').some((segment) => /[{}]/.test(segment) && !WHOLE_TEMPLATE.test(segment)))
    return 'a template stands for one whole segment: {name}, a letter first';
  if (fixed.includes('*')) return '"*" stands only at the end, as "/*"';
  const plain = fixed.replace(TEMPLATE, 'x');
  if (fixed === rule.path ? !isCanonicalPath(plain) : fixed !== '' && !isCanonicalPath(`${plain}/x`))
    return 'path is not canonical, so that no request could match it';
  const names = namesOf(rule.path);
  if (new Set(names).size !== names.length) return 'a template name occurs twice in path';
  const taken = templateNames(rule).find((name) => names.includes(name));
  return taken === undefined ? undefined : `{${taken}} of path has the name of a value of the message`;
};

const scopeFault = (scope: string, names: readonly string[]): string | undefined => {
  const unknown = [...scope.matchAll(TEMPLATE)].find((match) => !names.includes(match[1] ?? ''));
  if (unknown !== undefined) return `scope "${scope}" uses {${unknown[1]}}, which path does not have`;
  return isScopeLiteral(scope.replace(TEMPLATE, 'x')) ? undefined : `scope "${scope}" is not a literal`;
};

const fault = (path: FaultPath, message: string): PolicyFault => ({ path, message });

/** Members that say something of messages, where no message is read. */
const OF_MESSAGES = [
  'server',
  'operations',
  'serverRequests',
  'tools',
  'skillMember',
  'maxMessageBytes',
] as const satisfies readonly (keyof RouteRule)[];
const OF_MCP = ['serverRequests', 'tools'] as const satisfies readonly (keyof RouteRule)[];

const protocolFaults = function* (rule: RouteRule): Iterable<PolicyFault> {
  const { protocol = 'http' } = rule;
  if (protocol === 'websocket' && rule.methods !== undefined && !rule.methods.includes('GET'))
    yield fault(['methods'], 'a WebSocket begins with GET, so that no request could match');
  if (protocol === 'http' || protocol === 'websocket') {
    for (const member of OF_MESSAGES)
      if (rule[member] !== undefined)
        yield fault(
          [member],
          'without a protocol (mcp, a2a or a2a-rest) no body is read, and this says nothing',
        );
    return;
  }
  if (protocol !== 'mcp')
    for (const member of OF_MCP)
      if (rule[member] !== undefined) yield fault([member], 'is for protocol mcp alone');
  if (protocol === 'mcp' && rule.skillMember !== undefined)
    yield fault(['skillMember'], 'is for protocols a2a and a2a-rest alone');
  if (rule.server !== undefined && !isScopeSegment(rule.server))
    yield fault(['server'], 'is not one scope segment, so that {server} would fit no scope');
  if ((rule.operations ?? []).length === 0)
    yield fault(
      ['protocol'],
      `${protocol} without operations: what they need has to be named, or none is allowed`,
    );
};

/** Names of version 0.3: both versions are read, under the names of version 1.0. */
const OLD_A2A: Readonly<Record<string, string>> = {
  'message/send': 'SendMessage',
  'message/stream': 'SendStreamingMessage',
  'tasks/get': 'GetTask',
  'tasks/cancel': 'CancelTask',
  'tasks/resubscribe': 'SubscribeToTask',
  'tasks/pushNotificationConfig/set': 'CreateTaskPushNotificationConfig',
  'tasks/pushNotificationConfig/get': 'GetTaskPushNotificationConfig',
  'tasks/pushNotificationConfig/list': 'ListTaskPushNotificationConfigs',
  'tasks/pushNotificationConfig/delete': 'DeleteTaskPushNotificationConfig',
  'agent/getAuthenticatedExtendedCard': 'GetExtendedAgentCard',
};

const oldNameFaults = function* (
  { protocol }: RouteRule,
  { methods = [] }: OperationRule,
): Iterable<PolicyFault> {
  if (protocol !== 'a2a' && protocol !== 'a2a-rest') return;
  for (const [at, method] of methods.entries()) {
    const name = Object.hasOwn(OLD_A2A, method) ? OLD_A2A[method] : undefined;
    // It would match nothing, and the next operation, which may need less, would be the one that counts.
    if (name !== undefined)
      yield fault(
        ['methods', at],
        `"${method}" is its name in version 0.3; whatever version comes in, it is "${name}" here`,
      );
  }
};

const operationFaults = function* (rule: RouteRule, names: readonly string[]): Iterable<PolicyFault> {
  const operations = rule.operations ?? [];
  for (const [index, operation] of operations.entries()) {
    const { methods, names: given, scopes } = operation;
    yield* within([index], oldNameFaults(rule, operation));
    for (const member of ['methods', 'names', 'scopes'] as const)
      for (const [at, one] of (operation[member] ?? []).entries()) {
        const message = operationFault(
          rule,
          { methods: undefined, names: undefined, scopes: [], [member]: [one] },
          names,
        );
        if (message !== undefined) yield fault([index, member, at], message);
      }
    if (scopes.length === 0 && rule.scopes.length === 0)
      yield fault([index], 'requires no scope: name one here, or among those of the route');
    if (methods === undefined && given === undefined && index + 1 < operations.length)
      yield fault([index], 'takes every operation, so that those after it are never reached: put it last');
  }
};

const SAMPLE_METHODS = '"sampling/createMessage", "elicitation/create"';

const bodyFaults = function* ({ serverRequests = [], tools, labels }: RouteRule): Iterable<PolicyFault> {
  for (const [at, method] of serverRequests.entries())
    if (!isMethodName(method) || method.endsWith('/*'))
      yield fault(
        ['serverRequests', at],
        `"${method}" is no method: ${SAMPLE_METHODS}, each by its whole name`,
      );
  if (tools !== undefined) {
    const { filter, approved, unlisted } = tools;
    if (!filter && unlisted === 'allow' && Object.keys(approved).length === 0)
      yield fault(
        ['tools'],
        'says nothing: filter the list, approve tools, or flag or deny those that nobody has approved',
      );
  }
  if (labels !== undefined && labels.request.length + labels.response.length === 0)
    yield fault(['labels'], 'names no label');
};

/** Everything that is wrong with a route; of a path that is none, nothing further. */
export const routeFaults = function* (rule: RouteRule): Iterable<PolicyFault> {
  const path = pathFault(rule);
  if (path !== undefined) {
    yield fault(['path'], path);
    return;
  }
  yield* protocolFaults(rule);
  const names = [...namesOf(rule.path), ...(rule.server === undefined ? [] : ['server'])];
  yield* within(['operations'], operationFaults(rule, namesOf(rule.path)));
  for (const [at, scope] of rule.scopes.entries()) {
    const message = scopeFault(scope, names);
    if (message !== undefined) yield fault(['scopes', at], message);
  }
  if (rule.scopes.length === 0 && (rule.operations ?? []).length === 0)
    yield fault(['scopes'], 'names no scope: what requires none would be open to all');
  yield* bodyFaults(rule);
};

/** What is wrong with a route, as a sentence; `undefined` when nothing is. */
export const routeFault = (rule: RouteRule): string | undefined => firstOf(routeFaults(rule))?.message;
