/** What a request says inside its body, as policy sees it: the operations of an MCP or A2A message (SPEC.md section 13.1). */
import type { JsonObject } from '../encoding/json.ts';

/** How a route's bodies are read. `a2a` is its JSON-RPC binding, `a2a-rest` its HTTP+JSON binding. `websocket`: what it carries is not read; it is permitted whole. */
export type Protocol = 'http' | 'mcp' | 'a2a' | 'a2a-rest' | 'websocket';

/** Those whose bodies are read. */
export type MessageProtocol = Exclude<Protocol, 'http' | 'websocket'>;

export const readsMessages = (protocol: Protocol | undefined): protocol is MessageProtocol =>
  protocol !== undefined && protocol !== 'http' && protocol !== 'websocket';

/** What one item of a message is. `http`: no message at all, such as GET that opens a stream. */
export type OperationKind = 'request' | 'notification' | 'response' | 'http';

/** One thing that is asked for. A batch has several, and each is decided; so may a single message, see `core/message/mcp.ts`. */
export interface Operation {
  readonly kind: OperationKind;
  /**
   * As sent (`tools/call`, `notifications/initialized`); of A2A always the name of version 1.0 (`SendMessage`), whatever
   * binding or version it came in. `response` for an answer to a request of the server; `http:GET`, `http:DELETE` for a
   * request without a body, `http:agent-card` for GET of a public agent card. No message can bring these as its own method.
   */
  readonly method: string;
  /** mcp: of `tools/call`; else ''. */
  readonly tool: string;
  /** mcp: of `prompts/get`, and of `completion/complete` where it is about a prompt; else ''. */
  readonly prompt: string;
  /**
   * mcp: the URI of `resources/read`, `resources/subscribe`, `resources/unsubscribe`, `subscriptions/listen`, and the URI
   * or template of `completion/complete` where it is about a resource; else ''.
   */
  readonly resource: string;
  /** mcp: `arguments` of `tools/call` and `prompts/get`; else empty. */
  readonly arguments: JsonObject;
  /** a2a: the skill that the message names in its metadata; else ''. */
  readonly skill: string;
  /** a2a: the task and context that it is about; mcp: the task of `tasks/*`; else ''. */
  readonly taskId: string;
  readonly contextId: string;
  /** JSON-RPC `id`, as sent; undefined where there is none. */
  readonly id: string | number | undefined;
}

export interface Message {
  readonly protocol: MessageProtocol;
  /** At least one. */
  readonly operations: readonly Operation[];
  /** Whether they came in one JSON array. */
  readonly batch: boolean;
}
