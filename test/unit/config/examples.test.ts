/** The example policy decides as its comments say. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { parsePolicy } from '../../../src/config/policy.ts';
import { sidecarSchema } from '../../../src/config/sidecar-schema.ts';
import { verifierSchema } from '../../../src/config/verifier-schema.ts';
import type { VerifiedChain } from '../../../src/core/delegation/chain.ts';
import type { ScopePattern } from '../../../src/core/delegation/scope.ts';
import { expandScope } from '../../../src/core/delegation/scope.ts';
import { compilePolicy } from '../../../src/core/policy/evaluate.ts';
import type { AgentId } from '../../../src/core/spiffe-id.ts';
import { evaluatePolicy } from '../../testkit/evaluate.ts';

const read = (name: string): string =>
  readFileSync(new URL(`../../../config/${name}`, import.meta.url), 'utf8');
const policy = parsePolicy(read('policy.yaml'), 'policy.yaml');
const compiled = compilePolicy(policy);

const expanded = expandScope(['infrastructure:review'], policy.scopeSets);
const REVIEW = 'patterns' in expanded ? expanded.patterns : [];
const id = (path: string): AgentId => `spiffe://company.com/${path}` as AgentId;
const ALICE = id('client/alice');
const PLANNING = id('agent/planning/1');
const INVENTORY = id('agent/inventory/1');
const SECURITY = id('agent/security/1');

/** What evaluation reads of a chain that has verified: its agents, each with the same scope. */
const chainOf = (agents: readonly AgentId[], scope = REVIEW): VerifiedChain => {
  const links = agents.map((delegatee) => ({ delegatee, scope, caveats: [] }));
  return {
    principal: 'mailto:alice@company.com',
    holder: { id: agents.at(-1) },
    links,
    leaf: links.at(-1),
  } as unknown as VerifiedChain;
};
const decide = (
  agents: readonly AgentId[],
  callee: AgentId,
  request: string,
  scope?: readonly ScopePattern[],
) => {
  const [method = '', path = ''] = request.split(' ');
  const verdict = evaluatePolicy(compiled, {
    callee,
    method,
    path,
    chain: chainOf(agents, scope),
  });
  return verdict.ok ? `ok ${verdict.value.rule}` : verdict.reason;
};

test('limits are those of the reference table: depth 5, 2 h, a human at the root, trust of an hour, tasks of a day', () => {
  expect(policy.limits).toEqual({
    maxDepth: 5,
    linkTtlSeconds: 7200,
    callbacks: false,
    humanRoot: true,
    sessionSeconds: 3600,
    maxStalenessSeconds: 3600,
    maxTaskAgeSeconds: 86_400,
  });
});

describe('the example policy', () => {
  test.each<[string, AgentId[], AgentId, string]>([
    ['ok clients-to-planning', [ALICE], PLANNING, 'POST /reviews'],
    ['ok clients-to-planning', [ALICE], PLANNING, 'GET /reviews/42'],
    ['ok planning-to-execution', [ALICE, PLANNING], INVENTORY, 'GET /ec2/DescribeInstances'],
    ['ok planning-to-execution', [ALICE, PLANNING], INVENTORY, 'GET /s3/ListBuckets'],
    ['ok planning-to-execution', [ALICE, PLANNING], SECURITY, 'GET /findings/open'],
    // Only planning agents delegate to execution agents.
    ['rule_unmatched', [ALICE], INVENTORY, 'GET /ec2/DescribeInstances'],
    ['rule_unmatched', [ALICE, PLANNING, SECURITY], INVENTORY, 'GET /ec2/DescribeInstances'],
    ['rule_unmatched', [ALICE, PLANNING, INVENTORY], PLANNING, 'POST /reviews'],
    // What the scope doesn't hold, no rule can give.
    ['scope_missing', [ALICE, PLANNING], INVENTORY, 'GET /ec2/TerminateInstances'],
    ['route_unmatched', [ALICE, PLANNING], INVENTORY, 'POST /ec2/DescribeInstances'],
    ['route_unmatched', [ALICE, PLANNING], INVENTORY, 'GET /admin'],
    // Nobody outside the allowlist, another trust domain neither.
    ['list_not_allowed', [ALICE, id('agent/cost/1')], INVENTORY, 'GET /ec2/DescribeInstances'],
    [
      'list_not_allowed',
      ['spiffe://partner.org/agent/planning/1' as AgentId],
      INVENTORY,
      'GET /ec2/DescribeInstances',
    ],
  ])('%s: %j → %s %s', (outcome, agents, callee, request) => {
    expect(decide(agents, callee, request)).toBe(outcome);
  });

  test('denies destruction whatever a chain holds', () => {
    const all = ['cloud:*', 'ec2:*', 's3:*'] as unknown as readonly ScopePattern[];
    expect(decide([ALICE, PLANNING], INVENTORY, 'GET /ec2/TerminateInstances', all)).toBe('rule_denied');
  });
});

test.each(['sidecar', 'verifier'])(
  'the example %s names every setting, as a value or as a commented default',
  (kind) => {
    const schema = JSON.parse(read(`${kind}.schema.json`));
    const text = read(`${kind}.yaml`);
    parseConfig(text, `${kind}.yaml`, kind === 'sidecar' ? sidecarSchema : verifierSchema);
    const check = (
      properties: Record<string, { properties?: never; items?: { properties?: never }; default?: unknown }>,
    ): void => {
      for (const [key, value] of Object.entries(properties)) {
        expect(text, key).toMatch(new RegExp(`(?:^[ #-]*|\\{)${key}:`, 'm'));
        const commented = new RegExp(`^ *# +${key}: ([^\\s#]+)`, 'm').exec(text)?.[1];
        if (
          commented !== undefined &&
          !['object', 'undefined'].includes(typeof value.default) &&
          key !== 'listen'
        )
          expect(commented, key).toBe(String(value.default));
        check(value.properties ?? value.items?.properties ?? {});
      }
    };
    check(schema.properties);
  },
);
