/** The policy that docs/protocols.md begins with, as it stands there, before clients and servers of the SDKs. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { TaskState } from '@a2a-js/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { A2aAgent } from '../testkit/a2a-agent.ts';
import { connectA2a, message } from '../testkit/a2a-client.ts';
import { type AgentFetch, agentFetch, refusal } from '../testkit/agent-fetch.ts';
import { McpAgent } from '../testkit/mcp-agent.ts';
import { connectMcp } from '../testkit/mcp-client.ts';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';

const CALLER = 'security/ghi789';
const REPORTS = 'inventory/def456';
const PLANNER = 'planning/abc123';
const SCOPE = [
  'mcp:reports:use',
  'mcp:reports:get_report',
  'a2a:planner:use',
  'a2a:planner:skill:plan',
  'a2a:planner:tasks',
];

const page = readFileSync(fileURLToPath(new URL('../../docs/protocols.md', import.meta.url)), 'utf8');
const [, snippet = ''] = /^```yaml\n(.*?)^```$/ms.exec(page) ?? [];

describe.each([
  ['a proxy', undefined],
  ['a unix socket', 'agent.sock'],
])('the policy of docs/protocols.md, by %s', (_, socket) => {
  const [reports, planner] = [new McpAgent(), new A2aAgent('planner.mesh')];
  let mesh: Mesh;
  let through: AgentFetch;

  beforeAll(async () => {
    mesh = await makeMesh({
      domain: { agents: [CALLER, REPORTS, PLANNER], anchor: { scope: ['mcp:*', 'a2a:*'] } },
      policy: parse(snippet) as Record<string, unknown>,
    });
    await mesh.start(REPORTS, { handler: reports.handle });
    await mesh.start(PLANNER, { handler: planner.handle });
    await mesh.start(CALLER, {
      routes: { 'reports.mesh': REPORTS, 'planner.mesh': PLANNER },
      delegate: null,
      ...(socket !== undefined && {
        config: { outbound: { listen: `unix:${path.join(mesh.directory, socket)}` } },
      }),
    });
    const chain = mesh.domain.mintChain([CALLER], { scope: SCOPE });
    through = agentFetch(mesh.agent(CALLER), await mesh.startTask(CALLER, chain));
  });
  afterAll(async () => {
    await through.close();
    mesh.stop();
  });

  it('lets a client of MCP call the one tool that its chain has, and see no other', async () => {
    const { client, transport } = await connectMcp(through, 'http://reports.mesh/mcp');
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['get_report']);
    expect(await client.callTool({ name: 'get_report', arguments: { path: '/q3' } })).toMatchObject({
      content: [{ text: 'report /q3' }],
    });
    expect(await refusal(client.callTool({ name: 'delete_report', arguments: {} }))).toBe('scope_missing');
    expect(await refusal(client.listPrompts())).toBe('operation_unmatched');
    await transport.terminateSession();
    await client.close();
  });

  it('lets a client of A2A ask for the one skill that its chain has, and follow its tasks', async () => {
    const client = await connectA2a(through, 'planner.mesh');
    const task = await client.sendMessage(message('plan', 'plan'));
    if (!('id' in task)) throw new Error('no task');
    expect(await client.getTask({ tenant: '', id: task.id })).toMatchObject({
      status: { state: TaskState.TASK_STATE_COMPLETED },
    });
    expect(await refusal(client.sendMessage(message('wait', 'wait')))).toBe('scope_missing');
    expect(await refusal(client.sendMessage(message('plan')))).toBe('operation_unmatched');
    expect(await refusal(client.getAgentCard())).toBe('operation_unmatched');
  });
});
