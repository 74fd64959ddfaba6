/** Stage 5: every decision, allowed or denied, becomes a record before anything follows from it (SPEC.md section 14). */
import type { DecisionRecord, Direction, ProofNote } from '../core/audit/record.ts';
import type { Message } from '../core/message/message.ts';
import { type Callee, leavesMesh } from '../core/policy/destination.ts';
import { nameOf } from '../core/policy/operations.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import type { TrustSnapshot } from '../ports.ts';
import type { Permit, Refusal } from './permit.ts';
import type { Delegated } from './verify-chain.ts';

/** What is known of a hop, whatever became of it. */
export interface HopFacts {
  readonly direction: Direction;
  /** `<session id>.<n>`; empty before there is a session. */
  readonly hop: string;
  readonly caller: AgentId | '';
  readonly callee: Callee | '';
  readonly method: string;
  /** As received. */
  readonly target: string;
  /** Left out where it was the handshake alone. */
  readonly proof?: ProofNote | undefined;
  readonly trust: TrustSnapshot | undefined;
}

const MAX_TARGET = 512;

/** No query: it may carry what must not be in a log. */
const pathOf = (target: string): string => {
  const mark = target.indexOf('?');
  return (mark === -1 ? target : target.slice(0, mark)).slice(0, MAX_TARGET).toWellFormed();
};

const NOBODY = { agents: [], granted: [], principal: '', task: '' } as const;

const authorityOf = (delegated: Delegated | undefined) =>
  delegated === undefined
    ? NOBODY
    : {
        agents: delegated.agents,
        granted: delegated.chain.leaf.scope,
        principal: delegated.chain.principal,
        task: delegated.chain.task,
      };

/** Members in canonical order (`record.ts`). `us` is stage to whole µs, keys in canonical order. */
export const decisionRecord = (
  facts: HopFacts,
  decision:
    | { readonly permit: Permit }
    | { readonly refusal: Refusal; readonly delegated: Delegated | undefined },
  us: Readonly<Record<string, number>>,
): DecisionRecord => {
  const permitted = 'permit' in decision;
  const authority = authorityOf(permitted ? decision.permit.delegated : decision.delegated);
  const basis = permitted ? decision.permit : decision.refusal;
  const leaves = leavesMesh(facts.callee);
  const record: DecisionRecord = {
    agents: authority.agents,
    bundle: facts.trust?.bundleName ?? '',
    cached: basis.cached ?? false,
    callee: leaves ? '' : facts.callee,
    caller: facts.caller,
    direction: facts.direction,
    granted: authority.granted,
    hop: facts.hop,
    kind: 'decision',
    method: facts.method,
    policy: facts.trust?.policy.policy.revision ?? '',
    principal: authority.principal,
    reason: permitted ? 'ok' : decision.refusal.reason,
    required: basis.required ?? [],
    rule: basis.rule ?? '',
    target: pathOf(facts.target),
    task: authority.task,
    us,
    verdict: permitted ? 'permit' : 'deny',
  };
  const message = permitted ? messageOf(decision.permit) : decision.refusal.message;
  const observed = permitted ? decision.permit.observed?.reason : undefined;
  const { approvals, content, flags, labels, opa, shadow } = basis;
  const noted = { approvals, content, flags, labels, opa, shadow };
  const { proof } = facts;
  // Nearly every record has none of these; a copy of it costs more than the look.
  const names = NOTES.filter((name) => (noted[name]?.length ?? 0) > 0);
  const isPlain = !leaves && message === undefined && observed === undefined && proof === undefined;
  if (isPlain && names.length === 0) return record;
  return {
    ...record,
    ...(leaves && { destination: facts.callee }),
    ...Object.fromEntries(names.map((name) => [name, noted[name]])),
    ...(observed !== undefined && { observed }),
    ...(message !== undefined && { operations: operationsOf(message) }),
    ...(proof !== undefined && { proof }),
  };
};

const NOTES = ['approvals', 'content', 'flags', 'labels', 'opa', 'shadow'] as const;

const messageOf = ({ input: { message } }: Permit): Message | undefined =>
  message?.ok ? message.value : undefined;

/** Names are the sender's to choose. */
const MAX_NAME = 128;

const operationsOf = ({ operations }: Message) =>
  operations.map((operation) => ({
    method: operation.method.slice(0, MAX_NAME).toWellFormed(),
    name: (nameOf(operation) || operation.taskId).slice(0, MAX_NAME).toWellFormed(),
  }));
