/** What a2a clients meet besides a method that they have not: batches, conditions, what can't be read, streams that policy ends. */
import { type StreamResponse, TaskState } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { A2aAgent, type A2aBinding } from '../testkit/a2a-agent.ts';
import { connectA2a, message } from '../testkit/a2a-client.ts';
import { type AgentFetch, agentFetch, refusal } from '../testkit/agent-fetch.ts';
import { type Mesh, makeMesh, sendThrough } from '../testkit/mesh.ts';

/** What comes by a stream comes when it comes. */
const PATIENT = { timeout: 10_000 };

const PLANNING = 'planning/abc123';
const SERVER = 'inventory/def456';
const HOST = 'planner.mesh';

const OPERATIONS = [
  { methods: ['SendMessage', 'SendStreamingMessage'], scopes: ['a2a:planner:send'] },
  { methods: ['GetTask', 'ListTasks', 'SubscribeToTask', 'http:agent-card'], scopes: ['a2a:planner:read'] },
];
let revisions = 0;
const policy = (callerTypes: readonly string[]) => ({
  revision: `${++revisions}`,
  routes: [
    // The card by the routes that read messages too.
    { name: 'rpc', path: '/a2a', protocol: 'a2a', operations: OPERATIONS },
    { name: 'rest', path: '/rest/*', protocol: 'a2a-rest', operations: OPERATIONS },
    { name: 'card', path: '/*', methods: ['GET'], protocol: 'a2a', operations: OPERATIONS },
  ],
  rules: [
    { name: 'agents', effect: 'allow', callerTypes },
    { name: 'no-dropping', effect: 'deny', when: 'a2a.skill == "drop" || a2a.taskId == "secret"' },
  ],
});

