/** A caller whose own sidecar lets everything through: what the callee's decides of messages holds all the same, and its reason arrives. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Client as A2aClient } from '@a2a-js/sdk/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { A2aAgent } from '../testkit/a2a-agent.ts';
import { connectA2a, message } from '../testkit/a2a-client.ts';
import { type AgentFetch, agentFetch, refusal } from '../testkit/agent-fetch.ts';
import { McpAgent } from '../testkit/mcp-agent.ts';
import { type ConnectedClient, connectMcp } from '../testkit/mcp-client.ts';
import { type Mesh, makeMesh, sendThrough, TEST_POLICY } from '../testkit/mesh.ts';

const PLANNING = 'planning/abc123';
const SERVER = 'inventory/def456';
const HOST = 'agent.mesh';
const SCOPE = ['use', 'tool:get_report', 'tool:ask_user', 'skill:plan'].map((name) => `agent:${name}`);

const POLICY = {
  revision: 'strict',
  routes: [
    {
      name: 'mcp',
      path: '/mcp',
      protocol: 'mcp',
      scopes: ['agent:use'],
      tools: { filter: true },
      operations: [
        { methods: ['tools/call'], scopes: ['agent:tool:{tool}'] },
        { methods: ['initialize', 'tools/list', 'notifications/*', 'response', 'http:GET'] },
      ],
    },
    {
      name: 'a2a',
      path: '/a2a',
      protocol: 'a2a',
      scopes: ['agent:use'],
      operations: [{ methods: ['SendMessage'], names: ['*'], scopes: ['agent:skill:{skill}'] }],
    },
    { name: 'card', path: '/.well-known/agent-card.json', methods: ['GET'], scopes: ['agent:use'] },
  ],
};
const OPEN = {
  ...TEST_POLICY,
  revision: 'open',
  routes: [{ name: 'any', path: '/*', scopes: ['agent:use'] }],
};

describe('behind a sidecar that reads no message', () => {
  const [mcp, a2a] = [new McpAgent(), new A2aAgent(HOST)];
  let mesh: Mesh;
  let through: AgentFetch;
  let tools: ConnectedClient;
  let planner: A2aClient;

  beforeAll(async () => {
    mesh = await makeMesh({ domain: { anchor: { scope: ['agent:*'] } }, policy: POLICY });
    writeFileSync(path.join(mesh.directory, 'open.yaml'), stringify(OPEN));
    await mesh.start(SERVER, {
      handler: (request, response) => (request.url === '/mcp' ? mcp : a2a).handle(request, response),
    });
    await mesh.start(PLANNING, {
      routes: { [HOST]: SERVER },
      delegate: null,
      config: { policy: '../open.yaml' },
    });
    through = agentFetch(
      mesh.agent(PLANNING),
      await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope: SCOPE })),
    );
    tools = await connectMcp(through, `http://${HOST}/mcp`);
    planner = await connectA2a(through, HOST);
  });
  afterAll(async () => {
    await tools.client.close();
    await through.close();
    mesh.stop();
  });

  const decisions = (name: string) =>
    mesh
      .agent(name)
      .log()
      .filter(({ kind, method }) => kind === 'decision' && method === 'POST');

  /** Refused by the callee's sidecar, with its reason at the client, and nothing at the agent. */
  const expectRefusal = async (
    call: () => Promise<unknown>,
    code: string,
    operations?: readonly object[],
  ) => {
    const before = mesh.agent(SERVER).seen.filter(({ method }) => method === 'POST').length;
    expect(await refusal(call())).toBe(code);
    expect(mesh.agent(SERVER).seen.filter(({ method }) => method === 'POST')).toHaveLength(before);
    const [ours, theirs] = [decisions(PLANNING).at(-1), decisions(SERVER).at(-1)];
    expect(ours).toMatchObject({ verdict: 'permit', policy: 'open', hop: theirs?.hop });
    expect(ours).not.toHaveProperty('operations');
    expect(theirs).toMatchObject({
      verdict: 'deny',
      reason: code,
      policy: 'strict',
      ...(operations !== undefined && { operations }),
    });
  };
  const post = async (url: string, body: string): Promise<unknown> => {
    const { status, body: problem } = await sendThrough(mesh.agent(PLANNING), `http://${HOST}${url}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
      ...(through.context !== undefined && { context: through.context }),
    });
    if (status < 400) return problem;
    throw new Error(problem);
  };

  it('a tool that the chain has is called', async () => {
    expect(await tools.client.callTool({ name: 'get_report', arguments: { path: '/q3' } })).toMatchObject({
      content: [{ text: 'report /q3' }],
    });
    expect(decisions(SERVER).at(-1)).toMatchObject({
      operations: [{ method: 'tools/call', name: 'get_report' }],
    });
  });

  it('another is refused', () =>
    expectRefusal(() => tools.client.callTool({ name: 'delete_report', arguments: {} }), 'scope_missing', [
      { method: 'tools/call', name: 'delete_report' },
    ]));

  it('and not shown', async () => {
    const { tools: shown } = await tools.client.listTools();
    expect(shown.map(({ name }) => name)).toEqual(['get_report', 'ask_user']);
  });

  it('a method that no operation names is refused', () =>
    expectRefusal(() => tools.client.listPrompts(), 'operation_unmatched', [
      { method: 'prompts/list', name: '' },
    ]));

  it('what the server asks for does not reach the client', async () => {
    const refused = await tools.client
      .callTool({ name: 'ask_user', arguments: {} })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: -32603, data: { code: 'mcp_server_request' } });
  });

  it('a skill that the chain has is asked for; another, or none, is refused', async () => {
    expect(await planner.sendMessage(message('plan', 'plan'))).toMatchObject({ id: expect.any(String) });
    await expectRefusal(() => planner.sendMessage(message('wait', 'wait')), 'scope_missing', [
      { method: 'SendMessage', name: 'wait' },
    ]);
    await expectRefusal(() => planner.sendMessage(message('plan')), 'operation_unmatched', [
      { method: 'SendMessage', name: '' },
    ]);
  });

  it.each([
    ['/mcp', '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"prompts/list"}', 'message_ambiguous'],
    ['/a2a', '{"jsonrpc":"2.0","id":1,"method":"SendMessage"', 'message_malformed'],
  ])('what has no one meaning is refused at %s', (url, body, code) =>
    expectRefusal(() => post(url, body), code),
  );

  it('a batch is refused for one of its items', () =>
    expectRefusal(
      () =>
        post(
          '/mcp',
          JSON.stringify(
            ['get_report', 'delete_report'].map((name, id) => ({
              jsonrpc: '2.0',
              id,
              method: 'tools/call',
              params: { name, arguments: { path: '/q3' } },
            })),
          ),
        ),
      'scope_missing',
      ['get_report', 'delete_report'].map((name) => ({ method: 'tools/call', name })),
    ));
});
