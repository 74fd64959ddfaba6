/** Stage 4: revocation, lists, routes, scopes, rules, caveats; a permit, a denial, or what is still to be known (SPEC.md section 13). */
import { caveatDeadline } from '../core/delegation/caveats.ts';
import {
  checkLinkApprovalTimes,
  type LinkApprovals,
  splitApproved,
} from '../core/delegation/link-approvals.ts';
import type { ScopeLiteral } from '../core/delegation/scope.ts';
import { CLOCK_SKEW_SECONDS } from '../core/limits.ts';
import { type Message, readsMessages } from '../core/message/message.ts';
import { operation } from '../core/message/operation.ts';
import { demandsOf, NOTHING_DEMANDED } from '../core/policy/demands.ts';
import { isOneOf } from '../core/policy/destination.ts';
import {
  type Allowed,
  checkCaveats,
  type DecisionDenial,
  decideStanding,
  type PolicyDecision,
  type Standing,
  standingOf,
  wantsMessage,
} from '../core/policy/evaluate.ts';
import type { DecisionPointRule } from '../core/policy/model.ts';
import { OBSERVED } from '../core/policy/observed.ts';
import { pointInput } from '../core/policy/point-input.ts';
import { isEgress } from '../core/policy/routes.ts';
import { parseTarget } from '../core/policy/target.ts';
import { type LiveFacts, readableHeaders, valuesOf } from '../core/policy/values.ts';
import { checkAge } from '../core/trust/freshness.ts';
import { type Denial, deny, grant } from '../core/verdict.ts';
import type { TrustSnapshot } from '../ports.ts';
import { callerDenial, proofDenial, wantsToSign } from './caller-proof.ts';
import {
  type AskedPoint,
  contentNotes,
  type Decision,
  type DecisionInput,
  hasLastWord,
  isForAgent,
  type Permit,
  permitOf,
  type Quarantined,
  type Refusal,
  type Undecided,
} from './permit.ts';
import type { Delegated } from './verify-chain.ts';

/** Targets are the peer’s to choose, and so are grants: what is remembered of them is bounded in number and in octets. */
const DECISIONS_PER_CHAIN = 256;
const MAX_REMEMBERED_KEY = 384;

const NO_HEADERS: readonly string[] = [];
const NO_LABELS: readonly string[] = [];

const liveOf = (input: DecisionInput, { bundle }: TrustSnapshot, nowSeconds: number): LiveFacts => {
  const { headers = NO_HEADERS, size = -1, labels = NO_LABELS } = input;
  return {
    nowSeconds,
    score: (id) => bundle.scores.of(id, nowSeconds).score,
    headers: () => readableHeaders(headers),
    size,
    labels,
    released: isReleased(input),
  };
};

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
    registered: trust.bundle.attributes,
  });
};

/** A callee stands in no chain but its grant's. Not remembered: the next connection may be under another key of it. */
export const calleeDenial = (
  { calleeHolder }: DecisionInput,
  { bundle }: TrustSnapshot,
): Denial | undefined =>
  calleeHolder && bundle.revocations.checkHolder(calleeHolder.id, calleeHolder.key.thumbprint);

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

/** As {@link decide}, without anything that was remembered: trust or time may have changed. */
export const decideAnew = (input: DecisionInput, approvals: LinkApprovals): Decision =>
  judge(standing(input, approvals), input, approvals, false);

/** What stands in for a body that nobody has read yet. */
const NOT_PROVEN = deny('request_proof_digest', 'the body was not looked at');
const NOT_READ = deny('message_malformed', 'the body was not read');
const NOT_LOOKED_AT = deny('content_unreadable', 'the body was not looked at');
const NOT_ASKED = deny('opa_unavailable', 'the decision point was not asked');

