/** An agent that is an MCP server, made with @modelcontextprotocol/server 2.x: revision 2026-07-28, and older ones beside it. */
import type { RequestListener } from 'node:http';
import {
  acceptedContent,
  completable,
  createMcpHandler,
  fromJsonSchema,
  inputRequired,
  McpServer,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { webHandler } from './web-handler.ts';

const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });
const CONFIRMATION = z.object({ sure: z.boolean() });

/** The path stands in a header too, on which gateways route. */
const REPORT_SCHEMA = {
  type: 'object',
  properties: { path: { type: 'string', 'x-mcp-header': 'Path' } },
  required: ['path'],
} as const;

const addTools = (server: McpServer, description: string): void => {
  server.registerTool(
    'get_report',
    {
      description,
      inputSchema: fromJsonSchema<{ path: string }>(REPORT_SCHEMA),
    },
    ({ path }) => text(`report ${path}`),
  );
  server.registerTool('delete_report', { description: 'Deletes a report' }, () => text('deleted'));
  server.registerTool(
    'count',
    { description: 'Counts', inputSchema: z.object({ to: z.number() }) },
    async ({ to }, { mcpReq }) => {
      const progressToken = mcpReq._meta?.progressToken;
      for (let progress = 1; progress <= to; progress++)
        if (progressToken !== undefined)
          await mcpReq.notify({
            method: 'notifications/progress',
            params: { progressToken, progress, total: to },
          });
      return text(`counted to ${to}`);
    },
  );
  server.registerTool('ask_user', { description: 'Asks the user' }, async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    // Who says something first answers with a stream.
    if (progressToken !== undefined)
      await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: 0 } });
    const confirmed = acceptedContent(mcpReq.inputResponses, 'sure', CONFIRMATION);
    return confirmed?.sure === true
      ? text('sure')
      : inputRequired({
          inputRequests: {
            sure: inputRequired.elicit({ message: 'sure?', requestedSchema: CONFIRMATION }),
          },
        });
  });
};

const addRest = (server: McpServer): void => {
  const read = (uri: URL) => ({ contents: [{ uri: uri.href, text: `text of ${uri.href}` }] });
  server.registerResource('q3', 'report://2026/q3', {}, read);
  server.registerResource(
    'by year',
    new ResourceTemplate('report://{year}/all', { list: undefined, complete: { year: () => ['2026'] } }),
    {},
    read,
  );
  server.registerPrompt(
    'summarise',
    { argsSchema: z.object({ quarter: completable(z.string(), () => ['q3', 'q4']) }) },
    ({ quarter }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `sum up ${quarter}` } }] }),
  );
};

export class ModernMcpAgent {
  description = 'Reads a report';
  private readonly served = createMcpHandler(
    () => {
      const server = new McpServer(
        { name: 'reports', version: '2.0.0' },
        { capabilities: { resources: { subscribe: true, listChanged: true }, tools: { listChanged: true } } },
      );
      addTools(server, this.description);
      addRest(server);
      return server;
    },
    { keepAliveMs: 5 },
  );

  readonly handle: RequestListener = webHandler((request) => this.served.fetch(request));

  get notify() {
    return this.served.notify;
  }

  close(): Promise<void> {
    return this.served.close();
  }
}
