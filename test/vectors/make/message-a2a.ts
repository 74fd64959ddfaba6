/** What clients of A2A send, in both bindings and versions. */
import type { Case } from './case.ts';
import { type Call, note, posted, read, request, rpc, type Said, said } from './message-case.ts';

const SEND = rpc('SendMessage', { message: { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'hi' }] } });
const a2a = (comment: string, body: unknown, expect: string | Case['expect'], edit: Call = {}): Case =>
  read(comment, posted('a2a', body, edit), typeof expect === 'string' ? { reason: expect } : expect);
const rest = (
  comment: string,
  call: string,
  body: unknown,
  expect: string | Case['expect'],
  edit: Call = {},
): Case => {
  const [method = '', target = ''] = call.split(' ');
  const [path, query] = target.split('?');
  const none = body === undefined ? { headers: [], body: '' } : {};
  return read(
    comment,
    posted('a2a-rest', body ?? '', {
      method,
      path,
      ...(query === undefined ? {} : { query }),
      ...none,
      ...edit,
    }),
    typeof expect === 'string' ? { reason: expect } : expect,
  );
};

const sendWith = (message: Said, more: Said = {}) =>
  rpc('SendMessage', { message: { messageId: 'm', role: 'ROLE_USER', parts: [], ...message }, ...more });

const a2aCalls = (): Case[] => [
  a2a('a message', SEND, said(false, request('SendMessage'))),
  a2a(
    'a message of 0.3 has the name of 1.0',
    { ...SEND, method: 'message/send' },
    said(false, request('SendMessage')),
  ),
  a2a(
    'task, context and skill of a message',
    sendWith({ taskId: 't', contextId: 'c', metadata: { skillId: 's' } }),
    said(false, request('SendMessage', { skill: 's', taskId: 't', contextId: 'c' })),
  ),
  a2a(
    'the skill of the request',
    sendWith({}, { metadata: { skillId: 's' } }),
    said(false, request('SendMessage', { skill: 's' })),
  ),
  a2a(
    'a route whose skills have another member',
    sendWith({ metadata: { skill: 's', skillId: 'other' } }),
    said(false, request('SendMessage', { skill: 's' })),
    { skillMember: 'skill' },
  ),
  a2a(
    'two skills',
    sendWith({ metadata: { skillId: 's' } }, { metadata: { skillId: 't' } }),
    'message_ambiguous',
  ),
  a2a('a skill in another spelling', sendWith({ metadata: { skill_id: 's' } }), 'message_ambiguous'),
  a2a('a task in another spelling', sendWith({ task_id: 't' }), 'message_ambiguous'),
  a2a(
    'a push configuration for another task',
    sendWith({ taskId: 't' }, { configuration: { taskPushNotificationConfig: { taskId: 'u' } } }),
    'message_ambiguous',
  ),
  a2a(
    'a message that brings an address for notifications along is two operations',
    sendWith(
      { taskId: 't' },
      { configuration: { taskPushNotificationConfig: { url: 'https://a.example/' } } },
    ),
    said(
      false,
      request('SendMessage', { taskId: 't' }),
      request('CreateTaskPushNotificationConfig', { taskId: 't' }),
    ),
  ),
  a2a(
    'an address by its name of 0.3',
    sendWith({}, { configuration: { pushNotificationConfig: { url: 'https://a.example/' } } }),
    said(false, request('SendMessage'), request('CreateTaskPushNotificationConfig')),
  ),
  a2a(
    'an address that is null',
    sendWith({}, { configuration: { taskPushNotificationConfig: null } }),
    said(false, request('SendMessage')),
  ),
  a2a(
    'a push configuration of 0.3 for another task',
    sendWith({ taskId: 't' }, { configuration: { pushNotificationConfig: { taskId: 'u' } } }),
    'message_ambiguous',
  ),
  a2a('no message', rpc('SendMessage', {}), 'message_malformed'),
  a2a(
    'a task that is asked for',
    rpc('GetTask', { id: 't' }),
    said(false, request('GetTask', { taskId: 't' })),
  ),
  a2a('a task of 0.3', rpc('tasks/get', { id: 't' }), said(false, request('GetTask', { taskId: 't' }))),
  a2a('a task without id', rpc('GetTask', {}), 'message_malformed'),
  a2a(
    'tasks of a context',
    rpc('ListTasks', { contextId: 'c' }),
    said(false, request('ListTasks', { contextId: 'c' })),
  ),
  a2a(
    'cancelled with a skill',
    rpc('CancelTask', { id: 't', metadata: { skillId: 's' } }),
    said(false, request('CancelTask', { skill: 's', taskId: 't' })),
  ),
  a2a('the extended card', rpc('GetExtendedAgentCard'), said(false, request('GetExtendedAgentCard'))),
  a2a('a method that no version of A2A knows', rpc('Other', {}), said(false, request('Other'))),
  a2a('a method of A2A in another case', rpc('sendMessage', {}), 'message_ambiguous'),
  a2a('a call without id', note('SendMessage', { message: {} }), 'message_malformed'),
  a2a('an answer', { jsonrpc: '2.0', id: 1, result: {} }, 'message_malformed'),
  a2a(
    'an array of two',
    [SEND, rpc('GetTask', { id: 't' }, 2)],
    said(true, request('SendMessage'), { kind: 'request', method: 'GetTask', taskId: 't', id: 2 }),
  ),
  a2a('GET of the card', '', said(false, { kind: 'http', method: 'http:agent-card' }), {
    method: 'GET',
    path: '/.well-known/agent-card.json',
    headers: [],
  }),
  a2a('GET of anything else', '', said(false, { kind: 'http', method: 'http:GET' }), {
    method: 'GET',
    path: '/about',
    headers: [],
  }),
  a2a('PUT of a message', SEND, 'message_malformed', { method: 'PUT' }),
];

