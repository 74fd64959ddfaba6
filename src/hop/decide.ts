/** Stage 4: revocation, lists, routes, scopes, rules, caveats; a permit, a denial, or what is still to be known (SPEC.md section 13). */
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
import type { Message } from '../core/message/message.ts';
import { type Demanded, NOTHING_DEMANDED } from '../core/policy/demands.ts';
import {
  type Allowed,
  type DecisionDenial,
  decideStanding,
  type PolicyDecision,
  type Standing,
  standingOf,
  wantsMessage,
} from '../core/policy/evaluate.ts';
import type { RouteRule } from '../core/policy/model.ts';
import type { ShadowNote } from '../core/policy/rules.ts';
import { parseTarget } from '../core/policy/target.ts';
import { type LiveFacts, NOTHING_REGISTERED, readableHeaders } from '../core/policy/values.ts';
import type { ReasonCode } from '../core/reasons.ts';
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
  readonly route: RouteRule;
  readonly rule: string;
  readonly required: readonly ScopeLiteral[];
  readonly demanded: Demanded;
  readonly labels: readonly string[];
  readonly flags: readonly string[];
  readonly shadow: readonly ShadowNote[];
  /** What policy would have denied, had its route not been observed only. */
  readonly observed: Denial | undefined;
  /** Whether anything but time, trust and policy had a say in it, so that each sweep asks anew. */
  readonly isLive: boolean;
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
  /** Name, value, name, value …, as received. */
  readonly headers?: readonly string[] | undefined;
  /** Octets of the body, as announced or read. */
  readonly size?: number | undefined;
  /** Of the data that the task has touched so far. */
  readonly labels?: readonly string[] | undefined;
  /** What the body says, once it was read; or why it can't be known. */
  readonly message?: Verdict<Message> | undefined;
}

/** Targets are the peer’s to choose, and so are grants: what is remembered of them is bounded in number and in octets. */
const DECISIONS_PER_CHAIN = 256;
const MAX_REMEMBERED_KEY = 384;

const NO_HEADERS: readonly string[] = [];
const NO_LABELS: readonly string[] = [];

const liveOf = (
  { headers = NO_HEADERS, size = -1, labels = NO_LABELS }: DecisionInput,
  { bundle }: TrustSnapshot,
  nowSeconds: number,
): LiveFacts => ({
  nowSeconds,
  score: (id) => bundle.scores.of(id, nowSeconds).score,
  headers: () => readableHeaders(headers),
  size,
  labels,
});

