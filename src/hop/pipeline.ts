/**
 * The order of a hop: identify and handshake once per connection; then, for each request,
 * verify → decide → audit → forward → outcome. Every exit ends in a record.
 */
import { REASONS } from '../core/reasons.ts';
import { type Denial, deny } from '../core/verdict.ts';
import type { TrustPort, TrustSnapshot } from '../ports.ts';
import { decisionRecord, type HopFacts } from './audit.ts';
import { checkPermit } from './check-permit.ts';
import { decide } from './decide.ts';
import { forward } from './forward.ts';
import type { HopReply, HopRequest, Path } from './path.ts';
import { isOpen, type Permit, type Refusal } from './permit.ts';
import { settle } from './settle.ts';
import { countsUses, takeUses } from './uses.ts';
import type { Delegated } from './verify-chain.ts';

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
  const tooFast = request.rate?.(delegated.chain);
  if (tooFast !== undefined) {
    const us = micros(verifiedAt - started);
    recordRefusal(path, facts, tooFast, delegated, { total: us, verify: us }, reply);
    return;
  }
  const { direction, callee, calleeHolder, method, target, headers, size, upgrade, sessionDeadline } =
    request;
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
  const us = {
    decide: micros(decidedAt - verifiedAt),
    total: micros(decidedAt - started),
    verify: micros(verifiedAt - started),
  };
  if (decision.ok) countThenRecord(path, facts, decision.value, us, reply);
  else if (isOpen(decision))
    settle(path, request, decision, reply).then(
      (settled) => {
        if (settled.ok) countThenRecord(path, facts, settled.value, us, reply);
        else recordRefusal(path, facts, settled, delegated, us, reply);
      },
      () => undefined,
    );
  else recordRefusal(path, facts, decision, delegated, us, reply);
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
  // What is never sent is no hop between two sidecars: outbound it has no number.
  evidence?.refused(whoseRequest(facts), refusal.reason);
  audit.append(decisionRecord(facts, { refusal, delegated }, us), () => reply.refuse(refusal));
};

/** Where uses are counted, that is a write, and comes last of all. */
const countThenRecord = (
  path: Path,
  facts: HopFacts,
  permit: Permit,
  us: Readonly<Record<string, number>>,
  reply: HopReply,
): void => {
  if (facts.direction === 'outbound' || !countsUses(permit)) {
    recordPermit(path, facts, permit, us, reply);
    return;
  }
  takeUses(permit, path.uses)
    .catch(() => deny('audit_unavailable', 'the use could not be counted'))
    .then((denial) => {
      if (denial === undefined) recordPermit(path, facts, permit, us, reply);
      else {
        const { rule, required } = permit;
        recordRefusal(path, facts, { ...denial, rule, required }, permit.delegated, us, reply);
      }
    });
};

/** Nothing is sent on before the record is written; if it can't be, the request is denied. */
const recordPermit = (
  path: Path,
  asked: HopFacts,
  permit: Permit,
  us: Readonly<Record<string, number>>,
  reply: HopReply,
): void => {
  const hop = reply.number?.() ?? asked.hop;
  const facts = hop === asked.hop ? asked : { ...asked, hop };
  path.audit.append(decisionRecord(facts, { permit }, us), (written) => {
    if (!written) {
      reply.refuse(deny('audit_unavailable', 'the decision could not be recorded'));
      return;
    }
    const changed = facts.direction === 'inbound' ? sinceDecision(path, permit) : undefined;
    if (changed !== undefined) {
      const { direction } = facts;
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
      ({ status, result, received, sent, notes, labels = [] }) => {
        const { direction } = facts;
        path.evidence?.ended(peerOf(facts), result);
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