const MESSAGE = { message: { messageId: 'm', role: 'ROLE_USER', parts: [] } };
const rested = (method: string, more: Said = {}) => said(false, { kind: 'request', method, ...more });

const a2aRest = (): Case[] => [
  rest('a message over HTTP+JSON', 'POST /message:send', MESSAGE, rested('SendMessage')),
  rest('of its own media type', 'POST /message:send', MESSAGE, rested('SendMessage'), {
    headers: ['Content-Type', 'application/a2a+json'],
  }),
  rest('a message that streams', 'POST /message:stream', MESSAGE, rested('SendStreamingMessage')),
  rest(
    'a message of a tenant',
    'POST /acme/message:send',
    { ...MESSAGE, tenant: 'acme' },
    rested('SendMessage'),
  ),
  rest(
    'a message over HTTP+JSON that brings an address along',
    'POST /message:send',
    { ...MESSAGE, configuration: { taskPushNotificationConfig: { url: 'https://a.example/' } } },
    said(
      false,
      { kind: 'request', method: 'SendMessage' },
      { kind: 'request', method: 'CreateTaskPushNotificationConfig' },
    ),
  ),
  rest(
    'a message of two tenants',
    'POST /acme/message:send',
    { ...MESSAGE, tenant: 'other' },
    'message_ambiguous',
  ),
  rest('a message without body', 'POST /message:send', undefined, 'message_malformed'),
  rest(
    'a message by its other name',
    'POST /message:send',
    { ...MESSAGE, request: MESSAGE.message },
    'message_ambiguous',
  ),
  rest('a task by its path', 'GET /tasks/t1', undefined, rested('GetTask', { taskId: 't1' })),
  rest('a task of 0.3 by its path', 'GET /v1/tasks/t1', undefined, rested('GetTask', { taskId: 't1' })),
  rest(
    'tasks of a context by query',
    'GET /tasks?contextId=c%201',
    undefined,
    rested('ListTasks', { contextId: 'c 1' }),
  ),
  rest(
    'a query parameter that says nothing of the task',
    'GET /tasks/t1?historyLength=3',
    undefined,
    rested('GetTask', { taskId: 't1' }),
  ),
  rest('a query that names another task', 'GET /tasks/t1?id=t2', undefined, 'message_ambiguous'),
  rest('the context twice', 'GET /tasks?contextId=a&contextId=b', undefined, 'message_ambiguous'),
  rest('a plus in the query', 'GET /tasks?contextId=a+b', undefined, 'message_ambiguous'),
  rest('cancelled by its path', 'POST /tasks/t1:cancel', undefined, rested('CancelTask', { taskId: 't1' })),
  rest(
    'a body that names the task again',
    'POST /tasks/t1:cancel',
    { id: 't1' },
    rested('CancelTask', { taskId: 't1' }),
  ),
  rest('a body that names another task', 'POST /tasks/t1:cancel', { id: 't2' }, 'message_ambiguous'),
  rest(
    'a skill that not every server reads',
    'POST /tasks/t1:cancel',
    { metadata: { skillId: 's' } },
    'message_ambiguous',
  ),
  rest('an escape in the path', 'GET /tasks/t%201', undefined, 'message_ambiguous'),
  rest('a colon in the path', 'GET /tasks/t1:x', undefined, 'message_ambiguous'),
  rest('a path with two readings', 'GET /tasks/tasks', undefined, 'message_ambiguous'),
  rest('a path of no operation', 'GET /other', undefined, 'message_malformed'),
  rest('another method', 'PUT /tasks/t1', undefined, 'message_malformed'),
  rest('GET with a body over HTTP+JSON', 'GET /tasks/t1', {}, 'message_malformed'),
  rest(
    'the card over HTTP+JSON',
    'GET /.well-known/agent-card.json',
    undefined,
    said(false, { kind: 'http', method: 'http:agent-card' }),
  ),
  rest(
    'push configurations of a task',
    'GET /tasks/t1/pushNotificationConfigs',
    undefined,
    rested('ListTaskPushNotificationConfigs', { taskId: 't1' }),
  ),
];

export const a2aMessageCases = (): Case[] => [...a2aCalls(), ...a2aRest()];
