/** The planning agent's part: finds the others by their cards, asks each over A2A, and looks after what they make of it. */
import { Role, type SendMessageRequest, TaskState } from '@a2a-js/sdk';
import {
  type Client,
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
} from '@a2a-js/sdk/client';
import { meshFetch } from './agent-fetch.ts';
import { resultOf, textPart } from './agent-words.ts';
import { hostOf, PURPOSE, WORKER_ROLES, type WorkerRole } from './story.ts';

const factory = new ClientFactory({
  transports: [new JsonRpcTransportFactory({ fetchImpl: meshFetch })],
  cardResolver: new DefaultAgentCardResolver({ fetchImpl: meshFetch }),
});

const ask = (role: WorkerRole): SendMessageRequest => ({
  tenant: '',
  message: {
    messageId: crypto.randomUUID(),
    contextId: '',
    taskId: '',
    role: Role.ROLE_USER,
    parts: [textPart(`${PURPOSE}: your part, ${role}`)],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  },
  configuration: undefined,
  metadata: undefined,
});

/** An agent's task id after it was asked and has finished. */
const askAndWait = async (client: Client, role: WorkerRole): Promise<string> => {
  const answer = await client.sendMessage(ask(role));
  if (!('artifacts' in answer)) throw new Error(`${role} answered with a message, not with a task`);
  return answer.id;
};

/** The same over a stream, in which the agent says how far it is. */
const askAndListen = async (client: Client, role: WorkerRole): Promise<string> => {
  let id = '';
  let state: TaskState | undefined;
  for await (const { payload } of client.sendMessageStream(ask(role))) {
    if (payload?.$case === 'task') id = payload.value.id;
    if (payload?.$case === 'statusUpdate') state = payload.value.status?.state;
  }
  if (state !== TaskState.TASK_STATE_COMPLETED) throw new Error(`${role} ended its stream unfinished`);
  return id;
};

/**
 * The whole review: 4 cards, 4 questions (one of them a stream), 4 looks at a finished task, 3 lists of an agent's tasks
 * before the report is written: 15 requests. Returns what each agent said.
 */
export const review = async (): Promise<Readonly<Record<string, string>>> => {
  const clients = new Map<WorkerRole, Client>();
  for (const role of WORKER_ROLES) clients.set(role, await factory.createFromUrl(`http://${hostOf(role)}`));
  const results: Record<string, string> = {};
  for (const role of WORKER_ROLES) {
    const client = clients.get(role);
    if (client === undefined) continue;
    if (role === 'report') await checkFinished(clients);
    const id = await (role === 'inventory' ? askAndListen : askAndWait)(client, role);
    const task = await client.getTask({ tenant: '', id });
    if (task.status?.state !== TaskState.TASK_STATE_COMPLETED) throw new Error(`${role} did not finish`);
    results[role] = resultOf(task);
  }
  return results;
};

/** A report is written when nothing that goes into it is still open. */
const checkFinished = async (clients: ReadonlyMap<WorkerRole, Client>): Promise<void> => {
  for (const [role, client] of clients) {
    if (role === 'report') continue;
    const { tasks } = await client.listTasks({
      tenant: '',
      contextId: '',
      status: TaskState.TASK_STATE_UNSPECIFIED,
      pageSize: 10,
      pageToken: '',
      statusTimestampAfter: undefined,
    });
    const open = tasks.filter(({ status }) => status?.state !== TaskState.TASK_STATE_COMPLETED);
    if (tasks.length !== 1 || open.length > 0) throw new Error(`${role} is not finished`);
  }
};