/** What stands for this chain, callee, method and target under this trust. */
const standing = (
  { direction, delegated, callee, method, target, trust }: DecisionInput,
  approvals: LinkApprovals,
): Standing | DecisionDenial => {
  const { revocations } = trust.bundle;
  const known = { rule: '', required: [] };
  const revoked = revocations.checkChain(delegated.granted ?? delegated.chain);
  if (revoked !== undefined) return { ...known, ...revoked };
  const parsed = parseTarget(target);
  if (!parsed.ok) return { ...known, ...parsed };
  const { path } = parsed.value;
  return standingOf(trust.policy, {
    direction,
    callee,
    method,
    path,
    query: target.slice(path.length + 1),
    chain: delegated.chain,
    granted: delegated.granted,
    approvals,
    registered: NOTHING_REGISTERED,
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
  readonly labels?: readonly string[];
  readonly flags?: readonly string[];
  readonly shadow?: readonly ShadowNote[];
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

/** Nothing can be decided before the body was read as this route says. */
export interface Unread extends Refusal {
  readonly unread: RouteRule;
  readonly input: DecisionInput;
}

export type Decision = { readonly ok: true; readonly value: Permit } | Refusal | Unapproved | Unread;

export const isUnapproved = (decision: Refusal): decision is Unapproved => 'unapproved' in decision;
export const isUnread = (decision: Refusal): decision is Unread => 'unread' in decision;

/** What `enforcement: observe` lets through: what policy says, and never who somebody is, what a chain proves or what was revoked. */
const OBSERVED: ReadonlySet<ReasonCode> = new Set<ReasonCode>([
  'message_type',
  'message_encoding',
  'message_malformed',
  'message_ambiguous',
  'operation_unmatched',
  'route_value',
  'delegation_denied',
  'scope_missing',
  'scope_too_deep',
  'scope_too_long',
  'scope_foreign',
  'rule_denied',
  'rule_unmatched',
  'rule_error',
  'quarantined',
  'score_too_low',
]);

/**
 * Decides one request. Counted uses (`uses.ts`) cost a write and come last.
 * Refuses with the codes of SPEC.md section 13.
 */
export const decide = (input: DecisionInput): Decision => {
  const { delegated, trust } = input;
  const gone = calleeDenial(input, trust);
  if (gone !== undefined) return gone;
  const key = `${input.direction} ${input.method} ${input.target} ${input.callee}`;
  let known = delegated.decisions.get(key);
  const cached = known !== undefined;
  if (known === undefined) {
    known = standing(input, delegated.approvals);
    if (key.length <= MAX_REMEMBERED_KEY) {
      if (delegated.decisions.size >= DECISIONS_PER_CHAIN) delegated.decisions.clear();
      delegated.decisions.set(key, known);
    }
  }
  return judge(known, input, delegated.approvals, cached);
};

/** Whoever takes it for a refusal refuses. */
const NOT_READ = deny('message_malformed', 'the body was not read');

/** Decides anew whenever it is asked: by what stands and what is now. */
const judge = (
  known: Standing | DecisionDenial,
  input: DecisionInput,
  approvals: LinkApprovals,
  cached: boolean,
): Decision => {
  if (!known.ok) return { ...known, cached };
  const { delegated, trust, nowSeconds, message } = input;
  if (wantsMessage(known) && message === undefined)
    return timeDenial(input, approvals, nowSeconds) ?? { ...NOT_READ, unread: known.route, input };
  const decision: PolicyDecision =
    message?.ok === false
      ? { ...message, rule: '', required: known.base }
      : decideStanding(trust.policy, known, liveOf(input, trust, nowSeconds), message?.value);
  if (!decision.ok) return observed(decision, known, input, approvals, cached) ?? { ...decision, cached };
  const { value: allowed } = decision;
  const { rule, required, demanded, labels, flags, shadow } = allowed;
  const notes = { rule, required, labels, flags, shadow, cached };
  const ended = timeDenial(input, approvals, nowSeconds);
  if (ended !== undefined) return { ...notes, ...ended };
  const unmet = demandDenial(delegated, allowed, trust, nowSeconds);
  if (unmet !== undefined) {
    const refusal = { ...notes, ...unmet };
    return observed(refusal, known, input, approvals, cached) ?? refusal;
  }
  const { missing, by } = splitApproved(demanded.approval, approvals);
  if (missing.length > 0 && input.direction === 'inbound')
    return { ...notes, ...approvalRequired(missing), unapproved: missing, allowed, input };
  return grant(permitOf(allowed, input, cached, by, { isLive: known.decision === undefined }));
};

/** The permit of a route that is observed only, where policy alone would deny. What is not policy's holds all the same. */
const observed = (
  denial: DecisionDenial | Refusal,
  { route, base }: Standing,
  input: DecisionInput,
  approvals: LinkApprovals,
  cached: boolean,
): Decision | undefined => {
  const { delegated, trust, nowSeconds } = input;
  if (nowSeconds >= (route.observeUntil ?? 0) || !OBSERVED.has(denial.reason)) return undefined;
  const { rule = '', required = base, labels = input.labels ?? NO_LABELS, flags = [], shadow = [] } = denial;
  const allowed = { route, rule, required, labels, flags, shadow, demanded: NOTHING_DEMANDED };
  const ended =
    timeDenial(input, approvals, nowSeconds) ?? demandDenial(delegated, allowed, trust, nowSeconds);
  if (ended !== undefined) return { rule, required, cached, ...ended };
  const { ok, reason, detail } = denial;
  return grant(permitOf(allowed, input, cached, [], { isLive: true, observed: { ok, reason, detail } }));
};

const approvalRequired = (scopes: readonly ScopeLiteral[]) => ({
  ...deny('approval_required', `nobody has approved ${scopes.join(' ')}`),
  reason: 'approval_required' as const,
});

interface PermitExtras {
  readonly isLive: boolean;
  readonly observed?: Denial;
  readonly requestApproval?: VerifiedRequestApproval;
}

const permitOf = (
  allowed: Allowed,
  input: DecisionInput,
  cached: boolean,
  approvals: readonly ApprovalNote[],
  { isLive, observed, requestApproval }: PermitExtras,
): Permit =>
  ({
    ...allowed,
    delegated: input.delegated,
    cached,
    input,
    approvals,
    requestApproval,
    observed,
    isLive,
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
  const permit = permitOf(allowed, input, cached, approvals, {
    isLive: true,
    requestApproval: verified.value,
  });
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
  const { delegated } = permit.input;
  const { chain, chainText } = delegated;
  const isSame = trust.generation === seen;
  let approvals = delegated.approvals;
  if (!isSame) {
    const verified = verifyChain(chainText, chain.holder, chainContext(trust, nowSeconds));
    if (!verified.ok) return verified;
    approvals = linkApprovalsOf(verified.value, trust.bundle.approvers);
  }
  const input: DecisionInput = { ...permit.input, trust, nowSeconds };
  // What nothing but time, trust and policy can change needs no second look while these are the same.
  if (isSame && !permit.isLive)
    return timeDenial(input, approvals, nowSeconds) ?? demandDenial(delegated, permit, trust, nowSeconds);
  const again = judge(standing(input, approvals), input, approvals, false);
  if (again.ok) return isSame ? undefined : calleeDenial(input, trust);
  if (isUnread(again))
    return deny('operation_unmatched', 'policy now reads what was not read when this began');
  if (!isUnapproved(again)) return again;
  return calleeDenial(input, trust) ?? checkApproved(permit, again.allowed, approvals, trust);
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
