/**
 * The order of a hop: identify and handshake once per connection; then, for each request,
 * verify → decide → audit → forward → outcome. Every exit ends in a record.
 */
import type { Direction } from '../core/audit/record.ts';
import type { Holder } from '../core/delegation/chain.ts';
import { REASONS } from '../core/reasons.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import { type Denial, deny, type Verdict } from '../core/verdict.ts';
import type {
  ApprovalPort,
  AuditPort,
  Clock,
  EvidencePort,
  Exchange,
  QuarantinePort,
  TrustPort,
  TrustSnapshot,
  UseCounter,
} from '../ports.ts';
import { seekApproval } from './approval.ts';
import { decisionRecord, type HopFacts } from './audit.ts';
import { checkPermit, decide, isUnapproved, type Permit, type Refusal, type Unapproved } from './decide.ts';
import { forward, type LiveHops } from './forward.ts';
import { countsUses, takeUses } from './uses.ts';
import type { ChainVerifier, Delegated } from './verify-chain.ts';

export interface Path {
  readonly clock: Clock;
  readonly trust: TrustPort;
  readonly audit: AuditPort;
  readonly chains: ChainVerifier;
  readonly uses: UseCounter;
  readonly live: LiveHops;
  /** Left out where nobody wants to know. */
  readonly evidence?: EvidencePort | undefined;
  /** Left out where there is no verifier to ask. */
  readonly approvals?: ApprovalPort | undefined;
  /** Left out where nobody may review: what policy quarantines is then only refused. */
  readonly quarantine?: QuarantinePort | undefined;
}

/** One request, as a door of the sidecar hands it over. */
export interface HopRequest {
  readonly direction: Direction;
  readonly hop: string;
  readonly caller: Holder;
  readonly callee: AgentId;
  /** Who a grant must name: the callee as it proved itself. */
  readonly calleeHolder: Holder | undefined;
  readonly method: string;
  readonly target: string;
  readonly chainText: string | undefined;
  readonly grantText: string | undefined;
  readonly last: Delegated | undefined;
  /** Seconds. */
  readonly sessionDeadline: number;
  /** What the door itself found wrong; comes before all else, and is recorded like the rest. */
  readonly fault: Denial | undefined;
}

/** What the door does with the answer. Exactly one of these is called, after the decision is on record. */
export interface HopReply {
  refuse(refusal: Refusal): void;
  /**
   * The whole body, read once and kept for the exchange: only asked for when it is the body that is approved.
   * Refuses with `http_body_too_large`, `http_timeout`, `client_aborted`, `caller_busy`.
   */
  body?(): Promise<Verdict<Buffer>>;
  /** Builds the exchange; the permit is what it may rely on. */
  exchange(permit: Permit, delegated: Delegated): Exchange;
}

const micros = (milliseconds: number): number => Math.round(milliseconds * 1000);

/** Takes a request down the path. `remember` keeps the chain for the session's next request. */
export const takeHop = (
  path: Path,
  request: HopRequest,
  reply: HopReply,
  remember?: (delegated: Delegated) => void,
): void => {
  const { clock } = path;
  const started = clock.monotonic();
  const nowSeconds = Math.floor(clock.now() / 1000);
  const current = path.trust.current();
  const trust = current.ok ? current.value : undefined;
  const facts: HopFacts = { ...factsOf(request), trust };

  const early = request.fault ?? (current.ok ? undefined : current);
  if (early !== undefined || trust === undefined) {
    recordRefusal(
      path,
      facts,
      early ?? deny('policy_unavailable', ''),
      undefined,
      { total: micros(clock.monotonic() - started) },
      reply,
    );
    return;
  }
  const verified = path.chains.verify(
    request.chainText,
    request.grantText,
    request.caller,
    request.calleeHolder,
    trust,
    nowSeconds,
    request.last,
  );
  const verifiedAt = clock.monotonic();
  if (!verified.ok) {
    const us = micros(verifiedAt - started);
    recordRefusal(path, facts, verified, undefined, { total: us, verify: us }, reply);
    return;
  }
  const delegated = verified.value;
  remember?.(delegated);
  const { direction, callee, method, target, sessionDeadline } = request;
  const decision = decide({
    direction,
    delegated,
    callee,
    calleeHolder: request.calleeHolder,
    method,
    target,
    trust,
    nowSeconds,
    sessionDeadline,
  });
  const decidedAt = clock.monotonic();
  const us = {
    decide: micros(decidedAt - verifiedAt),
    total: micros(decidedAt - started),
    verify: micros(verifiedAt - started),
  };
  if (!decision.ok) {
    if (isUnapproved(decision)) void approveThenCount(path, facts, decision, us, reply);
    else recordRefusal(path, facts, decision, delegated, us, reply);
  } else if (request.direction === 'inbound' && countsUses(decision.value))
    void countThenRecord(path, facts, decision.value, us, reply);
  else recordPermit(path, facts, decision.value, us, reply);
};

const factsOf = ({
  direction,
  hop,
  caller,
  callee,
  method,
  target,
}: HopRequest): Omit<HopFacts, 'trust'> => ({
  direction,
  hop,
  caller: caller.id,
  callee,
  method,
  target,
});

