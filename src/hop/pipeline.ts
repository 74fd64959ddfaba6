/**
 * The order of a hop: identify and handshake once per connection; then, for each request,
 * verify → decide → audit → forward → outcome. Every exit ends in a record.
 */
import { leavesMesh } from '../core/policy/destination.ts';
import { REASONS } from '../core/reasons.ts';
import { type Denial, deny } from '../core/verdict.ts';
import type { ExchangeResult, HopSpan, TrustPort, TrustSnapshot } from '../ports.ts';
import { decisionRecord, type HopFacts } from './audit.ts';
import { checkPermit } from './check-permit.ts';
import { decide } from './decide.ts';
import { forward } from './forward.ts';
import type { HopReply, HopRequest, Path } from './path.ts';
import { hasLastWord, isOpen, type Permit, type Refusal } from './permit.ts';
import { settle } from './settle.ts';
import { countsUses, takeUses } from './uses.ts';
import type { Delegated } from './verify-chain.ts';

const micros = (milliseconds: number): number => Math.round(milliseconds * 1000);

/** A request on its way, with what every exit from it needs. */
interface Way {
  readonly path: Path;
  readonly facts: HopFacts;
  readonly reply: HopReply;
  readonly span: HopSpan | undefined;
  /** Milliseconds, monotonic: when it came. */
  readonly started: number;
}

/** Takes a request down the path. `remember` keeps the chain for the session's next request. */
export const takeHop = (
  path: Path,
  request: HopRequest,
  reply: HopReply,
  remember?: (delegated: Delegated) => void,
): void => {
  const { clock, meter } = path;
  const started = clock.monotonic();
  const nowSeconds = Math.floor(clock.now() / 1000);
  const current = path.trust.current();
  const trust = current.ok ? current.value : undefined;
  const way: Way = { path, facts: { ...factsOf(request), trust }, reply, span: request.span, started };

  const early = request.fault ?? (current.ok ? undefined : current);
  if (early !== undefined || trust === undefined) {
    recordRefusal(way, early ?? deny('policy_unavailable', ''), undefined, {
      total: micros(clock.monotonic() - started),
    });
    return;
  }
  const { direction, callee, calleeHolder, method, target, headers, size, upgrade, sessionDeadline } =
    request;
  const verified = path.chains.verify(
    request.chainText,
    request.grantText,
    request.caller,
    calleeHolder,
    trust,
    nowSeconds,
    request.last,
  );
  const verifiedAt = clock.monotonic();
  meter?.verified(direction, verifiedAt - started);
  if (!verified.ok) {
    const us = micros(verifiedAt - started);
    recordRefusal(way, verified, undefined, { total: us, verify: us });
    return;
  }
  const delegated = verified.value;
  remember?.(delegated);
  const tooFast = request.rate?.(delegated.chain);
  if (tooFast !== undefined) {
    const us = micros(verifiedAt - started);
    recordRefusal(way, tooFast, delegated, { total: us, verify: us });
    return;
  }
  const { proof, digest } = request;
  const decision = decide({
    direction,
    delegated,
    proof,
    digest,
    callee,
    calleeHolder,
    method,
    target,
    headers,
    size,
    labels: request.labels(delegated.chain),
    upgrade,
    trust,
    nowSeconds,
    sessionDeadline,
  });
  const decidedAt = clock.monotonic();
  const cached = decision.ok ? decision.value.cached : decision.cached === true;
  meter?.decided(direction, decidedAt - verifiedAt, cached);
  const us = {
    decide: micros(decidedAt - verifiedAt),
    total: micros(decidedAt - started),
    verify: micros(verifiedAt - started),
  };
  if (decision.ok) countThenRecord(way, decision.value, us, decidedAt);
  else if (isOpen(decision))
    settle(path, request, decision, reply).then(
      (settled) => {
        const settledAt = clock.monotonic();
        meter?.settled(direction, settledAt - decidedAt);
        if (settled.ok) countThenRecord(way, settled.value, us, settledAt);
        else recordRefusal(way, settled, delegated, us);
      },
      () => undefined,
    );
  else recordRefusal(way, decision, delegated, us);
};

const factsOf = ({
  direction,
  hop,
  caller,
  callee,
  method,
  target,
  proof,
}: HopRequest): Omit<HopFacts, 'trust'> => ({
  direction,
  ...(proof !== 'session' && { proof }),
  hop,
  caller: caller.id,
  callee,
  method,
  target,
});

/** Whose outcome it is for the verifier's scores; nobody's where it leaves the mesh. */
const peerOf = ({ direction, caller, callee }: Omit<HopFacts, 'trust'>): string | undefined =>
  direction === 'inbound' ? caller : leavesMesh(callee) ? undefined : callee;

