/** Two routes, and two operations, that have something in common are never taken for ones that have nothing. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { operation } from '../../src/core/message/operation.ts';
import { operationsMeet, routesMeet } from '../../src/core/policy/analysis/overlap.ts';
import type { OperationRule, RouteRule } from '../../src/core/policy/model.ts';
import { operationRuleFor } from '../../src/core/policy/operations.ts';
import { RouteTable } from '../../src/core/policy/routes.ts';
import { type AgentId, type IdPattern, isAgentId, isIdPattern } from '../../src/core/spiffe-id.ts';

const agents = ['a/1', 'a/2', 'b/1'].map((one) => `spiffe://x.y/agent/${one}`).filter(isAgentId);
const patterns: readonly IdPattern[] = ['a/1', 'a/*', 'b/*']
  .map((one) => `spiffe://x.y/agent/${one}`)
  .filter(isIdPattern);
const some = <T>(values: readonly T[]) =>
  fc.option(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 }), {
    nil: undefined,
    freq: 4,
  });

const segments = fc.array(fc.constantFrom('a', 'b', '{x}'), { maxLength: 3 });
const routes: fc.Arbitrary<RouteRule> = fc
  .record({ parts: segments, open: fc.boolean(), methods: some(['GET', 'POST']), callees: some(patterns) })
  .map(({ parts, open, methods, callees }) => {
    const named = parts.map((part, at) => (part === '{x}' ? `{x${at}}` : part));
    const path = open ? `/${[...named, '*'].join('/')}` : `/${named.join('/')}`;
    return { name: 'r', path, methods, callees, scopes: ['s:a'] };
  });
const matches = (route: RouteRule, callee: AgentId, method: string, path: string): boolean =>
  new RouteTable([route]).match(callee, method, path).ok;

test('routes', () => {
  const seen = { both: 0, apart: 0 };
  const request = fc.record({
    callee: fc.constantFrom(...agents),
    method: fc.constantFrom('GET', 'POST'),
    path: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 4 }).map((parts) => `/${parts.join('/')}`),
  });
  fc.assert(
    fc.property(routes, routes, fc.array(request, { maxLength: 12 }), (a, b, all) => {
      expect(routesMeet(a, b)).toBe(routesMeet(b, a));
      if (!routesMeet(a, b)) seen.apart++;
      for (const { callee, method, path } of all)
        if (matches(a, callee, method, path) && matches(b, callee, method, path)) {
          seen.both++;
          expect(routesMeet(a, b), `${a.path} ${b.path} ${path}`).toBe(true);
        }
    }),
    { numRuns: 5000 },
  );
  expect(Math.min(seen.both, seen.apart)).toBeGreaterThan(50);
});

test('operations', () => {
  const rules: fc.Arbitrary<OperationRule> = fc.record({
    methods: some(['tools/call', 'tools/*', 'ping', 'tools/call/*']),
    names: some(['read', 're*', '*', 'write', 'readme']),
    scopes: fc.constant(['s:a']),
  });
  const reached = (rule: OperationRule, method: string, tool: string): boolean =>
    operationRuleFor(
      { operations: [rule] } as unknown as RouteRule,
      operation('request', method, { tool }),
    ) !== undefined;
  const seen = { both: 0, apart: 0 };
  fc.assert(
    fc.property(rules, rules, (a, b) => {
      expect(operationsMeet(a, b)).toBe(operationsMeet(b, a));
      if (!operationsMeet(a, b)) seen.apart++;
      for (const method of ['tools/call', 'tools/list', 'ping', 'tools/call/x'])
        for (const tool of ['', 'read', 'readme', 'write', 'r'])
          if (reached(a, method, tool) && reached(b, method, tool)) {
            seen.both++;
            expect(operationsMeet(a, b)).toBe(true);
          }
    }),
    { numRuns: 2000 },
  );
  expect(Math.min(seen.both, seen.apart)).toBeGreaterThan(50);
});
