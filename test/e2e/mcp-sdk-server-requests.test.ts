/** What a real MCP server asks of its client: nothing unless policy names it, and then in both directions. */
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgentFetch, agentFetch, codeIn, refusal } from '../testkit/agent-fetch.ts';
import { McpAgent } from '../testkit/mcp-agent.ts';
import { type ConnectedClient, connectMcp } from '../testkit/mcp-client.ts';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';

/** What comes by a stream comes when it comes. */
const PATIENT = { timeout: 10_000 };

const PLANNING = 'planning/abc123';
const SERVER = 'inventory/def456';

const route = (name: string, more: Record<string, unknown>, ...methods: readonly string[]) => ({
  name,
  path: `/${name}`,
  protocol: 'mcp',
  scopes: ['mcp:reports'],
  ...more,
  operations: [
    {
      methods: ['initialize', 'tools/call', 'notifications/*', 'http:GET', 'http:DELETE', ...methods],
      scopes: [],
    },
  ],
});
const ASKING = ['sampling/createMessage', 'elicitation/create', 'roots/list', 'ping'];

/** Tool, what it has the server ask, and what comes of the answer. */
const ASKS = [
  ['ask_model', 'sampling/createMessage', '{"type":"text","text":"because"}'],
  ['ask_user', 'elicitation/create', 'accept'],
  ['ask_roots', 'roots/list', 'file:///home/planning'],
  ['ask_ping', 'ping', 'there'],
] as const;

describe('what an MCP server asks of its client', () => {
  const agents: Record<string, McpAgent> = {
    '/asking': new McpAgent(),
    '/silent': new McpAgent(),
    '/unheard': new McpAgent(),
  };
  const heard: string[] = [];
  let mesh: Mesh;
  let through: AgentFetch;
  const connected: ConnectedClient[] = [];

  const connect = async (path: string): Promise<ConnectedClient> => {
    const made = await connectMcp(through, `http://reports.mesh${path}`, {
      capabilities: { sampling: {}, elicitation: { form: {} }, roots: {} },
      prepare: (client) => {
        client.setRequestHandler(CreateMessageRequestSchema, ({ method }) => {
          heard.push(method);
          return { model: 'm', role: 'assistant', content: { type: 'text', text: 'because' } };
        });
        client.setRequestHandler(ElicitRequestSchema, ({ method }) => {
          heard.push(method);
          return { action: 'accept', content: { sure: true } };
        });
        client.setRequestHandler(ListRootsRequestSchema, ({ method }) => {
          heard.push(method);
          return { roots: [{ uri: 'file:///home/planning' }] };
        });
      },
    });
    connected.push(made);
    return made;
  };

  beforeAll(async () => {
    mesh = await makeMesh({
      domain: { anchor: { scope: ['mcp:*'] } },
      policy: {
        routes: [
          route('asking', { serverRequests: ASKING }, 'response'),
          route('silent', {}, 'response'),
          route('unheard', { serverRequests: ASKING }),
        ],
      },
    });
    await mesh.start(SERVER, {
      handler: (request, response) => agents[request.url ?? '']?.handle(request, response),
    });
    await mesh.start(PLANNING, { routes: { 'reports.mesh': SERVER }, delegate: null });
    const chain = mesh.domain.mintChain([PLANNING], { scope: ['mcp:reports'] });
    through = agentFetch(mesh.agent(PLANNING), await mesh.startTask(PLANNING, chain));
  });
  afterAll(async () => {
    for (const { client } of connected) await client.close();
    await through.close();
    mesh.stop();
  });

  const last = (name: string, kind: string) =>
    mesh
      .agent(name)
      .log()
      .findLast((record) => record.kind === kind);

  it.each(ASKS)('%s: %s that policy names is asked, and answered', async (tool, method, outcome) => {
    const { client } = await connect('/asking');
    expect(await client.callTool({ name: tool, arguments: {} })).toEqual({
      content: [{ type: 'text', text: outcome }],
    });
    // To ping the SDK answers by itself.
    if (method !== 'ping') expect(heard).toContain(method);
    for (const name of [PLANNING, SERVER])
      expect(mesh.agent(name).log()).toContainEqual(
        expect.objectContaining({ verdict: 'permit', operations: [{ method: 'response', name: '' }] }),
      );
  });

  it.each(ASKS)('%s: %s that it does not name ends the call with an error, unheard', async (tool) => {
    const { client } = await connect('/silent');
    heard.length = 0;
    const refused = await client.callTool({ name: tool, arguments: {} }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: -32603, data: { code: 'mcp_server_request' } });
    expect(String(refused)).toContain('Hopgate: mcp_server_request');
    expect(heard).toEqual([]);
    expect(last(SERVER, 'outcome')).toMatchObject({ result: 'mcp_server_request' });
    // The session goes on.
    expect(await client.callTool({ name: 'count', arguments: { to: 1 } })).toMatchObject({
      content: [{ text: 'counted to 1' }],
    });
  });

  it('one on the stream that a client keeps open cuts that stream', async () => {
    const { client, transport, faults } = await connect('/silent');
    const session = agents['/silent']?.sessions.get(transport.sessionId ?? '');
    heard.length = 0;
    let isOpen = false;
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
      isOpen = true;
    });
    await expect
      .poll(() => {
        session?.server.sendToolListChanged();
        return isOpen;
      }, PATIENT)
      .toBe(true);
    session?.server.server.listRoots().catch(() => undefined);
    await expect.poll(() => last(SERVER, 'outcome'), PATIENT).toMatchObject({ result: 'mcp_server_request' });
    await expect.poll(() => faults.map(String).join(), PATIENT).toContain('SSE stream disconnected');
    expect(heard).toEqual([]);
    expect(await refusal(client.callTool({ name: 'count', arguments: { to: 1 } }))).toMatchObject({
      allowed: {},
    });
  });

  it('an answer that the route has no operation for is refused, and does not arrive', async () => {
    const { client, faults } = await connect('/unheard');
    const call = client.callTool({ name: 'ask_model', arguments: {} });
    call.catch(() => undefined);
    await expect.poll(() => faults.map(codeIn), PATIENT).toContain('operation_unmatched');
    expect(agents['/unheard']?.methods).not.toContain('response');
    expect(last(PLANNING, 'decision')).toMatchObject({
      reason: 'operation_unmatched',
      operations: [{ method: 'response', name: '' }],
    });
  });
});
