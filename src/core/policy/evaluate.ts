/** Evaluation of a request against lists, routes, scopes, rules and caveats (SPEC.md section 13). Default deny; deny overrides. */

import { evaluateCaveats } from '../delegation/caveats.ts';
import type { VerifiedChain } from '../delegation/chain.ts';
import type { LinkApprovals } from '../delegation/link-approvals.ts';
import { isCovered, type ScopeLiteral } from '../delegation/scope.ts';
import { type AgentId, agentTypeOf, idMatches } from '../spiffe-id.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import { type Demanded, demandsOf } from './demands.ts';
import type { AccessRule, Policy, PolicyLists } from './model.ts';
import { RouteTable } from './routes.ts';

/** Lists made ready to be asked: they may be long, and every agent of a chain is looked up in each. */
export interface CompiledLists {
  /** Empty: there is no allowlist. */
  readonly allowAgents: ReadonlySet<string>;
  readonly blockAgents: ReadonlySet<string>;
  readonly blockPrincipals: ReadonlySet<string>;
}

export const compileLists = ({ allowAgents, blockAgents, blockPrincipals }: PolicyLists): CompiledLists => ({
  allowAgents: new Set(allowAgents),
  blockAgents: new Set(blockAgents),
  blockPrincipals: new Set(blockPrincipals),
});

/** A policy made ready to be asked. */
export interface CompiledPolicy {
  readonly policy: Policy;
  /** The policy's own, and those of the bundle: an agent has to pass each. */
  readonly lists: readonly CompiledLists[];
  readonly routes: RouteTable;
}

export const compilePolicy = (policy: Policy, lists?: PolicyLists): CompiledPolicy => ({
  policy,
  lists: (lists === undefined ? [policy.lists] : [policy.lists, lists]).map(compileLists),
  routes: new RouteTable(policy.routes),
});

export interface DecisionRequest {
  readonly callee: AgentId;
  readonly method: string;
  /** Canonical, without query. */
  readonly path: string;
  readonly tool: string | undefined;
  readonly chain: VerifiedChain;
  /** Of the chain; without them an approval that it carries does not hold. */
  readonly approvals?: LinkApprovals;
}

/** What policy says yes to. */
export interface Allowed {
  readonly route: string;
  readonly rule: string;
  readonly required: readonly ScopeLiteral[];
  /** What the required scopes demand besides; time decides whether it is met. */
  readonly demanded: Demanded;
}

/** A denial with what was known when it fell, for the audit. */
export interface DecisionDenial extends Denial {
  readonly rule: string;
  readonly required: readonly ScopeLiteral[];
}

export type PolicyDecision = Verdict<Allowed> | DecisionDenial;

/** An ID is matched by itself and by the one pattern that has `*` in place of its last segment (SPEC.md section 3). */
const listed = (patterns: ReadonlySet<string>, id: AgentId): boolean =>
  patterns.has(id) || patterns.has(`${id.slice(0, id.lastIndexOf('/'))}/*`);

/** Lists alone: the callee of an outbound hop, the agents of a chain. Refuses with `list_*`. */
export const checkAgentLists = (lists: CompiledLists, id: AgentId): Denial | undefined => {
  if (listed(lists.blockAgents, id)) return deny('list_blocked', `${id} is on the blocklist`);
  if (lists.allowAgents.size > 0 && !listed(lists.allowAgents, id))
    return deny('list_not_allowed', `${id} is not on the allowlist`);
  return undefined;
};

const checkLists = (lists: CompiledLists, { chain, callee }: DecisionRequest): Denial | undefined => {
  if (lists.blockPrincipals.has(chain.principal))
    return deny('list_blocked', `${chain.principal} is on the blocklist`);
  if (lists.blockAgents.size + lists.allowAgents.size === 0) return undefined;
  for (const link of chain.links) {
    const denial = checkAgentLists(lists, link.delegatee);
    if (denial !== undefined) return denial;
  }
  return checkAgentLists(lists, callee);
};

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

/** An allow looks at the caller. A deny looks at every agent of the chain, or a denied agent would act through another. */
const anyActing = (
  { effect }: AccessRule,
  { holder, links }: VerifiedChain,
  is: (id: AgentId) => boolean,
): boolean => (effect === 'allow' ? is(holder.id) : links.some((link) => is(link.delegatee)));

const ruleMatches = (
  rule: AccessRule,
  request: DecisionRequest,
  route: string,
  required: readonly ScopeLiteral[],
): boolean => {
  const { callers, callerTypes, callees, principals, scopes, routes } = rule;
  if (
    callers !== undefined &&
    !anyActing(rule, request.chain, (id) => callers.some((pattern) => idMatches(pattern, id)))
  )
    return false;
  if (
    callerTypes !== undefined &&
    !anyActing(rule, request.chain, (id) => callerTypes.includes(agentTypeOf(id)))
  )
    return false;
  if (callees !== undefined && !callees.some((pattern) => idMatches(pattern, request.callee))) return false;
  if (principals !== undefined && !principals.includes(request.chain.principal)) return false;
  if (routes !== undefined && !routes.includes(route)) return false;
  if (scopes === undefined) return true;
  return rule.effect === 'allow'
    ? required.every((scope) => isCovered(scopes, scope))
    : required.some((scope) => isCovered(scopes, scope));
};

/**
 * Decides what holds for one (policy, chain, callee, method, path), whenever it is asked: time, revocation and counted uses are
 * the caller's to check on every request. Refuses with `list_*`, `route_*`, `scope_missing`, `rule_*`, `caveat_*`, `approval_invalid`.
 */
export const evaluatePolicy = (
  { policy, lists, routes }: CompiledPolicy,
  request: DecisionRequest,
): PolicyDecision => {
  for (const one of lists) {
    const barred = checkLists(one, request);
    if (barred !== undefined) return { ...barred, rule: '', required: [] };
  }
  const match = routes.match(request.callee, request.method, request.path);
  if (!match.ok) return { ...match, rule: '', required: [] };
  const { route, required } = match.value;
  const missing = checkScopes(required, request.chain);
  if (missing !== undefined) return { ...missing, rule: '', required };

  let allow: AccessRule | undefined;
  for (const rule of policy.rules) {
    if (rule.effect === 'allow' && allow !== undefined) continue;
    if (!ruleMatches(rule, request, route, required)) continue;
    if (rule.effect === 'deny')
      return { ...deny('rule_denied', `rule ${rule.name} denies this`), rule: rule.name, required };
    allow = rule;
  }
  if (allow === undefined)
    return {
      ...deny('rule_unmatched', `no rule allows ${request.chain.holder.id} route ${route}`),
      rule: '',
      required,
    };
  const caveat = evaluateCaveats(request.chain.leaf.caveats, request);
  if (caveat !== undefined) return { ...caveat, rule: allow.name, required };
  return grant({ route, rule: allow.name, required, demanded: demandsOf(policy, required) });
};