/** Decides anew whenever it is asked: by what stands and what is now. */
const judge = (
  known: Standing | DecisionDenial,
  input: DecisionInput,
  approvals: LinkApprovals,
  cached: boolean,
): Decision => {
  if (!known.ok) return { ...known, cached };
  const { delegated, trust, nowSeconds, message, upgrade = false } = input;
  if ((known.route.protocol === 'websocket') !== upgrade)
    return deny('http_upgrade', `route ${known.route.name} is ${upgrade ? 'not ' : ''}for WebSockets`);
  const ask: Asked = { standing: known, input, approvals, cached };
  const barred = callerDenial(known, input, known.base);
  if (barred !== undefined) return { required: known.base, cached, ...barred };
  // Before anything reads the body: it must be the caller's own words.
  if (input.digest !== undefined && input.bodyProven !== true)
    return known.decision?.ok === false && !isObserved(ask)
      ? refuse(known.decision, ask)
      : (timeDenial(input, approvals, nowSeconds) ?? wantBody(known, input));
  if (
    message === undefined &&
    (wantsMessage(known) || (readsMessages(known.route.protocol) && isObserved(ask)))
  )
    return (
      timeDenial(input, approvals, nowSeconds) ?? { ...NOT_READ, wanted: MESSAGE, route: known.route, input }
    );
  const decision = ruled(known, input);
  if (!decision.ok) return refuse(decision, ask);
  const { value: allowed } = decision;
  const ended = timeDenial(input, approvals, nowSeconds) ?? proofDenial(known, input, allowed);
  if (ended !== undefined) return { ...notesOf(allowed, ask), ...ended };
  const unmet =
    demandDenial(delegated, allowed, trust, nowSeconds) ??
    lookAt(known, input) ??
    askPoints(known, input, allowed);
  if (unmet !== undefined) {
    const denial = { ...notesOf(allowed, ask), ...unmet };
    return 'wanted' in unmet ? denial : refuse(denial, ask);
  }
  const { missing, by } = splitApproved(allowed.demanded.approval, approvals);
  if (missing.length > 0 && hasLastWord(input)) {
    const denial = { ...notesOf(allowed, ask), ...approvalRequired(missing) };
    // Who would count its use is an agent's sidecar: beyond the mesh only an approval of the delegation holds.
    return isObserved(ask) || !isForAgent(input)
      ? refuse(denial, ask)
      : { ...denial, unapproved: missing, allowed, input };
  }
  if (wantsToSign(input, allowed)) return wantBody(known, input);
  return grant(permitOf(allowed, input, cached, by, { isLive: known.decision === undefined }));
};

const BODY = { what: 'body' } as const;

const wantBody = ({ route }: Standing, input: DecisionInput): Undecided => ({
  ...NOT_PROVEN,
  wanted: BODY,
  route,
  input,
});

/** What policy's own words say; why it can't be known stands for it where the body can't be read. */
const ruled = (known: Standing, input: DecisionInput): PolicyDecision => {
  const { trust, nowSeconds, message, barred, labels = NO_LABELS } = input;
  if (message?.ok === false) return { ...message, rule: '', required: known.base };
  if (barred !== undefined) return { ...barred, rule: '', required: known.base };
  // Nearly every request: nothing of it has a say any more.
  if (known.decision !== undefined && labels.length === 0 && known.route.labels === undefined)
    return known.decision;
  return decideStanding(trust.policy, known, liveOf(input, trust, nowSeconds), message?.value);
};

/** What a decision was asked about. */
interface Asked {
  readonly standing: Standing;
  readonly input: DecisionInput;
  readonly approvals: LinkApprovals;
  readonly cached: boolean;
}

/** What is known of a request that policy itself would allow. */
const notesOf = (
  { rule, required, labels, flags, shadow }: Allowed,
  { input: { message }, cached }: Asked,
): Partial<Refusal> => ({
  rule,
  required,
  labels,
  flags,
  shadow,
  cached,
  ...(message?.ok && { message: message.value }),
});

const isObserved = ({ standing: { route }, input: { nowSeconds } }: Asked): boolean =>
  nowSeconds < (route.observeUntil ?? 0);

const MESSAGE = { what: 'message' } as const;

/** Whether the same chain may call another tool of the same server, as far as that is known without its arguments. */
export const callable = ({ input }: Permit): ((tool: string) => boolean) => {
  const { trust, delegated, nowSeconds } = input;
  const known = standing(input, delegated.approvals);
  if (!known.ok) return () => false;
  const live = liveOf(input, trust, nowSeconds);
  return (tool) => {
    const call: Message = {
      protocol: 'mcp',
      batch: false,
      operations: [operation('request', 'tools/call', { tool })],
    };
    const decision = decideStanding(trust.policy, known, live, call);
    return decision.ok
      ? proofDenial(known, input, decision.value) === undefined
      : decision.reason === 'rule_error';
  };
};

/** To keep it aside is for who would get it, and beyond the mesh nobody asks again. */
const NOBODY_BEHIND = 'what leaves the mesh is refused, not kept aside';

