/** A policy file to the core's policy, with the checks that need more than one field. */

import { expandScope, type ScopePattern } from '../core/delegation/scope.ts';
import { canonicalJson, parseStrictObjectText } from '../core/encoding/json.ts';
import type { Policy } from '../core/policy/model.ts';
import { readPolicy } from '../core/policy/read.ts';
import { routeFault } from '../core/policy/routes.ts';
import type { IdPattern } from '../core/spiffe-id.ts';
import { ConfigError, type ConfigFault, parseConfig, type Source } from './load.ts';
import { nearest } from './nearest.ts';
import { type PolicyConfig, policySchema } from './policy-schema.ts';

/** Throws {@link ConfigError} with every fault found. */
export const parsePolicy = (text: string, file: string): Policy => {
  const source = parseConfig(text, file, policySchema);
  const faults = findFaults(source);
  if (faults.length > 0) throw new ConfigError(faults.sort((a, b) => a.line - b.line || a.column - b.column));
  const policy = toPolicy(source.value);
  // Sidecars read it out of the bundle with their own, narrower reader: what they would refuse must not be published.
  const json = parseStrictObjectText(canonicalJson(policy));
  const read = json.ok ? readPolicy(json.value) : json;
  if (!read.ok) throw new ConfigError([source.fault([], read.detail)]);
  return policy;
};

/** Two of one name, and names that nothing has. */
const findFaults = (source: Source<PolicyConfig>): ConfigFault[] => [
  ...scopeSetFaults(source),
  ...routeFaults(source),
  ...ruleFaults(source),
  ...demandFaults(source),
];

const scopeSetFaults = (source: Source<PolicyConfig>): ConfigFault[] => {
  const sets = source.value.scopeSets;
  return Object.keys(sets).flatMap((name) => {
    const expanded = expandScope([name], sets);
    return 'fault' in expanded ? [source.fault(['scopeSets', name], expanded.fault)] : [];
  });
};

const routeFaults = (source: Source<PolicyConfig>): ConfigFault[] => {
  const { routes, scopeSets } = source.value;
  const faults: ConfigFault[] = [];
  for (const [index, route] of routes.entries()) {
    const { name, path, scopes } = route;
    if (routes.findIndex((other) => other.name === name) < index)
      faults.push(source.fault(['routes', index, 'name'], `route "${name}" is defined twice`));
    const rule = { name, path, callees: undefined, methods: undefined };
    const pathFault = routeFault({ ...rule, scopes: [] });
    if (pathFault !== undefined) {
      faults.push(source.fault(['routes', index, 'path'], pathFault));
      continue;
    }
    for (const [at, scope] of scopes.entries()) {
      const fault = routeFault({ ...rule, scopes: [scope] }) ?? setInsteadOfPattern(scope, scopeSets);
      if (fault !== undefined) faults.push(source.fault(['routes', index, 'scopes', at], fault));
    }
  }
  return faults;
};

const ruleFaults = (source: Source<PolicyConfig>): ConfigFault[] => {
  const { routes, rules, scopeSets } = source.value;
  const known = routes.map((route) => route.name);
  const faults: ConfigFault[] = [];
  for (const [index, rule] of rules.entries()) {
    if (rules.findIndex((other) => other.name === rule.name) < index)
      faults.push(source.fault(['rules', index, 'name'], `rule "${rule.name}" is defined twice`));
    for (const [at, name] of (rule.routes ?? []).entries()) {
      if (known.includes(name)) continue;
      const meant = nearest(name, known);
      const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
      faults.push(source.fault(['rules', index, 'routes', at], `no route has the name "${name}"${hint}`));
    }
    for (const [at, scope] of (rule.scopes ?? []).entries()) {
      const fault = setInsteadOfPattern(scope, scopeSets);
      if (fault !== undefined) faults.push(source.fault(['rules', index, 'scopes', at], fault));
    }
  }
  return faults;
};

const demandFaults = (source: Source<PolicyConfig>): ConfigFault[] => {
  const { demands, scopeSets } = source.value;
  return demands.flatMap((demand, index) =>
    demand.scopes.flatMap((scope, at) => {
      const fault = setInsteadOfPattern(scope, scopeSets);
      return fault === undefined ? [] : [source.fault(['demands', index, 'scopes', at], fault)];
    }),
  );
};

/** A name where a pattern belongs is never expanded: an allow would allow nothing, and a deny would deny nothing. */
const setInsteadOfPattern = (scope: string, sets: PolicyConfig['scopeSets']): string | undefined =>
  Object.hasOwn(sets, scope) ? `"${scope}" is a scope set; name its patterns here` : undefined;

const toPolicy = (config: PolicyConfig): Policy => ({
  revision: config.revision,
  limits: {
    maxDepth: config.limits.maxDepth,
    linkTtlSeconds: config.limits.linkTtl,
    callbacks: config.limits.callbacks === 'allowed',
    humanRoot: config.limits.humanRoot === 'required',
    sessionSeconds: config.limits.session,
    maxStalenessSeconds: config.limits.maxStaleness,
    maxTaskAgeSeconds: config.limits.maxTaskAge,
  },
  scopeSets: config.scopeSets,
  lists: {
    allowAgents: config.lists.allow.agents as IdPattern[],
    blockAgents: config.lists.block.agents as IdPattern[],
    blockPrincipals: config.lists.block.principals,
  },
  routes: config.routes.map((route) => ({
    name: route.name,
    callees: route.callees as IdPattern[] | undefined,
    methods: route.methods,
    path: route.path,
    scopes: route.scopes,
  })),
  rules: config.rules.map((rule) => ({
    name: rule.name,
    effect: rule.effect,
    callers: rule.callers as IdPattern[] | undefined,
    callerTypes: rule.callerTypes,
    callees: rule.callees as IdPattern[] | undefined,
    principals: rule.principals,
    scopes: rule.scopes as ScopePattern[] | undefined,
    routes: rule.routes,
  })),
  demands: config.demands.map((demand) => ({
    scopes: demand.scopes as ScopePattern[],
    approval: demand.approval === undefined ? undefined : true,
    minScore: demand.minScore,
    maxStalenessSeconds: demand.maxStaleness,
  })),
});
