/**
 * A recorded decision as a request that can be asked about again. What no log holds is not made up: what reads it is named
 * (`unknown`), and no verdict is built on it.
 */
import type { AuditRecord, RecordFrame } from '../../audit/read-record.ts';
import type { DecisionRecord } from '../../audit/record.ts';
import type { VerifiedChain } from '../../delegation/model.ts';
import type { ScopePattern } from '../../delegation/scope.ts';
import { type Message, type Operation, type OperationKind, readsMessages } from '../../message/message.ts';
import { operation } from '../../message/operation.ts';
import { type AgentId, isAgentId } from '../../spiffe-id.ts';
import { isDestination } from '../destination.ts';
import type { StandingRequest } from '../evaluate.ts';
import type { RouteRule } from '../model.ts';
import { NOTHING_REGISTERED } from '../values.ts';

export type RecordedDecision = DecisionRecord & RecordFrame;

export const isDecision = (record: AuditRecord): record is RecordedDecision => record.kind === 'decision';

/** Attributes of conditions that records do not hold. */
const UNRECORDED: ReadonlySet<string> = new Set([
  'caller.attributes',
  'caller.score',
  'callee.attributes',
  'callee.score',
  'principal.issuer',
  'principal.groups',
  'chain.purpose',
  'chain.age',
  'chain.remaining',
  'request.query',
  'request.headers',
  'request.size',
  'mcp.arguments',
  'a2a.taskId',
  'a2a.contextId',
]);
/** Read whole, such as `size(request.headers)` never is but `caller` may be. */
const WHOLE = new Set([...UNRECORDED].map((name) => name.split('.')[0] ?? ''));

/** Those of the attributes that no record holds. */
export const unrecorded = (reads: ReadonlySet<string>): readonly string[] =>
  [...reads].filter((name) => UNRECORDED.has(name) || WHOLE.has(name));

/** A rebind names its agent again; it is not counted. */
export const depthOf = ({ agents }: Pick<DecisionRecord, 'agents'>): number =>
  agents.filter(({ id }, at) => id !== agents[at - 1]?.id).length;

/**
 * The chain as far as a record has it: every link holds what the leaf did, which each at least held. Undefined where the
 * chain did not verify, so that nothing of it is known.
 */
const chainOf = (
  { agents, granted, principal, task }: DecisionRecord,
  at: number,
): VerifiedChain | undefined => {
  const leaf = agents.at(-1);
  if (leaf === undefined || !agents.every(({ id }) => isAgentId(id))) return undefined;
  const links = agents.map(({ id, link }) => ({
    id: link,
    delegatee: id as AgentId,
    scope: granted as readonly ScopePattern[],
    caveats: [],
    iat: at,
    exp: at,
  }));
  // INVARIANT: nothing that decides about a request imports this room; what is made here is asked about and never let through.
  return {
    root: links[0],
    links,
    leaf: links.at(-1),
    holder: { id: leaf.id as AgentId },
    depth: depthOf({ agents }),
    principal,
    issuer: '',
    task,
    exp: at,
    iat: at,
  } as unknown as VerifiedChain;
};

export const requestOf = (record: RecordedDecision): StandingRequest | undefined => {
  const { direction, method, target } = record;
  const chain = chainOf(record, Math.floor(record.time / 1000));
  const callee = record.destination ?? record.callee;
  if (chain === undefined || !(isAgentId(callee) || isDestination(callee))) return undefined;
  return { direction, callee, method, path: target, query: '', chain, registered: NOTHING_REGISTERED };
};

const kindOf = (method: string): OperationKind => {
  if (method === 'response') return 'response';
  if (method.startsWith('http:')) return 'http';
  return method.startsWith('notifications/') ? 'notification' : 'request';
};

type What = 'tool' | 'prompt' | 'resource' | 'skill' | 'taskId';

const WITH_SKILL = new Set(['SendMessage', 'SendStreamingMessage', 'CancelTask']);

/** What a name may be the name of, by the method that it came with. */
export const namedBy = (protocol: Message['protocol'], method: string): readonly What[] => {
  // A record has the skill, or else the task.
  if (protocol !== 'mcp') return WITH_SKILL.has(method) ? ['skill', 'taskId'] : ['taskId'];
  if (method === 'tools/call') return ['tool'];
  if (method === 'prompts/get') return ['prompt'];
  if (method === 'completion/complete') return ['prompt', 'resource'];
  return method.startsWith('tasks/') ? ['taskId'] : ['resource'];
};

/** Records have names up to here; what is as long may have gone on. */
const CUT_AT = 128;
/** So many ways to read the names of one record are tried. */
const MOST_WAYS = 16;

/**
 * The message of a record as a route would read it, in each way that its names may be meant; undefined where the record doesn't
 * say what was in the body, or not all of it.
 */
export const messagesOf = (
  { operations }: DecisionRecord,
  { protocol }: RouteRule,
  names: 'whole' | 'cut too' = 'whole',
): readonly Message[] | undefined => {
  if (operations === undefined || !readsMessages(protocol)) return undefined;
  const isCut = operations.some(({ method, name }) => method.length >= CUT_AT || name.length >= CUT_AT);
  if (names === 'whole' && isCut) return undefined;
  let ways: readonly (readonly Operation[])[] = [[]];
  for (const { method, name } of operations) {
    const kind = kindOf(method);
    const named: readonly Operation[] =
      name === ''
        ? [operation(kind, method)]
        : namedBy(protocol, method).map((what) => operation(kind, method, { [what]: name }));
    ways = ways.flatMap((before) => named.map((one) => [...before, one]));
    if (ways.length > MOST_WAYS) return undefined;
  }
  return ways.map((way) => ({ protocol, batch: false, operations: way }));
};
