import { describe, expect, test } from 'vitest';
import type { MessageInput } from '../../../../src/core/message/read-message.ts';
import { bare, posted, readRest } from '../../../testkit/messages.ts';

const message = { messageId: 'm', role: 'ROLE_USER', parts: [], taskId: 't', contextId: 'c' };
const post = (path: string, body: unknown, more: Partial<MessageInput> = {}) =>
  posted(body, { path, ...more });

describe('A2A over HTTP+JSON', () => {
  const CALLS: readonly (readonly [string, MessageInput, Record<string, unknown>])[] = [
    [
      'SendMessage',
      post('/message:send', { message, metadata: { skillId: 's' } }),
      { taskId: 't', contextId: 'c', skill: 's' },
    ],
    ['SendStreamingMessage', post('/message:stream', { message }), { taskId: 't', contextId: 'c' }],
    ['GetTask', bare('GET', '/tasks/t', 'historyLength=3'), { taskId: 't' }],
    ['ListTasks', bare('GET', '/tasks', 'contextId=c&pageToken=x%2By'), { contextId: 'c' }],
    ['ListTasks', bare('GET', '/tasks'), { contextId: '' }],
    ['CancelTask', bare('POST', '/tasks/t:cancel'), { taskId: 't' }],
    ['CancelTask', post('/tasks/t:cancel', { id: 't', metadata: { x: 's' } }), { taskId: 't', skill: '' }],
    ['CancelTask', post('/tasks/t:cancel', 'null'), { taskId: 't' }],
    ['SubscribeToTask', bare('GET', '/tasks/t:subscribe'), { taskId: 't' }],
    ['SubscribeToTask', bare('POST', '/tasks/t:subscribe'), { taskId: 't' }],
    [
      'CreateTaskPushNotificationConfig',
      post('/tasks/t/pushNotificationConfigs', { id: 'p', url: 'https://x' }),
      { taskId: 't' },
    ],
    [
      'CreateTaskPushNotificationConfig',
      post('/tasks/t/pushNotificationConfigs', { taskId: 't', url: 'https://x' }),
      { taskId: 't' },
    ],
    [
      'CreateTaskPushNotificationConfig',
      post('/tasks/t/pushNotificationConfigs', { name: 'tasks/t/pushNotificationConfigs/p' }),
      { taskId: 't' },
    ],
    ['ListTaskPushNotificationConfigs', bare('GET', '/tasks/t/pushNotificationConfigs'), { taskId: 't' }],
    ['GetTaskPushNotificationConfig', bare('GET', '/tasks/t/pushNotificationConfigs/p'), { taskId: 't' }],
    [
      'DeleteTaskPushNotificationConfig',
      bare('DELETE', '/tasks/t/pushNotificationConfigs/p'),
      { taskId: 't' },
    ],
    ['GetExtendedAgentCard', bare('GET', '/extendedAgentCard'), {}],
  ];

  test.each(CALLS)('%s', (method, input, names) => {
    const expected = [{ kind: 'request', method, id: undefined, ...names }];
    expect(readRest(input)).toMatchObject(expected);
    // Below a tenant; `v1` is also where version 0.3 has it.
    for (const tenant of ['v1', 'acme'])
      expect(readRest({ ...input, path: `/${tenant}${input.path}` })).toMatchObject(expected);
  });

  test('the cards: extended of 0.3, and the public one', () => {
    expect(readRest(bare('GET', '/v1/card'))).toMatchObject([{ method: 'GetExtendedAgentCard' }]);
    expect(readRest(bare('GET', '/.well-known/agent-card.json'))).toMatchObject([
      { kind: 'http', method: 'http:agent-card' },
    ]);
  });

  test('a tenant may be named wherever it is the same', () => {
    const body = { message, tenant: 'acme' };
    expect(readRest(post('/acme/message:send', body, { query: 'tenant=acme' }))).toHaveLength(1);
    expect(readRest(post('/message:send', body))).toHaveLength(1);
  });

  test('its own media type, and none without a body', () => {
    const headers = ['content-type', 'application/a2a+json'];
    expect(readRest(post('/message:send', { message }, { headers }))).toHaveLength(1);
    expect(readRest(post('/message:send', { message }, { headers: [] }))).toBe('message_type');
  });
});

