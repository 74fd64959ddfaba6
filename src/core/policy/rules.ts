/** What the rules of a policy say of one request, or of one operation of its message (SPEC.md section 13). */
import type { VerifiedChain } from '../delegation/model.ts';
import { isCovered, type ScopeLiteral } from '../delegation/scope.ts';
import { type AgentId, agentTypeOf, idMatches } from '../spiffe-id.ts';
import { type Denial, deny } from '../verdict.ts';
import type { Values } from './condition.ts';
import { type Callee, isOneOf } from './destination.ts';
import type { AccessRule, Effect } from './model.ts';
import type { CompiledRule } from './rule-index.ts';

/** A rule in shadow mode that would have decided. */
export interface ShadowNote {
  readonly rule: string;
  readonly effect: Effect | 'error';
}

/** What rules add to a decision without making it. */
export interface RuleNotes {
  readonly flags: readonly string[];
  readonly shadow: readonly ShadowNote[];
}

export interface RuleVerdict extends RuleNotes {
  /** Of the rule that decided; '' where none did. */
  readonly rule: string;
  /** A rule denies, none allows, or one has no value. */
  readonly denial: Denial | undefined;
  /** A rule that wants it kept aside. */
  readonly quarantine: boolean;
  /** A rule that wants a human's word. */
  readonly approve: boolean;
}

/** An allow looks at the caller. All else looks at every agent of the chain, or a denied agent would act through another. */
const anyActing = (
  { effect }: AccessRule,
  { holder, links }: VerifiedChain,
  is: (id: AgentId) => boolean,
): boolean => (effect === 'allow' ? is(holder.id) : links.some((link) => is(link.delegatee)));

/** Everything of a rule that stays the same while chain, callee and route do. */
export const selects = (
  { callers, callerTypes, callees, principals, routes, ...rule }: AccessRule,
  chain: VerifiedChain,
  callee: Callee,
  route: string,
): boolean => {
  const whole = rule as AccessRule;
  if (callers !== undefined && !anyActing(whole, chain, (id) => callers.some((one) => idMatches(one, id))))
    return false;
  if (callerTypes !== undefined && !anyActing(whole, chain, (id) => callerTypes.includes(agentTypeOf(id))))
    return false;
  if (callees !== undefined && !isOneOf(callees, callee)) return false;
  if (principals !== undefined && !principals.includes(chain.principal)) return false;
  return routes === undefined || routes.includes(route);
};

const selectsScopes = ({ effect, scopes }: AccessRule, required: readonly ScopeLiteral[]): boolean => {
  if (scopes === undefined) return true;
  return effect === 'allow'
    ? required.every((scope) => isCovered(scopes, scope))
    : required.some((scope) => isCovered(scopes, scope));
};

/** Whether a rule, of which all else matches, holds; undefined when its condition has no value. */
const holds = ({ condition }: CompiledRule, values: () => Values): boolean | undefined =>
  condition === undefined ? true : condition.evaluate(values());

const NO_FLAGS: readonly string[] = [];
const NO_SHADOWS: readonly ShadowNote[] = [];

/**
 * Deny over quarantine over approve over allow, in whatever order they stand; of several the first gives its name. A condition
 * without a value: a deny, quarantine, approve or flag then denies, since it may have wanted to; an allow doesn't allow, and
 * denies when no other does. So no rule vanishes, and taking an allow away never allows more.
 */
export const applyRules = (
  rules: readonly CompiledRule[],
  required: readonly ScopeLiteral[],
  values: () => Values,
  caller: AgentId,
  route: string,
): RuleVerdict => {
  const first: Partial<Record<Effect | 'error' | 'idle', AccessRule>> = {};
  let flags = NO_FLAGS;
  let shadow = NO_SHADOWS;
  for (const compiled of rules) {
    const { rule } = compiled;
    const { effect, name } = rule;
    if (effect === 'allow' && first.allow !== undefined && rule.shadow === undefined) continue;
    if (!selectsScopes(rule, required)) continue;
    const held = holds(compiled, values);
    if (held === false) continue;
    if (rule.shadow !== undefined) shadow = [...shadow, { rule: name, effect: held ? effect : 'error' }];
    else if (held === undefined) first[effect === 'allow' ? 'idle' : 'error'] ??= rule;
    else if (effect === 'flag') flags = [...flags, name];
    else first[effect] ??= rule;
  }
  const notes = { flags, shadow, quarantine: false, approve: false };
  const denied = (rule: AccessRule | undefined, denial: Denial): RuleVerdict => ({
    ...notes,
    rule: rule?.name ?? '',
    denial,
  });
  if (first.deny !== undefined)
    return denied(first.deny, deny('rule_denied', `rule ${first.deny.name} denies this`));
  const broken = first.error ?? (first.allow === undefined ? first.idle : undefined);
  if (broken !== undefined)
    return denied(broken, deny('rule_error', `the condition of rule ${broken.name} has no value here`));
  if (first.allow === undefined)
    return denied(undefined, deny('rule_unmatched', `no rule allows ${caller} route ${route}`));
  const { quarantine, approve, allow } = first;
  return {
    ...notes,
    rule: (quarantine ?? approve ?? allow).name,
    denial: undefined,
    quarantine: quarantine !== undefined,
    approve: approve !== undefined,
  };
};
