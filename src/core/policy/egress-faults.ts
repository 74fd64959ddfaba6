/** What is wrong with the list of what may leave the mesh (SPEC.md section 13). */
import { canonicalJson } from '../encoding/json.ts';
import { type PolicyFault, within } from './fault.ts';
import type { EgressRule } from './model.ts';
import { routeFaults } from './route-faults.ts';

/** Members that say something of requests, where nothing is known of any. */
const OF_REQUESTS = [
  'protocol',
  'server',
  'operations',
  'serverRequests',
  'tools',
  'skillMember',
  'maxMessageBytes',
] as const satisfies readonly (keyof EgressRule)[];

const tunnelFaults = function* (rule: EgressRule): Iterable<PolicyFault> {
  const nothing = 'says nothing of a tunnel, in which no request is read: take it out, or let mode be api';
  if (rule.path !== '/') yield { path: ['path'], message: nothing };
  if (rule.methods?.join() !== 'CONNECT') yield { path: ['methods'], message: nothing };
  for (const member of OF_REQUESTS)
    if (rule[member] !== undefined) yield { path: [member], message: nothing };
};

const apiFaults = function* ({ methods = [], inside }: EgressRule): Iterable<PolicyFault> {
  if (inside !== undefined)
    yield { path: ['inside'], message: 'is for tunnels: to an API the sidecar itself speaks TLS' };
  for (const [at, method] of methods.entries())
    if (['CONNECT', 'TRACE'].includes(method.toUpperCase()))
      yield {
        path: ['methods', at],
        message: `${method} is never sent to an API, so that no request could match`,
      };
};

/** What all entries of one destination have to say in the same words: it is reached in one way. */
const sharedFault = (rule: EgressRule, earlier: EgressRule): PolicyFault | undefined => {
  if (rule.mode !== earlier.mode)
    return {
      path: ['mode'],
      message: `${rule.destination} is reached by ${earlier.mode} in ${earlier.name}: a tunnel would lead around what its API routes say`,
    };
  if (rule.mode === 'tunnel')
    return { path: ['destination'], message: `${rule.destination} has a tunnel already, ${earlier.name}` };
  return canonicalJson(rule.allowPrivate ?? []) === canonicalJson(earlier.allowPrivate ?? [])
    ? undefined
    : {
        path: ['allowPrivate'],
        message: `${rule.destination} has other ranges in ${earlier.name}: a connection serves all of its routes`,
      };
};

export const egressFaults = function* (rules: readonly EgressRule[]): Iterable<PolicyFault> {
  const seen = new Map<string, EgressRule>();
  for (const [at, rule] of rules.entries()) {
    const earlier = seen.get(rule.destination);
    seen.set(rule.destination, earlier ?? rule);
    const shared = earlier === undefined ? undefined : sharedFault(rule, earlier);
    if (shared !== undefined) yield* within([at], [shared]);
    yield* within([at], rule.mode === 'tunnel' ? tunnelFaults(rule) : apiFaults(rule));
    yield* within([at], routeFaults(rule));
  }
};
