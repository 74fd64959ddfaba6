/**
 * Evaluation of a request against lists, routes, delegations, scopes, rules, caveats and demands (SPEC.md section 13). Default
 * deny; deny overrides. In two steps: what stands as long as policy, chain, callee, method and target are the same, and what
 * has to be looked at on every request.
 */

import { type CompiledContent, compileContent } from '../content/compile.ts';
import { evaluateCaveats } from '../delegation/caveats.ts';
import type { LinkApprovals } from '../delegation/link-approvals.ts';
import type { VerifiedChain } from '../delegation/model.ts';
import { isCovered, type ScopeLiteral } from '../delegation/scope.ts';
import { type Message, type Operation, readsMessages } from '../message/message.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import type { Values } from './condition.ts';
import { checkDelegations } from './delegation-rules.ts';
import { checkShape, type Demanded, demandsOf } from './demands.ts';
import { type CompiledLists, checkLists, compileLists } from './lists.ts';
import type { Policy, PolicyLists, RouteRule } from './model.ts';
import { operationScopes, toolOf } from './operations.ts';
import { RouteTable } from './routes.ts';
import { type CompiledRule, RuleIndex } from './rule-index.ts';
import { applyRules, type RuleNotes, type ShadowNote, selects } from './rules.ts';
import { type LiveFacts, type StandingFacts, valuesOf } from './values.ts';

/** A policy made ready to be asked. */
export interface CompiledPolicy {
  readonly policy: Policy;
  /** The policy's own, and those of the bundle: an agent has to pass each. */
  readonly lists: readonly CompiledLists[];
  readonly routes: RouteTable;
  readonly rules: RuleIndex;
  readonly content: CompiledContent;
}

export const compilePolicy = (policy: Policy, lists?: PolicyLists): CompiledPolicy => ({
  policy,
  lists: (lists === undefined ? [policy.lists] : [policy.lists, lists]).map(compileLists),
  routes: new RouteTable([...policy.routes, ...(policy.egress ?? [])]),
  rules: new RuleIndex(policy.rules),
  content: compileContent(policy.content ?? []),
});

export interface StandingRequest extends StandingFacts {
  /** The chain with the grant, where there is one: its last edge is a delegation too. */
  readonly granted?: VerifiedChain | undefined;
  /** Of the chain; without them an approval that it carries does not hold. */
  readonly approvals?: LinkApprovals;
}

/** What policy says yes to. */
export interface Allowed extends RuleNotes {
  readonly route: RouteRule;
  readonly rule: string;
  readonly required: readonly ScopeLiteral[];
  /** What the required scopes demand besides; time decides whether it is met. */
  readonly demanded: Demanded;
  /** Of the data: of the request, and of what the task has touched before. */
  readonly labels: readonly string[];
}

/** A denial with what was known when it fell, for the audit. */
export interface DecisionDenial extends Denial {
  readonly rule: string;
  readonly required: readonly ScopeLiteral[];
  readonly route?: RouteRule;
  readonly flags?: readonly string[];
  readonly shadow?: readonly ShadowNote[];
  readonly labels?: readonly string[];
}

export type PolicyDecision = Verdict<Allowed> | DecisionDenial;

/** What is known before anything that may differ from request to request is looked at. */
export interface Standing {
  readonly ok: true;
  readonly route: RouteRule;
  readonly facts: StandingRequest;
  readonly values: ReadonlyMap<string, string>;
  /** What the route requires, whatever the body says. */
  readonly base: readonly ScopeLiteral[];
  /** Rules that match so far; what is left of them are scopes and conditions. */
  readonly rules: readonly CompiledRule[];
  /** The decision, where nothing else has a say in it. */
  readonly decision: PolicyDecision | undefined;
}

const denied = (denial: Denial, known: Partial<DecisionDenial> = {}): DecisionDenial => ({
  rule: '',
  required: [],
  ...known,
  ...denial,
});

/** Each required scope against **each** link, so that a fault in narrowing can't widen authority. */
const checkScopes = (required: readonly ScopeLiteral[], chain: VerifiedChain): Denial | undefined => {
  for (const scope of required) {
    for (const [index, link] of chain.links.entries()) {
      if (!isCovered(link.scope, scope))
        return deny(
          'scope_missing',
          `${scope} is required, link ${index} (${link.delegatee}) does not hold it`,
        );
    }
  }
  return undefined;
};

