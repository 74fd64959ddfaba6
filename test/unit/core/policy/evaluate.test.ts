import { describe, expect, test } from 'vitest';
import { mintLinkApproval } from '../../../../src/core/approval/link-approval.ts';
import type { Caveat } from '../../../../src/core/delegation/caveats.ts';
import type { ScopePattern } from '../../../../src/core/delegation/scope.ts';
import { NOTHING_DEMANDED } from '../../../../src/core/policy/demands.ts';
import { compilePolicy } from '../../../../src/core/policy/evaluate.ts';
import { checkAgentLists, compileLists } from '../../../../src/core/policy/lists.ts';
import type { AccessRule, Policy, RouteRule } from '../../../../src/core/policy/model.ts';
import type { IdPattern } from '../../../../src/core/spiffe-id.ts';
import {
  ALICE,
  jti,
  LIMITS,
  mintChain,
  NOW,
  principalKey,
  testAgent,
  verifiedChain,
} from '../../../testkit/core-world.ts';
import { type DecisionRequest, evaluatePolicy, toolCall } from '../../../testkit/evaluate.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const security = testAgent('security');

const rule = (name: string, effect: 'allow' | 'deny', changes: Partial<AccessRule> = {}): AccessRule => ({
  name,
  effect,
  callers: undefined,
  callerTypes: undefined,
  callees: undefined,
  principals: undefined,
  scopes: undefined,
  routes: undefined,
  ...changes,
});
const READ: RouteRule = {
  name: 'read',
  callees: undefined,
  methods: ['GET'],
  path: '/read',
  scopes: ['cloud:read'],
};
const BOTH: RouteRule = { ...READ, name: 'both', path: '/both', scopes: ['cloud:read', 'cloud:write'] };
const ALLOW = rule('all', 'allow');
const patterns = (...list: string[]) => list as unknown as readonly ScopePattern[];
const ids = (...list: string[]) => list as unknown as readonly IdPattern[];

const policy = (changes: Partial<Policy> = {}): Policy => ({
  revision: 'r1',
  limits: { ...LIMITS, sessionSeconds: 600 },
  scopeSets: {},
  lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
  routes: [READ, BOTH],
  rules: [ALLOW],
  demands: [],
  ...changes,
});
const request = (changes: Partial<DecisionRequest> = {}): DecisionRequest => ({
  callee: security.id,
  method: 'GET',
  path: '/read',
  chain: verifiedChain(mintChain(planner, [{ to: inventory }]), inventory),
  ...changes,
});
const decide = (of: Partial<Policy>, asked: Partial<DecisionRequest> = {}) => {
  const verdict = evaluatePolicy(compilePolicy(policy(of)), request(asked));
  return verdict.ok ? verdict.value.rule : verdict.reason;
};

describe('default deny', () => {
  test('without rules, without a rule that matches, without routes', () => {
    expect(decide({ rules: [] })).toBe('rule_unmatched');
    expect(decide({ rules: [rule('other', 'allow', { callees: ids(planner.id) })] })).toBe('rule_unmatched');
    expect(decide({ rules: [rule('no', 'deny', { routes: ['both'] })] })).toBe('rule_unmatched');
    expect(decide({ routes: [] })).toBe('route_unmatched');
    expect(decide({}, { path: '/other' })).toBe('route_unmatched');
  });

  test('an allow says which rule and which scopes', () => {
    const verdict = evaluatePolicy(compilePolicy(policy()), request());
    expect(verdict).toMatchObject({
      ok: true,
      value: { route: READ, rule: 'all', required: ['cloud:read'], demanded: NOTHING_DEMANDED },
    });
  });
});

describe('deny overrides', () => {
  test('wherever the deny stands', () => {
    const no = rule('no', 'deny');
    for (const rules of [
      [no, ALLOW],
      [ALLOW, no],
      [ALLOW, ALLOW, no],
    ])
      expect(decide({ rules })).toBe('rule_denied');
  });

  test('the denial names its rule and what was required', () => {
    expect(
      evaluatePolicy(compilePolicy(policy({ rules: [ALLOW, rule('no', 'deny')] })), request()),
    ).toMatchObject({
      rule: 'no',
      required: ['cloud:read'],
    });
  });

  test('a deny needs one of the required scopes, an allow all of them', () => {
    const writers = { scopes: patterns('cloud:write') };
    expect(decide({ rules: [ALLOW, rule('no', 'deny', writers)] }, { path: '/both' })).toBe('rule_denied');
    expect(decide({ rules: [ALLOW, rule('no', 'deny', writers)] })).toBe('all');
    expect(decide({ rules: [rule('w', 'allow', writers)] }, { path: '/both' })).toBe('rule_unmatched');
    expect(decide({ rules: [rule('rw', 'allow', { scopes: patterns('cloud:*') })] }, { path: '/both' })).toBe(
      'rw',
    );
  });

  test('the first allow names the permit', () => {
    expect(decide({ rules: [rule('first', 'allow'), rule('second', 'allow')] })).toBe('first');
  });
});

