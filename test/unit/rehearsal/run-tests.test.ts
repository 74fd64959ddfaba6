/** Policy tests decide by the sidecar's own code: chain, message, content, other decision points, approval, observation. */
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { ConfigError } from '../../../src/config/load.ts';
import { parsePolicyTest } from '../../../src/config/policy-test.ts';
import { runPolicyTests } from '../../testkit/policy-tests.ts';

const HEAD = 'apiVersion: hopgate.dev/v1\nkind: Policy\nrevision: r1\n';
const POLICY = `${HEAD}
limits: {maxDepth: 3}
scopeSets: {crm:use: [mcp:use, "mcp:crm:read_*"]}
routes:
  - name: crm
    path: /mcp
    protocol: mcp
    server: crm
    operations:
      - {methods: [initialize], scopes: [mcp:use]}
      - {methods: [tools/call], scopes: ["mcp:{server}:{tool}"]}
  - {name: send, path: /send, protocol: a2a, operations: [{names: [invoice], scopes: ["a2a:{skill}"]}, {scopes: [a2a:other]}]}
  - {name: pay, path: /pay, scopes: [pay:send], labels: {request: [finance]}}
  - {name: notes, path: /notes, scopes: [notes:write]}
  - {name: asked, path: /asked, scopes: [notes:write]}
  - {name: old, path: /old, scopes: [old:read], enforcement: observe, observeUntil: 2030-01-01T00:00:00Z}
rules:
  - {name: all, effect: allow, callerTypes: [a]}
  - {name: small, effect: deny, routes: [crm], when: 'mcp.tool == "read_all" && size(mcp.arguments) > 1'}
  - {name: people, effect: approve, routes: [pay], when: '!("approvers" in principal.groups)'}
  - {name: aside, effect: quarantine, routes: [notes], when: '"x-odd" in request.headers'}
  - {name: marked, effect: flag, when: 'caller.score < 300'}
  - {name: maybe, effect: deny, when: 'callee.attributes.tier == "lab"', shadow: true, callers: ["spiffe://x.y/agent/a/*"]}
demands:
  - {labels: [finance], minScore: 200}
content:
  - {name: secrets, directions: [request], routes: [notes], detectors: [secrets], action: deny}
decisionPoints:
  - {point: opa, path: a/b, routes: [asked]}
`;

const AGENT = 'spiffe://x.y/agent/a/1';
const GIVEN = {
  chain: ['spiffe://x.y/client/alice', AGENT],
  callee: 'spiffe://x.y/agent/b/1',
  scope: ['crm:use', 'a2a:invoice', 'pay:send', 'notes:write'],
  attributes: { 'spiffe://x.y/agent/b/1': { tier: 'prod' } },
};
const run = (request: object, expected: object, given: object = GIVEN) =>
  runPolicyTests(
    POLICY,
    stringify({
      apiVersion: 'hopgate.dev/v1',
      kind: 'PolicyTest',
      given,
      cases: [{ name: 'one', request, expect: expected }],
    }),
  );
const differences = async (request: object, expected: object) =>
  (await run(request, expected)).cases.flatMap((one) => one.differences);

describe('what is decided', () => {
  test.each<[string, object, object]>([
    [
      'a tool',
      { path: '/mcp', mcp: { tool: 'read_one' } },
      { verdict: 'permit', required: ['mcp:crm:read_one'] },
    ],
    [
      'a tool that the chain lacks',
      { path: '/mcp', mcp: { tool: 'drop' } },
      { verdict: 'deny', reason: 'scope_missing' },
    ],
    [
      'another method',
      { path: '/mcp', mcp: { method: 'initialize' } },
      { verdict: 'permit', required: ['mcp:use'] },
    ],
    [
      'arguments',
      { path: '/mcp', mcp: { tool: 'read_all', arguments: { a: 1, b: 2 } } },
      { verdict: 'deny', rule: 'small' },
    ],
    [
      'a skill',
      { path: '/send', a2a: { skill: 'invoice' } },
      { verdict: 'permit', required: ['a2a:invoice'] },
    ],
    [
      'no skill',
      { path: '/send', a2a: {} },
      { verdict: 'deny', reason: 'scope_missing', required: ['a2a:other'] },
    ],
    [
      'a key twice',
      {
        path: '/mcp',
        body: '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
        headers: { 'content-type': 'application/json' },
      },
      { verdict: 'deny', reason: 'message_ambiguous' },
    ],
    [
      'a batch',
      { path: '/mcp', body: '[]', headers: { 'Content-Type': 'application/json' } },
      { verdict: 'deny', reason: 'message_malformed' },
    ],
    [
      'an approval',
      { path: '/pay' },
      { verdict: 'approve', reason: 'approval_required', rule: 'people', labels: ['finance'] },
    ],
    ['what was approved', { path: '/pay', approved: true }, { verdict: 'permit', rule: 'people' }],
    ['a group', { path: '/pay', groups: ['approvers'] }, { verdict: 'permit', rule: 'all' }],
    [
      'a score',
      { path: '/pay', groups: ['approvers'], score: 100 },
      { verdict: 'deny', reason: 'score_too_low', flags: ['marked'] },
    ],
    [
      'one agent’s score',
      { path: '/notes', scores: { [AGENT]: 250 } },
      { verdict: 'permit', flags: ['marked'] },
    ],
    [
      'what is kept aside',
      { path: '/notes', headers: { 'X-Odd': '1' } },
      { verdict: 'quarantine', rule: 'aside' },
    ],
    [
      'what was released',
      { path: '/notes', headers: { 'X-Odd': '1' }, released: true },
      { verdict: 'permit', rule: 'aside' },
    ],
    [
      'a secret',
      {
        path: '/notes',
        body: 'AKIAIOSFODNN7EXAMPLA aws_secret_access_key = "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"',
        headers: { 'content-type': 'text/plain' },
      },
      { verdict: 'deny', reason: 'content_denied', content: ['secrets'] },
    ],
    ['no word of another', { path: '/asked' }, { verdict: 'deny', reason: 'opa_unavailable' }],
    [
      'a no of another',
      { path: '/asked', points: { opa: 'deny' } },
      { verdict: 'deny', reason: 'opa_denied' },
    ],
    ['a yes of another', { path: '/asked', points: { opa: 'permit' } }, { verdict: 'permit' }],
    ['a route that is observed', { path: '/old' }, { verdict: 'permit', observed: 'scope_missing' }],
    [
      'and no longer',
      { path: '/old', now: '2031-01-01T00:00:00Z' },
      { verdict: 'deny', reason: 'scope_missing' },
    ],
    [
      'a rule in shadow',
      { path: '/notes', attributes: { 'spiffe://x.y/agent/b/1': { tier: 'lab' } } },
      { verdict: 'permit', shadow: ['maybe'] },
    ],
    [
      'a chain too deep',
      {
        path: '/notes',
        chain: [1, 2, 3].map((n) => `spiffe://x.y/agent/a/${n}`).concat('spiffe://x.y/agent/b/9'),
      },
      { reason: 'chain_too_deep', verdict: 'deny' },
    ],
    [
      'a wider link',
      { path: '/notes', chain: ['spiffe://x.y/client/c', { agent: AGENT, scope: ['notes:*'] }] },
      { verdict: 'deny', reason: 'link_scope_widened' },
    ],
  ])('%s', async (_, request, expected) => {
    expect(await differences(request, expected)).toEqual([]);
  });
});

