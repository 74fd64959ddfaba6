/** What of a response goes on: MCP messages and content rules, in the order in which they see it. */
import type { ToolNote } from '../core/audit/record.ts';
import { type ContentSelection, inShadow } from '../core/content/compile.ts';
import { ContentInspector } from '../core/content/inspect-stream.ts';
import type { Finding } from '../core/content/model.ts';
import { DEFAULT_MESSAGE_BYTES } from '../core/limits.ts';
import { checkMedia } from '../core/message/media.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import type { BodyInspector, BodyStep, OpenResponse, ResponseNotes, ResponseWatch } from '../ports.ts';
import { a2aErrorEvents, errorEvents } from './closing.ts';
import { notesOf } from './content-notes.ts';
import { headerValues } from './headers.ts';
import { McpEvents, McpJson, McpNothing } from './mcp-response.ts';
import { McpWatch } from './mcp-watch.ts';
import type { Path } from './path.ts';
import type { Permit } from './permit.ts';

/** The watch over the response of a permitted request; undefined where nobody wants to know. */
export const watchResponse = (path: Path, permit: Permit): ResponseWatch | undefined => {
  const { route, input } = permit;
  const selection = input.trust.policy.content.select('response', input.callee, route.name);
  const readsBody = route.protocol === 'mcp' || selection !== undefined;
  return readsBody || route.protocol?.startsWith('a2a') ? new Watch(path, permit, readsBody) : undefined;
};

/** The same of a request whose body goes on while it is looked at. */
export const watchRequest = (
  permit: Permit,
  headers: readonly string[],
  contentLength: number | undefined,
): (BodyInspector & { readonly notes: () => ResponseNotes }) | undefined => {
  const selection = selectionFor(permit, 'request');
  // What is held was looked at before the decision.
  if (selection === undefined || selection.hold) return undefined;
  const inspector = new ContentInspector(selection, { ...mediaOf(headers), contentLength });
  return {
    push: (chunk) => inspector.push(chunk),
    end: () => inspector.end(),
    notes: () => ({ content: notesOf(inspector.findings), tools: [] }),
  };
};

/** On a route that is observed only what would be cut goes on, and is on record. */
const selectionFor = (
  { route, input }: Permit,
  direction: 'request' | 'response',
): ContentSelection | undefined => {
  const selection = input.trust.policy.content.select(direction, input.callee, route.name);
  if (selection === undefined || (direction === 'request' && selection.hold)) return selection;
  return input.nowSeconds < (route.observeUntil ?? 0) ? inShadow(selection) : selection;
};

/** Two types are none that is known: readers differ in which of them they take. */
const mediaOf = (headers: readonly string[]) => ({
  contentType: headerValues(headers, 'content-type').join(', ') || undefined,
  contentEncoding: headerValues(headers, 'content-encoding').join(',') || undefined,
});

const NO_STAGE = grant(undefined);

class Watch implements ResponseWatch {
  private readonly path: Path;
  private readonly permit: Permit;
  private mcp: McpWatch | undefined;
  private isStream = false;
  private content: ContentInspector | undefined;
  private stages: Stages | undefined;
  readonly readsBody: boolean;

  constructor(path: Path, permit: Permit, readsBody: boolean) {
    this.path = path;
    this.permit = permit;
    this.readsBody = readsBody;
  }

  get notes(): ResponseNotes {
    const findings: readonly Finding[] = this.content?.findings ?? [];
    const tools: readonly ToolNote[] = this.mcp?.tools ?? [];
    return { content: notesOf(findings), tools };
  }

  open(
    status: number,
    headers: readonly string[],
    contentLength: number | undefined,
  ): Verdict<OpenResponse | undefined> {
    const stages: BodyInspector[] = [];
    const { route } = this.permit;
    const media = mediaOf(headers);
    this.isStream = typeOf(media) === 'text/event-stream' && media.contentEncoding === undefined;
    if (route.protocol === 'mcp') {
      const session = status < 300 ? this.beginSession(headers) : undefined;
      if (session !== undefined) return session;
      const mostBytes = route.maxMessageBytes ?? DEFAULT_MESSAGE_BYTES;
      const stage = contentLength === 0 ? NO_STAGE : this.mcpStage(status, mostBytes, media);
      if (!stage.ok) return stage;
      if (stage.value !== undefined) stages.push(stage.value);
    }
    const selection = selectionFor(this.permit, 'response');
    if (selection !== undefined) {
      this.content = new ContentInspector(selection, { ...media, contentLength });
      const early = this.content.open();
      if (early !== undefined) return early;
      stages.push(this.content);
    }
    if (stages.length === 0) return grant(undefined);
    this.stages = new Stages(stages);
    return grant({
      inspector: this.stages,
      keepsLength: this.mcp === undefined,
      headNow: this.isStream,
    });
  }

