import { describe, expect, test } from 'vitest';
import { readMessage } from '../../../../src/core/message/read-message.ts';
import { bare, JSON_HEADERS, outcome, posted, readMcpBody, rpc } from '../../../testkit/messages.ts';

const call = (params: unknown, more?: Record<string, unknown>) =>
  rpc('tools/call', params, { id: 1, ...more });
const headers = (...more: string[]) => ({ headers: [...JSON_HEADERS, ...more] });

describe('what a client of MCP sends', () => {
  test('a call of a tool, with its arguments', () => {
    expect(readMcpBody(call({ name: 'ec2.stop', arguments: { id: 'i-1', force: true } }))).toEqual([
      {
        kind: 'request',
        method: 'tools/call',
        tool: 'ec2.stop',
        prompt: '',
        resource: '',
        arguments: { id: 'i-1', force: true },
        skill: '',
        taskId: '',
        contextId: '',
        id: 1,
      },
    ]);
  });

  test.each([
    ['prompts/get', { name: 'review', arguments: { code: 'x' } }, { prompt: 'review' }],
    ['resources/read', { uri: 'file:///etc' }, { resource: 'file:///etc' }],
    ['resources/subscribe', { uri: 'a:b' }, { resource: 'a:b' }],
    ['resources/unsubscribe', { uri: 'a:b' }, { resource: 'a:b' }],
    ['completion/complete', { ref: { type: 'ref/prompt', name: 'p' }, argument: {} }, { prompt: 'p' }],
    ['completion/complete', { ref: { type: 'ref/resource', uri: 'u:{x}' } }, { resource: 'u:{x}' }],
    ['tasks/get', { taskId: 't' }, { taskId: 't' }],
    ['tasks/result', { taskId: 't' }, { taskId: 't' }],
    ['tasks/cancel', { taskId: 't' }, { taskId: 't' }],
    ['tasks/update', { taskId: 't' }, { taskId: 't' }],
    ['tools/call', { name: 't', _meta: { progressToken: 1 }, task: { ttl: 1 } }, { tool: 't' }],
    ['initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} }, {}],
    ['ping', undefined, {}],
    ['tools/list', { cursor: 'x' }, {}],
    ['logging/setLevel', { level: 'debug' }, {}],
    ['server/discover', { _meta: {} }, {}],
    ['vendor/anything', { name: 'x', uri: 'y' }, { tool: '', resource: '' }],
  ])('%s %j', (method, params, names) => {
    const read = readMcpBody(rpc(method, params));
    expect(read).toMatchObject([{ kind: 'request', method, ...names }]);
  });

  test('a notification has no id, and is no request', () => {
    expect(readMcpBody({ jsonrpc: '2.0', method: 'notifications/initialized' })).toMatchObject([
      { kind: 'notification', method: 'notifications/initialized', id: undefined },
    ]);
  });

  test('a call that is sent without an id is read all the same', () => {
    expect(readMcpBody({ jsonrpc: '2.0', method: 'tools/call', params: { name: 'x' } })).toMatchObject([
      { kind: 'notification', method: 'tools/call', tool: 'x' },
    ]);
  });

  test.each([{ result: {} }, { error: { code: 1, message: 'no' } }])(
    'an answer to the server’s request is a response: %j',
    (answer) => {
      expect(readMcpBody({ jsonrpc: '2.0', id: 's1', ...answer })).toMatchObject([
        { kind: 'response', method: 'response', id: 's1' },
      ]);
    },
  );

  test('a subscription is one operation more for each resource', () => {
    const notifications = { toolsListChanged: true, resourceSubscriptions: ['a:1', 'a:2'] };
    const read = readMcpBody(rpc('subscriptions/listen', { notifications }));
    expect(read).toMatchObject([{ resource: '' }, { resource: 'a:1' }, { resource: 'a:2' }]);
  });

  test('answers that a call carries along are a response besides', () => {
    const read = readMcpBody(call({ name: 'x', inputResponses: { a: {} }, requestState: 's' }));
    expect(read).toMatchObject([
      { kind: 'request', tool: 'x' },
      { kind: 'response', method: 'response' },
    ]);
  });

  test('GET and DELETE have no body', () => {
    expect(outcome(readMessage('mcp', bare('GET')))).toMatchObject([{ kind: 'http', method: 'http:GET' }]);
    expect(outcome(readMessage('mcp', bare('DELETE')))).toMatchObject([{ method: 'http:DELETE' }]);
    expect(outcome(readMessage('mcp', posted(call({ name: 'x' }), { method: 'GET' })))).toBe(
      'message_malformed',
    );
    expect(outcome(readMessage('mcp', posted(call({ name: 'x' }), { method: 'DELETE' })))).toBe(
      'message_malformed',
    );
    for (const method of ['PUT', 'PATCH', 'HEAD', 'OPTIONS', 'QUERY'])
      expect(outcome(readMessage('mcp', bare(method)))).toBe('message_malformed');
  });
});

describe('batches', () => {
  const batch = [rpc('ping', undefined, { id: 1 }), call({ name: 'x' }, { id: 2 })];

  test('are read item by item', () => {
    const verdict = readMessage('mcp', posted(batch));
    expect(verdict).toMatchObject({ ok: true, value: { batch: true } });
    expect(outcome(verdict)).toMatchObject([{ method: 'ping' }, { method: 'tools/call', tool: 'x' }]);
  });

  test('are of the one revision that has them', () => {
    expect(readMcpBody(batch, headers('MCP-Protocol-Version', '2025-03-26'))).toHaveLength(2);
    for (const revision of ['2025-06-18', '2025-11-25', '2026-07-28', ''])
      expect(readMcpBody(batch, headers('MCP-Protocol-Version', revision))).toBe('message_malformed');
  });

  test('an answer may have the id of a request: they are counted apart', () => {
    expect(
      readMcpBody([rpc('ping', undefined, { id: 1 }), { jsonrpc: '2.0', id: 1, result: {} }]),
    ).toHaveLength(2);
  });

  test.each([
    ['none', [], 'message_malformed'],
    ['too many', Array.from({ length: 101 }, () => rpc('ping')), 'message_malformed'],
    ['a batch in a batch', [[rpc('ping')]], 'message_malformed'],
    ['one bad item among good ones', [rpc('ping'), 1], 'message_malformed'],
    ['the same id twice', [rpc('ping', undefined, { id: 1 }), call({ name: 'x' })], 'message_ambiguous'],
    ['1 and "1"', [rpc('ping', undefined, { id: '1' }), call({ name: 'x' })], 'message_ambiguous'],
    ['initialize, which comes alone', [rpc('initialize', {})], 'message_malformed'],
  ])('%s is refused', (_, body, reason) => {
    expect(readMcpBody(body)).toBe(reason);
  });
});

describe('attacks on the envelope', () => {
  test.each([
    ['a string', 'ping'],
    ['null', null],
    ['no version', { id: 1, method: 'ping' }],
    ['version 1.0', rpc('ping', undefined, { jsonrpc: '1.0' })],
    ['version 2', rpc('ping', undefined, { jsonrpc: 2 })],
    ['a method that is no string', rpc('x', {}, { method: ['tools/call'] })],
    ['an empty method', rpc('')],
    ['a null id', rpc('ping', {}, { id: null })],
    ['an id that is a fraction', rpc('ping', {}, { id: 1.5 })],
    ['an id that is an object', rpc('ping', {}, { id: {} })],
    ['an id that is true', rpc('ping', {}, { id: true })],
    ['parameters by position', rpc('tools/call', ['x'])],
    ['parameters that are null', rpc('ping', null)],
    ['one member more', rpc('ping', {}, { tool: 'x' })],
    ['the method under another case', { jsonrpc: '2.0', id: 1, Method: 'tools/call' }],
    ['the parameters under another case', { jsonrpc: '2.0', id: 1, method: 'ping', Params: {} }],
    ['a call that is an answer too', rpc('ping', {}, { result: {} })],
    ['an answer with result and error', { jsonrpc: '2.0', id: 1, result: {}, error: {} }],
    ['an answer with neither', { jsonrpc: '2.0', id: 1 }],
    ['an answer without an id', { jsonrpc: '2.0', result: {} }],
    ['an error without an id', { jsonrpc: '2.0', error: { code: 1, message: '' } }],
    ['an error with a null id', { jsonrpc: '2.0', id: null, error: { code: 1, message: '' } }],
    ['an answer with parameters', { jsonrpc: '2.0', id: 1, result: {}, params: {} }],
    ['our word for GET', rpc('http:GET')],
    ['our word for answers', rpc('response')],
  ])('%s', (_, body) => {
    expect(readMcpBody(JSON.stringify(body))).toBe('message_malformed');
  });
});

describe('attacks on what is read of the parameters', () => {
  test.each([
    ['no parameters', rpc('tools/call'), 'message_malformed'],
    ['no name', call({ arguments: {} }), 'message_malformed'],
    ['an empty name', call({ name: '' }), 'message_malformed'],
    ['a name that is a list', call({ name: ['x'] }), 'message_malformed'],
    ['arguments that are a list', call({ name: 'x', arguments: [] }), 'message_malformed'],
    ['arguments that are a string', call({ name: 'x', arguments: '{}' }), 'message_malformed'],
    ['arguments that are null', call({ name: 'x', arguments: null }), 'message_malformed'],
    ['Name alone', call({ Name: 'x' }), 'message_ambiguous'],
    [
      'NAME beside the name',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","NAME":"b"}}',
      'message_ambiguous',
    ],
    ['Arguments beside the name', call({ name: 'x', Arguments: { a: 1 } }), 'message_ambiguous'],
    ['arguments with a long s', call({ name: 'x', argumentſ: {} }), 'message_ambiguous'],
    ['a name that C cuts short', call({ name: 'safe\u0000rm' }), 'message_ambiguous'],
    ['a name with a line feed', call({ name: 'safe\nrm' }), 'message_ambiguous'],
    ['twins within the arguments', call({ name: 'x', arguments: { path: 1, Path: 2 } }), 'message_ambiguous'],
    ['Tools/Call', rpc('Tools/Call', { name: 'x' }), 'message_ambiguous'],
    ['toolſ/call', rpc('toolſ/call', { name: 'x' }), 'message_ambiguous'],
    ['resources/read with URI', rpc('resources/read', { URI: 'x' }), 'message_ambiguous'],
    ['resources/read without', rpc('resources/read', {}), 'message_malformed'],
    ['task_id for taskId', rpc('tasks/cancel', { task_id: 'x', taskId: 'y' }), 'message_ambiguous'],
    [
      'a number in the arguments of a prompt',
      rpc('prompts/get', { name: 'p', arguments: { a: 1 } }),
      'message_malformed',
    ],
    ['a ref of no type', rpc('completion/complete', { ref: { name: 'x' } }), 'message_malformed'],
    [
      'a ref with Name',
      rpc('completion/complete', { ref: { type: 'ref/prompt', name: 'x', NaMe: 1 } }),
      'message_ambiguous',
    ],
    ['_meta that is a list', call({ name: 'x', _meta: [] }), 'message_malformed'],
    ['a subscription without a filter', rpc('subscriptions/listen', {}), 'message_malformed'],
    [
      'a subscription to a number',
      rpc('subscriptions/listen', { notifications: { resourceSubscriptions: [1] } }),
      'message_malformed',
    ],
    [
      'a subscription by another spelling',
      rpc('subscriptions/listen', { notifications: { resource_subscriptions: [] } }),
      'message_ambiguous',
    ],
    ['answers that are null', call({ name: 'x', inputResponses: null }), 'message_malformed'],
    ['answers that are a list', call({ name: 'x', inputResponses: [{}] }), 'message_malformed'],
    ['answers by another spelling', call({ name: 'x', input_responses: {} }), 'message_ambiguous'],
  ])('%s', (_, body, reason) => {
    expect(readMcpBody(body)).toBe(reason);
  });
});

describe('headers that say again what the body says', () => {
  const REVISION = 'io.modelcontextprotocol/protocolVersion';
  const meta = { [REVISION]: '2026-07-28' };
  const stop = call({
    name: 'ec2.stop',
    arguments: { region: 'eu', count: 42, nested: { deep: 'é' } },
    _meta: meta,
  });
  const b64 = (text: string) => `=?base64?${Buffer.from(text).toString('base64')}?=`;

  test.each([
    ['the same', ['MCP-Protocol-Version', '2026-07-28', 'Mcp-Method', 'tools/call', 'Mcp-Name', 'ec2.stop']],
    ['the name in base64', ['Mcp-Name', b64('ec2.stop')]],
    ['parameters', ['Mcp-Param-Region', 'eu', 'Mcp-Param-Count', '42.0', 'Mcp-Param-Deep', b64('é')]],
  ])('%s is read', (_, more) => {
    expect(readMcpBody(stop, headers(...more))).toMatchObject([{ tool: 'ec2.stop' }]);
  });

  test.each([
    ['another method', stop, ['Mcp-Method', 'tools/list']],
    ['the method in another case', stop, ['Mcp-Method', 'Tools/Call']],
    ['another tool', stop, ['Mcp-Name', 'ec2.describe']],
    ['two tools in one header', stop, ['Mcp-Name', 'ec2.stop, ec2.describe']],
    ['another tool in base64', stop, ['Mcp-Name', b64('ec2.describe')]],
    ['base64 that is none', stop, ['Mcp-Name', '=?base64?ZWMyLnN0b3A?=']],
    ['base64 with loose bits', stop, ['Mcp-Name', '=?base64?ZWMyLnN0b3B=?=']],
    ['another revision', stop, ['MCP-Protocol-Version', '2025-11-25']],
    ['a parameter that the arguments don’t have', stop, ['Mcp-Param-Region', 'us']],
    ['a parameter in another notation', stop, ['Mcp-Param-Count', '0x2a']],
    ['a parameter with a blank', stop, ['Mcp-Param-Count', ' 42']],
    ['a parameter of a call without arguments', rpc('ping'), ['Mcp-Param-Region', 'us']],
    ['a name for what has none', rpc('tools/list'), ['Mcp-Name', 'x']],
    ['a method for an answer', { jsonrpc: '2.0', id: 1, result: {} }, ['Mcp-Method', 'ping']],
    ['a method for a batch', [rpc('ping')], ['Mcp-Method', 'ping']],
    ['a revision under another spelling', call({ name: 'x', _meta: { [REVISION.toUpperCase()]: 'x' } }), []],
  ])('attack: %s', (_, body, more) => {
    expect(readMcpBody(body, headers(...more))).toBe('message_ambiguous');
  });

  test('the type and coding of the body are looked at first', () => {
    expect(readMcpBody(stop, { headers: [] })).toBe('message_type');
    expect(readMcpBody('}', { headers: ['content-type', 'text/plain'] })).toBe('message_type');
    expect(readMcpBody(stop, headers('Content-Encoding', 'gzip'))).toBe('message_encoding');
  });
});
