/** Clients and servers of @modelcontextprotocol/sdk through two sidecars: each method works where the chain has it, and is refused where it has not. */
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgentFetch, agentFetch, refusal } from '../testkit/agent-fetch.ts';
import { McpAgent } from '../testkit/mcp-agent.ts';
import { type ConnectedClient, connectMcp } from '../testkit/mcp-client.ts';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';

const PLANNING = 'planning/abc123';
const SERVER = 'inventory/def456';

/** How a client calls it, and the name that stands on record; `undefined` is what connecting sends by itself. */
const CALLS: Readonly<
  Record<string, readonly [name: string, call?: (client: Client, task: string) => Promise<unknown>]>
> = {
  initialize: [''],
  'notifications/initialized': [''],
  ping: ['', (client) => client.ping()],
  'tools/list': ['', (client) => client.listTools()],
  'tools/call': [
    'get_report',
    (client) => client.callTool({ name: 'get_report', arguments: { path: '/q3' } }),
  ],
  'resources/list': ['', (client) => client.listResources()],
  'resources/templates/list': ['', (client) => client.listResourceTemplates()],
  'resources/read': ['report://2026/q3', (client) => client.readResource({ uri: 'report://2026/q3' })],
  'resources/subscribe': [
    'report://2026/q3',
    (client) => client.subscribeResource({ uri: 'report://2026/q3' }),
  ],
  'resources/unsubscribe': [
    'report://2026/q3',
    (client) => client.unsubscribeResource({ uri: 'report://2026/q3' }),
  ],
  'prompts/list': ['', (client) => client.listPrompts()],
  'prompts/get': [
    'summarise',
    (client) => client.getPrompt({ name: 'summarise', arguments: { quarter: 'q3' } }),
  ],
  'completion/complete': [
    'summarise',
    (client) =>
      client.complete({
        ref: { type: 'ref/prompt', name: 'summarise' },
        argument: { name: 'quarter', value: 'q' },
      }),
  ],
  'logging/setLevel': ['', (client) => client.setLoggingLevel('debug')],
  'tasks/get': ['', (client, task) => client.experimental.tasks.getTask(task)],
  'tasks/list': ['', (client) => client.experimental.tasks.listTasks()],
  'tasks/result': ['', (client, task) => client.experimental.tasks.getTaskResult(task, CallToolResultSchema)],
  'tasks/cancel': ['', (client, task) => client.experimental.tasks.cancelTask(task)],
  'notifications/roots/list_changed': ['', (client) => client.sendRootsListChanged()],
};
const METHODS = Object.keys(CALLS);
const OF_TASKS = new Set(['tasks/get', 'tasks/result', 'tasks/cancel']);

const route = (server: string) => ({
  name: server,
  path: `/${server}`,
  protocol: 'mcp',
  server,
  operations: [
    { methods: ['http:GET', 'http:DELETE'], scopes: ['mcp:{server}:stream'] },
    { scopes: ['mcp:{server}:{method}'] },
  ],
});

const WAYS = [
  ['with sessions and streams', 'streams'],
  ['without sessions, in JSON', 'json'],
] as const;

describe.each(WAYS)('MCP %s', (_, server) => {
  const agents = { streams: new McpAgent(), json: new McpAgent({ stateless: true, json: true }) };
  const agent = agents[server];
  const url = `http://reports.mesh/${server}`;
  let mesh: Mesh;
  let through: AgentFetch;
  let connected: ConnectedClient;

  const contextWith = (methods: readonly string[]): Promise<string> =>
    mesh.startTask(
      PLANNING,
      mesh.domain.mintChain([PLANNING], {
        scope: [...methods, 'stream'].map((method) => `mcp:${server}:${method}`),
      }),
    );

  beforeAll(async () => {
    mesh = await makeMesh({
      domain: { anchor: { scope: ['mcp:*'] } },
      policy: { routes: [route(server)] },
    });
    await mesh.start(SERVER, { handler: agent.handle });
    await mesh.start(PLANNING, { routes: { 'reports.mesh': SERVER }, delegate: null });
    through = agentFetch(mesh.agent(PLANNING), await contextWith(METHODS));
    connected = await connectMcp(through, url, { capabilities: { roots: { listChanged: true }, tasks: {} } });
  });
  afterAll(async () => {
    agent.release();
    await connected.client.close();
    await through.close();
    mesh.stop();
  });

  const lastDecision = (name: string) =>
    mesh
      .agent(name)
      .log()
      .findLast((record) => record.kind === 'decision' && record.method === 'POST');

  /** A task that is under way. */
  const begin = async (): Promise<string> => {
    const stream = connected.client.experimental.tasks.callToolStream({ name: 'job' }, CallToolResultSchema, {
      task: {},
    });
    for await (const message of stream) if (message.type === 'taskCreated') return message.task.taskId;
    throw new Error('no task began');
  };

  it.each(METHODS)('%s is answered', async (method) => {
    const [name, call] = CALLS[method] ?? [''];
    const task = OF_TASKS.has(method) ? await begin() : '';
    if (method === 'tasks/result') agent.release();
    await call?.(connected.client, task);
    expect(agent.methods).toContain(method);
    const operations = [{ method, name: name || task }];
    if (call === undefined) return;
    expect(lastDecision(PLANNING)).toMatchObject({ verdict: 'permit', operations });
    expect(lastDecision(SERVER)).toMatchObject({ verdict: 'permit', operations });
  });

  it.each(METHODS)('%s that the chain has not is refused, and does not arrive', async (method) => {
    const [name, call] = CALLS[method] ?? [''];
    const context = await contextWith(METHODS.filter((one) => one !== method));
    const before = through.context;
    const task = OF_TASKS.has(method) ? await begin() : '';
    const arrived = agent.methods.filter((one) => one === method).length;
    through.context = context;
    const refused = await refusal(
      call === undefined ? connectMcp(through, url) : call(connected.client, task),
    );
    through.context = before;
    expect(refused).toBe('scope_missing');
    expect(agent.methods.filter((one) => one === method)).toHaveLength(arrived);
    expect(lastDecision(PLANNING)).toMatchObject({
      verdict: 'deny',
      reason: 'scope_missing',
      operations: [{ method, name: name || task }],
    });
  });
});
