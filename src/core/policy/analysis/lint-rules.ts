/** Rules that can't match, that others make superfluous, or that say more than they seem to. */
import type { FaultPath } from '../fault.ts';
import type { AccessRule, Policy } from '../model.ts';
import { isEgress } from '../routes.ts';
import { constantOf } from './constant.ts';
import { type Finding, fault, warning } from './finding.ts';
import { mayCover, mustCover, type RequiredScope } from './required-scope.ts';
import { idsCover, idsMeet, namesCover, scopesCover, takesPart, typeOfPattern } from './selector-sets.ts';
import { alternatives, scopesOf, type Target, targetsOf } from './targets.ts';

const SELECTORS = ['callers', 'callerTypes', 'callees', 'principals', 'scopes', 'routes', 'when'] as const;

const isAllow = ({ effect }: AccessRule): boolean => effect === 'allow';

const onRoute = (rule: AccessRule, { route }: Target): boolean =>
  (rule.routes === undefined || rule.routes.includes(route.name)) &&
  (isEgress(route) ? rule.callees === undefined : idsMeet(rule.callees, route.callees));

const coveredByOne = ({ scopes }: AccessRule, scope: RequiredScope): boolean =>
  scopes === undefined || scopes.some((pattern) => mayCover(pattern, scope));

/** An allow has to cover all that is required, of each scope of an operation at least one that it may become. */
const byScope = (rule: AccessRule, target: Target): boolean =>
  isAllow(rule)
    ? target.base.every((scope) => coveredByOne(rule, scope)) &&
      alternatives(target).every((some) => some.some((scope) => coveredByOne(rule, scope)))
    : rule.scopes === undefined || scopesOf(target).some((scope) => coveredByOne(rule, scope));

/** Whether some request of a target may match a rule, as far as route, callee and scopes go. */
const mayMatch = (rule: AccessRule, target: Target): boolean =>
  onRoute(rule, target) && byScope(rule, target);

const some = <T>(list: readonly T[] | undefined, is: (one: T) => boolean): boolean =>
  list === undefined || list.some(is);

/** Why no request can match a rule, as a sentence; `undefined` when one may. */
export const deadBecause = (
  rule: AccessRule,
  { lists }: Policy,
  targets: readonly Target[],
): string | undefined => {
  const { callers, callerTypes, callees, principals } = rule;
  const isOfType = (types: readonly string[]) => callers?.some((one) => types.includes(typeOfPattern(one)));
  // Of a deny different agents of the chain may be meant.
  if (isAllow(rule) && callers !== undefined && callerTypes !== undefined && !isOfType(callerTypes))
    return 'none of its callers is of one of its callerTypes';
  if (!some(callers, (one) => takesPart(lists, one)))
    return 'the lists of this policy let none of its callers take part';
  if (!some(callees, (one) => takesPart(lists, one)))
    return 'the lists of this policy let none of its callees take part';
  if (!some(principals, (one) => !lists.blockPrincipals.includes(one)))
    return 'all of its principals are on the blocklist of this policy';
  if (!targets.some((target) => onRoute(rule, target)))
    return rule.routes === undefined
      ? 'no route is for one of its callees'
      : 'none of its routes is for one of its callees';
  if (targets.some((target) => mayMatch(rule, target))) return undefined;
  return isAllow(rule)
    ? 'no route that it is about requires nothing but what its scopes cover'
    : 'no route that it is about requires a scope that one of its scopes covers';
};

/** Whether a rule matches whatever another one matches, by their selectors alone. */
const selectsAll = (wide: AccessRule, narrow: AccessRule): boolean => {
  const types = narrow.callerTypes ?? narrow.callers?.map(typeOfPattern);
  return (
    idsCover(wide.callers, narrow.callers) &&
    namesCover(wide.callerTypes, types) &&
    idsCover(wide.callees, narrow.callees) &&
    namesCover(wide.principals, narrow.principals) &&
    namesCover(wide.routes, narrow.routes)
  );
};

const DECIDES = (rule: AccessRule): boolean => rule.shadow === undefined;
const ALWAYS = (rule: AccessRule): boolean => rule.when === undefined;

/** Another rule of the same effect that makes this one superfluous. Of two that are equal it is the later. */
const shadowOf = (rules: readonly AccessRule[], at: number): AccessRule | undefined => {
  const rule = rules[at];
  if (rule === undefined || rule.effect === 'flag' || !DECIDES(rule)) return undefined;
  const isWider = (other: AccessRule): boolean =>
    other.effect === rule.effect &&
    DECIDES(other) &&
    ALWAYS(other) &&
    selectsAll(other, rule) &&
    scopesCover(other.scopes, rule.scopes);
  return rules.find(
    (other, index) => index !== at && isWider(other) && !(index > at && ALWAYS(rule) && isEqual(other, rule)),
  );
};

const isEqual = (a: AccessRule, b: AccessRule): boolean =>
  selectsAll(a, b) && selectsAll(b, a) && scopesCover(a.scopes, b.scopes) && scopesCover(b.scopes, a.scopes);

