/** A policy goes into the bundle as canonical JSON and comes out deciding the same: whoever writes it, people or the generator. */
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../src/config/policy.ts';
import type { VerifiedChain } from '../../src/core/delegation/chain.ts';
import type { ScopePattern } from '../../src/core/delegation/scope.ts';
import { canonicalJson, parseStrictObjectText } from '../../src/core/encoding/json.ts';
import { compilePolicy } from '../../src/core/policy/evaluate.ts';
import type { Policy } from '../../src/core/policy/model.ts';
import { readPolicy } from '../../src/core/policy/read.ts';
import type { AgentId } from '../../src/core/spiffe-id.ts';
import { policyDigest } from '../../src/core/trust/bundle-contents.ts';
import { permitted } from '../testkit/core-world.ts';
import { evaluatePolicy } from '../testkit/evaluate.ts';

const throughTheBundle = (policy: Policy): Policy =>
  permitted(readPolicy(permitted(parseStrictObjectText(canonicalJson(policy)))));

const id = (path: string): AgentId => `spiffe://company.com/${path}` as AgentId;
const AGENTS = [id('client/alice'), id('agent/planning/1'), id('agent/inventory/1'), id('agent/security/2')];
const agents = fc.constantFrom(...AGENTS);
const patterns = ['cloud:read', 'cloud:*', 'ec2:Describe*', 'ec2:*', 's3:*', 'security:read'];
const scopes = fc.subarray(patterns, { minLength: 1 });
interface Asked {
  readonly chain: readonly AgentId[];
  readonly callee: AgentId;
  readonly method: string;
  readonly path: string;
  readonly scope: readonly string[];
  readonly principal: string;
}

const requests: fc.Arbitrary<Asked> = fc.record({
  chain: fc.uniqueArray(agents, { minLength: 1, maxLength: 3 }),
  callee: agents,
  method: fc.constantFrom('GET', 'POST'),
  path: fc.constantFrom(
    '/ec2/DescribeInstances',
    '/ec2/Run',
    '/s3/ListBuckets',
    '/reviews',
    '/reviews/4',
    '/findings/open',
    '/a/b/',
  ),
  scope: scopes,
  principal: fc.constantFrom('mailto:alice@company.com', 'mailto:bob@company.com'),
});

/** What evaluation reads of a chain that has verified. */
const decide = (policy: Policy, { chain, callee, method, path, scope, principal }: Asked) => {
  const links = chain.map((delegatee) => ({
    delegatee,
    scope: scope as unknown as ScopePattern[],
    caveats: [],
  }));
  const verified = {
    principal,
    holder: { id: chain.at(-1) },
    links,
    leaf: links.at(-1),
  } as unknown as VerifiedChain;
  return evaluatePolicy(compilePolicy(policy), { callee, method, path, chain: verified });
};

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const idPatterns = fc.constantFrom(
  ...AGENTS,
  'spiffe://company.com/agent/planning/*',
  'spiffe://company.com/client/*',
);
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.uniqueArray(arbitrary, { minLength: 1, maxLength: 3 });
const principals = fc.constantFrom('mailto:alice@company.com', 'mailto:bob@company.com');
const names = fc.stringMatching(/^[A-Za-z0-9._-]{1,12}$/);
const ROUTES = [
  { name: 'describe', path: '/ec2/{action}', scopes: ['ec2:{action}'] },
  { name: 'reviews', path: '/reviews/*', scopes: ['cloud:read'] },
  { name: 'all', path: '/*', scopes: ['cloud:read', 's3:ListBuckets'] },
].map((route) => ({ callees: undefined, methods: undefined, ...route }));
const policies = fc.record({
  revision: names,
  limits: fc.record(
    {
      maxDepth: fc.integer({ min: 1, max: 8 }),
      linkTtlSeconds: fc.integer({ min: 1, max: 99_999 }),
      callbacks: fc.boolean(),
      humanRoot: fc.boolean(),
      sessionSeconds: fc.integer({ min: 1, max: 99_999 }),
      maxStalenessSeconds: optional(fc.integer({ min: 1, max: 99_999 })),
      maxTaskAgeSeconds: optional(fc.integer({ min: 1, max: 99_999 })),
    },
    { requiredKeys: ['maxDepth', 'linkTtlSeconds', 'callbacks', 'humanRoot', 'sessionSeconds'] },
  ),
  scopeSets: fc.dictionary(fc.constantFrom('review', 'a:b', '__proto__', 'constructor'), scopes),
  lists: fc.record({
    allowAgents: fc.uniqueArray(idPatterns, { maxLength: 3 }),
    blockAgents: fc.uniqueArray(idPatterns, { maxLength: 2 }),
    blockPrincipals: fc.uniqueArray(principals, { maxLength: 1 }),
  }),
  routes: fc.subarray(ROUTES),
  rules: fc.uniqueArray(
    fc.record({
      name: names,
      effect: fc.constantFrom('allow', 'deny'),
      callers: optional(some(idPatterns)),
      callerTypes: optional(some(fc.constantFrom('planning', 'client'))),
      callees: optional(some(idPatterns)),
      principals: optional(some(principals)),
      scopes: optional(scopes),
      routes: fc.constant(undefined),
    }),
    { selector: ({ name }) => name, maxLength: 4 },
  ),
  demands: fc.array(
    fc.record({
      scopes,
      approval: fc.constantFrom(true, undefined),
      minScore: fc.integer({ min: 1, max: 1000 }),
      maxStalenessSeconds: optional(fc.integer({ min: 1, max: 99_999 })),
    }),
    { maxLength: 3 },
  ),
}) as unknown as fc.Arbitrary<Policy>;

test('any policy decides the same after its way through a bundle, and keeps its digest', () => {
  fc.assert(
    fc.property(policies, fc.array(requests, { minLength: 1, maxLength: 5 }), (policy, asked) => {
      const read = throughTheBundle(policy);
      for (const request of asked) expect(decide(read, request)).toEqual(decide(policy, request));
      expect(policyDigest(read)).toBe(policyDigest(policy));
      expect(read.limits).toEqual(policy.limits);
    }),
  );
});

describe('the example policy', () => {
  const file = new URL('../../config/policy.yaml', import.meta.url);
  const policy = parsePolicy(readFileSync(file, 'utf8'), 'policy.yaml');

  test('comes out as it went in', () => {
    expect(throughTheBundle(policy)).toEqual(policy);
  });

  test('decides the same', () => {
    fc.assert(
      fc.property(requests, (request) => {
        expect(decide(throughTheBundle(policy), request)).toEqual(decide(policy, request));
      }),
    );
  });
});
