/** What an MCP server sends back, message by message: its own requests, and the tools that it offers (SPEC.md section 13). */
import type { ToolNote } from '../core/audit/record.ts';
import { EventStream, type StreamPiece } from '../core/content/event-stream.ts';
import type { JsonObject } from '../core/encoding/json.ts';
import { isObject } from '../core/encoding/members.ts';
import { filterTools, readServerMessages, rewriteResults, toolsOf } from '../core/message/mcp-server.ts';
import { methodMatches } from '../core/policy/operations.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import type { BodyInspector, BodyStep } from '../ports.ts';
import { mayCall } from './decide.ts';
import type { Permit } from './permit.ts';
import { changeOf, isBarred, type ToolWatch } from './tool-watch.ts';

const NOTHING: BodyStep = { pass: [] };
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Looks at what a server says, whatever it comes in. */
export class McpWatch {
  private readonly permit: Permit;
  private readonly watch: ToolWatch;
  private readonly found = new Map<string, ToolNote>();

  constructor(permit: Permit, watch: ToolWatch) {
    this.permit = permit;
    this.watch = watch;
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
    return lists
      ? rewriteResults(text, (_, result) => (isObject(result) ? this.shown(result) : result))
      : grant(text);
  }

  private seeTools(result: JsonObject): Denial | undefined {
    const tools = toolsOf(result);
    if (!tools.ok) return tools;
    const { route, input } = this.permit;
    for (const tool of tools.value) {
      this.watch.see(input.callee, route.name, tool);
      const change = changeOf(route, tool.name, tool.digest);
      if (change !== undefined)
        this.found.set(tool.name, { change, digest: tool.digest, name: tool.name.slice(0, 128) });
    }
    return undefined;
  }

  /** The list without what is barred and, where the route says so, without what this chain may not call. */
  private shown(result: JsonObject): JsonObject {
    const tools = toolsOf(result);
    if (!tools.ok) return result;
    const { route } = this.permit;
    const kept = new Set<string>();
    for (const { name, digest } of tools.value) {
      if (isBarred(route, changeOf(route, name, digest))) continue;
      if (route.tools?.filter !== true || mayCall(this.permit, name)) kept.add(name);
    }
    return kept.size === tools.value.length ? result : filterTools(result, (name) => kept.has(name));
  }
}

/** One JSON answer: held until it is whole. */
export class McpJson implements BodyInspector {
  private readonly watch: McpWatch;
  private readonly mostBytes: number;
  private readonly held: Uint8Array[] = [];
  private size = 0;

  constructor(watch: McpWatch, mostBytes: number) {
    this.watch = watch;
    this.mostBytes = mostBytes;
  }

  push(chunk: Uint8Array): BodyStep {
    this.size += chunk.length;
    if (this.size > this.mostBytes) return { pass: [], denial: tooLarge(this.mostBytes) };
    this.held.push(chunk);
    return NOTHING;
  }

  end(): BodyStep {
    if (this.size === 0) return NOTHING;
    const octets = Buffer.concat(this.held, this.size);
    const text = decode(octets);
    const passed = text === undefined ? NOT_UTF8 : this.watch.pass(text);
    if (!passed.ok) return { pass: [], denial: passed };
    return { pass: [passed.value === text ? octets : Buffer.from(passed.value)] };
  }
}

/** A stream of them: an event goes on when it was looked at, octet for octet as it came unless something is left out of it. */
export class McpEvents implements BodyInspector {
  private readonly watch: McpWatch;
  private readonly events: EventStream;

  constructor(watch: McpWatch, mostBytes: number) {
    this.watch = watch;
    this.events = new EventStream({ maxEventBytes: mostBytes, tooLarge: 'response_malformed' });
  }

  push(chunk: Uint8Array): BodyStep {
    return this.step(this.events.push(chunk));
  }

  end(): BodyStep {
    return this.step(this.events.end());
  }

  private step(pieces: Verdict<readonly StreamPiece[]>): BodyStep {
    if (!pieces.ok) return { pass: [], denial: pieces };
    const pass: Uint8Array[] = [];
    for (const piece of pieces.value) {
      const passed = this.piece(piece);
      if (!passed.ok) return { pass, denial: passed };
      pass.push(passed.value);
    }
    return { pass };
  }

  private piece({ data, octets, broken, besides }: StreamPiece): Verdict<Uint8Array> {
    if (broken) return NOT_UTF8;
    // Comments, ids and events without data say nothing to a client of MCP.
    if (data === undefined || data === '') return grant(octets);
    const passed = this.watch.pass(data);
    if (!passed.ok) return passed;
    if (passed.value === data) return grant(octets);
    return grant(Buffer.from(`${besides === '' ? '' : `${besides}\n`}data: ${passed.value}\n\n`));
  }
}

const NOT_UTF8 = deny('response_malformed', 'what the server sends is not UTF-8');
const tooLarge = (most: number): Denial =>
  deny('response_malformed', `larger than ${most} octets, so that it can’t be read`);

const decode = (octets: Uint8Array): string | undefined => {
  try {
    return utf8.decode(octets);
  } catch {
    return undefined;
  }
};
