/** What clients and servers of MCP send. */
import type { Case } from './case.ts';
import { CALL, CALLED, headers, mcp, read, request, rpc, type Said, said } from './message-case.ts';
import { b64u, jcs, sha256 } from './signing.ts';

const mcpMethods = (): Case[] => [
  mcp(
    'a prompt',
    rpc('prompts/get', { name: 'p', arguments: { a: 'b' } }),
    said(false, { kind: 'request', method: 'prompts/get', prompt: 'p', arguments: { a: 'b' }, id: 1 }),
  ),
  mcp(
    'an argument of a prompt that is no string',
    rpc('prompts/get', { name: 'p', arguments: { a: 1 } }),
    'message_malformed',
  ),
  mcp(
    'a resource',
    rpc('resources/read', { uri: 'file:///a' }),
    said(false, request('resources/read', { resource: 'file:///a' })),
  ),
  mcp(
    'a completion of a prompt',
    rpc('completion/complete', { ref: { type: 'ref/prompt', name: 'p' }, argument: {} }),
    said(false, request('completion/complete', { prompt: 'p' })),
  ),
  mcp(
    'a completion of nothing known',
    rpc('completion/complete', { ref: { type: 'ref/tool', name: 'p' } }),
    'message_malformed',
  ),
  mcp('a task', rpc('tasks/get', { taskId: 't' }), said(false, request('tasks/get', { taskId: 't' }))),
  mcp(
    'a subscription to two resources is three operations',
    rpc('subscriptions/listen', { notifications: { resourceSubscriptions: ['a:1', 'a:2'] } }),
    said(
      false,
      request('subscriptions/listen'),
      request('subscriptions/listen', { resource: 'a:1' }),
      request('subscriptions/listen', { resource: 'a:2' }),
    ),
  ),
  mcp(
    'answers that come with a call',
    rpc('tools/call', { name: 'query', inputResponses: {} }),
    said(false, request('tools/call', { tool: 'query' }), { kind: 'response', method: 'response' }),
  ),
  mcp('a method that nobody knows', rpc('x/y', { name: 'z' }), said(false, request('x/y'))),
  mcp('a method in another case', rpc('Tools/Call', { name: 'query' }), 'message_ambiguous'),
  mcp('a method with another sign between', rpc('tools/_call', { name: 'query' }), 'message_ambiguous'),
  mcp('a call without a tool', rpc('tools/call', {}), 'message_malformed'),
  mcp('a call without parameters', rpc('tools/call'), 'message_malformed'),
  mcp('a tool that is no string', rpc('tools/call', { name: 1 }), 'message_malformed'),
  mcp('a tool with a line feed', rpc('tools/call', { name: 'query\n' }), 'message_ambiguous'),
  mcp(
    'a name spelt otherwise besides',
    rpc('tools/call', { name: 'query', na_me: 'other' }),
    'message_ambiguous',
  ),
  mcp('arguments by place', rpc('tools/call', { name: 'query', arguments: [1] }), 'message_malformed'),
  mcp('GET opens a stream', '', said(false, { kind: 'http', method: 'http:GET' }), {
    method: 'GET',
    headers: [],
  }),
  mcp('DELETE ends a session', '', said(false, { kind: 'http', method: 'http:DELETE' }), {
    method: 'DELETE',
    headers: [],
  }),
  mcp('GET with a body', CALL, 'message_malformed', { method: 'GET' }),
  mcp('PUT', CALL, 'message_malformed', { method: 'PUT' }),
];

const mcpHeaders = (): Case[] => [
  mcp(
    'headers that say what the body says',
    CALL,
    said(false, CALLED),
    headers('Mcp-Method', 'tools/call', 'Mcp-Name', 'query', 'Mcp-Param-Q', 'x'),
  ),
  mcp(
    'the name in base64',
    rpc('tools/call', { name: 'caf\u00e9' }),
    said(false, request('tools/call', { tool: 'caf\u00e9' })),
    headers('Mcp-Name', '=?base64?Y2Fmw6k=?='),
  ),
  mcp(
    'base64 in another spelling',
    rpc('tools/call', { name: 'caf\u00e9' }),
    'message_ambiguous',
    headers('Mcp-Name', '=?base64?Y2Fmw6l=?='),
  ),
  mcp('another method in the header', CALL, 'message_ambiguous', headers('Mcp-Method', 'tools/list')),
  mcp('another name in the header', CALL, 'message_ambiguous', headers('Mcp-Name', 'safe')),
  mcp('a parameter that the arguments don’t have', CALL, 'message_ambiguous', headers('Mcp-Param-Q', 'y')),
  mcp('the name twice', CALL, 'message_ambiguous', headers('Mcp-Name', 'query', 'mcp-name', 'query')),
  mcp(
    'a header that names one message, and an array',
    [CALL],
    'message_ambiguous',
    headers('Mcp-Method', 'tools/call'),
  ),
  mcp(
    'two revisions',
    rpc('tools/call', { name: 'query', _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } }),
    'message_ambiguous',
    headers('MCP-Protocol-Version', '2025-11-25'),
  ),
];

