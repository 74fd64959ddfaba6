import { describe, expect, test } from 'vitest';
import type { Operation } from '../../../../src/core/message/message.ts';
import { readMessage } from '../../../../src/core/message/read-message.ts';
import type { RouteRule } from '../../../../src/core/policy/model.ts';
import { operationScopes } from '../../../../src/core/policy/operations.ts';
import { bare, outcome, posted, readA2aBody, rpc } from '../../../testkit/messages.ts';

const message = (more: Record<string, unknown> = {}) => ({
  messageId: 'm1',
  role: 'ROLE_USER',
  parts: [{ text: 'hi' }],
  ...more,
});
const send = (more: Record<string, unknown> = {}, outer: Record<string, unknown> = {}) =>
  rpc('SendMessage', { message: message(more), ...outer }, { id: 7 });

describe('what a client of A2A sends over JSON-RPC', () => {
  test('a message, with its task, context and skill', () => {
    const read = readA2aBody(send({ taskId: 't', contextId: 'c', metadata: { skillId: 's' } }));
    expect(read).toEqual([
      {
        kind: 'request',
        method: 'SendMessage',
        tool: '',
        prompt: '',
        resource: '',
        arguments: {},
        skill: 's',
        taskId: 't',
        contextId: 'c',
        id: 7,
      },
    ]);
  });

  test('a skill in the metadata of the request, of the message, or of both', () => {
    expect(readA2aBody(send({}, { metadata: { skillId: 's' } }))).toMatchObject([{ skill: 's' }]);
    expect(readA2aBody(send({ metadata: { skillId: 's' } }, { metadata: { skillId: 's' } }))).toMatchObject([
      { skill: 's' },
    ]);
    expect(
      readA2aBody(send({}, { metadata: { skillId: 's', x: 'y' } }), {}, { skillMember: 'x' }),
    ).toMatchObject([{ skill: 'y' }]);
    expect(readA2aBody(send({ metadata: null }))).toMatchObject([{ skill: '' }]);
  });

  test.each([
    ['SendMessage', 'message/send', { message: message({ taskId: 't' }) }],
    ['SendStreamingMessage', 'message/stream', { message: message({ taskId: 't' }) }],
    ['GetTask', 'tasks/get', { id: 't' }],
    ['CancelTask', 'tasks/cancel', { id: 't' }],
    ['SubscribeToTask', 'tasks/resubscribe', { id: 't' }],
    ['CreateTaskPushNotificationConfig', 'tasks/pushNotificationConfig/set', { taskId: 't' }],
  ])('%s and %s of 0.3 are one operation', (method, old, params) => {
    const expected = [{ kind: 'request', method, taskId: 't', id: 1 }];
    expect(readA2aBody(rpc(method, params, { id: 1 }))).toMatchObject(expected);
    expect(readA2aBody(rpc(old, params, { id: 1 }))).toMatchObject(expected);
  });

  test.each([
    ['GetTaskPushNotificationConfig', 'tasks/pushNotificationConfig/get'],
    ['ListTaskPushNotificationConfigs', 'tasks/pushNotificationConfig/list'],
    ['DeleteTaskPushNotificationConfig', 'tasks/pushNotificationConfig/delete'],
  ])('%s has the task in taskId, %s of 0.3 has it in id', (method, old) => {
    const params = { id: 'config', taskId: 't' };
    expect(readA2aBody(rpc(method, params))).toMatchObject([{ method, taskId: 't' }]);
    expect(readA2aBody(rpc(old, { id: 't', pushNotificationConfigId: 'config' }))).toMatchObject([
      { method, taskId: 't' },
    ]);
  });

  test('ListTasks may name a context, the extended card names nothing', () => {
    expect(readA2aBody(rpc('ListTasks', { contextId: 'c', pageSize: 3 }))).toMatchObject([
      { contextId: 'c' },
    ]);
    expect(readA2aBody(rpc('ListTasks', {}))).toMatchObject([{ contextId: '' }]);
    for (const name of ['GetExtendedAgentCard', 'agent/getAuthenticatedExtendedCard'])
      expect(readA2aBody(rpc(name))).toMatchObject([{ method: 'GetExtendedAgentCard' }]);
  });

  test('a skill is named by what is sent, and by what cancels it', () => {
    const params = { id: 't', metadata: { skillId: 's' } };
    expect(readA2aBody(rpc('CancelTask', params))).toMatchObject([{ skill: 's' }]);
    // One version has metadata here, the other has none.
    for (const method of ['GetTask', 'tasks/get', 'tasks/resubscribe', 'agent/getAuthenticatedExtendedCard'])
      expect(readA2aBody(rpc(method, params))).toMatchObject([{ skill: '' }]);
  });

  test('a method that neither version knows has its own name, and no task', () => {
    expect(readA2aBody(rpc('vendor/x', { id: 't' }))).toMatchObject([{ method: 'vendor/x', taskId: '' }]);
  });

  test('batches are read item by item', () => {
    const read = readA2aBody([send(), rpc('CancelTask', { id: 't' })]);
    expect(read).toMatchObject([{ method: 'SendMessage' }, { method: 'CancelTask', taskId: 't' }]);
  });

  test('GET of the agent card', () => {
    const get = (path: string) => outcome(readMessage('a2a', bare('GET', path)));
    expect(get('/.well-known/agent-card.json')).toMatchObject([{ kind: 'http', method: 'http:agent-card' }]);
    expect(get('/.well-known/agent.json')).toMatchObject([{ method: 'http:agent-card' }]);
    expect(get('/.well-known/Agent-card.json')).toMatchObject([{ method: 'http:GET' }]);
    expect(get('')).toMatchObject([{ method: 'http:GET' }]);
    expect(outcome(readMessage('a2a', posted(send(), { method: 'GET' })))).toBe('message_malformed');
    expect(outcome(readMessage('a2a', bare('DELETE')))).toBe('message_malformed');
  });
});

