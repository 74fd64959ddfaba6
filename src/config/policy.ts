/** A policy file to the core's policy, with the checks that need more than one field. */

import { expandScope, type ScopePattern } from '../core/delegation/scope.ts';
import type { Policy } from '../core/policy/model.ts';
import { routeFault } from '../core/policy/routes.ts';
import type { IdPattern } from '../core/spiffe-id.ts';
import { ConfigError, type ConfigFault, parseConfig, type Source } from './load.ts';
import { type PolicyConfig, policySchema } from './policy-schema.ts';

/** Throws {@link ConfigError} with every fault found. */
export const parsePolicy = (text: string, file: string): Policy => {
  const source = parseConfig(text, file, policySchema);
  const faults = findFaults(source);
  if (faults.length > 0) throw new ConfigError(faults);
  return toPolicy(source.value);
};

const findFaults = (source: Source<PolicyConfig>): ConfigFault[] => {
  const { value } = source;
  const faults: ConfigFault[] = [];
  for (const name of Object.keys(value.scopeSets)) {
    const expanded = expandScope([name], value.scopeSets);
    if ('fault' in expanded) faults.push(source.fault(['scopeSets', name], expanded.fault));
  }
  const routes = new Set<string>();
  for (const [index, route] of value.routes.entries()) {
    if (routes.has(route.name))
      faults.push(source.fault(['routes', index, 'name'], `route "${route.name}" is defined twice`));
    routes.add(route.name);
    const fault = routeFault({
      callees: undefined,
      methods: undefined,
      ...route,
    } as Policy['routes'][number]);
    if (fault !== undefined) faults.push(source.fault(['routes', index, 'path'], fault));
  }
  const rules = new Set<string>();
  for (const [index, rule] of value.rules.entries()) {
    if (rules.has(rule.name))
      faults.push(source.fault(['rules', index, 'name'], `rule "${rule.name}" is defined twice`));
    rules.add(rule.name);
    for (const [at, name] of (rule.routes ?? []).entries()) {
      if (!routes.has(name))
        faults.push(source.fault(['rules', index, 'routes', at], `no route has the name "${name}"`));
    }
  }
  return faults;
};

const toPolicy = (config: PolicyConfig): Policy => ({
  revision: config.revision,
  limits: {
    maxDepth: config.limits.maxDepth,
    linkTtlSeconds: config.limits.linkTtl,
    callbacks: config.limits.callbacks === 'allowed',
    humanRoot: config.limits.humanRoot === 'required',
    sessionSeconds: config.limits.session,
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
});
