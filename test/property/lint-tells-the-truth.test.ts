/** What lint says can be taken out can be taken out: nothing is decided otherwise without it. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { VerifiedChain } from '../../src/core/delegation/chain.ts';
import type { ScopePattern } from '../../src/core/delegation/scope.ts';
import type { Finding } from '../../src/core/policy/analysis/finding.ts';
import { lintPolicy } from '../../src/core/policy/analysis/lint.ts';
import { type CompiledPolicy, compilePolicy } from '../../src/core/policy/evaluate.ts';
import type { Policy } from '../../src/core/policy/model.ts';
import { evaluatePolicy } from '../testkit/evaluate.ts';
import { type Asked, policies, requests } from '../testkit/small-policies.ts';

const ALL = ['s:*', 't:*'] as ScopePattern[];
const ask = (policy: CompiledPolicy, asked: Asked): string => {
  const { agents, principal, ...request } = asked;
  const links = agents.map((delegatee) => ({ delegatee, scope: ALL, caveats: [], iat: 0, exp: 60 }));
  const chain = {
    principal,
    holder: { id: agents.at(-1) },
    links,
    leaf: links.at(-1),
    depth: links.length,
    root: links[0],
  } as unknown as VerifiedChain;
  const decision = evaluatePolicy(policy, { ...request, chain });
  return decision.ok ? `permit ${decision.value.demanded.approval.join()}` : decision.reason;
};

const SUPERFLUOUS = new Set<Finding['code']>([
  'rule_dead',
  'rule_shadowed',
  'allow_hidden',
  'route_unreachable',
  'scope_idle',
]);

/** The policy without what a finding is about; undefined where it is about nothing that can be taken out. */
const without = (policy: Policy, { code, path }: Finding): Policy | undefined => {
  const [part, at, member, index] = path;
  if (code === 'condition_constant') {
    const rules = policy.rules.map((one, place) => (place === at ? { ...one, when: undefined } : one));
    const always = policy.rules[Number(at)]?.when === 'true';
    return { ...policy, rules: always ? rules : policy.rules.filter((_, place) => place !== at) };
  }
  if (!SUPERFLUOUS.has(code)) return undefined;
  if (member === 'scopes') {
    const cut = policy.rules.map((one, place) =>
      place === at ? { ...one, scopes: one.scopes?.filter((_, scope) => scope !== index) } : one,
    );
    return { ...policy, rules: cut };
  }
  return { ...policy, [String(part)]: policy[part as 'rules'].filter((_, place) => place !== at) };
};

test('without what is dead, shadowed, hidden, unreachable or idle, everything is decided as before', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(policies, fc.array(requests, { minLength: 8, maxLength: 24 }), (policy, asked) => {
      const compiled = compilePolicy(policy);
      for (const finding of lintPolicy(policy, 0)) {
        const less = without(policy, finding);
        if (less === undefined) continue;
        // A rule that only routes of that name select is none without it.
        const routes = new Set(less.routes.map(({ name }) => name));
        const whole = less.rules.filter((one) => one.routes?.some((name) => routes.has(name)) ?? true);
        seen.set(finding.code, (seen.get(finding.code) ?? 0) + 1);
        const cut = compilePolicy({ ...less, rules: whole });
        for (const one of asked)
          expect(ask(cut, one), `${finding.code} ${finding.path.join('.')}`).toBe(ask(compiled, one));
      }
      for (const { code, path } of lintPolicy(policy, 0))
        if (code === 'never_allowed') {
          const name = policy.routes[Number(path[1])]?.name;
          seen.set(code, (seen.get(code) ?? 0) + 1);
          const alone = compilePolicy({
            ...policy,
            routes: policy.routes.filter((one) => one.name === name),
          });
          for (const one of asked) expect(ask(alone, one)).not.toMatch(/^permit/);
        }
    }),
    { numRuns: 600 },
  );
  // A generator that finds nothing would prove nothing.
  for (const code of [...SUPERFLUOUS, 'condition_constant', 'never_allowed'])
    expect(seen.get(code) ?? 0, code).toBeGreaterThan(0);
});