/** The body, where a rule holds it back until it was looked at; what it found, where it was. */
const lookAt = ({ route }: Standing, input: DecisionInput): Denial | Undecided | undefined => {
  const { content: rules } = input.trust.policy;
  const selection = rules.select('request', input.callee, route.name);
  const isOpaque = route.protocol === 'websocket' || (isEgress(route) && route.mode === 'tunnel');
  if (isOpaque)
    return [selection, rules.select('response', input.callee, route.name)].some((one) =>
      one?.rules.some(({ stops }) => stops),
    )
      ? deny(
          'content_unreadable',
          'a content rule is for this route, and nothing in a WebSocket or a tunnel is looked at',
        )
      : undefined;
  if (selection?.hold !== true) return undefined;
  const { content } = input;
  if (content === undefined)
    return { ...NOT_LOOKED_AT, wanted: { what: 'content', selection }, route, input };
  const { denial } = content;
  if (denial === undefined || (denial.action === 'quarantine' && isReleased(input))) return undefined;
  const { rule, detail } = denial;
  // What is too large to be looked at whole can't be kept either.
  if (denial.action === 'quarantine' && !isForAgent(input))
    return deny('content_denied', `content rule ${rule}: ${detail}; ${NOBODY_BEHIND}`);
  return denial.action === 'quarantine'
    ? deny('quarantined', `content rule ${rule} keeps this aside for review: ${detail}`)
    : denial;
};

/** A reviewer let it go, or it is the callee's sidecar that keeps things aside and not the caller's own. */
const isReleased = (input: DecisionInput): boolean => input.released === true || !hasLastWord(input);

const pointsFor = ({ route, facts }: Standing, { trust }: DecisionInput): readonly DecisionPointRule[] =>
  (trust.policy.policy.decisionPoints ?? []).filter(
    ({ routes, callees }) =>
      (routes === undefined || routes.includes(route.name)) &&
      (callees === undefined || isOneOf(callees, facts.callee)),
  );

/** Others that must permit it too, each operation for itself; what they said, where they were asked. */
const askPoints = (
  known: Standing,
  input: DecisionInput,
  allowed: Allowed,
): Denial | Undecided | undefined => {
  if (input.trust.policy.policy.decisionPoints === undefined) return undefined;
  const points = pointsFor(known, input);
  if (points.length === 0) return undefined;
  if (input.points !== undefined) return input.points.denial;
  const { trust, message, nowSeconds } = input;
  const live = liveOf(input, trust, nowSeconds);
  const asked: AskedPoint[] = [];
  for (const operation of message?.ok ? message.value.operations : [undefined]) {
    const question = pointInput(
      valuesOf(known.facts, live, known.route, allowed.labels, allowed.required, operation),
      live.size,
    );
    if (!question.ok) return question;
    for (const { point, path } of points) asked.push({ point, path, input: question.value });
  }
  return { ...NOT_ASKED, wanted: { what: 'points', asked }, route: known.route, input };
};

/** A refusal, unless its route is observed only and policy alone denies. What is not policy's holds all the same. */
const refuse = (found: DecisionDenial | Refusal, ask: Asked): Decision => {
  const { standing: known, input, approvals, cached } = ask;
  const denial =
    found.reason === 'quarantined' && !isForAgent(input)
      ? { ...found, ...deny('rule_denied', `${found.detail}; ${NOBODY_BEHIND}`) }
      : found;
  const { delegated, trust, nowSeconds, message } = input;
  const content = contentNotes(input);
  const opa = input.points?.notes ?? [];
  const refusal: Refusal = {
    cached,
    ...(message?.ok && { message: message.value }),
    ...denial,
    ...(content.length > 0 && { content }),
    ...(opa.length > 0 && { opa }),
  };
  if (!isObserved(ask) || !OBSERVED.has(denial.reason))
    return denial.reason === 'quarantined' ? ({ ...refusal, input } as Quarantined) : refusal;
  const { route, base } = known;
  const { rule = '', required = base, labels = input.labels ?? NO_LABELS, flags = [], shadow = [] } = denial;
  const { requestProof } = demandsOf(trust.policy.policy, required, labels);
  const demanded = { ...NOTHING_DEMANDED, requestProof };
  const allowed = { route, rule, required, labels, flags, shadow, demanded };
  // A rule that denies comes before what the chain itself forbids, and to observe is to look away from the rule alone.
  const ended =
    timeDenial(input, approvals, nowSeconds) ??
    proofDenial(known, input, allowed) ??
    checkCaveats(known, message?.ok ? message.value : undefined) ??
    demandDenial(delegated, allowed, trust, nowSeconds);
  if (ended !== undefined) return { ...refusal, ...ended };
  if (wantsToSign(input, allowed)) return wantBody(known, input);
  const { ok, reason, detail } = denial;
  return grant(permitOf(allowed, input, cached, [], { isLive: true, observed: { ok, reason, detail } }));
};

export const approvalRequired = (scopes: readonly ScopeLiteral[]) => ({
  ...deny('approval_required', `nobody has approved ${scopes.join(' ')}`),
  reason: 'approval_required' as const,
});

/** What time ends. The bundle's own end is not among it: a newer bundle takes its place (`TrustPort.current`). */
export const timeDenial = (
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
export const demandDenial = (
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
