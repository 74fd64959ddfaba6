/** Messages: what a client sends, and what a server of MCP sends. */
import { readServerMessages, type ServerMessage, toolsOf } from '../../../src/core/message/mcp-server.ts';
import type { Message, Operation } from '../../../src/core/message/message.ts';
import { readMessage } from '../../../src/core/message/read-message.ts';
import { type Outcome, outcomeOf } from './outcome.ts';

export type MessageCase =
  | {
      readonly protocol: Message['protocol'];
      readonly method: string;
      readonly path: string;
      readonly query?: string;
      readonly headers: readonly string[];
      readonly body?: string;
      readonly hex?: string;
      readonly skillMember?: string;
    }
  | { readonly server: string };

/** What it says; what it doesn't say is left out. */
const told = (operation: Operation): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(operation).filter(
      ([name, value]) =>
        value !== undefined && value !== '' && (name !== 'arguments' || Object.keys(value).length > 0),
    ),
  );

const sent = (message: ServerMessage): Readonly<Record<string, unknown>> =>
  message.kind === 'response' ? { kind: message.kind } : { kind: message.kind, method: message.method };

export const runMessage = (input: MessageCase): Outcome => {
  if ('server' in input) {
    const read = readServerMessages(input.server);
    if (!read.ok) return outcomeOf(read);
    const lists = read.value.flatMap((message) =>
      message.kind === 'response' && (message.result as { tools?: unknown } | undefined)?.tools !== undefined
        ? [toolsOf(message.result)]
        : [],
    );
    const broken = lists.find(({ ok }) => !ok);
    if (broken !== undefined && !broken.ok) return outcomeOf(broken);
    const tools = lists.flatMap((list) => (list.ok ? list.value : []));
    return { reason: 'ok', messages: read.value.map(sent), ...(tools.length > 0 && { tools }) };
  }
  const { protocol, method, path, query = '', headers, body = '', hex, skillMember } = input;
  const octets = hex === undefined ? Buffer.from(body) : Buffer.from(hex, 'hex');
  const read = readMessage(protocol, { octets, method, path, query, headers }, { skillMember });
  return outcomeOf(read, ({ operations, batch }) => ({ operations: operations.map(told), batch }));
};
