/** An explanation is of the decision that is made: what it says of each part adds up to the verdict. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { VerifiedChain } from '../../src/core/delegation/chain.ts';
import type { ScopePattern } from '../../src/core/delegation/scope.ts';
import { explainRequest, type Stage } from '../../src/core/policy/analysis/explain.ts';
import { compilePolicy } from '../../src/core/policy/evaluate.ts';
import { NOTHING_REGISTERED } from '../../src/core/policy/values.ts';
import { evaluatePolicy } from '../testkit/evaluate.ts';
import { policies, requests } from '../testkit/small-policies.ts';

const linesOf = (stages: readonly Stage[], name: Stage['stage']) =>
  stages.filter(({ stage }) => stage === name).flatMap(({ lines }) => lines);

/** The verdict that follows from what is explained. */
const verdictOf = (stages: readonly Stage[]): string => {
  if (linesOf(stages, 'lists').some(({ answer }) => answer === 'no')) return 'list';
  const [route] = linesOf(stages, 'route').slice(-1);
  if (route === undefined || route.answer === 'no') return 'route';
  const scopes = linesOf(stages, 'scopes');
  if (scopes.length === 0) return 'route';
  if (scopes.some(({ answer }) => answer === 'no')) return 'scope';
  const rules = linesOf(stages, 'rules').filter(
    ({ answer, what }) => answer === 'yes' && !what.endsWith('(shadow)'),
  );
  const has = (effect: string): boolean => rules.some(({ what }) => what.startsWith(`${effect} `));
  if (has('deny')) return 'rule_denied';
  if (!has('allow')) return 'rule_unmatched';
  return has('approve') ? 'approve' : 'permit';
};

test('what is said of lists, routes, scopes and rules adds up to what is decided', () => {
  const seen = new Map<string, number>();
  const scopes = fc.constantFrom(['s:*', 't:*'], ['s:a'], ['s:*']);
  fc.assert(
    fc.property(
      policies,
      fc.array(fc.tuple(requests, scopes), { minLength: 6, maxLength: 16 }),
      (policy, all) => {
        const compiled = compilePolicy(policy);
        for (const [{ agents, principal, ...request }, scope] of all) {
          const links = agents.map((delegatee) => ({
            delegatee,
            scope: scope as readonly string[] as readonly ScopePattern[],
            caveats: [],
            iat: 0,
            exp: 60,
          }));
          const chain = {
            principal,
            holder: { id: agents.at(-1) },
            links,
            leaf: links.at(-1),
            root: links[0],
            depth: links.length,
          } as unknown as VerifiedChain;
          const stages = explainRequest(compiled, {
            facts: { direction: 'inbound', query: '', registered: NOTHING_REGISTERED, chain, ...request },
            proof: 'session',
            live: {
              nowSeconds: 0,
              score: () => 0,
              headers: () => ({}),
              size: -1,
              labels: [],
              released: false,
            },
            message: undefined,
            unknown: () => [],
          });
          const decided = evaluatePolicy(compiled, { ...request, chain });
          const real = decided.ok
            ? decided.value.demanded.approval.length > 0
              ? 'approve'
              : 'permit'
            : decided.reason.replace(/^(list|route|scope)_.*/, '$1');
          expect(verdictOf(stages)).toBe(real);
          seen.set(real, (seen.get(real) ?? 0) + 1);
        }
      },
    ),
    { numRuns: 200 },
  );
  for (const verdict of ['list', 'route', 'scope', 'rule_denied', 'rule_unmatched', 'permit'])
    expect(seen.get(verdict) ?? 0, verdict).toBeGreaterThan(0);
});
