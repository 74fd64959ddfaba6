/** What a reader takes a request for, in plain code of our own that trusts whatever it is given. */
import type { Operation } from '../../src/core/message/message.ts';

/** Only what a reader sees; the rest of an operation is not compared. */
export type Reading = Partial<Operation>;

type Loose = Readonly<Record<string, unknown>>;
// As loose as an agent is: any member of anything.
const of = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Loose)[name]
    : undefined;
const itemsOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);
const idOf = (item: unknown) => of(item, 'id') as string | number | undefined;
const named = (value: unknown): string => (value ?? '') as string;

const NAME: Readonly<Record<string, keyof Operation>> = { 'tools/call': 'tool', 'prompts/get': 'prompt' };
const URI = ['resources/read', 'resources/subscribe', 'resources/unsubscribe'];

const mcpNames = (method: string, params: unknown): Reading => {
  const name = Object.hasOwn(NAME, method) ? NAME[method] : undefined;
  if (name !== undefined)
    return { [name]: of(params, 'name'), arguments: of(params, 'arguments') ?? {} } as Reading;
  if (URI.includes(method)) return { resource: of(params, 'uri') as string };
  if (['tasks/get', 'tasks/result', 'tasks/cancel', 'tasks/update'].includes(method))
    return { taskId: of(params, 'taskId') as string };
  const ref = of(params, 'ref');
  if (method !== 'completion/complete') return {};
  return of(ref, 'type') === 'ref/prompt'
    ? { prompt: of(ref, 'name') as string }
    : { resource: of(ref, 'uri') as string };
};

const NOTHING: Reading = {
  tool: '',
  prompt: '',
  resource: '',
  arguments: {},
  skill: '',
  taskId: '',
  contextId: '',
};

/** Of a parsed body. */
export const mcpReadings = (body: unknown): readonly Reading[] =>
  itemsOf(body).flatMap((item): Reading[] => {
    const method = of(item, 'method') as string | undefined;
    const id = idOf(item);
    if (method === undefined) return [{ ...NOTHING, kind: 'response', method: 'response', id }];
    const params = of(item, 'params');
    const kind = id === undefined ? 'notification' : 'request';
    const one = { ...NOTHING, kind, method, id, ...mcpNames(method, params) } as const;
    const more: Reading[] = [];
    if (method === 'subscriptions/listen')
      for (const resource of (of(of(params, 'notifications'), 'resourceSubscriptions') ??
        []) as readonly string[])
        more.push({ ...one, resource });
    if (of(params, 'inputResponses') !== undefined)
      more.push({ ...NOTHING, kind: 'response', method: 'response', id: undefined });
    return [one, ...more];
  });

const OLD: Readonly<Record<string, string>> = {
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

/** Skills that a request names, however odd: one agent looks here, the next there. */
export const skillsOf = (params: unknown, member = 'skillId'): readonly unknown[] =>
  [of(of(params, 'metadata'), member), of(of(of(params, 'message'), 'metadata'), member)].filter(
    (skill) => skill !== undefined && skill !== null && skill !== '',
  );

/** One skill, or none; anything else is what no reader of ours may let through. */
export const oneSkill = (skills: readonly unknown[]): string =>
  skills.every((skill) => skill === skills[0]) ? named(skills[0]) : 'MORE THAN ONE SKILL';

const SENDS = ['SendMessage', 'SendStreamingMessage'];
const CONFIGS = Object.values(OLD).filter((method) => method.includes('PushNotification'));

/** A message that is sent may bring the address for notifications along. */
export const withAddress = (sent: Reading, params: unknown): readonly Reading[] =>
  ['taskPushNotificationConfig', 'pushNotificationConfig'].some(
    (name) => (of(of(params, 'configuration'), name) ?? null) !== null,
  )
    ? [sent, { kind: 'request', method: 'CreateTaskPushNotificationConfig', taskId: sent.taskId ?? '' }]
    : [sent];

/** Of a parsed body of the JSON-RPC binding. */
export const a2aReadings = (body: unknown): readonly Reading[] =>
  itemsOf(body).flatMap((item): readonly Reading[] => {
    const one = a2aReading(item);
    return SENDS.includes(one.method ?? '') ? withAddress(one, of(item, 'params')) : [one];
  });

const a2aReading = (item: unknown): Reading => {
  const name = of(item, 'method') as string;
  const params = of(item, 'params');
  const method = Object.hasOwn(OLD, name) ? (OLD[name] as string) : name;
  const one = { ...NOTHING, kind: 'request', method, id: idOf(item) } as const;
  if (SENDS.includes(method)) {
    const message = of(params, 'message');
    const [taskId, contextId] = [named(of(message, 'taskId')), named(of(message, 'contextId'))];
    return { ...one, skill: oneSkill(skillsOf(params)), taskId, contextId };
  }
  if (method === 'CancelTask')
    return { ...one, skill: oneSkill(skillsOf(params)), taskId: named(of(params, 'id')) };
  if (method === 'GetTask' || method === 'SubscribeToTask')
    return { ...one, taskId: named(of(params, 'id')) };
  if (method === 'ListTasks') return { ...one, contextId: named(of(params, 'contextId')) };
  if (CONFIGS.includes(method))
    // 0.3 has the task in `id`, but where it sets one.
    return {
      ...one,
      taskId: named(of(params, name === method || name.endsWith('/set') ? 'taskId' : 'id')),
    };
  return one;
};

/** Of a parsed body of the HTTP+JSON binding, which has the operation in the path. */
export const restReadings = (method: string, body: unknown): readonly Reading[] => {
  const message = of(body, 'message');
  const skill = oneSkill(skillsOf(body));
  if (!SENDS.includes(method)) return [{ skill }];
  const [taskId, contextId] = [named(of(message, 'taskId')), named(of(message, 'contextId'))];
  return withAddress({ skill, taskId, contextId }, body);
};