const peerOf = ({ direction, caller, callee }: Omit<HopFacts, 'trust'>): string =>
  direction === 'inbound' ? caller : callee;

/** Against whom a refusal counts: what our own agent asked for in vain says nothing of who would have answered. */
const whoseRequest = ({ direction, caller }: Omit<HopFacts, 'trust'>): string | undefined =>
  direction === 'inbound' ? caller : undefined;

/** Records a refusal; the peer hears it in any case, since a denial needs no log to hold. */
const recordRefusal = (
  { audit, evidence }: Path,
  facts: HopFacts,
  refusal: Refusal,
  delegated: Delegated | undefined,
  us: Readonly<Record<string, number>>,
  reply: HopReply,
): void => {
  // What is never sent is no hop between two sidecars: its number is the next request's.
  const known = facts.direction === 'outbound' ? { ...facts, hop: '' } : facts;
  evidence?.refused(whoseRequest(facts), refusal.reason);
  audit.append(decisionRecord(known, { refusal, delegated }, us), () => reply.refuse(refusal));
};

/** What only a human may permit. Whatever fails on the way to that word is a denial. */
const approveThenCount = async (
  path: Path,
  facts: HopFacts,
  unapproved: Unapproved,
  us: Readonly<Record<string, number>>,
  reply: HopReply,
): Promise<void> => {
  const { rule, required, input } = unapproved;
  const refuse = (refusal: Refusal): void =>
    recordRefusal(path, facts, { ...refusal, rule, required } as Refusal, input.delegated, us, reply);
  try {
    const permit = await seekApproval(path, unapproved, reply.body);
    if (!permit.ok) refuse(permit);
    else if (countsUses(permit.value)) await countThenRecord(path, facts, permit.value, us, reply);
    else recordPermit(path, facts, permit.value, us, reply);
  } catch {
    refuse(deny('internal', 'the approval could not be looked at'));
  }
};

const countThenRecord = async (
  path: Path,
  facts: HopFacts,
  permit: Permit,
  us: Readonly<Record<string, number>>,
  reply: HopReply,
): Promise<void> => {
  let denial: Denial | undefined;
  try {
    denial = await takeUses(permit, path.uses);
  } catch {
    denial = deny('audit_unavailable', 'the use could not be counted');
  }
  if (denial === undefined) recordPermit(path, facts, permit, us, reply);
  else
    recordRefusal(
      path,
      facts,
      { ...denial, rule: permit.rule, required: permit.required },
      permit.delegated,
      us,
      reply,
    );
};

/** Nothing is sent on before the record is written; if it can't be, the request is denied. */
const recordPermit = (
  path: Path,
  facts: HopFacts,
  permit: Permit,
  us: Readonly<Record<string, number>>,
  reply: HopReply,
): void => {
  path.audit.append(decisionRecord(facts, { permit }, us), (written) => {
    if (!written) {
      reply.refuse(deny('audit_unavailable', 'the decision could not be recorded'));
      return;
    }
    const changed = facts.direction === 'inbound' ? sinceDecision(path, permit) : undefined;
    if (changed !== undefined) {
      const { direction, hop } = facts;
      const { status } = REASONS[changed.reason];
      path.audit.note({
        direction,
        hop,
        kind: 'outcome',
        received: 0,
        result: changed.reason,
        sent: 0,
        status,
        us: 0,
      });
      path.evidence?.ended(peerOf(facts), changed.reason);
      reply.refuse(changed);
      return;
    }
    const started = path.clock.monotonic();
    forward(
      permit,
      reply.exchange(permit, permit.delegated),
      path.live,
      ({ status, result, received, sent }) => {
        const { direction, hop } = facts;
        path.evidence?.ended(peerOf(facts), result);
        path.audit.note({
          direction,
          hop,
          kind: 'outcome',
          received,
          result,
          sent,
          status,
          us: micros(path.clock.monotonic() - started),
        });
      },
    );
  });
};

/** Trust and policy may have been replaced while the record was written: a revocation holds for what is not sent on yet. */
const sinceDecision = ({ trust, clock }: Path, permit: Permit): Denial | undefined => {
  const current = trust.current();
  if (!current.ok) return current;
  const { generation } = permit.input.trust;
  if (current.value.generation === generation) return undefined;
  return checkPermit(permit, current.value, Math.floor(clock.now() / 1000), generation);
};

/** Records a refusal that fell before the path: no route, no context, a peer that doesn't answer. */
export const refuseHop = (
  path: Path,
  request: Omit<HopFacts, 'trust'>,
  denial: Denial,
  delegated: Delegated | undefined,
  reply: () => void,
): void => {
  const current: TrustSnapshot | undefined = snapshotOf(path.trust);
  path.evidence?.refused(whoseRequest(request), denial.reason);
  path.audit.append(
    decisionRecord({ ...request, trust: current }, { refusal: denial, delegated }, { total: 0 }),
    reply,
  );
};

const snapshotOf = (trust: TrustPort): TrustSnapshot | undefined => {
  const current = trust.current();
  return current.ok ? current.value : undefined;
};
