/** Clients and servers of @a2a-js/sdk through two sidecars: both bindings, both versions, each method allowed and refused. */
import { type StreamResponse, TaskState } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { A2A_PATHS, A2A_VERSIONS, A2aAgent, type A2aBinding } from '../testkit/a2a-agent.ts';
import { connectA2a, message } from '../testkit/a2a-client.ts';
import { type AgentFetch, agentFetch, refusal } from '../testkit/agent-fetch.ts';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';

const PLANNING = 'planning/abc123';
const SERVER = 'inventory/def456';
const HOST = 'planner.mesh';

const all = async (events: AsyncIterable<StreamResponse>): Promise<readonly StreamResponse[]> => {
  const seen: StreamResponse[] = [];
  for await (const event of events) seen.push(event);
  return seen;
};
const config = (taskId: string) => ({
  tenant: '',
  id: 'c-1',
  taskId,
  url: 'https://planning.example/notify',
  token: '',
  authentication: undefined,
});

interface Called {
  /** What stands on record besides the method: the skill, or the task that is under way. */
  readonly about: 'skill' | 'task' | 'nothing';
  readonly call: (client: Client, task: string, agent: A2aAgent) => Promise<unknown>;
  /** Version 0.3 has it too. */
  readonly legacy?: false;
}

const CALLS: Readonly<Record<string, Called>> = {
  SendMessage: { about: 'skill', call: (client) => client.sendMessage(message('plan', 'plan')) },
  SendStreamingMessage: {
    about: 'skill',
    call: (client) => all(client.sendMessageStream(message('plan', 'plan'))),
  },
  GetTask: { about: 'task', call: (client, id) => client.getTask({ tenant: '', id }) },
  ListTasks: {
    about: 'nothing',
    legacy: false,
    call: (client) =>
      client.listTasks({
        tenant: '',
        contextId: '',
        status: TaskState.TASK_STATE_UNSPECIFIED,
        pageToken: '',
        statusTimestampAfter: undefined,
      }),
  },
  SubscribeToTask: {
    about: 'task',
    call: async (client, id, agent) => {
      const events = client.resubscribeTask({ tenant: '', id });
      const first = await events.next();
      agent.release();
      return [first.value, ...(await all(events))];
    },
  },
  CreateTaskPushNotificationConfig: {
    about: 'task',
    call: (client, id) => client.createTaskPushNotificationConfig(config(id)),
  },
  GetTaskPushNotificationConfig: {
    about: 'task',
    call: (client, taskId) => client.getTaskPushNotificationConfig({ tenant: '', taskId, id: 'c-1' }),
  },
  ListTaskPushNotificationConfigs: {
    about: 'task',
    call: (client, taskId) =>
      client.listTaskPushNotificationConfig({ tenant: '', taskId, pageSize: 0, pageToken: '' }),
  },
  DeleteTaskPushNotificationConfig: {
    about: 'task',
    call: (client, taskId) => client.deleteTaskPushNotificationConfig({ tenant: '', taskId, id: 'c-1' }),
  },
  CancelTask: {
    about: 'task',
    call: (client, id) => client.cancelTask({ tenant: '', id, metadata: undefined }),
  },
  GetExtendedAgentCard: { about: 'nothing', call: (client) => client.getAgentCard() },
};
const METHODS = Object.keys(CALLS);

const OPERATIONS = [
  {
    methods: ['SendMessage', 'SendStreamingMessage'],
    names: ['*'],
    scopes: ['a2a:{server}:{method}', 'a2a:{server}:skill:{skill}'],
  },
  { methods: METHODS.filter((method) => !method.startsWith('Send')), scopes: ['a2a:{server}:{method}'] },
];
const POLICY = {
  routes: [
    { name: 'card', path: '/.well-known/agent-card.json', methods: ['GET'], scopes: ['a2a:planner:card'] },
    { name: 'rpc', path: '/a2a', protocol: 'a2a', server: 'planner', operations: OPERATIONS },
    { name: 'rest', path: '/rest/*', protocol: 'a2a-rest', server: 'planner', operations: OPERATIONS },
  ],
};

const WAYS = (Object.keys(A2A_PATHS) as A2aBinding[]).flatMap((binding) =>
  A2A_VERSIONS.map((version) => ({ binding, version })),
);

