/**
 * What a policy would have said of a decision that is on record. Where that hangs on something that no log holds, each way
 * that it may have been is tried; where they differ nothing is claimed.
 */
import type { Outcome } from '../../audit/record.ts';
import { canonicalJson } from '../../encoding/json.ts';
import type { ReasonCode } from '../../reasons.ts';
import { compileCondition, isCondition } from '../condition.ts';
import { checkDelegations } from '../delegation-rules.ts';
import { isOneOf } from '../destination.ts';
import {
  type CompiledPolicy,
  compilePolicy,
  decideStanding,
  type PolicyDecision,
  type Standing,
  standingOf,
  wantsMessage,
} from '../evaluate.ts';
import type { AccessRule, Policy, RouteRule } from '../model.ts';
import { OBSERVED } from '../observed.ts';
import { type CallerProof, checkCallerProof } from '../proofs.ts';
import { selects } from '../rules.ts';
import type { LiveFacts } from '../values.ts';
import { depthOf, messagesOf, type RecordedDecision, requestOf, unrecorded } from './recorded.ts';

export interface Judgement {
  readonly verdict: 'permit' | 'deny';
  readonly reason: Outcome;
  readonly rule: string;
}

export interface Replayed {
  /** `unknown`: it hangs on what no log holds. */
  readonly change: 'same' | 'denied' | 'permitted' | 'reason' | 'unknown';
  readonly was: Judgement;
  /** Where it is known. */
  readonly now: Judgement | undefined;
  readonly route: string;
  /** What would have to be known: attributes of conditions, `body`, `grant`, `decision point`, … */
  readonly missing: readonly string[];
}

/** Denials that policy alone makes, so that another one may make another. All others stay whatever policy says. */
const BY_POLICY: ReadonlySet<string> = new Set<ReasonCode>([
  'list_blocked',
  'list_not_allowed',
  'route_unmatched',
  'route_value',
  'operation_unmatched',
  'delegation_denied',
  'scope_missing',
  'scope_too_deep',
  'scope_too_long',
  'scope_foreign',
  'rule_denied',
  'rule_unmatched',
  'rule_error',
  'quarantined',
  'approval_required',
  'score_too_low',
  'request_proof_not_allowed',
]);
/** Denials by what a body held, or by somebody else: another policy might not have asked. */
const BY_BODY = /^(?:message|content|opa)_|^mcp_tool_changed$/;
/** Limits of chains: what didn't verify has no agents on record. */
const BY_LIMITS: ReadonlySet<string> = new Set<ReasonCode>([
  'chain_too_deep',
  'chain_agent_twice',
  'link_ttl',
]);

const readsOf = ({ when }: AccessRule): readonly string[] => {
  if (when === undefined) return [];
  const made = compileCondition(when);
  return isCondition(made) ? unrecorded(made.reads) : [];
};

/** Attributes that always have a value: there is no key that may be missing. */
const ALWAYS_THERE =
  /^(?:(?:caller|callee)\.score|principal\.(?:issuer|groups)|chain\.(?:purpose|age|remaining)|request\.size|a2a\.\w+)$/;