/** A deny that matches whatever an allow does. */
const hiderOf = (
  allow: AccessRule,
  rules: readonly AccessRule[],
  targets: readonly Target[],
): AccessRule | undefined => {
  if (!isAllow(allow) || !DECIDES(allow)) return undefined;
  const matched = targets.filter((target) => mayMatch(allow, target));
  return rules.find(
    (deny) =>
      deny.effect === 'deny' &&
      DECIDES(deny) &&
      ALWAYS(deny) &&
      selectsAll(deny, allow) &&
      matched.length > 0 &&
      matched.every((target) => deniesAll(deny, target)),
  );
};

const deniesAll = ({ scopes }: AccessRule, target: Target): boolean =>
  scopes === undefined ||
  scopesOf(target).some((scope) => scopes.some((pattern) => mustCover(pattern, scope)));

const idleScopes = function* (
  rule: AccessRule,
  path: FaultPath,
  targets: readonly Target[],
): Iterable<Finding> {
  const { scopes = [] } = rule;
  const about = targets.filter((target) => onRoute(rule, target)).flatMap(scopesOf);
  for (const [at, pattern] of scopes.entries())
    if (!about.some((scope) => mayCover(pattern, scope)))
      yield warning(
        'scope_idle',
        [...path, 'scopes', at],
        `"${pattern}" covers no scope that a route of this rule requires: take it out, or write it as the routes do`,
      );
};

const conditionFinding = (rule: AccessRule, path: FaultPath): Finding | undefined => {
  const constant = rule.when === undefined ? undefined : constantOf(rule.when);
  if (constant === undefined) return undefined;
  return constant
    ? warning('condition_constant', [...path, 'when'], 'always holds: leave it out')
    : fault('condition_constant', [...path, 'when'], 'never holds, and the rule with it: take the rule out');
};

const WITHOUT: Readonly<Record<AccessRule['effect'], string>> = {
  allow: 'allows everybody whatever their chain holds: say whom, whom to call, or which scopes',
  deny: 'denies every request: say whose, or which',
  quarantine: 'keeps every request aside: say whose, or which',
  approve: 'asks a human about every request: say whose, or which',
  flag: 'marks every record: say whose, or which',
};

const ruleFindings = function* (
  policy: Policy,
  at: number,
  rule: AccessRule,
  targets: readonly Target[],
): Iterable<Finding> {
  const path = ['rules', at];
  const dead = deadBecause(rule, policy, targets);
  if (dead !== undefined) {
    yield fault('rule_dead', path, `${rule.name} can never match: ${dead}. Put it right, or take it out`);
    return;
  }
  if (SELECTORS.every((selector) => rule[selector] === undefined))
    yield warning('rule_unselective', path, `${rule.name} ${WITHOUT[rule.effect]}`);
  yield* idleScopes(rule, path, targets);
  const constant = conditionFinding(rule, path);
  if (constant !== undefined) yield constant;
  const wider = shadowOf(policy.rules, at);
  if (wider !== undefined)
    yield warning(
      'rule_shadowed',
      path,
      `${rule.name} adds nothing: ${wider.name} matches whatever it does, without a condition. Take it out, or make ${wider.name} narrower`,
    );
  const hider = hiderOf(rule, policy.rules, targets);
  if (hider !== undefined)
    yield warning(
      'allow_hidden',
      path,
      `${rule.name} allows nothing: ${hider.name} denies whatever it matches. Take one of them out, or make ${hider.name} narrower`,
    );
};

/** Why no request of a route, or of an operation, is ever allowed. */
const neverAllowed = (target: Target, { rules, lists }: Policy): string | undefined => {
  const { route } = target;
  if (route.callees !== undefined && !route.callees.some((one) => takesPart(lists, one)))
    return 'the lists of this policy let none of its callees take part';
  const allows = rules.filter((rule) => isAllow(rule) && DECIDES(rule));
  const about = allows.filter((rule) => onRoute(rule, target));
  if (about.length === 0) return 'no rule allows anything here';
  if (about.some((rule) => byScope(rule, target))) return undefined;
  const orphan = scopesOf(target).find((scope) => !about.some((rule) => coveredByOne(rule, scope)));
  return orphan === undefined
    ? 'no single rule allows all that is required here'
    : `${orphan.template} is required, and no rule that allows something here covers it`;
};

const targetFindings = function* (policy: Policy, targets: readonly Target[]): Iterable<Finding> {
  for (const target of targets) {
    const why = neverAllowed(target, policy);
    if (why === undefined) continue;
    const message = `always ends in a denial: ${why}`;
    // Who observes first and writes the allows after has not forgotten them.
    yield target.route.observeUntil === undefined
      ? fault('never_allowed', target.path, message)
      : warning('never_allowed', target.path, message);
  }
};

export const lintRules = function* (policy: Policy): Iterable<Finding> {
  const targets = targetsOf(policy);
  yield* targetFindings(policy, targets);
  for (const [at, rule] of policy.rules.entries()) yield* ruleFindings(policy, at, rule, targets);
};