describe.each(WAYS)('A2A $version over $binding', ({ binding, version }) => {
  const agent = new A2aAgent(HOST);
  const methods = METHODS.filter((method) => version === '1.0' || CALLS[method]?.legacy !== false);
  let mesh: Mesh;
  let through: AgentFetch;
  let client: Client;

  const contextWith = (some: readonly string[], skills = ['plan', 'wait']): Promise<string> =>
    mesh.startTask(
      PLANNING,
      mesh.domain.mintChain([PLANNING], {
        scope: [...some, 'card', ...skills.map((skill) => `skill:${skill}`)].map(
          (name) => `a2a:planner:${name}`,
        ),
      }),
    );

  beforeAll(async () => {
    mesh = await makeMesh({ domain: { anchor: { scope: ['a2a:*'] } }, policy: POLICY });
    await mesh.start(SERVER, { handler: agent.handle });
    await mesh.start(PLANNING, { routes: { [HOST]: SERVER }, delegate: null });
    through = agentFetch(mesh.agent(PLANNING), await contextWith(METHODS));
    client = await connectA2a(through, HOST, binding, version);
  });
  afterAll(async () => {
    agent.release();
    await through.close();
    mesh.stop();
  });

  const last = (name: string) =>
    mesh
      .agent(name)
      .log()
      .findLast(({ kind }) => kind === 'decision');
  const arrived = () => mesh.agent(SERVER).seen.length;
  /** As the SDK has it; over HTTP+JSON of 1.0 it keeps the problem to itself and tells the status alone. */
  const reasonOf = async (call: Promise<unknown>): Promise<unknown> => {
    const reason = await refusal(call);
    return binding === 'HTTP+JSON' && version === '1.0' && String(reason).includes('403 Forbidden')
      ? through.refusals.at(-1)
      : reason;
  };

  /** A task that is under way. */
  const begin = async (): Promise<string> => {
    const task = await client.sendMessage(message('wait', 'wait'));
    if (!('id' in task)) throw new Error('no task began');
    return task.id;
  };

  it.each(methods)('%s is answered', async (method) => {
    const { about, call } = CALLS[method] as Called;
    const task = about === 'task' ? await begin() : '';
    if (method.endsWith('PushNotificationConfig'))
      await client.createTaskPushNotificationConfig(config(task));
    const answer = await call(client, task, agent);
    const name = { skill: 'plan', task, nothing: '' }[about];
    for (const side of [PLANNING, SERVER])
      expect(last(side)).toMatchObject({ verdict: 'permit', operations: [{ method, name }] });
    if (method === 'SendStreamingMessage' || method === 'SubscribeToTask')
      expect((answer as StreamResponse[]).at(-1)?.payload?.value).toMatchObject({
        status: { state: TaskState.TASK_STATE_COMPLETED },
      });
  });

  it.each(methods)('%s that the chain has not is refused, and does not arrive', async (method) => {
    const { about, call } = CALLS[method] as Called;
    const task = about === 'task' ? await begin() : '';
    const [context, before] = [through.context, arrived()];
    through.context = await contextWith(METHODS.filter((one) => one !== method));
    const refused = await reasonOf(call(client, task, agent));
    through.context = context;
    expect(refused).toBe('scope_missing');
    expect(arrived()).toBe(before);
    const name = { skill: 'plan', task, nothing: '' }[about];
    expect(last(PLANNING)).toMatchObject({
      verdict: 'deny',
      reason: 'scope_missing',
      operations: [{ method, name }],
    });
  });

  it('a stream shows what happens as it happens', async () => {
    const kinds: (string | undefined)[] = [];
    for await (const { payload } of client.sendMessageStream(message('wait', 'wait'))) {
      kinds.push(payload?.$case);
      if (kinds.length === 1) agent.release();
    }
    expect(kinds).toEqual(['task', 'artifactUpdate', 'statusUpdate']);
  });

  it('a skill that the chain has not is refused, and so is none', async () => {
    const [context, before] = [through.context, arrived()];
    through.context = await contextWith(METHODS, ['plan']);
    expect(await reasonOf(client.sendMessage(message('wait', 'wait')))).toBe('scope_missing');
    expect(last(PLANNING)).toMatchObject({ operations: [{ method: 'SendMessage', name: 'wait' }] });
    expect(await reasonOf(client.sendMessage(message('plan')))).toBe('operation_unmatched');
    through.context = context;
    expect(arrived()).toBe(before);
  });
});