/** Against whom a refusal counts: what our own agent asked for in vain says nothing of who would have answered. */
const whoseRequest = ({ direction, caller, proof }: Omit<HopFacts, 'trust'>): string | undefined =>
  direction === 'inbound' && proof !== 'none' ? caller : undefined;

/** Records a refusal; the peer hears it in any case, since a denial needs no log to hold. */
const recordRefusal = (
  { path: { audit, evidence, meter }, facts, reply, span }: Way,
  refusal: Refusal,
  delegated: Delegated | undefined,
  us: Readonly<Record<string, number>>,
): void => {
  // What is never sent is no hop between two sidecars: outbound it has no number.
  evidence?.refused(whoseRequest(facts), refusal.reason);
  const record = decisionRecord(facts, { refusal, delegated }, us);
  span?.decided(record);
  audit.append(record, () => {
    meter?.refused(facts.direction, refusal.reason);
    span?.ended(refusal.reason, REASONS[refusal.reason].status);
    reply.refuse(refusal);
  });
};

/** Where uses are counted, that is a write, and comes last of all. `readyAt`: when all else was known, monotonic. */
const countThenRecord = (
  way: Way,
  permit: Permit,
  us: Readonly<Record<string, number>>,
  readyAt: number,
): void => {
  const { path, facts } = way;
  if (facts.direction === 'outbound' || !countsUses(permit)) {
    recordPermit(way, permit, us, readyAt);
    return;
  }
  takeUses(permit, path.uses)
    .catch(() => deny('audit_unavailable', 'the use could not be counted'))
    .then((denial) => {
      if (denial === undefined) recordPermit(way, permit, us, path.clock.monotonic());
      else {
        const { rule, required } = permit;
        recordRefusal(way, { ...denial, rule, required }, permit.delegated, us);
      }
    });
};

/** Nothing is sent on before the record is written; if it can't be, the request is denied. */
const recordPermit = (
  way: Way,
  permit: Permit,
  us: Readonly<Record<string, number>>,
  readyAt: number,
): void => {
  const { path, reply, span, started } = way;
  const { clock, meter } = path;
  const hop = reply.number?.() ?? way.facts.hop;
  const facts = hop === way.facts.hop ? way.facts : { ...way.facts, hop };
  const { direction } = facts;
  const record = decisionRecord(facts, { permit }, us);
  span?.decided(record);
  if (permit.observed !== undefined) meter?.observed(direction, permit.observed.reason);
  path.audit.append(record, (written) => {
    const sentAt = clock.monotonic();
    meter?.recorded(direction, sentAt - readyAt);
    const refuse = (denial: Denial): void => {
      meter?.refused(direction, denial.reason);
      span?.ended(denial.reason, REASONS[denial.reason].status);
      reply.refuse(denial);
    };
    if (!written) {
      refuse(deny('audit_unavailable', 'the decision could not be recorded'));
      return;
    }
    // The callee's sidecar looks again; beyond the mesh there is none.
    const changed = hasLastWord(permit.input) ? sinceDecision(path, permit) : undefined;
    if (changed !== undefined) {
      noteOutcome(
        path,
        facts,
        { status: REASONS[changed.reason].status, result: changed.reason, received: 0, sent: 0 },
        0,
      );
      refuse(changed);
      return;
    }
    forward(permit, reply.exchange(permit, permit.delegated), path.live, (result) => {
      const now = clock.monotonic();
      noteOutcome(path, facts, result, micros(now - sentAt));
      meter?.ended(direction, result, now - sentAt, now - started);
      span?.ended(result.result, result.status);
    });
  });
};

const noteOutcome = (
  path: Path,
  facts: HopFacts,
  { status, result, received, sent, notes, labels = [] }: ExchangeResult,
  us: number,
): void => {
  const { direction, hop } = facts;
  const peer = peerOf(facts);
  if (peer !== undefined) path.evidence?.ended(peer, result);
  const { content = [], tools = [] } = notes ?? {};
  path.audit.note({
    ...(content.length > 0 && { content }),
    ...(labels.length > 0 && { labels }),
    ...(tools.length > 0 && { tools }),
    direction,
    hop,
    kind: 'outcome',
    received,
    result,
    sent,
    status,
    us,
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
  span?: HopSpan,
): void => {
  const current: TrustSnapshot | undefined = snapshotOf(path.trust);
  path.evidence?.refused(whoseRequest(request), denial.reason);
  const record = decisionRecord({ ...request, trust: current }, { refusal: denial, delegated }, { total: 0 });
  span?.decided(record);
  path.audit.append(record, () => {
    path.meter?.refused(request.direction, denial.reason);
    span?.ended(denial.reason, REASONS[denial.reason].status);
    reply();
  });
};

const snapshotOf = (trust: TrustPort): TrustSnapshot | undefined => {
  const current = trust.current();
  return current.ok ? current.value : undefined;
};
