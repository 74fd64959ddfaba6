/** Stage 4: revocation, lists, routes, scopes, rules, caveats; a permit or a denial (SPEC.md section 13). */
import { checkApprovalTime, isStanding } from '../core/approval/approver.ts';
import {
  type RequestFacts,
  requestApprovalId,
  type VerifiedRequestApproval,
  verifyRequestApproval,
} from '../core/approval/request-approval.ts';
import type { ApprovalNote, Direction } from '../core/audit/record.ts';
import { caveatDeadline } from '../core/delegation/caveats.ts';
import { type Holder, verifyChain } from '../core/delegation/chain.ts';
import {
  checkLinkApprovalTimes,
  type LinkApprovals,
  linkApprovalsOf,
  splitApproved,
} from '../core/delegation/link-approvals.ts';
import type { ScopeLiteral } from '../core/delegation/scope.ts';
import { CLOCK_SKEW_SECONDS } from '../core/limits.ts';
import type { Demanded } from '../core/policy/demands.ts';
import { type Allowed, evaluatePolicy, type PolicyDecision } from '../core/policy/evaluate.ts';
import { parseTarget } from '../core/policy/target.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import { checkAge } from '../core/trust/freshness.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import { chainContext, type TrustSnapshot } from '../ports.ts';
import type { Delegated } from './verify-chain.ts';

declare const permit: unique symbol;

/** What forwarding demands; only {@link decide} makes one. */
export interface Permit {
  readonly [permit]: true;
  readonly delegated: Delegated;
  readonly route: string;
  readonly rule: string;
  readonly required: readonly ScopeLiteral[];
  readonly demanded: Demanded;
  /** The approvals that it rests on; none where policy asks for none. */
  readonly approvals: readonly ApprovalNote[];
  /** Of this one request: its use is to be counted before it is used. */
  readonly requestApproval: VerifiedRequestApproval | undefined;
  readonly cached: boolean;
  /** What was asked: asked again when trust or policy change under what still streams. */
  readonly input: DecisionInput;
}

export interface DecisionInput {
  /** The caller's own sidecar passes a demand for approval on: only the callee can count its use. */
  readonly direction: Direction;
  readonly delegated: Delegated;
  readonly callee: AgentId;
  /** As it proved itself on this connection, or ourselves; undefined where nobody has. */
  readonly calleeHolder?: Holder | undefined;
  readonly method: string;
  /** Request target in origin form, as received. */
  readonly target: string;
  readonly trust: TrustSnapshot;
  readonly nowSeconds: number;
  /** Seconds: the end of the session; Infinity where there is none yet. */
  readonly sessionDeadline: number;
}

/** Targets are the peer’s to choose, and so are grants: what is remembered of them is bounded in number and in octets. */
const DECISIONS_PER_CHAIN = 256;
const MAX_REMEMBERED_KEY = 384;

const standing = (
  { delegated, callee, method, target, trust }: DecisionInput,
  approvals: LinkApprovals,
): PolicyDecision => {
  const { revocations } = trust.bundle;
  const revoked = revocations.checkChain(delegated.granted ?? delegated.chain);
  if (revoked !== undefined) return revoked;
  const parsed = parseTarget(target);
  if (!parsed.ok) return parsed;
  return evaluatePolicy(trust.policy, {
    callee,
    method,
    path: parsed.value.path,
    tool: undefined,
    chain: delegated.chain,
    approvals,
  });
};

/** A callee stands in no chain but its grant's. Not remembered: the next connection may be under another key of it. */
const calleeDenial = ({ calleeHolder }: DecisionInput, { bundle }: TrustSnapshot): Denial | undefined =>
  calleeHolder && bundle.revocations.checkHolder(calleeHolder.id, calleeHolder.key.thumbprint);

/** A denial, with what the audit wants to know of it. */
export interface Refusal extends Denial {
  readonly rule?: string;
  readonly required?: readonly ScopeLiteral[];
  readonly cached?: boolean;
  readonly approvals?: readonly ApprovalNote[];
  /** The id of the approval that would permit it: who asks needs it. */
  readonly approval?: string;
}

