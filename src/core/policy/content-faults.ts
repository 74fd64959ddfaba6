/** What is wrong with a rule about content: of the rule alone it is for `core/content` to say, which compiles it. */
import { LRUCache } from 'lru-cache';
import { contentRuleFault } from '../content/compile.ts';
import { type FaultPath, type PolicyFault, unknownFaults, within } from './fault.ts';
import type { ContentRule, RouteRule } from './model.ts';
import { noRoute } from './rule-faults.ts';

/** Policies are read with every bundle, and patterns take their time; most are what they were. */
const remembered = new LRUCache<string, { readonly message: string | undefined }>({ max: 1024 });

const faultOf = (rule: ContentRule): string | undefined => {
  const key = JSON.stringify(rule);
  const known = remembered.get(key);
  if (known !== undefined) return known.message;
  const message = contentRuleFault(rule);
  remembered.set(key, { message });
  return message;
};

/** The one of several that is at fault: with it alone the rule gets the same sentence. */
const placeOf = (rule: ContentRule, message: string): FaultPath => {
  const { name, holdBytes, callees, routes } = rule;
  const only = {
    name,
    holdBytes,
    callees,
    routes,
    directions: ['request'],
    action: 'deny',
    mode: 'hold',
  } as const;
  const nothing = { detectors: undefined, patterns: undefined, types: undefined, maxBytes: undefined };
  const gets = (part: Partial<ContentRule>): boolean =>
    contentRuleFault({ ...only, ...nothing, ...part }) === message;
  for (const [at, name] of (rule.detectors ?? []).entries())
    if (gets({ detectors: [name] })) return ['detectors', at];
  for (const [name, source] of Object.entries(rule.patterns ?? {}))
    if (gets({ patterns: { [name]: source } })) return ['patterns', name];
  for (const [at, type] of (rule.types ?? []).entries()) if (gets({ types: [type] })) return ['types', at];
  return [];
};

export const contentFaults = function* (
  rule: ContentRule,
  routes: ReadonlyMap<string, RouteRule>,
): Iterable<PolicyFault> {
  const message = faultOf(rule);
  if (message !== undefined) yield { path: placeOf(rule, message), message };
  yield* within(['routes'], unknownFaults(rule.routes, routes, noRoute));
  if (rule.shadow && rule.action === 'flag')
    yield { path: ['shadow'], message: 'a flag decides nothing anyway: it is logged as it is' };
};
