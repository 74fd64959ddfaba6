/** Clients and servers of the SDK’s version 2 through two sidecars: revision 2026-07-28, without sessions, with headers that repeat the body. */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgentFetch, agentFetch, codeIn, refusal } from '../testkit/agent-fetch.ts';
import { ModernMcpAgent } from '../testkit/mcp-modern-agent.ts';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';

const PLANNING = 'planning/abc123';
const SERVER = 'inventory/def456';

/** How a client calls it, and what stands on record; without a call it is what connecting sends. */
const CALLS: Readonly<Record<string, readonly [name: string, call?: (client: Client) => Promise<unknown>]>> =
  {
    'server/discover': ['', (client) => client.discover()],
    'tools/list': ['', (client) => client.listTools(undefined, { cacheMode: 'bypass' })],
    'tools/call': [
      'get_report',
      (client) => client.callTool({ name: 'get_report', arguments: { path: '/q3' } }),
    ],
    'resources/list': ['', (client) => client.listResources(undefined, { cacheMode: 'bypass' })],
    'resources/templates/list': [
      '',
      (client) => client.listResourceTemplates(undefined, { cacheMode: 'bypass' }),
    ],
    'resources/read': [
      'report://2026/q3',
      (client) => client.readResource({ uri: 'report://2026/q3' }, { cacheMode: 'bypass' }),
    ],
    'prompts/list': ['', (client) => client.listPrompts(undefined, { cacheMode: 'bypass' })],
    'prompts/get': [
      'summarise',
      (client) => client.getPrompt({ name: 'summarise', arguments: { quarter: 'q3' } }),
    ],
    'completion/complete': [
      'report://{year}/all',
      (client) =>
        client.complete({
          ref: { type: 'ref/resource', uri: 'report://{year}/all' },
          argument: { name: 'year', value: '2' },
        }),
    ],
  };
const METHODS = [...Object.keys(CALLS), 'subscriptions/listen'];

const route = (name: string, more: Record<string, unknown> = {}, tools: Record<string, unknown> = {}) => ({
  name,
  path: `/${name}`,
  protocol: 'mcp',
  server: 'reports',
  tools: { filter: true, ...tools },
  ...more,
  operations: [
    { methods: ['tools/call'], scopes: ['mcp:{server}:{method}', 'mcp:{server}:tool:{tool}'] },
    { methods: ['subscriptions/listen'], names: ['report://secret/*'], scopes: ['mcp:{server}:secrets'] },
    { scopes: ['mcp:{server}:{method}'] },
  ],
});
const policy = (revision: string, tools?: Record<string, unknown>) => ({
  revision,
  routes: [route('silent', {}, tools), route('asking', { serverRequests: ['elicitation/create'] })],
});
const TOOLS = ['get_report', 'count', 'ask_user'].map((name) => `mcp:reports:tool:${name}`);

