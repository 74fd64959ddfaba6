/** An agent that is an MCP server, made with @modelcontextprotocol/sdk, revisions up to 2025-11-25, over streamable HTTP. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  InMemoryTaskMessageQueue,
  InMemoryTaskStore,
} from '@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { McpServer, type RegisteredTool, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import {
  type EventStore,
  StreamableHTTPServerTransport,
} from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CreateMessageResultSchema,
  ElicitResultSchema,
  type JSONRPCMessage,
  ListRootsResultSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';

export interface McpAgentOptions {
  /** Without sessions: each request has a server of its own. */
  readonly stateless?: boolean;
  /** Answers in JSON and not as a stream. */
  readonly json?: boolean;
  /** Keeps events, so that a client can take a stream up again. */
  readonly resumable?: boolean;
}

export interface ReceivedMessage {
  readonly method?: string;
  readonly id?: string | number;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: unknown;
}

const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });

class Events implements EventStore {
  private readonly events: { readonly stream: string; readonly message: JSONRPCMessage }[] = [];

  storeEvent(stream: string, message: JSONRPCMessage): Promise<string> {
    this.events.push({ stream, message });
    return Promise.resolve(String(this.events.length));
  }

  async replayEventsAfter(
    last: string,
    { send }: { send: (id: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const stream = this.events[Number(last) - 1]?.stream ?? '';
    for (const [at, event] of this.events.entries())
      if (at >= Number(last) && event.stream === stream && 'jsonrpc' in event.message)
        await send(String(at + 1), event.message);
    return stream;
  }
}

export class McpAgent {
  /** What came in, message by message. */
  readonly received: ReceivedMessage[] = [];
  private description = 'Reads a report';
  private readonly reports: RegisteredTool[] = [];
  /** Calls that were given up by their client. */
  cancelled = 0;
  /** Servers by session. */
  readonly sessions = new Map<string, { server: McpServer; transport: StreamableHTTPServerTransport }>();
  private readonly options: McpAgentOptions;
  private readonly events = new Events();
  private readonly tasks = new InMemoryTaskStore();
  private readonly waiting: (() => void)[] = [];
  private started: (() => void)[] = [];

  constructor(options: McpAgentOptions = {}) {
    this.options = options;
  }

  get methods(): readonly string[] {
    return this.received.map(({ method = 'response' }) => method);
  }

  /** Gives `get_report` another description in all sessions, and tells their clients. */
  describe(description: string): void {
    this.description = description;
    for (const tool of this.reports) tool.update({ description });
  }

  /** Once the next call of `wait` is under way. */
  nextWait(): Promise<void> {
    return new Promise((resolve) => this.started.push(resolve));
  }

  /** Lets the calls of `wait` return. */
  release(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const parsed: unknown = body === '' ? undefined : JSON.parse(body);
      if (parsed !== undefined)
        this.received.push(...((Array.isArray(parsed) ? parsed : [parsed]) as ReceivedMessage[]));
      void this.answer(request, response, parsed);
    });
  };