/** All is well but for a human's word on these scopes; with it, {@link approve} makes the permit. */
export interface Unapproved extends Refusal {
  readonly reason: 'approval_required';
  readonly unapproved: readonly ScopeLiteral[];
  readonly allowed: Allowed;
  readonly input: DecisionInput;
}

export const isUnapproved = (refusal: Refusal): refusal is Unapproved => 'unapproved' in refusal;

/**
 * Decides one request. Counted uses (`uses.ts`) cost a write and come last.
 * Refuses with the codes of SPEC.md section 13.
 */
export const decide = (
  input: DecisionInput,
): { readonly ok: true; readonly value: Permit } | Refusal | Unapproved => {
  const { delegated, nowSeconds } = input;
  const gone = calleeDenial(input, input.trust);
  if (gone !== undefined) return gone;
  const key = `${input.method} ${input.target} ${input.callee}`;
  let decision = delegated.decisions.get(key);
  const cached = decision !== undefined;
  if (decision === undefined) {
    decision = standing(input, delegated.approvals);
    if (key.length <= MAX_REMEMBERED_KEY) {
      if (delegated.decisions.size >= DECISIONS_PER_CHAIN) delegated.decisions.clear();
      delegated.decisions.set(key, decision);
    }
  }
  if (!decision.ok) return { ...decision, cached };
  const { value: allowed } = decision;
  const { rule, required, demanded } = allowed;
  const ended =
    timeDenial(input, delegated.approvals, nowSeconds) ??
    demandDenial(delegated, allowed, input.trust, nowSeconds);
  if (ended !== undefined) return { ...ended, rule, required, cached };
  const { missing, by } = splitApproved(demanded.approval, delegated.approvals);
  if (missing.length > 0 && input.direction === 'inbound')
    return { ...approvalRequired(missing), rule, required, cached, unapproved: missing, allowed, input };
  return grant(permitOf(allowed, input, cached, by, undefined));
};

const approvalRequired = (scopes: readonly ScopeLiteral[]) => ({
  ...deny('approval_required', `nobody has approved ${scopes.join(' ')}`),
  reason: 'approval_required' as const,
});

const permitOf = (
  allowed: Allowed,
  input: DecisionInput,
  cached: boolean,
  approvals: readonly ApprovalNote[],
  requestApproval: VerifiedRequestApproval | undefined,
): Permit =>
  ({
    ...allowed,
    delegated: input.delegated,
    cached,
    input,
    approvals,
    requestApproval,
  }) as unknown as Permit;

/** What a request has to be approved as. `body`: base64url SHA-256 of its octets. */
export const factsToApprove = (
  { delegated: { chain }, callee, method, target }: DecisionInput,
  body: string,
): RequestFacts => ({
  principal: chain.principal,
  caller: chain.holder.id,
  callee,
  chain: chain.leaf.id,
  method,
  target,
  body,
});

/**
 * Makes the permit that lacked nothing but this token. Its use is not counted yet.
 * Refuses with `approval_invalid`, parse faults, and with what has changed since the request was decided.
 */
export const approve = (
  { allowed, input, unapproved, cached = false }: Unapproved,
  token: string,
  body: string,
  trust: TrustSnapshot,
  nowSeconds: number,
): Verdict<Permit> => {
  const { delegated } = input;
  const facts = factsToApprove(input, body);
  const keys = delegated.chain.links.map(({ delegateeThumbprint }) => delegateeThumbprint);
  const verified = verifyRequestApproval(token, facts, trust.bundle.approvers, keys);
  if (!verified.ok) return verified;
  const expired = checkApprovalTime(verified.value, nowSeconds);
  if (expired !== undefined) return expired;
  const scopes = allowed.demanded.approval.filter((scope) => !unapproved.includes(scope));
  const { by } = splitApproved(scopes, delegated.approvals);
  const { approver } = verified.value;
  const approvals = [...by, { approver, id: requestApprovalId(facts) }];
  const permit = permitOf(allowed, input, cached, approvals, verified.value);
  return checkPermit(permit, trust, nowSeconds, input.trust.generation) ?? grant(permit);
};