test('what differs is said, each with what it is', async () => {
  const { cases } = await run(
    { path: '/pay' },
    { verdict: 'permit', rule: 'all', labels: [], flags: ['marked'] },
  );
  expect(cases).toMatchObject([
    {
      ok: false,
      detail: 'nobody has approved pay:send',
      differences: [
        { what: 'verdict', expected: 'permit', got: 'approve' },
        { what: 'rule', expected: 'all', got: 'people' },
        { what: 'flags', expected: 'marked', got: '(none)' },
        { what: 'labels', expected: '(none)', got: 'finance' },
      ],
    },
  ]);
});

test('coverage counts what had a say, and names the rest', async () => {
  const { coverage } = await run({ path: '/mcp', mcp: { tool: 'read_one' } }, { verdict: 'permit' });
  const names = coverage?.uncovered.map(({ kind, name }) => `${kind} ${name}`) ?? [];
  expect(names).toContain('operation crm 1');
  expect(names).not.toContain('operation crm 2');
  expect(names).not.toContain('route crm');
  expect(names).not.toContain('rule all');
  expect(names).toEqual(
    expect.arrayContaining(['rule small', 'route pay', 'demand 1', 'content rule secrets']),
  );
  expect(coverage?.covered).toBe((coverage?.parts ?? 0) - names.length);
});

describe('what no request can be made of is said with its place', () => {
  test.each([
    ['no callee', { path: '/pay' }, {}, 'cases[0].request: is missing'],
    ['two bodies', { path: '/pay', body: 'x', mcp: {} }, GIVEN, 'cases[0].request.body: body, mcp and a2a'],
    [
      'a caller that is not the last',
      { path: '/pay', caller: AGENT, chain: ['spiffe://x.y/client/c'] },
      GIVEN,
      'cases[0].request.chain: does not end',
    ],
  ])('%s', async (_, request, given, wanted) => {
    const { faults } = await run(request, { verdict: 'permit' }, given);
    expect(faults).toHaveLength(1);
    expect(`${faults[0]?.field}: ${faults[0]?.message}`).toMatch(
      new RegExp(`^${wanted.replace(/[[\].]/g, '\\$&').replace('request:', 'request[.a-z]*:')}`),
    );
  });

  test.each([
    ['an unknown key', { path: '/x', tool: 'y' }, 'unknown key'],
    ['no agent ID', { path: '/x', callee: 'planning' }, 'an agent ID'],
  ])('%s', (_, request, wanted) => {
    const text = stringify({
      apiVersion: 'hopgate.dev/v1',
      kind: 'PolicyTest',
      cases: [{ name: 'one', request, expect: { verdict: 'permit' } }],
    });
    expect(() => parsePolicyTest(text, 't.yaml')).toThrow(ConfigError);
    expect(() => parsePolicyTest(text, 't.yaml')).toThrow(wanted);
  });

  test('two cases of one name', () => {
    const one = { name: 'one', request: {}, expect: { verdict: 'permit' } };
    const text = stringify({ apiVersion: 'hopgate.dev/v1', kind: 'PolicyTest', cases: [one, one] });
    expect(() => parsePolicyTest(text, 't.yaml')).toThrow('another case has this name');
  });
});
