/** Small policies and requests, so that rules meet, cover and exclude each other often. */
import * as fc from 'fast-check';
import type { ScopePattern } from '../../src/core/delegation/scope.ts';
import type { AccessRule, Policy, RouteRule } from '../../src/core/policy/model.ts';
import type { AgentId, IdPattern } from '../../src/core/spiffe-id.ts';

export const IDS = ['agent/a/1', 'agent/a/2', 'agent/b/1', 'client/c'].map(
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

export const policies: fc.Arbitrary<Policy> = fc
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

export const requests = fc.record({
  agents: fc.array(fc.constantFrom(...IDS), { minLength: 1, maxLength: 3 }),
  callee: fc.constantFrom(...IDS),
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  path: fc.constantFrom('/a', '/b', '/ab', '/a/b', '/a/a', '/a/', '/a/b/c', '/c/b'),
  principal: fc.constantFrom('mailto:p@x.y', 'mailto:q@x.y'),
});
export type Asked = typeof requests extends fc.Arbitrary<infer T> ? T : never;