/** What time ends. The bundle's own end is not among it: a newer bundle takes its place (`TrustPort.current`). */
const timeDenial = (
  { delegated, sessionDeadline }: DecisionInput,
  approvals: LinkApprovals,
  nowSeconds: number,
): Denial | undefined => {
  const { chain, granted } = delegated;
  const { exp } = granted ?? chain;
  const before = caveatDeadline(chain.leaf.caveats);
  if (nowSeconds >= before)
    return deny('caveat_before', `the chain was good until ${before}, it is ${nowSeconds}`);
  if (nowSeconds >= exp + CLOCK_SKEW_SECONDS)
    return deny('link_expired', `what permitted this expired at ${exp}, it is ${nowSeconds}`);
  if (nowSeconds >= sessionDeadline)
    return deny('session_expired', `the session ended at ${sessionDeadline}, it is ${nowSeconds}`);
  return checkLinkApprovalTimes(approvals, nowSeconds);
};

/** What the required scopes demand of the age of trust and of the agents: both change with time. */
const demandDenial = (
  { chain }: Delegated,
  { demanded }: Pick<Allowed, 'demanded'>,
  { freshAt, maxStalenessSeconds, bundle }: TrustSnapshot,
  nowSeconds: number,
): Denial | undefined => {
  const stale = checkAge(freshAt, Math.min(maxStalenessSeconds, demanded.maxStalenessSeconds), nowSeconds);
  if (stale !== undefined || demanded.minScore === 0) return stale;
  for (const { delegatee } of chain.links) {
    const { score } = bundle.scores.of(delegatee, nowSeconds);
    if (score < demanded.minScore)
      return deny('score_too_low', `${delegatee} has ${score}, the scope demands ${demanded.minScore}`);
  }
  return undefined;
};

/**
 * Whether a permit that was given earlier still holds: streams outlive the moment of their decision. `seen` is the
 * generation of trust that it was last held against; under another one all is asked anew.
 */
export const checkPermit = (
  permit: Permit,
  trust: TrustSnapshot,
  nowSeconds: number,
  seen: number,
): Denial | undefined => {
  const { input, demanded } = permit;
  const { chain, chainText, approvals } = input.delegated;
  if (trust.generation === seen)
    return (
      timeDenial(input, approvals, nowSeconds) ??
      demandDenial(input.delegated, { demanded }, trust, nowSeconds)
    );
  const verified = verifyChain(chainText, chain.holder, chainContext(trust, nowSeconds));
  if (!verified.ok) return verified;
  const approvalsNow = linkApprovalsOf(verified.value, trust.bundle.approvers);
  const decision = standing({ ...input, trust }, approvalsNow);
  if (!decision.ok) return decision;
  return (
    calleeDenial(input, trust) ??
    timeDenial(input, approvalsNow, nowSeconds) ??
    demandDenial(input.delegated, decision.value, trust, nowSeconds) ??
    checkApproved(permit, decision.value, approvalsNow, trust)
  );
};

/** Another policy may ask for approval where the last one did not, and another bundle no longer know an approver. */
const checkApproved = (
  { input, requestApproval }: Permit,
  { demanded }: Allowed,
  approvals: LinkApprovals,
  { bundle }: TrustSnapshot,
): Denial | undefined => {
  if (input.direction === 'outbound') return undefined;
  const { missing } = splitApproved(demanded.approval, approvals);
  if (missing.length === 0) return undefined;
  // By the key that signed: one that was taken from an approver ends what it approved, whatever other keys there are.
  return requestApproval !== undefined &&
    isStanding(bundle.approvers.get(requestApproval.key), requestApproval)
    ? undefined
    : approvalRequired(missing);
};
