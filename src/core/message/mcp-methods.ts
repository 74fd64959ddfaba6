/**
 * The methods of MCP, and what policy reads of their parameters: revisions 2025-03-26, 2025-06-18, 2025-11-25 and
 * 2026-07-28. A method that is not listed is read without names; policy must name it all the same.
 */
import type { Json, JsonObject } from '../encoding/json.ts';
import { isObject } from '../encoding/members.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import type { Named } from './operation.ts';
import { foldName, misspelling, type ReadNames, readName, readNames } from './spelling.ts';

/** Members that any parameters may have. */
const COMMON = ['_meta', 'inputResponses'] as const;

interface Shape {
  readonly names: ReadNames;
  /** Without parameters: whether there may be none. */
  readonly optional: boolean;
  /** One set of names an operation. */
  readonly read: (params: JsonObject) => Verdict<readonly Named[]>;
}

const shape = (
  names: readonly string[],
  read: (params: JsonObject) => Verdict<readonly Named[]>,
  optional = false,
): Shape => ({ names: readNames(...COMMON, ...names), optional, read });

const ANY = shape([], () => grant([{}]), true);

const readArguments = (value: Json | undefined, allStrings: boolean): Verdict<Named> => {
  if (value === undefined) return grant({});
  if (!isObject(value)) return deny('message_malformed', 'the arguments are no object');
  if (allStrings && Object.values(value).some((one) => typeof one !== 'string'))
    return deny('message_malformed', 'an argument of a prompt is no string');
  return grant({ arguments: value });
};

const called = (what: 'tool' | 'prompt'): Shape =>
  shape(['name', 'arguments'], (params) => {
    const name = readName(params.name, `the ${what}`);
    if (!name.ok) return name;
    const given = readArguments(params.arguments, what === 'prompt');
    return given.ok ? grant([{ [what]: name.value, ...given.value }]) : given;
  });

const named = (member: string, as: 'resource' | 'taskId'): Shape =>
  shape([member], (params) => {
    const name = readName(params[member], member);
    return name.ok ? grant([{ [as]: name.value }]) : name;
  });

const REF = readNames('type', 'name', 'uri');

const completion = shape(['ref'], ({ ref }) => {
  if (ref === undefined || !isObject(ref)) return deny('message_malformed', 'ref is no object');
  const fault = misspelling(ref, REF, 'ref');
  if (fault !== undefined) return fault;
  if (ref.type === 'ref/prompt') {
    const name = readName(ref.name, 'the prompt');
    return name.ok ? grant([{ prompt: name.value }]) : name;
  }
  if (ref.type === 'ref/resource') {
    const uri = readName(ref.uri, 'the resource');
    return uri.ok ? grant([{ resource: uri.value }]) : uri;
  }
  return deny('message_malformed', 'ref is of no known type');
});

const FILTER = readNames('resourceSubscriptions');
/** Resources of one subscription: each is an operation. */
const MAX_SUBSCRIPTIONS = 100;

/** The filter, and then each resource that it names, as `resources/subscribe` of older revisions was. */
const subscription = shape(['notifications'], ({ notifications }) => {
  if (notifications === undefined || !isObject(notifications))
    return deny('message_malformed', 'notifications is no object');
  const fault = misspelling(notifications, FILTER, 'notifications');
  if (fault !== undefined) return fault;
  const { resourceSubscriptions = [] } = notifications;
  if (!Array.isArray(resourceSubscriptions) || resourceSubscriptions.length > MAX_SUBSCRIPTIONS)
    return deny('message_malformed', `no list of at most ${MAX_SUBSCRIPTIONS} resources`);
  const all: Named[] = [{}];
  for (const one of resourceSubscriptions as readonly Json[]) {
    const uri = readName(one, 'a resource');
    if (!uri.ok) return uri;
    all.push({ resource: uri.value });
  }
  return grant(all);
});

const METHODS: ReadonlyMap<string, Shape> = new Map<string, Shape>([
  ...[
    'initialize',
    'ping',
    'server/discover',
    'tools/list',
    'prompts/list',
    'resources/list',
    'resources/templates/list',
    'tasks/list',
    'logging/setLevel',
    'notifications/initialized',
    'notifications/cancelled',
    'notifications/progress',
    'notifications/roots/list_changed',
    'notifications/tasks/status',
  ].map((method): [string, Shape] => [method, ANY]),
  ['tools/call', called('tool')],
  ['prompts/get', called('prompt')],
  ['resources/read', named('uri', 'resource')],
  ['resources/subscribe', named('uri', 'resource')],
  ['resources/unsubscribe', named('uri', 'resource')],
  ['subscriptions/listen', subscription],
  ['completion/complete', completion],
  ['tasks/get', named('taskId', 'taskId')],
  ['tasks/result', named('taskId', 'taskId')],
  ['tasks/cancel', named('taskId', 'taskId')],
  ['tasks/update', named('taskId', 'taskId')],
]);
const SPELLINGS = new Set([...METHODS.keys()].map(foldName));

/**
 * What policy reads of the parameters of a method: at least one set of names, each of which is an operation.
 * Refuses with `message_malformed`, `message_ambiguous`.
 */
export const readMcpParams = (method: string, params: JsonObject | undefined): Verdict<readonly Named[]> => {
  const known = METHODS.get(method);
  if (known === undefined && SPELLINGS.has(foldName(method)))
    return deny('message_ambiguous', 'a method that some readers take for another');
  const { names, optional, read } = known ?? ANY;
  if (params === undefined)
    return optional ? grant([{}]) : deny('message_malformed', `${method} has no parameters`);
  return misspelling(params, names, 'the parameters') ?? read(params);
};