describe('A2A', () => {
  const agent = new A2aAgent(HOST);
  let mesh: Mesh;
  let through: AgentFetch;
  const clients = {} as Record<A2aBinding, Client>;

  beforeAll(async () => {
    mesh = await makeMesh({ domain: { anchor: { scope: ['a2a:*'] } }, policy: policy(['planning']) });
    await mesh.start(SERVER, { handler: agent.handle });
    await mesh.start(PLANNING, { routes: { [HOST]: SERVER }, delegate: null });
    const scope = ['a2a:planner:send', 'a2a:planner:read'];
    through = agentFetch(
      mesh.agent(PLANNING),
      await mesh.startTask(PLANNING, mesh.domain.mintChain([PLANNING], { scope })),
    );
    clients.JSONRPC = await connectA2a(through, HOST);
    clients['HTTP+JSON'] = await connectA2a(through, HOST, 'HTTP+JSON');
  });
  afterAll(async () => {
    agent.release();
    await through.close();
    mesh.stop();
  });

  const last = (name: string, kind = 'decision') =>
    mesh
      .agent(name)
      .log()
      .findLast((record) => record.kind === kind);
  const arrived = () => mesh.agent(SERVER).seen.length;
  const post = (body: string, path = '/a2a', type = 'application/json') =>
    sendThrough(mesh.agent(PLANNING), `http://${HOST}${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': type, 'a2a-version': '1.0' },
      ...(through.context !== undefined && { context: through.context }),
    });
  const call = (id: number, method: string, params: object = {}) => ({ jsonrpc: '2.0', id, method, params });
  const send = (id: number, skill = 'plan') =>
    call(id, 'SendMessage', {
      message: { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'x' }], metadata: { skillId: skill } },
    });

  it('its card is an operation of its own', () => {
    expect(mesh.agent(SERVER).seen[0]?.url).toBe('/.well-known/agent-card.json');
    for (const name of [PLANNING, SERVER])
      expect(mesh.agent(name).log()).toContainEqual(
        expect.objectContaining({ verdict: 'permit', operations: [{ method: 'http:agent-card', name: '' }] }),
      );
  });

  it('every item of a batch is decided, and stands on record', async () => {
    const before = arrived();
    await post(JSON.stringify([send(1), call(2, 'GetTask', { id: 't-1' })]));
    expect(arrived()).toBe(before + 1);
    for (const name of [PLANNING, SERVER])
      expect(last(name)).toMatchObject({
        verdict: 'permit',
        required: ['a2a:planner:send', 'a2a:planner:read'],
        operations: [
          { method: 'SendMessage', name: 'plan' },
          { method: 'GetTask', name: 't-1' },
        ],
      });
  });

  it.each([
    [
      'an operation that the route has not',
      [send(1), call(2, 'CancelTask', { id: 't-1' })],
      'operation_unmatched',
    ],
    ['a skill that a condition denies', [send(1), send(2, 'drop')], 'rule_denied'],
    ['a task that a condition denies', [call(1, 'GetTask', { id: 'secret' }), send(2)], 'rule_denied'],
    ['two items of one id', [send(1), send(1)], 'message_ambiguous'],
    ['a call without an answer', [send(1), { ...send(2), id: undefined }], 'message_malformed'],
    ['nothing', [], 'message_malformed'],
  ])('a batch with %s is refused whole', async (_, body, code) => {
    const before = arrived();
    expect(await post(JSON.stringify(body))).toMatchObject({ code });
    expect(arrived()).toBe(before);
    expect(last(PLANNING)).toMatchObject({ verdict: 'deny', reason: code });
  });

  it.each([
    ['a skill twice', '{"message":{"metadata":{"skillId":"plan","skillId":"drop"}}}', 'message_ambiguous'],
    [
      'two skills',
      '{"message":{"metadata":{"skillId":"plan"}},"metadata":{"skillId":"drop"}}',
      'message_ambiguous',
    ],
    ['a skill in other letters', '{"message":{"metadata":{"SkillId":"drop"}}}', 'message_ambiguous'],
    ['no message', '{}', 'message_malformed'],
  ])('%s is refused in either binding', async (_, params, code) => {
    const before = arrived();
    expect(await post(`{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":${params}}`)).toMatchObject({
      code,
    });
    expect(await post(params, '/rest/message:send')).toMatchObject({ code });
    expect(arrived()).toBe(before);
  });

  it.each([
    ['text/plain', 'message_type'],
    ['application/json; charset=utf-16', 'message_encoding'],
  ])('a body of type %s is refused', async (type, code) => {
    expect(await post(JSON.stringify(send(1)), '/a2a', type)).toMatchObject({ status: 415, code });
    expect(await post('{}', '/rest/message:send', type)).toMatchObject({ status: 415, code });
  });

  it.each([
    ['/rest/tasks/t-1:purge', 'message_malformed'],
    ['/rest/tasks/t-1:Cancel', 'message_malformed'],
    ['/rest/tenant/tasks/tasks/t-1:cancel', 'message_malformed'],
    ['/rest/tasks/t%C3%A9:cancel', 'message_ambiguous'],
  ])('%s is no operation', async (path, code) => {
    const before = arrived();
    expect(await post('{}', path)).toMatchObject({ status: 400, code });
    expect(arrived()).toBe(before);
  });

  describe.each(['JSONRPC', 'HTTP+JSON'] as const)('a stream over %s', (binding) => {
    const stream = async (during: (first: StreamResponse) => void): Promise<readonly StreamResponse[]> => {
      const seen: StreamResponse[] = [];
      for await (const event of clients[binding].sendMessageStream(message('wait', 'wait'))) {
        if (seen.length === 0) during(event);
        seen.push(event);
      }
      return seen;
    };

    it('that its client leaves is left by the server’s sidecar too', async () => {
      const gone = () =>
        mesh
          .agent(SERVER)
          .log()
          .filter(({ kind, result }) => kind === 'outcome' && result === 'client_aborted').length;
      const before = gone();
      for await (const { payload } of clients[binding].sendMessageStream(message('wait', 'wait')))
        if (payload !== undefined) break;
      await expect.poll(gone, PATIENT).toBe(before + 1);
    });

    it('ends when policy ends it, and its client hears why', async () => {
      const reload = (): void => {
        for (const name of [PLANNING, SERVER]) mesh.agent(name).sidecar.reload();
      };
      const cut = stream(() => {
        mesh.writePolicy(policy(['security']));
        reload();
      });
      expect(await refusal(cut)).toBe('rule_unmatched');
      expect(last(SERVER, 'outcome')).toMatchObject({ result: 'rule_unmatched' });
      mesh.writePolicy(policy(['planning']));
      reload();
      const whole = await stream(() => agent.release());
      expect(whole.at(-1)?.payload?.value).toMatchObject({
        status: { state: TaskState.TASK_STATE_COMPLETED },
      });
    });
  });

  it('a condition holds for a client of the SDK', async () => {
    const before = arrived();
    expect(await refusal(clients.JSONRPC.sendMessage(message('drop', 'drop')))).toBe('rule_denied');
    await expect(clients['HTTP+JSON'].sendMessage(message('drop', 'drop'))).rejects.toThrow('403');
    expect(through.refusals.at(-1)).toBe('rule_denied');
    expect(arrived()).toBe(before);
  });
});
