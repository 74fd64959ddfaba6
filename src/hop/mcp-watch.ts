/** What an MCP server says, message by message: its own requests, and the tools that it offers (SPEC.md section 13). */
import type { ToolNote } from '../core/audit/record.ts';
import type { JsonObject } from '../core/encoding/json.ts';
import { isObject } from '../core/encoding/members.ts';
import type { RpcId } from '../core/message/json-rpc.ts';
import { filterTools, readServerMessages, rewriteResults, toolsOf } from '../core/message/mcp-server.ts';
import { methodMatches } from '../core/policy/operations.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import { callable } from './decide.ts';
import type { Permit } from './permit.ts';
import { changeOf, isBarred, type ToolWatch } from './tool-watch.ts';

/** On record. Of tools that nobody has approved a server may offer as many as it likes; those that changed are bounded by policy. */
const MOST_NOTES = 100;
const MAX_NAME = 128;

/** Looks at what a server says, whatever it comes in. */
export class McpWatch {
  private readonly permit: Permit;
  private readonly watch: ToolWatch;
  private readonly found = new Map<string, ToolNote>();
  /** Ids of requests that wait for their answer. */
  private readonly waiting = new Set<RpcId>();
  private readonly answered = new Set<RpcId>();

  constructor(permit: Permit, watch: ToolWatch) {
    this.permit = permit;
    this.watch = watch;
    const { message } = permit.input;
    for (const { kind, id } of message?.ok ? message.value.operations : [])
      if (kind === 'request' && id !== undefined) this.waiting.add(id);
  }

  get tools(): readonly ToolNote[] {
    return [...this.found.values()];
  }

  /** The text that goes on in place of this one; itself where nothing is left out. Refuses with `response_malformed`, `mcp_server_request`. */
  pass(text: string): Verdict<string> {
    const messages = readServerMessages(text);
    if (!messages.ok) return messages;
    let lists = false;
    for (const message of messages.value) {
      if (message.kind === 'request') {
        const { serverRequests = [] } = this.permit.route;
        if (!serverRequests.some((pattern) => methodMatches(pattern, message.method)))
          return deny(
            'mcp_server_request',
            `${JSON.stringify(message.method.slice(0, 64))} is not for the server to ask`,
          );
      } else if (message.kind === 'response') {
        const { result } = message;
        if (result === undefined || !isObject(result) || result.tools === undefined) continue;
        const seen = this.seeTools(result);
        if (seen !== undefined) return seen;
        lists = true;
      }
    }
    const passed = lists
      ? rewriteResults(text, (_, result) => (isObject(result) ? this.shown(result) : result))
      : grant(text);
    if (passed.ok)
      for (const message of messages.value)
        if (message.kind === 'response' && message.id !== undefined && this.waiting.delete(message.id))
          this.answered.add(message.id);
    return passed;
  }

  /** What the next piece answers is told from what the pieces before it have. */
  next(): void {
    this.answered.clear();
  }

  /** Requests that wait for their answer; with `held`, also those whose answer was in the last piece, which did not go on. */
  unanswered(held: boolean): readonly RpcId[] {
    return [...this.waiting, ...(held ? this.answered : [])];
  }

  private seeTools(result: JsonObject): Denial | undefined {
    const tools = toolsOf(result);
    if (!tools.ok) return tools;
    const { route, input } = this.permit;
    for (const tool of tools.value) {
      this.watch.see(input.callee, route, tool);
      const change = changeOf(route, tool.name, tool.digest);
      if (change === undefined || (change === 'unlisted' && this.found.size >= MOST_NOTES)) continue;
      const name = tool.name.slice(0, MAX_NAME).toWellFormed();
      this.found.set(tool.name, { change, digest: tool.digest, name });
    }
    return undefined;
  }

  /** The list without what is barred and, where the route says so, without what this chain may not call. */
  private shown(result: JsonObject): JsonObject {
    const tools = toolsOf(result);
    if (!tools.ok) return result;
    const { route } = this.permit;
    const isShown = route.tools?.filter === true ? callable(this.permit) : () => true;
    const kept = new Set<string>();
    for (const { name, digest } of tools.value) {
      if (isBarred(route, changeOf(route, name, digest))) continue;
      if (isShown(name)) kept.add(name);
    }
    return kept.size === tools.value.length ? result : filterTools(result, (name) => kept.has(name));
  }
}