const TOOL = {
  name: 'query',
  description: 'asks \u00e9',
  inputSchema: { type: 'object', maximum: 1e21, minimum: 0.1 },
};
const digest = (tool: Said): string => b64u(sha256(jcs(tool)));
const server = (comment: string, text: unknown, expect: string | Case['expect']): Case =>
  read(
    comment,
    { server: typeof text === 'string' ? text : JSON.stringify(text) },
    typeof expect === 'string' ? { reason: expect } : expect,
  );
const result = (of: Said) => ({ jsonrpc: '2.0', id: 1, result: of });
const RESPONSE = { kind: 'response' };

const servers = (): Case[] => [
  server('an answer of a server', result({ content: [] }), { reason: 'ok', messages: [RESPONSE] }),
  server('a list of tools', result({ tools: [TOOL] }), {
    reason: 'ok',
    messages: [RESPONSE],
    tools: [{ name: 'query', digest: digest(TOOL) }],
  }),
  server(
    'the same tool with its members in another order, and numbers otherwise spelt',
    `{"result":{"tools":[{"inputSchema":{"minimum":1E-1,"maximum":1000000000000000000000,"type":"object"},"name":"query","description":"asks \\u00e9"}]},"id":1,"jsonrpc":"2.0"}`,
    { reason: 'ok', messages: [RESPONSE], tools: [{ name: 'query', digest: digest(TOOL) }] },
  ),
  server('a tool with one more member', result({ tools: [{ ...TOOL, title: 'Q' }] }), {
    reason: 'ok',
    messages: [RESPONSE],
    tools: [{ name: 'query', digest: digest({ ...TOOL, title: 'Q' }) }],
  }),
  server('names of one object that differ in case', result({ a: 1, A: 2 }), {
    reason: 'ok',
    messages: [RESPONSE],
  }),
  server('a request of the server', rpc('sampling/createMessage', {}), {
    reason: 'ok',
    messages: [{ kind: 'request', method: 'sampling/createMessage' }],
  }),
  server('a request within a result', result({ inputRequests: { a: { method: 'elicitation/create' } } }), {
    reason: 'ok',
    messages: [RESPONSE, { kind: 'request', method: 'elicitation/create' }],
  }),
  server(
    'an error that has the client open a URL',
    { jsonrpc: '2.0', id: 1, error: { code: -32042, message: 'open it' } },
    { reason: 'ok', messages: [RESPONSE, { kind: 'request', method: 'elicitation/create' }] },
  ),
  server(
    'requests within a result, in another spelling',
    result({ input_requests: { a: { method: 'elicitation/create' } } }),
    'response_malformed',
  ),
  server('tools in another spelling', result({ Tools: [TOOL] }), 'response_malformed'),
  server('two tools of one name', result({ tools: [TOOL, { ...TOOL, title: 'Q' }] }), 'response_malformed'),
  server(
    'more tools than one answer may have',
    result({ tools: Array.from({ length: 1001 }, (_, at) => ({ name: `t${at}` })) }),
    'response_malformed',
  ),
  server(
    'a member twice in an answer',
    '{"jsonrpc":"2.0","id":1,"result":{},"result":{}}',
    'response_malformed',
  ),
  server('an event without data', '', { reason: 'ok', messages: [] }),
  server(
    'an error that is about no request',
    { jsonrpc: '2.0', error: { code: -32700, message: 'no' } },
    { reason: 'ok', messages: [RESPONSE] },
  ),
  server('an answer that is no JSON', 'ok', 'response_malformed'),
];

export const mcpMessageCases = (): Case[] => [...mcpMethods(), ...mcpHeaders(), ...servers()];
