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
  const { direction, callee, method, target } = record;
  const chain = chainOf(record, Math.floor(record.time / 1000));
  if (chain === undefined || !isAgentId(callee)) return undefined;
  return { direction, callee, method, path: target, query: '', chain, registered: NOTHING_REGISTERED };
};

const kindOf = (method: string): OperationKind => {
  if (method === 'response') return 'response';
  if (method.startsWith('http:')) return 'http';
  return method.startsWith('notifications/') ? 'notification' : 'request';
};

/** What a name is the name of, by the method that it came with. */
const operationOf = (protocol: Message['protocol'], method: string, name: string): Operation => {
  const kind = kindOf(method);
  if (protocol !== 'mcp') return operation(kind, method, { skill: name });
  if (method === 'tools/call') return operation(kind, method, { tool: name });
  if (method.startsWith('prompts/')) return operation(kind, method, { prompt: name });
  return operation(kind, method, { resource: name });
};

/** The message of a record as a route would read it; undefined where the record doesn't say what was in the body. */
export const messageOf = ({ operations }: DecisionRecord, { protocol }: RouteRule): Message | undefined =>
  operations === undefined || !readsMessages(protocol)
    ? undefined
    : {
        protocol,
        batch: false,
        operations: operations.map(({ method, name }) => operationOf(protocol, method, name)),
      };
