/**
 * Everything that is wrong with a policy whose every value has its form (SPEC.md section 13). Sidecars refuse a bundle for the
 * first of these; people are told all of them, each with its place.
 */

import { contentFaults } from './content-faults.ts';
import { egressFaults } from './egress-faults.ts';
import { type PolicyFault, twiceFaults, unknownFaults, within } from './fault.ts';
import type { DelegationRule, Policy, RouteRule, ScopeDemand, WithoutSidecarRule } from './model.ts';
import { routeFaults } from './route-faults.ts';
import { noRoute, ruleFaults } from './rule-faults.ts';

const DEMANDED = [
  'approval',
  'minScore',
  'maxStalenessSeconds',
  'maxDepth',
  'maxLinkTtlSeconds',
  'sameDomain',
  'requestProof',
] as const satisfies readonly (keyof ScopeDemand)[];

const demandFaults = function* (demand: ScopeDemand, labels: ReadonlySet<string>): Iterable<PolicyFault> {
  if (demand.scopes === undefined && demand.labels === undefined)
    yield { path: [], message: 'is for no request: give scopes, labels or both' };
  if (DEMANDED.every((member) => demand[member] === undefined))
    yield {
      path: [],
      message:
        'demands nothing: give approval, a score, staleness, depth, link life, domain or a proof of the request',
    };
  const noLabel = (name: string) =>
    `no route gives data the label "${name}", so that this would demand nothing`;
  yield* within(['labels'], unknownFaults(demand.labels, labels, noLabel));
};

const edgeFaults = function* (rule: DelegationRule): Iterable<PolicyFault> {
  const { crossing, fromDomains, toDomains } = rule;
  const [from, to] = [fromDomains?.join(), toDomains?.join()];
  if (crossing && fromDomains?.length === 1 && from === to)
    yield { path: ['crossing'], message: 'between one trust domain and itself nothing crosses' };
};

const SELECTORS = [
  'callers',
  'callerTypes',
  'callees',
  'scopes',
  'routes',
] as const satisfies readonly (keyof WithoutSidecarRule)[];

const withoutSidecarFaults = function* (
  entry: WithoutSidecarRule,
  known: ReadonlyMap<string, RouteRule>,
): Iterable<PolicyFault> {
  yield* within(['routes'], unknownFaults(entry.routes, known, noRoute));
  // Nobody means that by leaving all out.
  if (SELECTORS.every((selector) => entry[selector] === undefined))
    yield {
      path: [],
      message:
        'lets everybody come without a sidecar for everything: name callers, callees, scopes or routes',
    };
};

const labelsOf = (routes: readonly RouteRule[]): ReadonlySet<string> =>
  new Set(
    routes.flatMap(({ labels }) => (labels === undefined ? [] : [...labels.request, ...labels.response])),
  );

/** In the order of the policy. Scope sets have their own: `scopeSetsFault`. */
export const policyFaults = function* (policy: Policy): Iterable<PolicyFault> {
  const {
    routes,
    egress = [],
    rules,
    demands,
    delegation,
    content = [],
    decisionPoints = [],
    withoutSidecar = [],
  } = policy;
  const all = [...routes, ...egress];
  const known = new Map(all.map((route) => [route.name, route]));
  const labels = labelsOf(all);
  yield* within(['routes'], twiceFaults(routes, 'route'));
  for (const [at, route] of routes.entries()) yield* within(['routes', at], routeFaults(route));
  yield* within(['egress'], twiceFaults(egress, 'egress', routes));
  yield* within(['egress'], egressFaults(egress));
  yield* within(['rules'], twiceFaults(rules, 'rule'));
  for (const [at, rule] of rules.entries()) yield* within(['rules', at], ruleFaults(rule, known));
  for (const [at, demand] of demands.entries()) yield* within(['demands', at], demandFaults(demand, labels));
  if (delegation !== undefined) {
    yield* within(['delegation', 'rules'], twiceFaults(delegation.rules, 'rule'));
    for (const [at, rule] of delegation.rules.entries())
      yield* within(['delegation', 'rules', at], edgeFaults(rule));
  }
  yield* within(['content'], twiceFaults(content, 'content rule'));
  for (const [at, rule] of content.entries()) yield* within(['content', at], contentFaults(rule, known));
  for (const [at, point] of decisionPoints.entries())
    yield* within(['decisionPoints', at, 'routes'], unknownFaults(point.routes, known, noRoute));
  yield* within(['withoutSidecar'], twiceFaults(withoutSidecar, 'entry'));
  for (const [at, entry] of withoutSidecar.entries())
    yield* within(['withoutSidecar', at], withoutSidecarFaults(entry, known));
};