describe('selectors: all that are given must match', () => {
  test.each<readonly [string, Partial<AccessRule>, boolean]>([
    ['the caller', { callers: ids(inventory.id) }, true],
    ['the type of the caller by pattern', { callers: ids('spiffe://company.com/agent/inventory/*') }, true],
    ['the caller’s type', { callerTypes: ['inventory'] }, true],
    ['another type', { callerTypes: ['billing', 'client'] }, false],
    ['the callee', { callees: ids(security.id) }, true],
    ['the principal', { principals: [ALICE] }, true],
    ['another principal', { principals: ['mailto:bob@company.com'] }, false],
    ['the route', { routes: ['read'] }, true],
    ['another route', { routes: ['both'] }, false],
    ['an empty list selects nothing', { callers: [] }, false],
    ['two that match', { callers: ids(inventory.id), routes: ['read'] }, true],
    ['one that matches and one that does not', { callers: ids(inventory.id), routes: ['both'] }, false],
  ])('%s', (_, selectors, matches) => {
    expect(decide({ rules: [rule('r', 'allow', selectors)] })).toBe(matches ? 'r' : 'rule_unmatched');
    expect(decide({ rules: [ALLOW, rule('r', 'deny', selectors)] })).toBe(matches ? 'rule_denied' : 'all');
  });
});

describe('an agent further up the chain', () => {
  const selectors: readonly Partial<AccessRule>[] = [
    { callers: ids(planner.id) },
    { callers: ids('spiffe://company.com/agent/planner/*') },
    { callerTypes: ['planner'] },
    { callers: ids(planner.id), callerTypes: ['inventory'] },
  ];

  test('is not allowed by its own rule: the caller is who acts', () => {
    for (const each of selectors)
      expect(decide({ rules: [rule('r', 'allow', each)] })).toBe('rule_unmatched');
  });

  test('can’t act through an accomplice that no rule denies', () => {
    for (const each of selectors)
      expect(decide({ rules: [ALLOW, rule('r', 'deny', each)] })).toBe('rule_denied');
    expect(decide({ rules: [ALLOW, rule('r', 'deny', { callers: ids(security.id) })] })).toBe('all');
  });
});

describe('lists', () => {
  const lists = (changes: Partial<Policy['lists']>) => ({ lists: { ...policy().lists, ...changes } });
  test('an agent that is blocked blocks every chain that it is in, and every call to it', () => {
    for (const id of [planner.id, inventory.id, security.id])
      expect(decide(lists({ blockAgents: ids(id) }))).toBe('list_blocked');
    expect(decide(lists({ blockAgents: ids('spiffe://company.com/agent/planner/*') }))).toBe('list_blocked');
    expect(decide(lists({ blockAgents: ids('spiffe://company.com/agent/mailer/*') }))).toBe('all');
  });

  test('an allowlist must hold all of them', () => {
    expect(decide(lists({ allowAgents: ids(planner.id, inventory.id, security.id) }))).toBe('all');
    expect(decide(lists({ allowAgents: ids(planner.id, inventory.id) }))).toBe('list_not_allowed');
    expect(decide(lists({ allowAgents: ids(inventory.id, security.id) }))).toBe('list_not_allowed');
  });

  test('a block beats an allow, and stands before routes and rules', () => {
    const both = lists({
      allowAgents: ids(planner.id, inventory.id, security.id),
      blockAgents: ids(planner.id),
    });
    expect(decide({ ...both, rules: [], routes: [] })).toBe('list_blocked');
  });

  test('a principal', () => {
    expect(decide(lists({ blockPrincipals: [ALICE] }))).toBe('list_blocked');
    expect(decide(lists({ blockPrincipals: ['mailto:Alice@company.com'] }))).toBe('all');
  });

  test('of the bundle, besides those of the policy: each has to be passed', () => {
    const none = { allowAgents: [], blockAgents: [], blockPrincipals: [] };
    const under = (bundled: Partial<Policy['lists']>, own: Partial<Policy['lists']> = {}) => {
      const compiled = compilePolicy(policy({ lists: { ...none, ...own } }), { ...none, ...bundled });
      const verdict = evaluatePolicy(compiled, request());
      return verdict.ok ? verdict.value.rule : verdict.reason;
    };
    expect(under({})).toBe('all');
    expect(under({ blockAgents: ids(planner.id) })).toBe('list_blocked');
    expect(under({ blockPrincipals: [ALICE] })).toBe('list_blocked');
    const all = ids(planner.id, inventory.id, security.id);
    expect(under({ allowAgents: all }, { allowAgents: all })).toBe('all');
    expect(under({ allowAgents: all }, { allowAgents: ids(security.id) })).toBe('list_not_allowed');
    expect(under({ allowAgents: ids(security.id) }, { allowAgents: all })).toBe('list_not_allowed');
  });

  test('one agent alone, for the outbound side', () => {
    const { lists: both } = lists({
      blockAgents: ids(planner.id),
      allowAgents: ids(planner.id, security.id),
    });
    const compiled = compileLists(both as Policy['lists']);
    expect(checkAgentLists(compiled, planner.id)?.reason).toBe('list_blocked');
    expect(checkAgentLists(compiled, inventory.id)?.reason).toBe('list_not_allowed');
    expect(checkAgentLists(compiled, security.id)).toBeUndefined();
  });
});

