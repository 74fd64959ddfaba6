/** MCP through two sidecars: each operation needs its own scope, and what the server sends back is looked at. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Mesh, makeMesh, sendThrough } from '../testkit/mesh.ts';

const TOOLS = ['get_report', 'delete_report', 'list_reports'].map((name) => ({
  name,
  description: `${name} of the archive`,
  inputSchema: { type: 'object' },
}));

const SCOPE = ['mcp:reports:use', 'mcp:reports:get_report', 'mcp:reports:list_reports'];

const POLICY = {
  routes: [
    {
      name: 'reports',
      path: '/mcp',
      protocol: 'mcp',
      server: 'reports',
      scopes: ['mcp:{server}:use'],
      tools: { filter: true },
      operations: [
        {
          methods: ['initialize', 'ping', 'tools/list', 'notifications/*', 'http:GET', 'http:DELETE'],
          scopes: [],
        },
        { methods: ['tools/call'], scopes: ['mcp:{server}:{tool}'] },
      ],
    },
  ],
  rules: [
    { name: 'agents', effect: 'allow', callerTypes: ['planning'] },
    {
      name: 'no-secrets',
      effect: 'deny',
      routes: ['reports'],
      when: 'mcp.tool == "get_report" && mcp.arguments.path.startsWith("/secret/")',
    },
  ],
};

/** An MCP server as small as one can be, whose answers a test chooses. */
class Server {
  sessions = 0;
  tools = TOOLS;
  /** Sent ahead of the answer, in the stream. */
  before: object | undefined;
  readonly calls: unknown[] = [];

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const message = JSON.parse(Buffer.concat(chunks).toString() || '{}') as {
        id?: number;
        method?: string;
      };
      this.calls.push(message);
      if (message.method === 'initialize') response.setHeader('mcp-session-id', `session-${++this.sessions}`);
      const result = message.method === 'tools/list' ? { tools: this.tools } : { content: [] };
      const answer = { jsonrpc: '2.0', id: message.id, result };
      if (this.before === undefined) {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(answer));
        return;
      }
      response.setHeader('content-type', 'text/event-stream');
      response.write(`data: ${JSON.stringify(this.before)}\n\n`);
      response.end(`data: ${JSON.stringify(answer)}\n\n`);
    });
  };
}

