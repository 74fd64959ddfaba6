/** What lint says can be taken out can be taken out: nothing is decided otherwise without it. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { VerifiedChain } from '../../src/core/delegation/chain.ts';
import type { ScopePattern } from '../../src/core/delegation/scope.ts';
import type { Finding } from '../../src/core/policy/analysis/finding.ts';
import { lintPolicy } from '../../src/core/policy/analysis/lint.ts';
import { type CompiledPolicy, compilePolicy } from '../../src/core/policy/evaluate.ts';
import type { AccessRule, Policy, RouteRule } from '../../src/core/policy/model.ts';
import type { AgentId, IdPattern } from '../../src/core/spiffe-id.ts';
import { evaluatePolicy } from '../testkit/evaluate.ts';

const IDS = ['agent/a/1', 'agent/a/2', 'agent/b/1', 'client/c'].map(
  (one) => `spiffe://x.y/${one}` as AgentId,
);
const PATTERNS = [...IDS, 'spiffe://x.y/agent/a/*', 'spiffe://x.y/agent/b/*', 'spiffe://x.y/client/*'];
const SCOPES = ['s:a', 's:ab', 's:b', 't:a'];
const SCOPE_PATTERNS = [...SCOPES, 's:*', 's:a*', 't:*', 't:b*'];
const PATHS = ['/a', '/{x}', '/a/b', '/a/{y}', '/{x}/b', '/a/*', '/*', '/a/'];
const NAMES = ['one', 'two', 'three'];

const some = <T>(values: readonly T[]) =>
  fc.option(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 }), {
    nil: undefined,
    freq: 2,
  });

const route = (name: string): fc.Arbitrary<RouteRule> =>
  fc
    .record({
      callees: some(PATTERNS as IdPattern[]),
      methods: some(['GET', 'POST']),
      path: fc.constantFrom(...PATHS),
      scopes: fc.uniqueArray(fc.constantFrom(...SCOPES, 's:{v}'), { minLength: 1, maxLength: 2 }),
    })
    .map(({ path, scopes, ...rest }) => {
      const hole = /\{.\}/.exec(path)?.[0];
      const used = hole === undefined ? scopes.filter((scope) => !scope.includes('{')) : scopes;
      const named = used.map((scope) => scope.replace('{v}', hole ?? ''));
      return { name, path, scopes: named.length === 0 ? ['s:a'] : named, ...rest };
    });

const rule = (name: string, routes: readonly string[]): fc.Arbitrary<AccessRule> =>
  fc.record({
    name: fc.constant(name),
    effect: fc.constantFrom('allow', 'allow', 'deny', 'approve'),
    callers: some(PATTERNS as IdPattern[]),
    callerTypes: some(['a', 'b', 'client']),
    callees: some(PATTERNS as IdPattern[]),
    principals: some(['mailto:p@x.y', 'mailto:q@x.y']),
    scopes: some(SCOPE_PATTERNS as ScopePattern[]),
    routes: some(routes),
    when: fc.option(fc.constantFrom('true', 'false', 'chain.depth > 1', 'request.method == "GET"'), {
      nil: undefined,
      freq: 2,
    }),
    shadow: fc.option(fc.constant(true as const), { nil: undefined, freq: 1 }),
  }) as fc.Arbitrary<AccessRule>;

const policies: fc.Arbitrary<Policy> = fc
  .record({
    revision: fc.constant('r'),
    limits: fc.constant({
      maxDepth: 8,
      linkTtlSeconds: 7200,
      callbacks: true,
      humanRoot: false,
      sessionSeconds: 3600,
    }),
    scopeSets: fc.constant({}),
    lists: fc.record({
      allowAgents: fc.oneof(
        fc.constant([]),
        some(PATTERNS as IdPattern[]).map((list) => list ?? []),
      ),
      blockAgents: fc.constantFrom([], ['spiffe://x.y/agent/a/2' as IdPattern]),
      blockPrincipals: fc.constantFrom([], ['mailto:q@x.y']),
    }),
    routes: fc.integer({ min: 1, max: 3 }).chain((count) => fc.tuple(...NAMES.slice(0, count).map(route))),
    rules: fc.constant([]),
    demands: fc.constant([]),
  })
  .chain((policy) => {
    const routes = policy.routes.map(({ name }) => name);
    return fc
      .array(fc.constant(undefined), { minLength: 1, maxLength: 4 })
      .chain((places) => fc.tuple(...places.map((_, at) => rule(`r${at}`, routes))))
      .map((rules) => ({ ...policy, rules }));
  });

const requests = fc.record({
  agents: fc.array(fc.constantFrom(...IDS), { minLength: 1, maxLength: 3 }),
  callee: fc.constantFrom(...IDS),
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  path: fc.constantFrom('/a', '/b', '/ab', '/a/b', '/a/a', '/a/', '/a/b/c', '/c/b'),
  principal: fc.constantFrom('mailto:p@x.y', 'mailto:q@x.y'),
});
type Asked = typeof requests extends fc.Arbitrary<infer T> ? T : never;

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
