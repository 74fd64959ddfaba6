/** What is sent and read in tests of messages. */
import type { Message, Operation } from '../../src/core/message/message.ts';
import { type MessageInput, type MessageOptions, readMessage } from '../../src/core/message/read-message.ts';
import type { Verdict } from '../../src/core/verdict.ts';

export const octetsOf = (body: unknown): Uint8Array =>
  body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));

export const JSON_HEADERS = ['Content-Type', 'application/json'];

/** A POST of this body; text goes as it is, anything else as JSON. */
export const posted = (body: unknown, more: Partial<MessageInput> = {}): MessageInput => ({
  octets: octetsOf(body),
  method: 'POST',
  path: '',
  query: '',
  headers: JSON_HEADERS,
  ...more,
});

/** A request without a body. */
export const bare = (method: string, path = '', query = ''): MessageInput => ({
  octets: new Uint8Array(),
  method,
  path,
  query,
  headers: [],
});

/** The operations, or the reason of the refusal. */
export const outcome = (verdict: Verdict<Message>): readonly Operation[] | string =>
  verdict.ok ? verdict.value.operations : verdict.reason;

export const readMcpBody = (body: unknown, more?: Partial<MessageInput>) =>
  outcome(readMessage('mcp', posted(body, more)));
export const readA2aBody = (body: unknown, more?: Partial<MessageInput>, options?: MessageOptions) =>
  outcome(readMessage('a2a', posted(body, more), options));
export const readRest = (input: MessageInput, options?: MessageOptions) =>
  outcome(readMessage('a2a-rest', input, options));

let ids = 0;
export const rpc = (method: string, params?: unknown, more: Record<string, unknown> = {}) => ({
  jsonrpc: '2.0',
  id: ++ids,
  method,
  ...(params === undefined ? {} : { params }),
  ...more,
});