describe('scope', () => {
  const chainWith = (...scope: string[]) =>
    verifiedChain(mintChain(planner, [{ to: inventory, scope }]), inventory);
  test('every required scope is in every link', () => {
    expect(decide({}, { chain: chainWith('cloud:read') })).toBe('all');
    expect(decide({}, { chain: chainWith('cloud:read'), path: '/both' })).toBe('scope_missing');
    expect(decide({}, { chain: chainWith('cloud:read', 'cloud:write'), path: '/both' })).toBe('all');
    expect(decide({}, { chain: chainWith('cloud:write') })).toBe('scope_missing');
  });

  test('a fault in narrowing alone would not widen: a leaf wider than its root still lacks the root’s scope', () => {
    const chain = chainWith('cloud:read');
    const [root, leaf] = chain.links;
    if (root === undefined || leaf === undefined) throw new Error('two links');
    const forged = {
      ...chain,
      links: [
        { ...root, scope: patterns('cloud:read') },
        { ...leaf, scope: patterns('cloud:*') },
      ],
    };
    expect(decide({}, { chain: forged, path: '/both' })).toBe('scope_missing');
  });
});

describe('caveats of the leaf', () => {
  const under = (caveats: readonly Caveat[]) =>
    verifiedChain(mintChain(planner, [{ to: inventory }], { caveats }), inventory);
  const approval = mintLinkApproval(
    {
      approver: 'mailto:bob@company.com',
      principal: ALICE,
      delegatee: planner.id,
      parent: principalKey.thumbprint,
      scope: ['cloud:*' as ScopePattern],
      iat: NOW,
      exp: NOW + 600,
      jti: jti('approval'),
    },
    principalKey.sign,
    principalKey.thumbprint,
  );
  const decided = (caveat: Caveat, asked: Partial<DecisionRequest> = {}) =>
    decide({}, { chain: under([caveat]), ...asked });

  const TOOLS: RouteRule = {
    ...READ,
    protocol: 'mcp',
    operations: [{ methods: undefined, names: undefined, scopes: [] }],
  };
  const called = (caveat: Caveat, tool: string) =>
    decide({ routes: [TOOLS] }, { chain: under([caveat]), message: toolCall(tool) });

  test('made above, they hold below', () => {
    expect(decided({ type: 'callee', ids: ids(security.id) })).toBe('all');
    expect(decided({ type: 'callee', ids: ids(security.id) }, { callee: planner.id })).toBe('caveat_callee');
    expect(decided({ type: 'resource', paths: ['/read'] })).toBe('all');
    expect(decided({ type: 'resource', paths: ['/rea', '/read/x'] })).toBe('caveat_resource');
    expect(decided({ type: 'tool', names: ['scan'] })).toBe('caveat_tool');
    expect(called({ type: 'tool', names: ['scan'] }, 'scan')).toBe('all');
    expect(called({ type: 'tool', names: ['scan'] }, 'Scan')).toBe('caveat_tool');
    expect(decided({ type: 'max_uses', uses: 1, at: planner.id })).toBe('caveat_max_uses');
    // Nobody has looked at it: an approval that a chain carries doesn't hold by being there.
    expect(decided({ type: 'approval', token: approval })).toBe('approval_invalid');
  });

  test('all must hold', () => {
    const caveats: Caveat[] = [
      { type: 'resource', paths: ['/'] },
      { type: 'tool', names: ['scan'] },
    ];
    expect(decide({}, { chain: under(caveats) })).toBe('caveat_tool');
    expect(decide({ routes: [TOOLS] }, { chain: under(caveats), message: toolCall('scan') })).toBe('all');
  });
});
