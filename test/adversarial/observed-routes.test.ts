/** What a route that is observed only must not let through: what the chain itself forbids, and sessions of others. */
import { describe, expect, it } from 'vitest';
import type { Caveat } from '../../src/core/delegation/caveats.ts';
import type { Message } from '../../src/core/message/message.ts';
import { operation } from '../../src/core/message/operation.ts';
import { compilePolicy } from '../../src/core/policy/evaluate.ts';
import type { Policy, RouteRule } from '../../src/core/policy/model.ts';
import type { IdPattern } from '../../src/core/spiffe-id.ts';
import { verifyBundle } from '../../src/core/trust/bundle.ts';
import { deny, grant, type Verdict } from '../../src/core/verdict.ts';
import { decide } from '../../src/hop/decide.ts';
import type { DecisionInput } from '../../src/hop/permit.ts';
import type { Delegated } from '../../src/hop/verify-chain.ts';
import { sealedBundle } from '../testkit/core-bundle.ts';
import { LIMITS, mintChain, NOW, permitted, testAgent, verifiedChain } from '../testkit/core-world.ts';
import { toolCall } from '../testkit/evaluate.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const security = testAgent('security');
const { text, expected } = sealedBundle({});

const ids = (...list: string[]) => list as unknown as readonly IdPattern[];

const HTTP: RouteRule = {
  name: 'observed',
  callees: undefined,
  methods: undefined,
  path: '/read',
  scopes: ['cloud:read'],
  observeUntil: NOW + 100,
};
const MCP: RouteRule = {
  ...HTTP,
  protocol: 'mcp',
  operations: [{ methods: undefined, names: undefined, scopes: [] }],
};

const decided = (
  route: RouteRule,
  caveats: readonly Caveat[],
  message?: Verdict<Message>,
  changes: Partial<Policy> = {},
) => {
  const chainText = mintChain(planner, [{ to: inventory }], caveats.length === 0 ? {} : { caveats });
  const trust = {
    generation: 1,
    bundle: permitted(verifyBundle(text, expected)),
    policy: compilePolicy({
      revision: 'r1',
      limits: { ...LIMITS, sessionSeconds: 600 },
      scopeSets: {},
      lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
      routes: [route],
      // No rule allows anything: the route is observed.
      rules: [],
      demands: [],
      ...changes,
    }),
    bundleName: '1.1',
    freshAt: NOW,
    maxStalenessSeconds: 36_000,
  };
  const input: DecisionInput = {
    direction: 'inbound',
    proof: 'session',
    delegated: {
      chain: verifiedChain(chainText, inventory),
      chainText,
      generation: 1,
      decisions: new Map(),
      approvals: new Map(),
    } as unknown as Delegated,
    callee: security.id,
    method: 'POST',
    target: '/read',
    trust,
    nowSeconds: NOW,
    sessionDeadline: NOW + 600,
    message,
  };
  const decision = decide(input);
  return decision.ok ? decision.value.observed?.reason : decision.reason;
};

describe('a chain that forbids it', () => {
  it.each<[string, Caveat, string]>([
    ['for another callee', { type: 'callee', ids: ids(planner.id) }, 'caveat_callee'],
    ['for another path', { type: 'resource', paths: ['/write'] }, 'caveat_resource'],
    ['for another tool', { type: 'tool', names: ['list'] }, 'caveat_tool'],
    ['counted elsewhere', { type: 'max_uses', uses: 1, at: planner.id }, 'caveat_max_uses'],
  ])('%s', (_, caveat, reason) => {
    expect(decided(HTTP, [caveat])).toBe(reason);
    expect(decided(MCP, [caveat], grant(toolCall('delete')))).toBe(reason);
  });

  it('is not outvoted by a message that nobody can read, or by the first item of a batch', () => {
    const tool: readonly Caveat[] = [{ type: 'tool', names: ['list'] }];
    expect(decided(MCP, tool, deny('message_malformed', ''))).toBe('caveat_tool');
    const calls = ['list', 'delete'].map((name) => operation('request', 'tools/call', { tool: name }));
    expect(decided(MCP, tool, grant({ protocol: 'mcp', batch: true, operations: calls }))).toBe(
      'caveat_tool',
    );
    expect(decided(MCP, tool, grant(toolCall('list')))).toBe('rule_unmatched');
  });
});

it('what policy denies without reading it is read before it goes on: whose session it is counts all the same', () => {
  const delegation = { otherwise: 'deny', rules: [] } as const;
  expect(decided(MCP, [], undefined, { delegation })).toBe('message_malformed');
  expect(decided(MCP, [], grant(toolCall('list')), { delegation })).toBe('delegation_denied');
  expect(decided(HTTP, [], undefined, { delegation })).toBe('delegation_denied');
});