/** Whether a condition may be without a value, which denies, whatever its rule wants. */
const mayFail = ({ when = '' }: AccessRule, reads: readonly string[]): boolean =>
  !reads.every((name) => ALWAYS_THERE.test(name)) || /[/%[]/.test(when);

/** The policy as if whatever nobody can know of its conditions spoke for the request, or against it. */
const supposing = (policy: Policy, favour: boolean): Policy => ({
  ...policy,
  rules: policy.rules.map((rule): AccessRule => {
    const reads = readsOf(rule);
    if (reads.length === 0) return rule;
    const holds = (rule.effect === 'allow') === favour;
    if (!holds) return { ...rule, when: 'false' };
    const fails = rule.effect !== 'allow' && rule.shadow === undefined && mayFail(rule, reads);
    return { ...rule, when: undefined, ...(fails && { effect: 'deny' }) };
  }),
});

interface Ways {
  readonly policy: CompiledPolicy;
  readonly labels: readonly string[];
}

/** What one way that it may have been comes to. */
interface Found {
  readonly judgement: Judgement | undefined;
  readonly route: RouteRule | undefined;
  readonly missing: readonly string[];
}

/** A policy made ready to be held against records. */
export class Replay {
  readonly policy: Policy;
  private readonly ways: readonly Ways[];
  private readonly base: Policy | undefined;

  /**
   * `known`: labels that the log has; what routes give besides may or may not have been there. `base`: the policy under which
   * it was recorded: what both say in the same words is not asked about.
   */
  constructor(policy: Policy, known: ReadonlySet<string>, base?: Policy) {
    this.policy = policy;
    this.base = base;
    const given = [...policy.routes, ...(policy.egress ?? [])].flatMap(({ labels }) => [
      ...(labels?.request ?? []),
      ...(labels?.response ?? []),
    ]);
    const fresh = [...new Set(given)].filter((label) => !known.has(label));
    const policies = [supposing(policy, true), supposing(policy, false)].map((one) => compilePolicy(one));
    this.ways = policies.flatMap((one) =>
      (fresh.length === 0 ? [[]] : [[], fresh]).map((labels) => ({ policy: one, labels })),
    );
  }

  judge(record: RecordedDecision): Replayed {
    const was: Judgement = { verdict: record.verdict, reason: record.reason, rule: record.rule };
    const stays: Replayed = { change: 'same', was, now: was, route: '', missing: [] };
    const byBody = BY_BODY.test(record.reason);
    const asks = record.verdict === 'permit' || BY_POLICY.has(record.reason) || byBody;
    const request = requestOf(record);
    if (BY_LIMITS.has(record.reason)) return this.isSaid('limits') ? stays : unknown(stays, ['chain']);
    if (!asks || request === undefined) return stays;
    const found = this.ways.flatMap((way) => this.oneWay(way, record, request));
    const route = found[0]?.route;
    const said = { ...stays, route: route?.name ?? '' };
    const missing = new Set(found.flatMap((one) => one.missing));
    const [first, ...others] = found.map(({ judgement }) => judgement);
    if (first === undefined) return unknown(said, [...missing]);
    const isOne = others.every((other) => other?.verdict === first.verdict);
    // What was denied by its body is denied again, unless this policy would not have looked at it so.
    if (
      first.verdict === 'permit' &&
      isOne &&
      byBody &&
      !this.isSaid('content', 'decisionPoints', 'routes', 'egress')
    )
      missing.add('body');
    else if (first.verdict === 'permit' && isOne && byBody) return said;
    if (!isOne) {
      const reads = this.unknownReads(record, route);
      const isAmbiguous = route !== undefined && (messagesOf(record, route)?.length ?? 0) > 1;
      const otherwise = isAmbiguous ? 'what a name stands for' : 'data.labels';
      for (const name of reads.length === 0 ? [otherwise] : reads) missing.add(name);
    }
    const isKnown = isOne && (first.verdict === 'deny' || missing.size === 0);
    if (!isKnown)
      return this.isSaid(
        'rules',
        'routes',
        'egress',
        'demands',
        'content',
        'decisionPoints',
        'withoutSidecar',
        'lists',
        'delegation',
        'limits',
      )
        ? said
        : unknown(said, [...missing]);
    // That it is denied is sure; with which words isn't, where a condition may have had no value.
    const isWordForWord = others.every(
      (other) => other?.reason === first.reason && other.rule === first.rule,
    );
    if (
      was.verdict === 'deny' &&
      first.verdict === 'deny' &&
      (!isWordForWord || this.unknownReads(record, route).length > 0)
    )
      return said;
    return { ...said, now: first, change: changeOf(was, first) };
  }

  /** Whether the policy under which it was recorded says the same of these parts. */
  private isSaid(...parts: readonly (keyof Policy)[]): boolean {
    const { base, policy } = this;
    return (
      base !== undefined &&
      parts.every((part) => canonicalJson(base[part] ?? null) === canonicalJson(policy[part] ?? null))
    );
  }

  /** More than one, where the names of its operations may be meant in more than one way. */
  private oneWay(
    { policy, labels }: Ways,
    record: RecordedDecision,
    request: NonNullable<ReturnType<typeof requestOf>>,
  ): readonly Found[] {
    const beyond = this.limitDenial(record);
    if (beyond !== undefined) return [{ judgement: beyond, route: undefined, missing: [] }];
    const standing = standingOf(policy, request);
    if (!standing.ok)
      return [
        { judgement: judgementOf(standing, record, standing.route), route: standing.route, missing: [] },
      ];
    const { route } = standing;
    const messages = messagesOf(record, route);
    if (wantsMessage(standing) && messages === undefined)
      return [{ judgement: undefined, route, missing: ['body'] }];
    return (messages ?? [undefined]).map((message) => {
      const decision = decideStanding(policy, standing, liveOf(record, labels), message);
      const judgement = this.callerDenial(decision, standing, record) ?? judgementOf(decision, record, route);
      const missing = decision.ok ? this.notRecorded(decision.value, standing, record) : [];
      return { judgement, route, missing };
    });
  }

  /** Whether it may come without a sidecar, if it did. A proof on top of the handshake its sidecar would have made. */
  private callerDenial(
    decision: PolicyDecision,
    { route, facts, base }: Standing,
    record: RecordedDecision,
  ): Judgement | undefined {
    if (record.direction === 'outbound') return undefined;
    const required = decision.ok ? decision.value.required : base;
    const { callee } = facts;
    const who = { caller: facts.chain.holder.id, callee, route: route.name, required };
    const denial = checkCallerProof(this.policy, proofOf(record), who);
    return denial && denied(denial.reason, decision.ok ? decision.value.rule : '');
  }

  /** Limits that a chain must keep; how long its links live is not on record. */
  private limitDenial(record: RecordedDecision): Judgement | undefined {
    const { maxDepth, callbacks } = this.policy.limits;
    const ids = record.agents.map(({ id }) => id).filter((id, at, all) => id !== all[at - 1]);
    if (depthOf(record) > maxDepth) return denied('chain_too_deep');
    return !callbacks && new Set(ids).size < ids.length ? denied('chain_agent_twice') : undefined;
  }

  /** What a permit hangs on besides. */
  private notRecorded(
    { demanded }: Extract<PolicyDecision, { ok: true }>['value'],
    { route, facts }: Standing,
    record: RecordedDecision,
  ): readonly string[] {
    const { content = [], decisionPoints = [], delegation } = this.policy;
    const missing: string[] = [];
    const isAbout = (one: {
      readonly routes: readonly string[] | undefined;
      readonly callees: RouteRule['callees'];
    }) =>
      (one.routes?.includes(route.name) ?? true) &&
      (one.callees === undefined || isOneOf(one.callees, facts.callee));
    if (demanded.minScore > 0 && !this.isSaid('demands')) missing.push('caller.score');
    if (Number.isFinite(demanded.maxLinkTtlSeconds) && !this.isSaid('demands')) missing.push('life of links');
    if (Number.isFinite(demanded.maxStalenessSeconds) && !this.isSaid('demands'))
      missing.push('age of trust');
    const holds = content.some(
      (rule) =>
        rule.action !== 'flag' &&
        rule.shadow === undefined &&
        rule.directions.includes('request') &&
        isAbout(rule),
    );
    if (holds && !this.isSaid('content')) missing.push('body');
    if (decisionPoints.some(isAbout) && !this.isSaid('decisionPoints')) missing.push('decision point');
    // Whether a grant came with it is not on record either.
    const onward = {
      links: [facts.chain.leaf, { delegatee: facts.callee }],
    } as unknown as typeof facts.chain;
    if (record.direction === 'inbound' && checkDelegations(delegation, onward) && !this.isSaid('delegation'))
      missing.push('grant');
    return missing;
  }

  private unknownReads(record: RecordedDecision, route: RouteRule | undefined): readonly string[] {
    const request = requestOf(record);
    if (request === undefined || route === undefined) return [];
    return this.policy.rules
      .filter((rule) => selects(rule, request.chain, request.callee, route.name))
      .flatMap(readsOf);
  }
}

const unknown = (said: Replayed, missing: readonly string[]): Replayed => ({
  ...said,
  change: 'unknown',
  now: undefined,
  missing: [...new Set(missing)].sort(),
});

const proofOf = ({ proof = 'none' }: RecordedDecision): CallerProof => (proof === 'none' ? 'session' : proof);

const denied = (reason: ReasonCode, rule = ''): Judgement => ({ verdict: 'deny', reason, rule });

const liveOf = (record: RecordedDecision, more: readonly string[]): LiveFacts => ({
  nowSeconds: Math.floor(record.time / 1000),
  score: () => 0,
  headers: () => ({}),
  size: -1,
  labels: [...new Set([...(record.labels ?? []), ...more])],
  released: record.direction === 'outbound' && record.destination === undefined,
});

const isApproved = ({ approvals = [] }: RecordedDecision): boolean =>
  approvals.some(({ approver }) => approver !== '');

/** With what the path does to a decision of policy: observation, approval. */
const judgementOf = (
  decision: PolicyDecision,
  record: RecordedDecision,
  route: RouteRule | undefined,
): Judgement => {
  if (!decision.ok) {
    const { reason, rule } = decision as typeof decision & { readonly rule: string };
    const isObserved = record.time / 1000 < (route?.observeUntil ?? 0) && OBSERVED.has(reason);
    return isObserved ? { verdict: 'permit', reason: 'ok', rule } : denied(reason, rule);
  }
  const { rule, demanded } = decision.value;
  const asksHere = record.direction === 'inbound' || record.destination !== undefined;
  if (demanded.approval.length > 0 && asksHere && !isApproved(record))
    return denied('approval_required', rule);
  return { verdict: 'permit', reason: 'ok', rule };
};

const changeOf = (was: Judgement, now: Judgement): Replayed['change'] => {
  if (was.verdict === 'permit') return now.verdict === 'permit' ? 'same' : 'denied';
  if (now.verdict === 'permit') return 'permitted';
  return was.reason === now.reason ? 'same' : 'reason';
};
