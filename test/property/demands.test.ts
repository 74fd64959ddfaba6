/** A demand can only take away; of several the strictest counts. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  isCovered,
  isScopeLiteral,
  type ScopeLiteral,
  type ScopePattern,
} from '../../src/core/delegation/scope.ts';
import { type Demanded, demandsOf } from '../../src/core/policy/demands.ts';
import type { Policy, ScopeDemand } from '../../src/core/policy/model.ts';
import { type DecisionWorld, decided } from '../testkit/decisions.ts';

const literals = fc.constantFrom(
  'cloud:read',
  'cloud:write',
  'ec2:Describe',
  'ec2:Run',
) as fc.Arbitrary<ScopeLiteral>;
const patterns = fc.constantFrom(
  'cloud:*',
  'cloud:read',
  'ec2:*',
  'ec2:D*',
  's3:*',
) as unknown as fc.Arbitrary<ScopePattern>;
const demands: fc.Arbitrary<ScopeDemand> = fc.record({
  scopes: fc.uniqueArray(patterns, { minLength: 1, maxLength: 3 }),
  approval: fc.constantFrom(true as const, undefined),
  minScore: fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined }),
  maxStalenessSeconds: fc.option(fc.integer({ min: 1, max: 7200 }), { nil: undefined }),
});
const lists = fc.array(demands, { maxLength: 6 });
const required = fc.uniqueArray(literals, { minLength: 1, maxLength: 4 });
const of = (demandList: readonly ScopeDemand[], scopes: readonly ScopeLiteral[]): Demanded =>
  demandsOf({ demands: demandList } as Policy, scopes);

test('literals are what they are taken for', () => {
  fc.assert(fc.property(literals, (scope) => isScopeLiteral(scope)));
});

describe('one more demand', () => {
  test('asks for no less', () => {
    fc.assert(
      fc.property(lists, demands, required, fc.nat(6), (before, more, scopes, at) => {
        const less = of(before, scopes);
        const after = of([...before.slice(0, at), more, ...before.slice(at)], scopes);
        expect(after.minScore).toBeGreaterThanOrEqual(less.minScore);
        expect(after.maxStalenessSeconds).toBeLessThanOrEqual(less.maxStalenessSeconds);
        expect(after.approval).toEqual(expect.arrayContaining([...less.approval]));
      }),
    );
  });

  test('turns no denial into a permit', () => {
    const worlds: fc.Arbitrary<DecisionWorld> = fc.record({
      score: fc.integer({ min: 0, max: 1000 }),
      age: fc.integer({ min: 0, max: 7200 }),
      allowed: fc.boolean(),
    });
    fc.assert(
      fc.property(lists, demands, worlds, (before, more, world) => {
        const was = decided(before, world);
        const is = decided([...before, more], world);
        if (was !== 'ok') expect(is).not.toBe('ok');
      }),
    );
  });
});

test('in whatever order they stand, they ask for the same', () => {
  fc.assert(
    fc.property(lists, required, (list, scopes) => {
      expect(of([...list].reverse(), scopes)).toEqual(of(list, scopes));
    }),
  );
});

test('the strictest of those that apply counts, and the others don’t', () => {
  fc.assert(
    fc.property(lists, required, (list, scopes) => {
      const applying = list.filter((demand) => scopes.some((scope) => isCovered(demand.scopes ?? [], scope)));
      const asked = of(list, scopes);
      expect(asked.minScore).toBe(Math.max(0, ...applying.map(({ minScore }) => minScore ?? 0)));
      expect(asked.maxStalenessSeconds).toBe(
        Math.min(
          ...applying.map(({ maxStalenessSeconds }) => maxStalenessSeconds ?? Number.POSITIVE_INFINITY),
        ),
      );
      expect(asked.approval).toEqual(
        scopes.filter((scope) =>
          list.some((demand) => demand.approval && isCovered(demand.scopes ?? [], scope)),
        ),
      );
    }),
  );
});

test('a hundred thousand demands are read, not spread', () => {
  const many = Array.from({ length: 100_000 }, (_, at) => ({
    scopes: ['cloud:*' as ScopePattern],
    approval: undefined,
    minScore: (at % 1000) + 1,
    maxStalenessSeconds: undefined,
  }));
  expect(of(many, ['cloud:read' as ScopeLiteral]).minScore).toBe(1000);
});