  private async answer(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    const id = request.headers['mcp-session-id'] as string | undefined;
    const known = id === undefined ? undefined : this.sessions.get(id);
    if (id !== undefined && known === undefined) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}');
      return;
    }
    const transport = known?.transport ?? (await this.begin());
    await transport.handleRequest(request, response, body);
  }

  private async begin(): Promise<StreamableHTTPServerTransport> {
    const { stateless = false, json = false, resumable = false } = this.options;
    const server = this.server();
    const transport = new StreamableHTTPServerTransport({
      ...(stateless ? {} : { sessionIdGenerator: () => randomUUID() }),
      enableJsonResponse: json,
      // Comments between events, far more often than anybody would want them.
      keepAliveMs: 5,
      ...(resumable ? { eventStore: this.events, retryInterval: 1 } : {}),
      onsessioninitialized: (id) => void this.sessions.set(id, { server, transport }),
      onsessionclosed: (id) => void this.sessions.delete(id),
    });
    await server.connect(transport as Transport);
    return transport;
  }

  private server(): McpServer {
    const server = new McpServer(
      { name: 'reports', version: '1.0.0' },
      {
        capabilities: {
          logging: {},
          resources: { subscribe: true },
          tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } },
        },
        taskStore: this.tasks,
        taskMessageQueue: new InMemoryTaskMessageQueue(),
      },
    );
    this.addTools(server);
    this.addAsking(server);
    this.addRest(server);
    return server;
  }

  private addTools(server: McpServer): void {
    this.reports.push(
      server.registerTool(
        'get_report',
        { description: this.description, inputSchema: { path: z.string() } },
        ({ path }) => text(`report ${path}`),
      ),
    );
    server.registerTool('delete_report', { description: 'Deletes a report' }, () => text('deleted'));
    server.registerTool(
      'count',
      { description: 'Counts', inputSchema: { to: z.number() } },
      async ({ to }, { _meta, sendNotification }) => {
        for (let progress = 1; progress <= to; progress++)
          if (_meta?.progressToken !== undefined)
            await sendNotification({
              method: 'notifications/progress',
              params: { progressToken: _meta.progressToken, progress, total: to },
            });
        return text(`counted to ${to}`);
      },
    );
    server.registerTool(
      'wait',
      { description: 'Waits' },
      async ({ signal, closeSSEStream, _meta, sendNotification }) => {
        signal.addEventListener('abort', () => this.cancelled++);
        const released = this.nextRelease();
        if (_meta?.progressToken !== undefined)
          await sendNotification({
            method: 'notifications/progress',
            params: { progressToken: _meta.progressToken, progress: 0 },
          });
        if (this.options.resumable === true) closeSSEStream?.();
        for (const resolve of this.started.splice(0)) resolve();
        await released;
        return text('waited');
      },
    );
    server.experimental.tasks.registerToolTask(
      'job',
      { description: 'Works for longer', execution: { taskSupport: 'required' } },
      {
        createTask: async ({ taskStore, taskRequestedTtl }) => {
          const task = await taskStore.createTask({ ttl: taskRequestedTtl ?? 60_000, pollInterval: 5 });
          void this.nextRelease().then(async () => {
            const now = await taskStore.getTask(task.taskId);
            if (now.status !== 'cancelled')
              await taskStore.storeTaskResult(task.taskId, 'completed', text('done'));
          });
          return { task };
        },
        getTask: ({ taskId, taskStore }) => taskStore.getTask(taskId),
        getTaskResult: async ({ taskId, taskStore }) =>
          (await taskStore.getTaskResult(taskId)) as ReturnType<typeof text>,
      },
    );
  }

  private nextRelease(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Tools for which the server asks its client for something. */
  private addAsking(server: McpServer): void {
    server.registerTool('ask_model', { description: 'Asks the client’s model' }, async ({ sendRequest }) => {
      const { content } = await sendRequest(
        {
          method: 'sampling/createMessage',
          params: { messages: [{ role: 'user', content: { type: 'text', text: 'why?' } }], maxTokens: 9 },
        },
        CreateMessageResultSchema,
      );
      return text(JSON.stringify(content));
    });
    server.registerTool('ask_user', { description: 'Asks the user' }, async ({ sendRequest }) => {
      const { action } = await sendRequest(
        {
          method: 'elicitation/create',
          params: {
            mode: 'form',
            message: 'sure?',
            requestedSchema: { type: 'object', properties: { sure: { type: 'boolean' } } },
          },
        },
        ElicitResultSchema,
      );
      return text(action);
    });
    server.registerTool('ask_ping', { description: 'Asks whether it is there' }, async ({ sendRequest }) => {
      await sendRequest({ method: 'ping' }, z.looseObject({}));
      return text('there');
    });
    server.registerTool('ask_roots', { description: 'Asks for roots' }, async ({ sendRequest }) => {
      const { roots } = await sendRequest({ method: 'roots/list' }, ListRootsResultSchema);
      return text(roots.map(({ uri }) => uri).join());
    });
  }

  private addRest(server: McpServer): void {
    const read = (uri: URL) => ({ contents: [{ uri: uri.href, text: `text of ${uri.href}` }] });
    server.registerResource('q3', 'report://2026/q3', {}, read);
    server.registerResource(
      'by year',
      new ResourceTemplate('report://{year}/all', {
        list: undefined,
        complete: { year: () => ['2025', '2026'] },
      }),
      {},
      read,
    );
    server.registerPrompt(
      'summarise',
      { argsSchema: { quarter: completable(z.string(), () => ['q3', 'q4']) } },
      ({ quarter }) => ({
        messages: [{ role: 'user', content: { type: 'text', text: `sum up ${quarter}` } }],
      }),
    );
    server.server.setRequestHandler(SubscribeRequestSchema, async ({ params }) => {
      await server.server.sendResourceUpdated({ uri: params.uri });
      return {};
    });
    server.server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
  }
}