  closing(problem: string): Uint8Array | undefined {
    if (!this.isStream) return undefined;
    const held = this.content !== undefined && this.stages?.refusedBy === this.content;
    return this.mcp === undefined
      ? a2aErrorEvents(this.permit, problem)
      : errorEvents(this.mcp.unanswered(held), problem);
  }

  /** A session belongs to whoever began it. */
  private beginSession(headers: readonly string[]): Denial | undefined {
    const { input, delegated } = this.permit;
    const { sessions } = this.path;
    if (input.direction === 'outbound' || sessions === undefined || input.message?.ok !== true)
      return undefined;
    if (!input.message.value.operations.some(({ method }) => method === 'initialize')) return undefined;
    const ids = headerValues(headers, 'mcp-session-id');
    if (ids.length > 1) return deny('response_malformed', 'the server names two sessions');
    const { chain } = delegated;
    const owner = { caller: chain.holder.id, principal: chain.principal, task: chain.task };
    return ids[0] === undefined ? undefined : sessions.begin(ids[0], owner);
  }

  private mcpStage(
    status: number,
    mostBytes: number,
    media: ReturnType<typeof mediaOf>,
  ): Verdict<BodyInspector> {
    const type = typeOf(media);
    const isError = status >= 300;
    const watch = new McpWatch(this.permit, this.path.tools);
    this.mcp = watch;
    if (status === 202) return grant(new McpNothing('drop'));
    const { contentEncoding } = media;
    if (contentEncoding !== undefined && contentEncoding.toLowerCase() !== 'identity')
      return deny('response_malformed', 'the server sends in a content coding, which nobody asked for');
    if (isError && type === 'text/event-stream')
      return deny('response_malformed', `a stream with status ${status}`);
    // Of an error some clients read the body whatever its type says.
    if (isError) return grant(new McpJson(watch, mostBytes, true));
    const isJson = type === 'application/json';
    if (!isJson && type !== 'text/event-stream') return grant(new McpNothing('refuse'));
    // In another charset the same octets are another message; readers of streams heed it.
    const fault = checkMedia(media, [type]);
    if (fault !== undefined) return deny('response_malformed', fault.detail);
    return grant(isJson ? new McpJson(watch, mostBytes, false) : new McpEvents(watch, mostBytes));
  }
}

const typeOf = ({ contentType = '' }: ReturnType<typeof mediaOf>): string | undefined =>
  contentType.toLowerCase().split(';', 1)[0]?.trim();

/** One behind the other: what the first lets go on, the next sees. */
class Stages implements BodyInspector {
  private readonly stages: readonly BodyInspector[];
  /** The one that did not let go on what came. */
  refusedBy: BodyInspector | undefined;

  constructor(stages: readonly BodyInspector[]) {
    this.stages = stages;
  }

  push(chunk: Uint8Array): BodyStep {
    return this.through({ pass: [chunk] }, false);
  }

  end(): BodyStep {
    return this.through({ pass: [] }, true);
  }

  /** What one refuses ends it all, after what it let go on was looked at by those behind it. */
  private through(first: BodyStep, ends: boolean): BodyStep {
    let step = first;
    for (const stage of this.stages) {
      let next = feed(stage, step.pass);
      if (ends && next.denial === undefined && step.denial === undefined) {
        const last = stage.end();
        next = { pass: [...next.pass, ...last.pass], denial: last.denial };
      }
      if (next.denial !== undefined) this.refusedBy = stage;
      step = { pass: next.pass, denial: next.denial ?? step.denial };
    }
    return step;
  }
}

const feed = (stage: BodyInspector, chunks: readonly Uint8Array[]): BodyStep => {
  const pass: Uint8Array[] = [];
  for (const chunk of chunks) {
    const step = stage.push(chunk);
    pass.push(...step.pass);
    if (step.denial !== undefined) return { pass, denial: step.denial };
  }
  return { pass };
};
