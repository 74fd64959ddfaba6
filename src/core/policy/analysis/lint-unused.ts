/** Demands, labels, delegations, content rules, decision points and entries of `withoutSidecar` that never have a say. */
import { compileCondition, isCondition } from '../condition.ts';
import type { DelegationRule, DelegationRules, Policy, RouteRule } from '../model.ts';
import { type Finding, fault, warning } from './finding.ts';
import { deadBecause } from './lint-rules.ts';
import { mayCover } from './required-scope.ts';
import { domainOfPattern, idsMeet, typeOfPattern } from './selector-sets.ts';
import { scopesOf, targetsOf } from './targets.ts';

const demandFindings = function* (policy: Policy): Iterable<Finding> {
  const required = targetsOf(policy).flatMap(scopesOf);
  for (const [at, { scopes }] of policy.demands.entries())
    if (scopes !== undefined && !scopes.some((pattern) => required.some((scope) => mayCover(pattern, scope))))
      yield fault(
        'demand_idle',
        ['demands', at],
        'demands nothing: no route requires a scope that it is about. Write it as the routes do, or take it out',
      );
};

/** Labels that conditions may ask for: by their name in the text, or any where no name stands there. */
const readsLabel = ({ rules }: Policy, label: string, all: ReadonlySet<string>): boolean =>
  rules.some(({ when }) => {
    if (when === undefined) return false;
    const made = compileCondition(when);
    if (!isCondition(made) || !(made.reads.has('data.labels') || made.reads.has('data'))) return false;
    const named = [...all].filter((one) => when.includes(`"${one}"`) || when.includes(`'${one}'`));
    return named.length === 0 || named.includes(label);
  });

const labelFindings = function* (policy: Policy): Iterable<Finding> {
  const { demands, decisionPoints = [] } = policy;
  // They are part of what another decision point is asked.
  if (decisionPoints.length > 0) return;
  const namesOf = ({ labels }: RouteRule) => [...(labels?.request ?? []), ...(labels?.response ?? [])];
  const all = new Set([...policy.routes, ...(policy.egress ?? [])].flatMap(namesOf));
  for (const list of ['routes', 'egress'] as const)
    for (const [at, { labels }] of (policy[list] ?? []).entries())
      for (const side of ['request', 'response'] as const)
        for (const [index, label] of (labels?.[side] ?? []).entries())
          if (!demands.some((demand) => demand.labels?.includes(label)) && !readsLabel(policy, label, all))
            yield warning(
              'label_unread',
              [list, at, 'labels', side, index],
              `"${label}" stands in the audit log and decides nothing: no rule and no demand asks for it`,
            );
};

const excludesItself = (
  ids: DelegationRule['from'],
  types: DelegationRule['fromTypes'],
  domains: DelegationRule['fromDomains'],
): boolean =>
  ids !== undefined &&
  !ids.some(
    (id) => (types?.includes(typeOfPattern(id)) ?? true) && (domains?.includes(domainOfPattern(id)) ?? true),
  );

const edgeFindings = function* ({ otherwise, rules }: DelegationRules): Iterable<Finding> {
  const path = ['delegation'];
  if (rules.length === 0 && otherwise === 'allow')
    yield warning('delegation_idle', path, 'says nothing: everybody may delegate to everybody. Take it out');
  for (const [at, rule] of rules.entries()) {
    const place = [...path, 'rules', at];
    if (
      excludesItself(rule.from, rule.fromTypes, rule.fromDomains) ||
      excludesItself(rule.to, rule.toTypes, rule.toDomains)
    )
      yield fault(
        'rule_dead',
        place,
        `${rule.name} can never match: its agents are of none of its types and domains. Put it right, or take it out`,
      );
    else if (rule.effect === otherwise && !rules.some((other) => other.effect !== otherwise))
      yield warning(
        'delegation_idle',
        place,
        `${rule.name} adds nothing: otherwise is ${otherwise}, and no rule says anything else`,
      );
    else if (rule.effect === 'allow' && otherwise === 'allow')
      yield warning(
        'delegation_idle',
        place,
        `${rule.name} adds nothing: otherwise is allow, and a deny overrides it`,
      );
  }
};

interface Selecting {
  readonly callees: RouteRule['callees'];
  readonly routes: readonly string[] | undefined;
}

const isOnSomeRoute = ({ callees, routes: names }: Selecting, { routes, egress = [] }: Policy): boolean => {
  const isNamed = ({ name }: RouteRule): boolean => names === undefined || names.includes(name);
  return (
    routes.some((route) => isNamed(route) && idsMeet(callees, route.callees)) ||
    (callees === undefined && egress.some(isNamed))
  );
};

const elsewhereFindings = function* (policy: Policy): Iterable<Finding> {
  const { content = [], decisionPoints = [] } = policy;
  for (const [at, rule] of content.entries())
    if (!isOnSomeRoute(rule, policy))
      yield fault(
        'content_idle',
        ['content', at],
        `${rule.name} looks at nothing: no route that it is about is for one of its callees`,
      );
  for (const [at, point] of decisionPoints.entries())
    if (!isOnSomeRoute(point, policy))
      yield fault(
        'point_idle',
        ['decisionPoints', at],
        `${point.point} is never asked: no route that it is about is for one of its callees`,
      );
};

const withoutSidecarFindings = function* (policy: Policy): Iterable<Finding> {
  const targets = targetsOf(policy);
  for (const [at, entry] of (policy.withoutSidecar ?? []).entries()) {
    const path = ['withoutSidecar', at];
    const dead = deadBecause({ ...entry, effect: 'allow', principals: undefined }, policy, targets);
    if (dead !== undefined)
      yield fault(
        'without_sidecar_idle',
        path,
        `${entry.name} lets nobody come: ${dead}. Put it right, or take it out`,
      );
    else if (entry.callers === undefined && entry.callerTypes === undefined)
      yield warning(
        'without_sidecar_wide',
        path,
        `${entry.name} lets every agent come without its sidecar, also those that have one: say whom`,
      );
  }
};

export const lintUnused = function* (policy: Policy): Iterable<Finding> {
  yield* labelFindings(policy);
  yield* demandFindings(policy);
  if (policy.delegation !== undefined) yield* edgeFindings(policy.delegation);
  yield* elsewhereFindings(policy);
  yield* withoutSidecarFindings(policy);
};