/** Nothing that differs from request to request: conditions that need it are not asked. */
const NOTHING_LIVE: LiveFacts = {
  nowSeconds: 0,
  score: () => 0,
  headers: () => ({}),
  size: -1,
  labels: [],
  released: false,
};

/** Rules with a condition that stands are decided here: they hold from now on, or are gone. */
const standingRules = (
  rules: readonly CompiledRule[],
  request: StandingRequest,
  route: RouteRule,
): readonly CompiledRule[] => {
  let values: Values | undefined;
  return rules.flatMap((compiled) => {
    const { rule, condition } = compiled;
    if (!selects(rule, request.chain, request.callee, route.name)) return [];
    if (condition?.lasts !== 'standing') return [compiled];
    values ??= valuesOf(request, NOTHING_LIVE, route, [], [], undefined);
    const held = condition.evaluate(values);
    if (held === false) return [];
    return held === undefined ? [compiled] : [{ ...compiled, condition: undefined }];
  });
};

/**
 * What holds for one (policy, chain, callee, method, target), whenever it is asked: time, revocation and counted uses are
 * the caller's to check on every request. Refuses with `list_*`, `route_*`, `delegation_denied`; where a decision follows from
 * this alone it stands in `decision`.
 */
export const standingOf = (compiled: CompiledPolicy, request: StandingRequest): Standing | DecisionDenial => {
  const { policy, lists, routes } = compiled;
  const { chain, callee, method, path } = request;
  for (const one of lists) {
    const barred = checkLists(one, chain, callee);
    if (barred !== undefined) return denied(barred);
  }
  const match = routes.match(callee, method, path);
  if (!match.ok) return denied(match);
  const { rule: route, values, required: base } = match.value;
  const candidates = compiled.rules.candidates({
    route: route.name,
    callee,
    principal: chain.principal,
    caller: chain.holder.id,
    agents: chain.links.map(({ delegatee }) => delegatee),
  });
  const rules = standingRules(candidates, request, route);
  const standing: Standing = { ok: true, route, facts: request, values, base, rules, decision: undefined };
  const edge = checkDelegations(policy.delegation, request.granted ?? chain);
  if (edge !== undefined) return { ...standing, decision: denied(edge, { required: base, route }) };
  const isWhole =
    !readsMessages(route.protocol) &&
    !policy.demands.some(({ labels }) => labels !== undefined) &&
    rules.every(
      ({ rule, condition }) =>
        rule.effect !== 'quarantine' && (condition === undefined || condition.lasts === 'standing'),
    );
  return isWhole
    ? { ...standing, decision: decideItem(compiled, standing, NOTHING_LIVE, undefined) }
    : standing;
};

/** Whether the body has to be read before anything can be decided. */
export const wantsMessage = ({ route, decision }: Standing): boolean =>
  decision === undefined && readsMessages(route.protocol);

/**
 * Decides one request by what stands and what is now. `message` is there where {@link wantsMessage} said so; every operation
 * of it has to be permitted. Refuses with `operation_unmatched`, `route_value`, `scope_*`, `rule_*`, `caveat_*`,
 * `approval_invalid`, `quarantined`.
 */
export const decideStanding = (
  compiled: CompiledPolicy,
  standing: Standing,
  live: LiveFacts,
  message: Message | undefined,
): PolicyDecision => {
  const { decision } = standing;
  if (decision !== undefined) return withLabels(decision, standing, live);
  if (message === undefined) return decideItem(compiled, standing, live, undefined);
  const items: Allowed[] = [];
  let aside: DecisionDenial | undefined;
  for (const [index, operation] of message.operations.entries()) {
    const item = decideItem(compiled, standing, live, operation);
    if (item.ok) {
      items.push(item.value);
      continue;
    }
    const denial = (
      message.batch ? { ...item, detail: `item ${index + 1} of the batch: ${item.detail}` } : item
    ) as DecisionDenial;
    // What is kept aside may be released: not a batch of which another item is refused outright.
    if (denial.reason !== 'quarantined') return denial;
    aside ??= denial;
  }
  if (aside !== undefined) return aside;
  return joinItems(compiled, items);
};