describe('an address for notifications that a message brings along', () => {
  const brought = (configuration: object, given: Record<string, unknown> = {}) =>
    readA2aBody(send(given, { configuration }));

  test.each([
    ['of 1.0', { taskPushNotificationConfig: { url: 'https://x' } }],
    ['of 0.3', { pushNotificationConfig: { url: 'https://x' } }],
    ['that is empty', { taskPushNotificationConfig: {} }],
  ])('%s is an operation of its own', (_, configuration) => {
    expect(brought(configuration, { taskId: 't' })).toMatchObject([
      { method: 'SendMessage', taskId: 't', id: 7 },
      { method: 'CreateTaskPushNotificationConfig', taskId: 't', id: 7 },
    ]);
  });

  test('none is none', () => {
    expect(brought({ blocking: true })).toHaveLength(1);
    expect(brought({ taskPushNotificationConfig: null })).toHaveLength(1);
  });

  test('so that who may send a message alone can’t send its answers elsewhere', () => {
    const operations = [{ methods: ['SendMessage'], names: undefined, scopes: [] }];
    const route = { name: 'agent', operations } as unknown as RouteRule;
    const decided = (configuration: object) =>
      (brought(configuration) as readonly Operation[]).map(
        (operation) => operationScopes(route, operation, new Map()).ok,
      );
    expect(decided({})).toEqual([true]);
    expect(decided({ pushNotificationConfig: { url: 'https://evil.example' } })).toEqual([true, false]);
  });
});

describe('attacks on A2A over JSON-RPC', () => {
  test.each([
    ['two skills', send({ metadata: { skillId: 'a' } }, { metadata: { skillId: 'b' } })],
    ['a skill under another spelling', send({ metadata: { skill_id: 'b' } })],
    [
      'a skill under another case beside it',
      send({ metadata: { skillId: 'a' } }, { metadata: { SkillID: 'b' } }),
    ],
    ['task_id, which ProtoJSON takes for taskId', send({ task_id: 't' })],
    ['task_id beside taskId', send({ taskId: 'a', task_id: 'b' })],
    ['context_id', send({ context_id: 'c' })],
    ['Message', rpc('SendMessage', { Message: message() })],
    ['MetaData', send({}, { MetaData: { skillId: 'x' } })],
    ['a task with a control character', send({ taskId: 'a\u0000b' })],
    [
      'a push configuration of another task',
      send({ taskId: 'a' }, { configuration: { taskPushNotificationConfig: { taskId: 'b' } } }),
    ],
    [
      'a push configuration of a task where the message has none',
      send({}, { configuration: { taskPushNotificationConfig: { taskId: 'b' } } }),
    ],
    [
      'a push configuration under another spelling',
      send({}, { configuration: { task_push_notification_config: {} } }),
    ],
    [
      'the task of a push configuration under another spelling',
      send({}, { configuration: { taskPushNotificationConfig: { task_id: 'b' } } }),
    ],
    ['ID for id', rpc('GetTask', { ID: 't' })],
    ['Id beside id', '{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"a","Id":"b"}}'],
    ['task_id for the configuration', rpc('DeleteTaskPushNotificationConfig', { task_id: 't', id: 'c' })],
    ['sendMessage', rpc('sendMessage', { message: message() })],
    ['send_message', rpc('send_message', { message: message() })],
    ['Message/Send', rpc('Message/Send', { message: message() })],
  ])('%s', (_, body) => {
    expect(readA2aBody(body)).toBe('message_ambiguous');
  });

  test.each([
    ['no parameters', rpc('SendMessage')],
    ['no message', rpc('SendMessage', {})],
    ['a message that is a list', rpc('SendMessage', { message: [message()] })],
    ['metadata that are a list', send({ metadata: [{ skillId: 'x' }] })],
    ['metadata that are a string', send({}, { metadata: 'skillId' })],
    ['a skill that is a list, which String() joins', send({ metadata: { skillId: ['a'] } })],
    ['a task that is a number', send({ taskId: 5 })],
    ['a task that is a list', rpc('GetTask', { id: ['t'] })],
    ['no task', rpc('CancelTask', {})],
    ['an empty task', rpc('CancelTask', { id: '' })],
    ['a configuration that is a list', send({}, { configuration: [] })],
    [
      'no id, which servers carry out all the same',
      { jsonrpc: '2.0', method: 'SendMessage', params: { message: message() } },
    ],
    ['a null id', rpc('GetTask', { id: 't' }, { id: null })],
    ['an answer', { jsonrpc: '2.0', id: 1, result: {} }],
    ['parameters by position', rpc('GetTask', ['t'])],
    ['our word for the agent card', rpc('http:agent-card')],
  ])('%s', (_, body) => {
    expect(readA2aBody(body)).toBe('message_malformed');
  });

  test('the type of the other binding', () => {
    expect(readA2aBody(send(), { headers: ['content-type', 'application/a2a+json'] })).toBe('message_type');
  });
});
