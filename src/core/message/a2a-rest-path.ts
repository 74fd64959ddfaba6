/** Method and path of A2A's HTTP+JSON binding: 1.0, with or without a tenant in front, and 0.3, whose tenant is always `v1`. */
import { deny, grant, type Verdict } from '../verdict.ts';

export interface RestCall {
  /** The operation’s name in version 1.0. */
  readonly method: string;
  readonly taskId: string;
  /** Undefined: none in the path. */
  readonly tenant: string | undefined;
}

// No escape, which some decode before they compare, and no colon, behind which some look for a verb.
const ID = /^[A-Za-z0-9._~!$&'()*+,=@-]+$/;
const VERB = /^(.*):(cancel|subscribe)$/;

interface Matched {
  readonly method: string;
  readonly taskId: string;
}

const ofTask = (http: string, segment: string): Matched | undefined => {
  const [, taskId = '', verb] = VERB.exec(segment) ?? [];
  if (verb === 'cancel') return http === 'POST' ? { method: 'CancelTask', taskId } : undefined;
  if (verb === 'subscribe')
    return http === 'POST' || http === 'GET' ? { method: 'SubscribeToTask', taskId } : undefined;
  return http === 'GET' ? { method: 'GetTask', taskId: segment } : undefined;
};

const CONFIGS: Readonly<Record<string, string>> = {
  'POST 3': 'CreateTaskPushNotificationConfig',
  'GET 3': 'ListTaskPushNotificationConfigs',
  'GET 4': 'GetTaskPushNotificationConfig',
  'DELETE 4': 'DeleteTaskPushNotificationConfig',
};

const FIXED: Readonly<Record<string, string>> = {
  'POST message:send': 'SendMessage',
  'POST message:stream': 'SendStreamingMessage',
  'GET tasks': 'ListTasks',
  'GET extendedAgentCard': 'GetExtendedAgentCard',
};

const match = (http: string, segments: readonly string[]): Matched | undefined => {
  const [first = '', second = '', third] = segments;
  const plain = (method: string | undefined, taskId = ''): Matched | undefined =>
    method === undefined ? undefined : { method, taskId };
  if (segments.length === 1) return plain(FIXED[`${http} ${first}`]);
  if (first !== 'tasks') return undefined;
  if (segments.length === 2) return ofTask(http, second);
  return third === 'pushNotificationConfigs'
    ? plain(CONFIGS[`${http} ${segments.length}`], second)
    : undefined;
};

const VERBS = /^(?:SendMessage|SendStreamingMessage|CancelTask|SubscribeToTask)$/;

/** Refuses with `message_malformed` what neither version knows, with `message_ambiguous` what can be read in two ways. */
export const readRestPath = (http: string, path: string): Verdict<RestCall> => {
  const segments = path.split('/').slice(1);
  const [tenant = '', ...rest] = segments;
  const direct = match(http, segments);
  const below =
    http === 'GET' && path === '/v1/card'
      ? { method: 'GetExtendedAgentCard', taskId: '' }
      : match(http, rest);
  const found = direct ?? below;
  if (found === undefined) return deny('message_malformed', 'no operation of A2A has this method and path');
  const last = segments.pop() ?? '';
  const names = [...segments, VERBS.test(found.method) ? last.slice(0, last.lastIndexOf(':')) : last];
  if ((direct !== undefined && below !== undefined) || !names.every((name) => ID.test(name)))
    return deny('message_ambiguous', 'a path that some readers take for another');
  if (direct === undefined && tenant === 'tasks')
    return deny('message_ambiguous', 'a tenant with the name of a collection');
  return grant({ ...found, tenant: direct === undefined ? tenant : undefined });
};
