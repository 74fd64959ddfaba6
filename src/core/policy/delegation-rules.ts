/** Who may delegate to whom: the edges between the agents of a chain (SPEC.md section 13). */
import type { VerifiedChain } from '../delegation/model.ts';
import { type AgentId, agentTypeOf, idMatches, trustDomainOf } from '../spiffe-id.ts';
import { type Denial, deny } from '../verdict.ts';
import type { DelegationRule, DelegationRules } from './model.ts';

const isOneOf = (
  id: AgentId,
  ids: DelegationRule['from'],
  types: DelegationRule['fromTypes'],
  domains: DelegationRule['fromDomains'],
): boolean =>
  (ids === undefined || ids.some((pattern) => idMatches(pattern, id))) &&
  (types === undefined || types.includes(agentTypeOf(id))) &&
  (domains === undefined || domains.includes(trustDomainOf(id)));

const matches = (rule: DelegationRule, from: AgentId, to: AgentId): boolean =>
  isOneOf(from, rule.from, rule.fromTypes, rule.fromDomains) &&
  isOneOf(to, rule.to, rule.toTypes, rule.toDomains) &&
  (rule.crossing === undefined || trustDomainOf(from) !== trustDomainOf(to));

const checkEdge = ({ otherwise, rules }: DelegationRules, from: AgentId, to: AgentId): Denial | undefined => {
  let allowed = otherwise === 'allow';
  for (const rule of rules) {
    if (!matches(rule, from, to)) continue;
    if (rule.effect === 'deny')
      return deny('delegation_denied', `rule ${rule.name}: ${from} may not delegate to ${to}`);
    allowed = true;
  }
  return allowed ? undefined : deny('delegation_denied', `no rule lets ${from} delegate to ${to}`);
};

/** Every edge of a chain; what a principal may grant to whom is its anchor's. Refuses with `delegation_denied`. */
export const checkDelegations = (
  rules: DelegationRules | undefined,
  { links }: VerifiedChain,
): Denial | undefined => {
  if (rules === undefined) return undefined;
  for (let at = 1; at < links.length; at++) {
    const [from, to] = [links[at - 1]?.delegatee, links[at]?.delegatee];
    // A rebind link gives an agent's authority to its own next key.
    if (from === undefined || to === undefined || from === to) continue;
    const denial = checkEdge(rules, from, to);
    if (denial !== undefined) return denial;
  }
  return undefined;
};
