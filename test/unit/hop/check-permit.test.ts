/** What streams is held against the policy of now, whatever was remembered when it began. */
import { describe, expect, test } from 'vitest';
import { compilePolicy } from '../../../src/core/policy/evaluate.ts';
import type { AccessRule, Policy } from '../../../src/core/policy/model.ts';
import { verifyBundle } from '../../../src/core/trust/bundle.ts';
import { checkPermit } from '../../../src/hop/check-permit.ts';
import { decide } from '../../../src/hop/decide.ts';
import type { DecisionInput } from '../../../src/hop/permit.ts';
import type { Delegated } from '../../../src/hop/verify-chain.ts';
import type { TrustSnapshot } from '../../../src/ports.ts';
import { sealedBundle } from '../../testkit/core-bundle.ts';
import { LIMITS, mintChain, NOW, permitted, testAgent, verifiedChain } from '../../testkit/core-world.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const chainText = mintChain(planner);
const chain = verifiedChain(chainText, planner);
const { text, expected } = sealedBundle({});

const NO_SELECTORS = {
  callers: undefined,
  callerTypes: undefined,
  callees: undefined,
  principals: undefined,
  scopes: undefined,
  routes: undefined,
};
const allow = (when?: string): AccessRule => ({ ...NO_SELECTORS, name: 'all', effect: 'allow', when });

const snapshot = (
  generation: number,
  rules: readonly AccessRule[],
  changes: Partial<Policy> = {},
): TrustSnapshot => ({
  generation,
  bundle: permitted(verifyBundle(text, expected)),
  policy: compilePolicy({
    revision: `r${generation}`,
    limits: { ...LIMITS, sessionSeconds: 600 },
    scopeSets: {},
    lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
    routes: [{ name: 'read', callees: undefined, methods: undefined, path: '/read', scopes: ['cloud:read'] }],
    rules,
    demands: [],
    ...changes,
  }),
  bundleName: `1.${generation}`,
  freshAt: NOW,
  maxStalenessSeconds: 36_000,
});

const permitUnder = (trust: TrustSnapshot, more: Partial<DecisionInput> = {}) => {
  const delegated = {
    chain,
    chainText,
    generation: trust.generation,
    decisions: new Map(),
    approvals: new Map(),
  } as unknown as Delegated;
  const decision = decide({
    direction: 'inbound',
    proof: 'session',
    delegated,
    callee: inventory.id,
    method: 'GET',
    target: '/read',
    trust,
    nowSeconds: NOW,
    sessionDeadline: NOW + 3600,
    ...more,
  });
  if (!decision.ok) throw new Error(decision.reason);
  return decision.value;
};

describe('a stream', () => {
  test('ends when a condition over time no longer holds', () => {
    const trust = snapshot(1, [allow('chain.age < 60')]);
    const permit = permitUnder(trust);
    expect(checkPermit(permit, trust, NOW + 59, 1)).toBeUndefined();
    expect(checkPermit(permit, trust, NOW + 60, 1)).toMatchObject({ reason: 'rule_unmatched' });
  });

  test('is held against a later policy at every look, not only at the first', () => {
    const permit = permitUnder(snapshot(1, [allow('chain.age < 1000')]));
    const later = snapshot(2, [allow('chain.age < 60')]);
    expect(checkPermit(permit, later, NOW + 30, 1)).toBeUndefined();
    expect(checkPermit(permit, later, NOW + 59, 2)).toBeUndefined();
    expect(checkPermit(permit, later, NOW + 60, 2)).toMatchObject({ reason: 'rule_unmatched' });
  });

  test('ends under a policy that wants to know what nobody read when it began', () => {
    const permit = permitUnder(snapshot(1, [allow()]));
    const later = snapshot(2, [allow()], {
      routes: [
        {
          name: 'read',
          callees: undefined,
          methods: undefined,
          path: '/read',
          scopes: ['cloud:read'],
          protocol: 'mcp',
          operations: [{ methods: undefined, names: undefined, scopes: [] }],
        },
      ],
    });
    expect(checkPermit(permit, later, NOW + 1, 1)).toMatchObject({ reason: 'message_malformed' });
    const points = snapshot(2, [allow()], {
      decisionPoints: [{ point: 'opa', path: 'a/b', callees: undefined, routes: undefined }],
    });
    expect(checkPermit(permit, points, NOW + 1, 1)).toMatchObject({ reason: 'opa_unavailable' });
  });
});

describe('a route that is observed only', () => {
  const observed = (generation: number, rules: readonly AccessRule[], until = NOW + 100) =>
    snapshot(generation, rules, {
      routes: [
        {
          name: 'read',
          callees: undefined,
          methods: undefined,
          path: '/read',
          scopes: ['cloud:read'],
          observeUntil: until,
        },
      ],
    });

  test('lets through what policy denies, says so, and ends with its time', () => {
    const trust = observed(1, []);
    const permit = permitUnder(trust);
    expect(permit.observed).toMatchObject({ reason: 'rule_unmatched' });
    expect(checkPermit(permit, trust, NOW + 99, 1)).toBeUndefined();
    expect(checkPermit(permit, trust, NOW + 100, 1)).toMatchObject({ reason: 'rule_unmatched' });
  });

  test('lets nothing through whose time has passed, or whose trust is too old', () => {
    const { exp } = chain;
    const long = observed(1, [], exp + 1000);
    const permit = permitUnder(long);
    expect(checkPermit(permit, long, exp + 30, 1)).toMatchObject({ reason: 'link_expired' });
    expect(checkPermit(permit, { ...long, maxStalenessSeconds: 10 }, NOW + 50, 1)).toMatchObject({
      reason: 'bundle_stale',
    });
  });

  test('says nothing where nothing would be denied', () => {
    expect(permitUnder(observed(1, [allow()])).observed).toBeUndefined();
  });
});
