/** One entry to all that is read inside a request: protocol, body and what stands around it → operations. */
import type { Verdict } from '../verdict.ts';
import { readA2a } from './a2a.ts';
import { DEFAULT_SKILL_MEMBER } from './a2a-params.ts';
import { readA2aRest } from './a2a-rest.ts';
import { readMcp } from './mcp.ts';
import { readMessageHeaders } from './media.ts';
import type { Message } from './message.ts';

export interface MessageInput {
  /** The whole body, as it is forwarded; empty where there is none. */
  readonly octets: Uint8Array;
  /** HTTP method, upper-case. */
  readonly method: string;
  /** Below the prefix of the route, as sent and without the query: `/tasks/1:cancel`, or '' for the prefix itself. */
  readonly path: string;
  /** What follows `?`, as sent; '' where there is none. */
  readonly query: string;
  /** Name, value, name, value …, as they are forwarded. */
  readonly headers: readonly string[];
}

export interface MessageOptions {
  /** a2a: the metadata member that names the skill; {@link DEFAULT_SKILL_MEMBER} unless given. */
  readonly skillMember?: string | undefined;
}

/** Refuses with `message_type`, `message_encoding`, `message_malformed`, `message_ambiguous`. */
export const readMessage = (
  protocol: Message['protocol'],
  input: MessageInput,
  { skillMember = DEFAULT_SKILL_MEMBER }: MessageOptions = {},
): Verdict<Message> => {
  const headers = readMessageHeaders(input.headers);
  if (!headers.ok) return headers;
  const call = { ...input, headers: headers.value };
  switch (protocol) {
    case 'mcp':
      return readMcp(call);
    case 'a2a':
      return readA2a(call, skillMember);
    case 'a2a-rest':
      return readA2aRest(call, skillMember);
  }
};
