/** What an open decision waits for: the body as a message, the body looked at, the word of other decision points. */
import type { PointNote } from '../core/audit/record.ts';
import type { ContentSelection } from '../core/content/compile.ts';
import { type ContentOutcome, inspectInParts, type WholeBody } from '../core/content/inspect-body.ts';
import { checkContentDigest } from '../core/http-signature/digest.ts';
import { DEFAULT_MESSAGE_BYTES } from '../core/limits.ts';
import { type Message, readsMessages } from '../core/message/message.ts';
import { readMessage } from '../core/message/read-message.ts';
import type { Callee } from '../core/policy/destination.ts';
import type { RouteRule } from '../core/policy/model.ts';
import { pathBelow } from '../core/policy/routes.ts';
import { type Denial, deny, type Verdict } from '../core/verdict.ts';
import { decide } from './decide.ts';
import { headerValues } from './headers.ts';
import type { HopReply, HopRequest, Path } from './path.ts';
import {
  type AskedPoint,
  type Decision,
  type DecisionInput,
  hasLastWord,
  type PointsOutcome,
  type Refusal,
  type Undecided,
} from './permit.ts';
import { changeOf, isBarred } from './tool-watch.ts';

/** Gets it and decides again. Refuses with what reading the body refuses with, `message_*`, `mcp_session_*`. */
export const supply = async (
  path: Path,
  request: HopRequest,
  undecided: Undecided,
  reply: HopReply,
): Promise<Decision> => {
  const { wanted, route, input } = undecided;
  const more = await (wanted.what === 'body'
    ? provenBody(path, route, input, reply)
    : wanted.what === 'message'
      ? messageOf(path, request, route, input, reply)
      : wanted.what === 'content'
        ? contentOf(path, request, wanted.selection, input, reply)
        : pointsOf(path, wanted.asked));
  // What can't be read can't go on either: nothing of that is observed only.
  if ('reason' in more) return withNotes(more, undecided);
  const labels = request.labels(input.delegated.chain);
  return decide({ ...input, ...more, labels, nowSeconds: Math.floor(path.clock.now() / 1000) });
};

/** A denial that fell in between, with what was known of the request by then. */
export const withNotes = (
  denial: Refusal,
  { rule, required, labels, flags, shadow, message, content, opa }: Refusal,
): Refusal => {
  const known = { rule, required, labels, flags, shadow, message, content, opa };
  const given = Object.entries(known).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(given), ...denial };
};

const bodyOf = async ({ body }: HopReply, mostBytes: number): Promise<Verdict<Buffer>> =>
  body === undefined ? deny('internal', 'there is no way to read this body') : body(mostBytes);

/** The body that was signed, or that is going to be, and no other. */
const provenBody = async (
  { signedBodyBytes = DEFAULT_MESSAGE_BYTES }: Path,
  { maxMessageBytes = 0 }: RouteRule,
  { digest }: DecisionInput,
  reply: HopReply,
): Promise<Partial<DecisionInput> | Denial> => {
  const octets = await bodyOf(reply, Math.max(signedBodyBytes, maxMessageBytes));
  if (!octets.ok) return octets;
  const another = digest && checkContentDigest(digest, octets.value);
  return another ?? { bodyProven: true, size: octets.value.length };
};

const messageOf = async (
  path: Path,
  { method, target, headers, direction, caller, callee }: HopRequest,
  route: RouteRule,
  { delegated: { chain } }: DecisionInput,
  reply: HopReply,
): Promise<Partial<DecisionInput> | Denial> => {
  const { protocol, maxMessageBytes = DEFAULT_MESSAGE_BYTES, skillMember } = route;
  if (!readsMessages(protocol)) return deny('internal', 'the route has no protocol');
  const octets = await bodyOf(reply, maxMessageBytes);
  if (!octets.ok)
    return octets.reason === 'http_body_too_large' ? deny('message_too_large', octets.detail) : octets;
  if (protocol === 'mcp' && direction === 'inbound') {
    const owner = { caller: caller.id, principal: chain.principal, task: chain.task };
    const [id, ...others] = headerValues(headers, 'mcp-session-id');
    if (others.length > 0) return deny('message_ambiguous', 'Mcp-Session-Id occurs twice');
    const foreign = id === undefined ? undefined : path.sessions?.check(id, owner);
    if (foreign !== undefined) return foreign;
  }
  const mark = target.indexOf('?');
  const message = readMessage(
    protocol,
    {
      octets: octets.value,
      method,
      path: pathBelow(route.path, mark === -1 ? target : target.slice(0, mark)),
      query: mark === -1 ? '' : target.slice(mark + 1),
      headers,
    },
    { skillMember },
  );
  const barred = message.ok ? barredTool(path, route, callee, message.value) : undefined;
  return { message, barred, size: octets.value.length };
};

/** Tools that policy has approved as they were, and which are something else now. */
const barredTool = (
  { tools }: Path,
  route: RouteRule,
  callee: Callee,
  message: Message,
): Denial | undefined => {
  for (const { tool } of message.operations) {
    if (tool === '') continue;
    const change = changeOf(route, tool, tools.last(callee, route.name, tool));
    const named = JSON.stringify(tool.slice(0, 64));
    if (isBarred(route, change))
      return deny(
        'mcp_tool_changed',
        change === 'unlisted' ? `nobody has approved ${named}` : `${named} is not what was approved`,
      );
  }
  return undefined;
};

const contentOf = async (
  path: Path,
  { headers }: HopRequest,
  selection: ContentSelection,
  input: DecisionInput,
  reply: HopReply,
): Promise<Partial<DecisionInput> | Denial> => {
  const octets = await bodyOf(reply, selection.holdBytes);
  if (!octets.ok)
    return octets.reason === 'http_body_too_large' ? deny('content_too_large', octets.detail) : octets;
  // What is released, or for another to keep aside, still has to pass the rules that deny.
  const rules =
    input.released === true || !hasLastWord(input)
      ? selection.rules.filter(({ rule }) => rule.action !== 'quarantine')
      : selection.rules;
  const content = await lookAt(
    path,
    { ...selection, rules },
    {
      octets: octets.value,
      contentType: headerValues(headers, 'content-type').join(', ') || undefined,
      contentEncoding: headerValues(headers, 'content-encoding').join(',') || undefined,
    },
  );
  return { content, size: octets.value.length };
};

/** Others have their turn in between: what one sender makes us look at holds up nobody else. */
const lookAt = async (
  { turn }: Path,
  selection: ContentSelection,
  body: WholeBody,
): Promise<ContentOutcome> => {
  const parts = inspectInParts(selection, body);
  for (;;) {
    const step = parts.next();
    if (step.done === true) return step.value;
    await turn?.();
  }
};

/** All are asked at once; each has to say yes. */
const pointsOf = async (
  { points }: Path,
  asked: readonly AskedPoint[],
): Promise<{ readonly points: PointsOutcome }> => {
  const answers = await Promise.all(
    asked.map(({ point, path, input }) => points?.get(point)?.decide(path, input)),
  );
  const notes: PointNote[] = [];
  let denial: Denial | undefined;
  for (const [index, answer] of answers.entries()) {
    const point = asked[index]?.point ?? '';
    if (answer === undefined)
      denial ??= deny('opa_unavailable', `this sidecar is not configured to ask decision point ${point}`);
    else {
      // In process nobody else has it on record: what stands for it is which bundle said so.
      notes.push({ id: answer.decisionId || answer.revision, point });
      if (!answer.ok) denial ??= { ok: false, reason: answer.reason, detail: `${point}: ${answer.detail}` };
    }
  }
  return { points: { notes, denial } };
};
