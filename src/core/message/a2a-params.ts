/**
 * The operations of A2A by their names of version 1.0, and what policy reads of their parameters. Version 0.3 has other
 * names for them, and tells the task in another member here and there; the name says which of the two it is.
 */
import type { Json, JsonObject } from '../encoding/json.ts';
import { isObject } from '../encoding/members.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import type { RpcRequest } from './json-rpc.ts';
import type { Operation } from './message.ts';
import { type Named, operation } from './operation.ts';
import {
  foldName,
  misspelling,
  type ReadNames,
  readName,
  readNames,
  readOptionalName,
  readOptionalObject,
} from './spelling.ts';

/** The metadata member that names a skill, unless the route says otherwise. */
export const DEFAULT_SKILL_MEMBER = 'skillId';

/**
 * Where the parameters say what they are about: a message, or the member that holds the task or context. `cancel` is `id` with
 * metadata: what else has metadata in one version has none in the other, so that it names no skill to every reader.
 */
type Shape = 'message' | 'cancel' | 'id' | 'taskId' | 'contextId' | 'nothing';

const V1: readonly (readonly [string, Shape])[] = [
  ['SendMessage', 'message'],
  ['SendStreamingMessage', 'message'],
  ['GetTask', 'id'],
  ['ListTasks', 'contextId'],
  ['CancelTask', 'cancel'],
  ['SubscribeToTask', 'id'],
  ['CreateTaskPushNotificationConfig', 'taskId'],
  ['GetTaskPushNotificationConfig', 'taskId'],
  ['ListTaskPushNotificationConfigs', 'taskId'],
  ['DeleteTaskPushNotificationConfig', 'taskId'],
  ['GetExtendedAgentCard', 'nothing'],
];
const V03: readonly (readonly [string, string, Shape])[] = [
  ['message/send', 'SendMessage', 'message'],
  ['message/stream', 'SendStreamingMessage', 'message'],
  ['tasks/get', 'GetTask', 'id'],
  ['tasks/cancel', 'CancelTask', 'cancel'],
  ['tasks/resubscribe', 'SubscribeToTask', 'id'],
  ['tasks/pushNotificationConfig/set', 'CreateTaskPushNotificationConfig', 'taskId'],
  ['tasks/pushNotificationConfig/get', 'GetTaskPushNotificationConfig', 'id'],
  ['tasks/pushNotificationConfig/list', 'ListTaskPushNotificationConfigs', 'id'],
  ['tasks/pushNotificationConfig/delete', 'DeleteTaskPushNotificationConfig', 'id'],
  ['agent/getAuthenticatedExtendedCard', 'GetExtendedAgentCard', 'nothing'],
];

const METHODS = new Map<string, { readonly method: string; readonly shape: Shape }>([
  ...V1.map(([method, shape]) => [method, { method, shape }] as const),
  ...V03.map(([name, method, shape]) => [name, { method, shape }] as const),
]);
const SPELLINGS = new Set([...METHODS.keys()].map(foldName));

const SENT = readNames('message', 'metadata', 'configuration');
const MESSAGE = readNames('taskId', 'contextId', 'metadata');
/** Of 1.0 and of 0.3. */
const CONFIG_NAMES = ['taskPushNotificationConfig', 'pushNotificationConfig'] as const;
const CONFIGURATION = readNames(...CONFIG_NAMES);
const CONFIG = readNames('taskId');
const METADATA = readNames('metadata');
const OTHERS: Readonly<Record<Exclude<Shape, 'message'>, ReadNames>> = {
  cancel: readNames('id', 'metadata'),
  id: readNames('id'),
  taskId: readNames('taskId'),
  contextId: readNames('contextId'),
  nothing: readNames(),
};

const skillIn = (value: Json | undefined, member: string): Verdict<string> => {
  const metadata = readOptionalObject(value, 'the metadata');
  if (!metadata.ok) return metadata;
  if (metadata.value === undefined) return grant('');
  const fault = misspelling(metadata.value, readNames(member), 'the metadata');
  return fault ?? readOptionalName(metadata.value[member], 'the skill');
};

/** The skill that the metadata of a request and of its message name. */
const readSkill = (outer: Json | undefined, inner: Json | undefined, member: string): Verdict<string> => {
  const [first, second] = [skillIn(outer, member), skillIn(inner, member)];
  if (!first.ok) return first;
  if (!second.ok) return second;
  if (first.value !== '' && second.value !== '' && first.value !== second.value)
    return deny('message_ambiguous', 'the metadata of the request and of its message name two skills');
  return grant(first.value || second.value);
};

