/** An agent that speaks A2A, made with @a2a-js/sdk: both bindings below one host, version 1.0 and 0.3 beside it. */
import type { RequestListener } from 'node:http';
import { AgentCard, Task, TaskArtifactUpdateEvent, TaskState, TaskStatusUpdateEvent } from '@a2a-js/sdk';
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  type ExecutionEventBus,
  InMemoryPushNotificationStore,
  InMemoryTaskStore,
  type RequestContext,
} from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, restHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express from 'express';

/** Of the SDK’s bindings, by the name that an agent card has for them; each at its place below the host. */
export const A2A_PATHS = { JSONRPC: '/a2a', 'HTTP+JSON': '/rest' } as const;
export type A2aBinding = keyof typeof A2A_PATHS;
export const A2A_VERSIONS = ['1.0', '0.3'] as const;

const cardOf = (host: string): AgentCard =>
  AgentCard.fromJSON({
    name: 'planner',
    description: 'Plans',
    version: '1.0.0',
    supportedInterfaces: A2A_VERSIONS.flatMap((protocolVersion) =>
      Object.entries(A2A_PATHS).map(([protocolBinding, path]) => ({
        url: `http://${host}${path}`,
        protocolBinding,
        protocolVersion,
      })),
    ),
    capabilities: { streaming: true, pushNotifications: true, extendedAgentCard: true },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: ['plan', 'wait'].map((id) => ({ id, name: id, description: id, tags: ['test'] })),
  });

/** Answers at once; a message that says `wait` begins a task that is under way until it is released or cancelled. */
class Executor implements AgentExecutor {
  private readonly waiting = new Map<string, () => void>();

  release(): void {
    for (const resolve of this.waiting.values()) resolve();
  }

  async execute(context: RequestContext, bus: ExecutionEventBus): Promise<void> {
    const { taskId, contextId, userMessage } = context;
    const [part] = userMessage.parts;
    const task = (state: TaskState) => Task.fromJSON({ id: taskId, contextId, status: { state } });
    if (part?.content?.value !== 'wait') {
      bus.publish(AgentEvent.task(task(TaskState.TASK_STATE_COMPLETED)));
      bus.finished();
      return;
    }
    bus.publish(AgentEvent.task(task(TaskState.TASK_STATE_WORKING)));
    await new Promise<void>((resolve) => this.waiting.set(taskId, resolve));
    if (!this.waiting.delete(taskId)) return;
    bus.publish(
      AgentEvent.artifactUpdate(
        TaskArtifactUpdateEvent.fromJSON({
          taskId,
          contextId,
          artifact: { artifactId: 'plan', parts: [{ text: 'wait no more' }] },
        }),
      ),
    );
    this.end(taskId, contextId, TaskState.TASK_STATE_COMPLETED, bus);
  }

  cancelTask = (taskId: string, bus: ExecutionEventBus): Promise<void> => {
    const resolve = this.waiting.get(taskId);
    this.waiting.delete(taskId);
    this.end(taskId, '', TaskState.TASK_STATE_CANCELED, bus);
    resolve?.();
    return Promise.resolve();
  };

  private end(taskId: string, contextId: string, state: TaskState, bus: ExecutionEventBus): void {
    bus.publish(
      AgentEvent.statusUpdate(TaskStatusUpdateEvent.fromJSON({ taskId, contextId, status: { state } })),
    );
    bus.finished();
  }
}

export class A2aAgent {
  readonly handle: RequestListener;
  private readonly executor = new Executor();

  constructor(host: string) {
    const card = cardOf(host);
    const requestHandler = new DefaultRequestHandler(
      card,
      new InMemoryTaskStore(),
      this.executor,
      undefined,
      new InMemoryPushNotificationStore(),
      // Notifications are requests of the agent's own, to whom they please.
      { send: () => Promise.resolve() },
      { ...card, description: 'Plans, for those who are known' },
    );
    const options = {
      requestHandler,
      userBuilder: UserBuilder.noAuthentication,
      legacyCompat: { enabled: true },
    };
    const app = express();
    app.use(
      '/.well-known/agent-card.json',
      agentCardHandler({ agentCardProvider: requestHandler, legacyCompat: { enabled: true } }),
    );
    app.use(A2A_PATHS.JSONRPC, jsonRpcHandler(options));
    app.use(A2A_PATHS['HTTP+JSON'], restHandler(options));
    this.handle = app;
  }

  /** Lets the tasks that wait go on to their end. */
  release(): void {
    this.executor.release();
  }
}