/** What was decided without the labels of this request says so with them. */
const withLabels = (decision: PolicyDecision, { route }: Standing, live: LiveFacts): PolicyDecision => {
  const labels = labelsOf(route, live);
  if (labels.length === 0) return decision;
  return decision.ok ? grant({ ...decision.value, labels }) : ({ ...decision, labels } as DecisionDenial);
};

const labelsOf = ({ labels }: RouteRule, live: LiveFacts): readonly string[] => {
  const own = labels?.request ?? [];
  if (own.length === 0) return live.labels;
  return live.labels.length === 0 ? own : [...new Set([...live.labels, ...own])];
};

/** All items were allowed: what each requires and demands is required and demanded of the whole. */
const joinItems = ({ policy }: CompiledPolicy, items: readonly Allowed[]): PolicyDecision => {
  const [first, ...others] = items;
  if (first === undefined) return denied(deny('message_malformed', 'the message has no operation'));
  if (others.length === 0) return grant(first);
  const required = [...new Set(items.flatMap((item) => item.required))];
  const approval = new Set(items.flatMap(({ demanded }) => demanded.approval));
  const demanded = demandsOf(policy, required, first.labels);
  return grant({
    ...first,
    required,
    demanded: { ...demanded, approval: required.filter((scope) => approval.has(scope)) },
    flags: [...new Set(items.flatMap(({ flags }) => flags))],
    shadow: shadowsOf(items),
  });
};

/** Each once: a batch may have many items, and a policy many rules in shadow. */
const shadowsOf = (items: readonly Allowed[]): readonly ShadowNote[] => {
  const notes = new Map(
    items.flatMap(({ shadow }) => shadow).map((note) => [`${note.effect} ${note.rule}`, note]),
  );
  return [...notes.values()];
};

const caveatDenial = (
  { chain, callee, path, approvals }: StandingRequest,
  { protocol }: RouteRule,
  operation: Operation | undefined,
): Denial | undefined =>
  evaluateCaveats(chain.leaf.caveats, {
    callee,
    path,
    tool: toolOf(operation, protocol),
    ...(approvals === undefined ? {} : { approvals }),
  });

/**
 * What the chain itself forbids, whatever policy says: for all operations of the message, or of one that nobody could read.
 * Refuses with `caveat_*`, `approval_invalid`.
 */
export const checkCaveats = (
  { facts, route }: Standing,
  message: Message | undefined,
): Denial | undefined => {
  for (const operation of message?.operations ?? [undefined]) {
    const denial = caveatDenial(facts, route, operation);
    if (denial !== undefined) return denial;
  }
  return undefined;
};

const decideItem = (
  { policy }: CompiledPolicy,
  { route, facts, values, base, rules }: Standing,
  live: LiveFacts,
  operation: Operation | undefined,
): PolicyDecision => {
  const { chain, callee } = facts;
  const labels = labelsOf(route, live);
  let required = base;
  if (operation !== undefined) {
    const scopes = operationScopes(route, operation, values);
    if (!scopes.ok) return denied(scopes, { required, route, labels });
    required = scopes.value.length === 0 ? base : [...new Set([...base, ...scopes.value])];
    if (required.length === 0)
      return denied(deny('route_value', `route ${route.name} yields no scope`), { route, labels });
  }
  const missing = checkScopes(required, chain);
  if (missing !== undefined) return denied(missing, { required, route, labels });
  let made: Values | undefined;
  const environment = (): Values => {
    made ??= valuesOf(facts, live, route, labels, required, operation);
    return made;
  };
  const ruled = applyRules(rules, required, environment, chain.holder.id, route.name);
  const { rule, flags, shadow } = ruled;
  const known = { rule, required, route, flags, shadow, labels };
  if (ruled.denial !== undefined) return denied(ruled.denial, known);
  const caveat = caveatDenial(facts, route, operation);
  if (caveat !== undefined) return denied(caveat, known);
  const demanded = demandsOf(policy, required, labels);
  const shape = checkShape(demanded, chain, callee);
  if (shape !== undefined) return denied(shape, known);
  if (ruled.quarantine && !live.released)
    return denied(deny('quarantined', `rule ${rule} keeps this aside for review`), known);
  return grant({
    ...known,
    demanded: ruled.approve ? { ...demanded, approval: required } : demanded,
  });
};