/** A message may bring the address for its task's notifications along; that says again which task. */
const checkConfiguration = (value: Json | undefined, taskId: string): Verdict<undefined> => {
  const configuration = readOptionalObject(value, 'the configuration');
  if (!configuration.ok) return configuration;
  if (configuration.value === undefined) return grant(undefined);
  const fault = misspelling(configuration.value, CONFIGURATION, 'the configuration');
  if (fault !== undefined) return fault;
  for (const name of CONFIG_NAMES) {
    const config = readOptionalObject(configuration.value[name], 'its push configuration');
    if (!config.ok) return config;
    if (config.value === undefined) continue;
    const misspelt = misspelling(config.value, CONFIG, 'its push configuration');
    if (misspelt !== undefined) return misspelt;
    const task = readOptionalName(config.value.taskId, 'the task');
    if (!task.ok) return task;
    if (task.value !== '' && task.value !== taskId)
      return deny('message_ambiguous', 'the message and its push configuration name two tasks');
  }
  return grant(undefined);
};

/**
 * The operations of a message that is sent: an address for its task's notifications, which it may bring along, is created with
 * it. `params` have been read.
 */
export const sentOperations = (
  method: string,
  named: Named,
  { configuration }: JsonObject,
): readonly Operation[] => {
  const sent = operation('request', method, named);
  const bringsAddress =
    configuration !== undefined &&
    isObject(configuration) &&
    CONFIG_NAMES.some((name) => (configuration[name] ?? null) !== null);
  const { taskId, id } = sent;
  return bringsAddress
    ? [sent, operation('request', 'CreateTaskPushNotificationConfig', { taskId, id })]
    : [sent];
};

const readSent = (params: JsonObject, skillMember: string): Verdict<Named> => {
  const { message, metadata, configuration } = params;
  if (message === undefined || !isObject(message))
    return deny('message_malformed', 'the message is no object');
  const fault = misspelling(message, MESSAGE, 'the message');
  if (fault !== undefined) return fault;
  const taskId = readOptionalName(message.taskId, 'the task');
  if (!taskId.ok) return taskId;
  const contextId = readOptionalName(message.contextId, 'the context');
  if (!contextId.ok) return contextId;
  const checked = checkConfiguration(configuration, taskId.value);
  if (!checked.ok) return checked;
  const skill = readSkill(metadata, message.metadata, skillMember);
  if (!skill.ok) return skill;
  return grant({ taskId: taskId.value, contextId: contextId.value, skill: skill.value });
};

const readShape = (shape: Shape, params: JsonObject, skillMember: string): Verdict<Named> => {
  const fault = misspelling(params, shape === 'message' ? SENT : OTHERS[shape], 'the parameters');
  if (fault !== undefined) return fault;
  switch (shape) {
    case 'message':
      return readSent(params, skillMember);
    case 'nothing':
      return grant({});
    case 'contextId': {
      const contextId = readOptionalName(params.contextId, 'the context');
      return contextId.ok ? grant({ contextId: contextId.value }) : contextId;
    }
  }
  const taskId = readName(shape === 'taskId' ? params.taskId : params.id, 'the task');
  if (!taskId.ok || shape !== 'cancel') return taskId.ok ? grant({ taskId: taskId.value }) : taskId;
  const skill = readSkill(params.metadata, undefined, skillMember);
  return skill.ok ? grant({ taskId: taskId.value, skill: skill.value }) : skill;
};

/**
 * What a method of the JSON-RPC binding asks for: operations by their names of version 1.0, or as sent where neither version
 * knows it. Refuses with `message_malformed`, `message_ambiguous`.
 */
export const readA2aCall = (
  { id, method: name, params }: RpcRequest,
  skillMember: string,
): Verdict<readonly Operation[]> => {
  const known = METHODS.get(name);
  if (known === undefined)
    return SPELLINGS.has(foldName(name))
      ? deny('message_ambiguous', 'a method that some readers take for another')
      : grant([operation('request', name, { id })]);
  const { method, shape } = known;
  if (params === undefined)
    return shape === 'nothing'
      ? grant([operation('request', method, { id })])
      : deny('message_malformed', `${method} has no parameters`);
  const named = readShape(shape, params, skillMember);
  if (!named.ok) return named;
  return grant(
    shape === 'message'
      ? sentOperations(method, { ...named.value, id }, params)
      : [operation('request', method, { ...named.value, id })],
  );
};

/** What a message sent in the HTTP+JSON binding is about. */
export const readA2aSent = (body: JsonObject, skillMember: string): Verdict<Named> =>
  readShape('message', body, skillMember);

/** The skill alone, of a body whose task stands in the path. */
export const readA2aSkill = (body: JsonObject, skillMember: string): Verdict<string> =>
  misspelling(body, METADATA, 'the body') ?? readSkill(body.metadata, undefined, skillMember);
