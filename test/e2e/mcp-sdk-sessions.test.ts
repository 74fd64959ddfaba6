/** Sessions of real MCP clients and servers through two sidecars: whose they are, how their streams go on, and how they end. */
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgentFetch, agentFetch, refusal } from '../testkit/agent-fetch.ts';
import { McpAgent } from '../testkit/mcp-agent.ts';
import { type ConnectedClient, connectMcp } from '../testkit/mcp-client.ts';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';

/** What comes by a stream comes when it comes. */
const PATIENT = { timeout: 10_000 };

const PLANNING = 'planning/abc123';
const SECURITY = 'security/ghi789';
const SERVER = 'inventory/def456';
const URL = 'http://reports.mesh/mcp';
/** The same without events that are kept. */
const PLAIN_URL = 'http://reports.mesh/plain';

const policy = (revision: string, callerTypes: readonly string[]) => ({
  revision,
  routes: [{ name: 'mcp', path: '/{server}', protocol: 'mcp', scopes: ['mcp:use'], operations: [{}] }],
  rules: [{ name: 'agents', effect: 'allow', callerTypes }],
});

describe('sessions of an MCP server', () => {
  const agent = new McpAgent({ resumable: true });
  const plain = new McpAgent();
  let mesh: Mesh;
  const open: (() => Promise<void>)[] = [];

  /** As an agent does it that begins a task of its own. */
  const startTask = async (name: string): Promise<AgentFetch> => {
    const chain = mesh.domain.mintChain([name], { scope: ['mcp:use'] });
    const through = agentFetch(mesh.agent(name), await mesh.startTask(name, chain));
    open.push(() => through.close());
    return through;
  };
  const connect = async (
    through: AgentFetch,
    options?: Parameters<typeof connectMcp>[2],
    url = URL,
  ): Promise<ConnectedClient> => {
    const made = await connectMcp(through, url, options);
    open.unshift(() => made.client.close());
    return made;
  };

  beforeAll(async () => {
    mesh = await makeMesh({
      domain: { agents: [PLANNING, SECURITY, SERVER], anchor: { scope: ['mcp:*'] } },
      policy: policy('1', ['planning', 'security']),
    });
    await mesh.start(SERVER, {
      handler: (request, response) => (request.url === '/plain' ? plain : agent).handle(request, response),
    });
    for (const name of [PLANNING, SECURITY])
      await mesh.start(name, { routes: { 'reports.mesh': SERVER }, delegate: null });
  });
  afterAll(async () => {
    for (const close of open) await close();
    mesh.stop();
  });

  const records = (name: string) => mesh.agent(name).log();
  const ids = () => [...agent.sessions.keys()];

  it('a session is nobody’s but that of the caller and the task that began it', async () => {
    const { client, transport } = await connect(await startTask(PLANNING));
    const { sessionId = '' } = transport;
    expect(ids()).toContain(sessionId);
    const received = agent.received.length;
    for (const name of [PLANNING, SECURITY]) {
      const thief = await connect(await startTask(name), { sessionId });
      expect(await refusal(thief.client.ping())).toBe('mcp_session_foreign');
      await expect(thief.client.ping()).rejects.toMatchObject({ code: 404 });
      expect(records(SERVER).findLast(({ kind }) => kind === 'decision')).toMatchObject({
        verdict: 'deny',
        reason: 'mcp_session_foreign',
      });
    }
    expect(agent.received).toHaveLength(received);
    expect(await client.ping()).toEqual({});
  });

  it('nor are its streams and its end', async () => {
    const { client, transport } = await connect(await startTask(PLANNING));
    const { sessionId = '' } = transport;
    const through = await startTask(SECURITY);
    const thief = await connect(through, { sessionId });
    await expect(thief.transport.resumeStream('1')).rejects.toMatchObject({ code: 404 });
    await expect(thief.transport.terminateSession()).rejects.toMatchObject({ code: 404 });
    expect(through.refusals).toEqual(['mcp_session_foreign', 'mcp_session_foreign']);
    expect(ids()).toContain(sessionId);
    expect(await client.ping()).toEqual({});
  });

  it('one that is not known is none, and the client begins anew', async () => {
    const through = await startTask(PLANNING);
    const lost = await connect(through, { sessionId: 'of-an-earlier-life' });
    expect(await refusal(lost.client.ping())).toBe('mcp_session_unknown');
    expect(await (await connect(through)).client.ping()).toEqual({});
  });

  it('its owner ends it', async () => {
    const { client, transport } = await connect(await startTask(PLANNING));
    const { sessionId = '' } = transport;
    await transport.terminateSession();
    expect(ids()).not.toContain(sessionId);
    // What the server says of that comes as it is.
    await expect(client.ping()).rejects.toMatchObject({ message: expect.stringContaining('Bad Request') });
  });

  it('what the server tells comes by the stream that the client keeps open, until the client goes away', async () => {
    const { client } = await connect(await startTask(PLANNING));
    const updated: string[] = [];
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
      updated.push(params.uri);
    });
    // What is told before the stream is open is lost: the client asks again.
    await expect
      .poll(async () => {
        await client.subscribeResource({ uri: 'report://2026/q3' });
        return updated;
      }, PATIENT)
      .toContain('report://2026/q3');
    const gone = () =>
      records(SERVER).filter(({ kind, result }) => kind === 'outcome' && result === 'client_aborted').length;
    const before = gone();
    await client.close();
    await expect.poll(gone, PATIENT).toBe(before + 1);
  });

  it('a stream that the server closes is taken up again where it was', async () => {
    const { client } = await connect(await startTask(PLANNING));
    const started = agent.nextWait();
    const call = client.callTool({ name: 'wait', arguments: {} });
    await started;
    const isResumed = () =>
      mesh.agent(SERVER).seen.some(({ method, headers }) => method === 'GET' && headers['last-event-id']);
    await expect.poll(isResumed, PATIENT).toBe(true);
    agent.release();
    expect(await call).toMatchObject({ content: [{ text: 'waited' }] });
  });

  it('a call under way ends with a reason when policy no longer allows it', async () => {
    const { client } = await connect(await startTask(PLANNING), {}, PLAIN_URL);
    let call: Promise<unknown> = Promise.resolve();
    await new Promise<void>((resolve) => {
      call = client
        .callTool({ name: 'wait', arguments: {} }, undefined, { onprogress: () => resolve() })
        .catch((error: unknown) => error);
    });
    mesh.writePolicy(policy('2', ['security']));
    for (const name of [PLANNING, SERVER]) mesh.agent(name).sidecar.reload();
    expect(await call).toMatchObject({ code: -32603, data: { code: 'rule_unmatched' } });
    expect(await refusal(client.ping())).toBe('rule_unmatched');
    plain.release();
  });
});