describe('MCP through two sidecars', () => {
  const server = new Server();
  let mesh: Mesh;
  let context: string;
  let other: string;

  const post = (
    body: unknown,
    { headers = {}, task = context }: { headers?: Record<string, string>; task?: string } = {},
  ): Promise<Answer> =>
    sendThrough(mesh.agent('planning/abc123'), 'http://reports.mesh/mcp', {
      method: 'POST',
      context: task,
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json', 'accept-encoding': 'gzip', ...headers },
    });
  const call = (method: string, params?: object, options?: Parameters<typeof post>[1]) =>
    post({ jsonrpc: '2.0', id: 1, method, ...(params === undefined ? {} : { params }) }, options);

  beforeAll(async () => {
    mesh = await makeMesh({ domain: { anchor: { scope: ['mcp:*'] } }, policy: POLICY });
    await mesh.start('inventory/def456', { handler: server.handle });
    await mesh.start('planning/abc123', { routes: { 'reports.mesh': 'inventory/def456' }, delegate: null });
    const start = () =>
      mesh.startTask('planning/abc123', mesh.domain.mintChain(['planning/abc123'], { scope: SCOPE }));
    context = await start();
    other = await start();
  });
  afterAll(() => mesh.stop());

  const asked = () => server.calls.length;
  const record = (name = 'inventory/def456') =>
    mesh
      .agent(name)
      .log()
      .filter(({ kind }) => kind === 'decision')
      .at(-1);
  const outcome = () =>
    mesh
      .agent('inventory/def456')
      .log()
      .filter(({ kind }) => kind === 'outcome')
      .at(-1);

  it('a call of a tool that the chain holds is allowed, with its operation on record', async () => {
    const answer = await call('tools/call', { name: 'get_report', arguments: { path: '/q3' } });
    expect(answer.status).toBe(200);
    expect(record()).toMatchObject({
      verdict: 'permit',
      required: ['mcp:reports:use', 'mcp:reports:get_report'],
      operations: [{ method: 'tools/call', name: 'get_report' }],
    });
  });

  it('another tool is refused by the caller’s own sidecar, and the server sees nothing', async () => {
    const before = asked();
    expect(await call('tools/call', { name: 'delete_report', arguments: {} })).toMatchObject({
      status: 403,
      code: 'scope_missing',
    });
    expect(asked()).toBe(before);
    expect(record('planning/abc123')).toMatchObject({
      reason: 'scope_missing',
      operations: [{ method: 'tools/call', name: 'delete_report' }],
    });
  });

  it('a condition on the arguments denies, and one without a value does too', async () => {
    expect(await call('tools/call', { name: 'get_report', arguments: { path: '/secret/1' } })).toMatchObject({
      code: 'rule_denied',
    });
    expect(await call('tools/call', { name: 'get_report', arguments: {} })).toMatchObject({
      code: 'rule_error',
    });
  });

  it('every item of a batch has to be allowed', async () => {
    const item = (id: number, name: string) => ({
      jsonrpc: '2.0',
      id,
      method: 'tools/call',
      params: { name, arguments: { path: '/q3' } },
    });
    expect(await post([item(1, 'get_report'), item(2, 'delete_report')])).toMatchObject({
      code: 'scope_missing',
    });
  });

  it.each([
    ['a member twice', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', 'message_ambiguous'],
    ['no JSON', '{"jsonrpc":', 'message_malformed'],
    ['an unknown method', '{"jsonrpc":"2.0","id":1,"method":"admin/reset"}', 'operation_unmatched'],
  ])('%s is refused', async (_, body, code) => {
    const before = asked();
    expect(await post(body)).toMatchObject({ code });
    expect(asked()).toBe(before);
  });

  it('another media type is refused', async () => {
    expect(await call('ping', undefined, { headers: { 'content-type': 'text/plain' } })).toMatchObject({
      status: 415,
      code: 'message_type',
    });
  });

  it('tools that the chain may not call are not shown', async () => {
    const answer = await call('tools/list');
    const { result } = JSON.parse(answer.body) as { result: { tools: { name: string }[] } };
    expect(result.tools.map(({ name }) => name)).toEqual(['get_report', 'list_reports']);
  });

  it('a session is good for the caller and the task that began it', async () => {
    const id = (
      await call('initialize', {
        protocolVersion: '2025-06-18',
        capabilities: {},
        clientInfo: { name: 'c', version: '1' },
      })
    ).headers['mcp-session-id'] as string;
    expect(id).toBe('session-1');
    const headers = { 'mcp-session-id': id };
    expect(await call('ping', undefined, { headers })).toMatchObject({ status: 200 });
    expect(await call('ping', undefined, { headers, task: other })).toMatchObject({
      status: 404,
      code: 'mcp_session_foreign',
    });
    expect(await call('ping', undefined, { headers: { 'mcp-session-id': 'guessed' } })).toMatchObject({
      status: 404,
      code: 'mcp_session_unknown',
    });
  });

  it('what the server asks of its client within a stream ends it with an error, and is on record', async () => {
    server.before = { jsonrpc: '2.0', id: 7, method: 'sampling/createMessage', params: {} };
    const { body } = await call('ping');
    expect(body).not.toContain('sampling/createMessage","params');
    expect(JSON.parse(body.slice(body.indexOf('data: ') + 6))).toMatchObject({
      id: 1,
      error: { code: -32603, data: { code: 'mcp_server_request' } },
    });
    expect(outcome()).toMatchObject({ result: 'mcp_server_request' });
    server.before = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } };
    expect((await call('ping')).body).toContain('notifications/message');
    server.before = undefined;
  });
});