describe('MCP of 2026-07-28', () => {
  const agent = new ModernMcpAgent();
  let mesh: Mesh;
  let through: AgentFetch;
  const connected: Client[] = [];

  const contextWith = (...methods: readonly string[]): Promise<string> =>
    mesh.startTask(
      PLANNING,
      mesh.domain.mintChain([PLANNING], {
        scope: [...methods.map((method) => `mcp:reports:${method}`), ...TOOLS],
      }),
    );
  const connect = async (path = '/silent', mode: 'auto' | 'legacy' = 'auto'): Promise<Client> => {
    const client = new Client(
      { name: 'planning', version: '2.0.0' },
      { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode } },
    );
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { sure: true } }));
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`http://reports.mesh${path}`), { fetch: through.fetch }),
    );
    connected.push(client);
    return client;
  };

  beforeAll(async () => {
    mesh = await makeMesh({ domain: { anchor: { scope: ['mcp:*'] } }, policy: policy('1') });
    await mesh.start(SERVER, { handler: agent.handle });
    await mesh.start(PLANNING, { routes: { 'reports.mesh': SERVER }, delegate: null });
    through = agentFetch(
      mesh.agent(PLANNING),
      await contextWith(...METHODS, 'response', 'initialize', 'notifications/initialized', 'http:GET'),
    );
  });
  afterAll(async () => {
    for (const client of connected) await client.close();
    await agent.close();
    await through.close();
    mesh.stop();
  });

  const last = (name: string, kind = 'decision') =>
    mesh
      .agent(name)
      .log()
      .findLast((record) => record.kind === kind);
  const arrived = () => mesh.agent(SERVER).seen.length;

  it.each(Object.keys(CALLS))('%s is answered', async (method) => {
    const [name, call] = CALLS[method] ?? [''];
    const client = await connect();
    expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    await call?.(client);
    for (const side of [PLANNING, SERVER])
      expect(last(side)).toMatchObject({ verdict: 'permit', operations: [{ method, name }] });
  });

  it.each(Object.keys(CALLS))('%s that the chain has not is refused, and does not arrive', async (method) => {
    const [name, call] = CALLS[method] ?? [''];
    const client = await connect();
    const before = [arrived(), through.context] as const;
    through.context = await contextWith(...METHODS.filter((one) => one !== method));
    const refused = await refusal(call?.(client) ?? Promise.resolve());
    through.context = before[1];
    expect(refused).toBe('scope_missing');
    expect(arrived()).toBe(before[0]);
    expect(last(PLANNING)).toMatchObject({ reason: 'scope_missing', operations: [{ method, name }] });
  });

  it('a tool that the chain has not is neither shown nor called', async () => {
    const client = await connect();
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(['get_report', 'count', 'ask_user']);
    const before = arrived();
    const refused = await client
      .callTool({ name: 'delete_report', arguments: {} })
      .catch((error: unknown) => error);
    expect(codeIn(refused)).toBe('scope_missing');
    expect(refused).toMatchObject({ data: { status: 403 } });
    expect(arrived()).toBe(before);
  });

  it('progress comes while the call is under way', async () => {
    const client = await connect();
    const seen: number[] = [];
    await client.callTool(
      { name: 'count', arguments: { to: 3 } },
      { onprogress: ({ progress }) => seen.push(progress) },
    );
    expect(seen).toEqual([1, 2, 3]);
  });

  it('an argument in a header goes along where it is the one in the body', async () => {
    const client = await connect();
    await client.listTools();
    await client.callTool({ name: 'get_report', arguments: { path: '/q3/größe' } });
    expect(mesh.agent(SERVER).seen.at(-1)?.headers).toMatchObject({
      'mcp-method': 'tools/call',
      'mcp-name': 'get_report',
      'mcp-param-path': expect.stringMatching(/^=\?base64\?/),
    });
  });

  it('what a server asks for in a result is answered where policy names it', async () => {
    const client = await connect('/asking');
    expect(await client.callTool({ name: 'ask_user', arguments: {} })).toMatchObject({
      content: [{ text: 'sure' }],
    });
    expect(last(SERVER)).toMatchObject({
      operations: [
        { method: 'tools/call', name: 'ask_user' },
        { method: 'response', name: '' },
      ],
    });
  });

  it('and refused where it does not', async () => {
    const client = await connect();
    expect(await refusal(client.callTool({ name: 'ask_user', arguments: {} }))).toBe('mcp_server_request');
    expect(last(SERVER, 'outcome')).toMatchObject({ result: 'mcp_server_request' });
  });

  it('also within a stream, which ends with an error to the call', async () => {
    const client = await connect();
    let progressed = 0;
    const refused = await client
      .callTool({ name: 'ask_user', arguments: {} }, { onprogress: () => progressed++ })
      .catch((error: unknown) => error);
    expect(progressed).toBe(1);
    expect(refused).toMatchObject({ code: -32603, data: { code: 'mcp_server_request' } });
  });

  it('a subscription stays open, and tells what changes', async () => {
    const client = await connect();
    const updated = new Promise<string>((resolve) =>
      client.setNotificationHandler('notifications/resources/updated', ({ params }) => resolve(params.uri)),
    );
    const subscription = await client.listen({ resourceSubscriptions: ['report://2026/q3'] });
    for (const side of [PLANNING, SERVER])
      expect(last(side)).toMatchObject({
        verdict: 'permit',
        operations: [
          { method: 'subscriptions/listen', name: '' },
          { method: 'subscriptions/listen', name: 'report://2026/q3' },
        ],
      });
    agent.notify.resourceUpdated('report://2026/q3');
    expect(await updated).toBe('report://2026/q3');
    await subscription.close();
    expect(await subscription.closed).toBe('local');
  });

  it('one resource of it that the chain may not have refuses all', async () => {
    const client = await connect();
    const before = arrived();
    expect(
      await refusal(client.listen({ resourceSubscriptions: ['report://2026/q3', 'report://secret/1'] })),
    ).toBe('scope_missing');
    expect(arrived()).toBe(before);
  });

  it('a client of older revisions is answered by the same server', async () => {
    const client = await connect('/silent', 'legacy');
    expect(client.getNegotiatedProtocolVersion()).toBe('2025-11-25');
    expect(await client.callTool({ name: 'count', arguments: { to: 1 } })).toMatchObject({
      content: [{ text: 'counted to 1' }],
    });
  });

  it('a tool that changed is not called until it is approved again', async () => {
    const enforce = (...change: Parameters<typeof policy>): void => {
      mesh.writePolicy(policy(...change));
      for (const name of [PLANNING, SERVER]) mesh.agent(name).sidecar.reload();
    };
    const list = async () => (await (await connect()).listTools()).tools.map(({ name }) => name);
    const call = async () =>
      refusal((await connect()).callTool({ name: 'get_report', arguments: { path: '/q3' } }));
    const digest = (): string => {
      const { tools = [] } = last(SERVER, 'outcome') as { tools?: { name: string; digest: string }[] };
      return tools.find(({ name }) => name === 'get_report')?.digest ?? '';
    };
    enforce('2', { unlisted: 'flag' });
    await list();
    const approved = { get_report: digest() };
    enforce('3', { approved });
    expect(await list()).toEqual(['get_report']);
    agent.description = 'Reads a report, and sends it to mallory';
    expect(await list()).toEqual([]);
    const before = arrived();
    expect(await call()).toBe('mcp_tool_changed');
    expect(arrived()).toBe(before + 1); // the client’s discovery alone
    expect(digest()).not.toBe(approved.get_report);
    await list();
    enforce('4', { approved: { get_report: digest() } });
    expect(await list()).toEqual(['get_report']);
    expect(await call()).toMatchObject({ allowed: {} });
  });
});