describe('attacks on A2A over HTTP+JSON', () => {
  test.each([
    ['another task in the body', post('/tasks/a:cancel', { id: 'b' })],
    [
      'another task in the body of a configuration',
      post('/tasks/a/pushNotificationConfigs', { taskId: 'b' }),
    ],
    ['another spelling of the task', post('/tasks/a/pushNotificationConfigs', { task_id: 'b' })],
    [
      'a resource name of 0.3 of another task',
      post('/v1/tasks/a/pushNotificationConfigs', { name: 'tasks/b/pushNotificationConfigs/p' }),
    ],
    [
      'a resource name that is hard to read',
      post('/v1/tasks/a/pushNotificationConfigs', { name: 'tasks/a/../b' }),
    ],
    ['a parent of 0.3 that is another', post('/v1/tasks/a/pushNotificationConfigs', { parent: 'tasks/b' })],
    ['a list for a task', post('/tasks/a:cancel', { id: ['a'] })],
    ['the message under its name of 0.3', post('/v1/message:send', { request: message, message })],
    ['that name alone', post('/v1/message:send', { request: message })],
    ['a tenant in the path and another in the body', post('/acme/message:send', { message, tenant: 'evil' })],
    ['a tenant in the path and another in the query', bare('GET', '/acme/tasks/t', 'tenant=evil')],
    ['two tenants in the query', bare('GET', '/tasks/t', 'tenant=a&tenant=b')],
    ['another task in the query', bare('GET', '/tasks/a', 'id=b')],
    ['another task in an escaped name', bare('GET', '/tasks/a', 'task%49d=b')],
    ['another task in brackets', bare('GET', '/tasks/a', 'id[]=b')],
    ['a message in the query', bare('GET', '/tasks/a', 'message.taskId=b&message=1')],
    ['two contexts', bare('GET', '/tasks', 'contextId=a&contextId=b')],
    ['a context under another spelling', bare('GET', '/tasks', 'context_id=a')],
    ['a context with a plus', bare('GET', '/tasks', 'contextId=a+b')],
    ['a context that is badly escaped', bare('GET', '/tasks', 'contextId=%ff')],
    ['an escaped task', bare('GET', '/tasks/%20a')],
    ['a task with a colon', bare('GET', '/tasks/a:send')],
    ['a task with two verbs', bare('POST', '/tasks/a:cancel:cancel')],
    ['a task without a name', bare('POST', '/tasks/:cancel')],
    ['an empty task', bare('GET', '/tasks/')],
    ['a tenant that could be the collection', bare('GET', '/tasks/tasks')],
    ['a card that could be a task', bare('GET', '/tasks/extendedAgentCard')],
    ['a collection within a tenant of that name', bare('GET', '/tasks/tasks/x')],
    ['an empty tenant', bare('GET', '//tasks')],
    ['a skill under another spelling', post('/tasks/a:cancel', { metadata: { skill_id: 'x' } })],
    ['a skill that not every server reads', post('/tasks/a:cancel', { metadata: { skillId: 'x' } })],
    ['metadata under another spelling', post('/tasks/a:cancel', { Metadata: {} })],
  ])('%s', (_, input) => {
    expect(readRest(input)).toBe('message_ambiguous');
  });

  test.each([
    ['another case', bare('GET', '/Tasks/a')],
    ['one segment more', bare('GET', '/tasks/a/pushNotificationConfigs/p/x')],
    ['a slash at the end', bare('GET', '/tasks/a/')],
    ['nothing', bare('GET', '')],
    ['cancelling with GET', bare('GET', '/tasks/a:cancel')],
    ['an unknown verb', bare('POST', '/tasks/a:delete')],
    ['deleting a task', bare('DELETE', '/tasks/a')],
    ['two tenants', bare('GET', '/a/b/tasks/t')],
    ['GET with a body', post('/tasks/a', { id: 'b' }, { method: 'GET' })],
    ['DELETE with a body', post('/tasks/a/pushNotificationConfigs/p', {}, { method: 'DELETE' })],
    ['a message that is no object', post('/message:send', [message])],
    ['no message', post('/message:send', 'null')],
    ['a body that is not JSON', post('/tasks/a:cancel', 'id=b')],
    ['GET of the card with a body', post('/.well-known/agent-card.json', {}, { method: 'GET' })],
    ['the card of a tenant', bare('GET', '/acme/.well-known/agent-card.json')],
  ])('%s', (_, input) => {
    expect(readRest(input)).toBe('message_malformed');
  });
});

test('an address for notifications that a message brings along is an operation of its own', () => {
  const body = { message: { messageId: 'm', taskId: 't' }, configuration: { pushNotificationConfig: {} } };
  const read = readRest(post('/message:send', body));
  expect(read).toMatchObject([
    { method: 'SendMessage' },
    { method: 'CreateTaskPushNotificationConfig', taskId: 't' },
  ]);
  expect(read).toHaveLength(2);
});
