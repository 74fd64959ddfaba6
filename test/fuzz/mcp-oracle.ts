/** The servers of @modelcontextprotocol/sdk (1.x) and @modelcontextprotocol/server (2.x), as they read a POST. */

import { WebStandardStreamableHTTPServerTransport as Transport1 } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import { ClientNotificationSchema, ClientRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { WebStandardStreamableHTTPServerTransport as Transport2 } from '@modelcontextprotocol/server';
import type { MessageInput } from '../../src/core/message/read-message.ts';
import { mcpReadings, type Reading } from './readings.ts';

const requestOf = ({ octets, headers, method }: MessageInput): Request | undefined => {
  const list: [string, string][] = [];
  for (let at = 0; at < headers.length; at += 2) list.push([headers[at] ?? '', headers[at + 1] ?? '']);
  try {
    return new Request('http://mcp.test/', {
      method,
      headers: list,
      body: octets as Uint8Array<ArrayBuffer>,
    });
  } catch {
    return undefined;
  }
};

interface Transport {
  onmessage?: (message: never) => void;
  handleRequest(request: Request): Promise<Response>;
  close(): Promise<void>;
}

const messagesOf = async (transport: Transport, input: MessageInput): Promise<readonly unknown[]> => {
  const request = requestOf(input);
  const messages: unknown[] = [];
  if (request === undefined) return messages;
  transport.onmessage = (message) => messages.push(message);
  const response = await transport.handleRequest(request);
  await response.body?.cancel();
  await transport.close();
  return messages;
};

/** As its own schema of the method has it; undefined where that refuses, and as it is where it knows no such method. */
const asKnown = (message: unknown): unknown => {
  const { method } = message as { method?: string };
  if (method === undefined) return message;
  const schema = 'id' in (message as object) ? ClientRequestSchema : ClientNotificationSchema;
  const isKnown = schema.options.some((option) => option.shape.method.value === method);
  if (!isKnown) return message;
  const parsed = schema.safeParse(message);
  if (!parsed.success) return undefined;
  // It leaves out what 1.x does not know; the handlers of 2.x see that too.
  const { params } = message as { params?: object };
  return { ...(message as object), ...(params && { params: { ...params, ...parsed.data.params } }) };
};

/** Of 1.x and of 2.x: what each takes a POST for; nothing where it refuses. */
export const askMcp = async (input: MessageInput): Promise<readonly (readonly Reading[])[]> => {
  const all: (readonly Reading[])[] = [];
  for (const transport of [new Transport1(), new Transport2()]) {
    const messages = await messagesOf(transport as Transport, input);
    const known = messages.map(asKnown);
    all.push(known.includes(undefined) ? [] : known.flatMap((message) => mcpReadings(message)));
  }
  return all;
};
