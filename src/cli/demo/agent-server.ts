/** An agent as an A2A server: card and JSON-RPC, on the port that it was given. */
import { createServer } from 'node:http';
import type { Server } from 'node:net';
import { AGENT_CARD_PATH, type Artifact, Role, type Task, TaskState } from '@a2a-js/sdk';
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  type ExecutionEventBus,
  InMemoryTaskStore,
  type RequestContext,
} from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express from 'express';
import { agentCard } from './agent-card.ts';
import { withContext } from './agent-fetch.ts';
import { textPart } from './agent-words.ts';
import { doWork } from './agent-work.ts';
import { type AgentRole, RPC_PATH, type WorkerRole } from './story.ts';

const statusOf = (state: TaskState, text?: string, task?: Task): NonNullable<Task['status']> => ({
  state,
  timestamp: new Date().toISOString(),
  message:
    text === undefined || task === undefined
      ? undefined
      : {
          role: Role.ROLE_AGENT,
          messageId: crypto.randomUUID(),
          taskId: task.id,
          contextId: task.contextId,
          parts: [textPart(text)],
          metadata: undefined,
          extensions: [],
          referenceTaskIds: [],
        },
});

const artifactOf = (text: string): Artifact => ({
  artifactId: crypto.randomUUID(),
  name: 'result',
  description: 'What came of it.',
  parts: [textPart(text)],
  metadata: undefined,
  extensions: [],
});

/** Works off what it is asked, and says how far it is. */
class Worker implements AgentExecutor {
  private readonly role: WorkerRole;

  constructor(role: WorkerRole) {
    this.role = role;
  }

  readonly execute = async (
    { taskId, contextId, userMessage }: RequestContext,
    bus: ExecutionEventBus,
  ): Promise<void> => {
    const task: Task = {
      id: taskId,
      contextId,
      status: statusOf(TaskState.TASK_STATE_SUBMITTED),
      artifacts: [],
      history: [userMessage],
      metadata: undefined,
    };
    bus.publish(AgentEvent.task(task));
    const say = (state: TaskState, text?: string): void =>
      bus.publish(
        AgentEvent.statusUpdate({
          taskId,
          contextId,
          status: statusOf(state, text, task),
          metadata: undefined,
        }),
      );
    say(TaskState.TASK_STATE_WORKING);
    const result = await doWork(this.role, (done, of) =>
      say(TaskState.TASK_STATE_WORKING, `${done} of ${of}`),
    );
    bus.publish(
      AgentEvent.artifactUpdate({
        taskId,
        contextId,
        artifact: artifactOf(result),
        append: false,
        lastChunk: true,
        metadata: undefined,
      }),
    );
    say(TaskState.TASK_STATE_COMPLETED);
  };

  readonly cancelTask = async (taskId: string, bus: ExecutionEventBus): Promise<void> => {
    bus.publish(
      AgentEvent.statusUpdate({
        taskId,
        contextId: '',
        status: statusOf(TaskState.TASK_STATE_CANCELED),
        metadata: undefined,
      }),
    );
  };
}

/** Serves on a port that is open already. Planning answers nobody, so it has no JSON-RPC. */
export const serveAgent = (role: AgentRole, handle: Server, onRequest: () => void): Promise<void> => {
  const app = express();
  app.use((request, _response, next) => {
    onRequest();
    const handed = request.headers['hopgate-context'];
    withContext(typeof handed === 'string' ? handed : undefined, next);
  });
  const card = agentCard(role);
  if (role === 'planning') app.get(`/${AGENT_CARD_PATH}`, (_request, response) => void response.json(card));
  else {
    const requestHandler = new DefaultRequestHandler(card, new InMemoryTaskStore(), new Worker(role));
    app.use(`/${AGENT_CARD_PATH}`, agentCardHandler({ agentCardProvider: requestHandler }));
    app.use(RPC_PATH, jsonRpcHandler({ requestHandler, userBuilder: UserBuilder.noAuthentication }));
  }
  const server = createServer(app);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(handle, () => resolve());
  });
};
