/** What two policies differ in, in words that people read. */
import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../../../src/config/policy.ts';
import { policyChanges } from '../../../../src/verifier/policy/changes.ts';
import { policyYaml } from '../../../testkit/revocation-world.ts';

const policy = (text: string) => parsePolicy(text, 'policy.yaml');
const BASE = policyYaml('r1');
const changes = (to: string, from = BASE) => policyChanges(policy(from), policy(to));

describe('changes of a policy', () => {
  test('none', () => expect(changes(policyYaml('r2'))).toEqual([]));

  test('against nothing, everything was added', () => {
    const kinds = new Set(policyChanges(undefined, policy(BASE)).map(({ kind }) => kind));
    expect([...kinds]).toEqual(['added']);
  });

  test.each([
    [
      'a limit',
      BASE.replace('routes:', 'limits: {linkTtl: 1h}\nroutes:'),
      [{ kind: 'changed', what: 'limit linkTtlSeconds', details: ['is: 7200 → 3600'] }],
    ],
    [
      'a rule that turns',
      BASE.replace('effect: allow', 'effect: deny'),
      [{ kind: 'changed', what: 'rule all-read', details: ['effect: allow → deny'] }],
    ],
    [
      'a rule more',
      policyYaml('r2', '  - name: no-admin\n    effect: deny\n    scopes: ["admin:*"]\n'),
      [{ kind: 'added', what: 'rule no-admin', details: ['effect: deny', 'scopes: admin:*'] }],
    ],
    [
      'a demand more',
      policyYaml('r2', 'demands:\n  - scopes: [cloud:read]\n    minScore: 400\n'),
      [{ kind: 'added', what: 'demand for cloud:read', details: ['minScore: 400'] }],
    ],
    [
      'a blocked agent',
      BASE.replace('routes:', 'lists: {block: {agents: [spiffe://company.com/agent/rogue/1]}}\nroutes:'),
      [{ kind: 'changed', what: 'list blockAgents', details: ['is: + spiffe://company.com/agent/rogue/1'] }],
    ],
    [
      'a condition, over several lines',
      BASE.replace(
        'effect: allow',
        'effect: allow\n    when: |\n      caller.score > 1\n      && chain.depth < 3',
      ),
      [
        {
          kind: 'changed',
          what: 'rule all-read',
          details: ['when: none → caller.score > 1 && chain.depth < 3'],
        },
      ],
    ],
    [
      'a rule that goes into the shadow',
      BASE.replace('effect: allow', 'effect: allow\n    shadow: true'),
      [{ kind: 'changed', what: 'rule all-read', details: ['shadow: none → yes'] }],
    ],
    [
      'a route of messages',
      BASE.replace(
        'rules:',
        `  - name: tools
    path: /mcp
    protocol: mcp
    operations: [{methods: [tools/call], names: [read_*], scopes: [mcp:read, mcp:any]}, {scopes: [mcp:any]}]
    tools: {approved: {read: ${'A'.repeat(43)}}}
    labels: {response: [pii]}
    enforcement: observe
    observeUntil: 2026-12-31T00:00:00Z
rules:`,
      ),
      [
        {
          kind: 'added',
          what: 'route tools',
          details: [
            'path: /mcp',
            'scopes: none',
            'protocol: mcp',
            'operations: tools/call of read_* requires mcp:read and mcp:any, any operation requires mcp:any',
            'tools filter: no',
            'tools changed: deny',
            'tools unlisted: deny',
            `tools approved: read (${'A'.repeat(43)})`,
            'labels of requests: none',
            'labels of responses: pii',
            'observeUntil: 2026-12-31T00:00:00.000Z',
          ],
        },
      ],
    ],
    [
      'delegations, content and a decision point',
      `${BASE}delegation:
  otherwise: deny
  rules: [{name: down, effect: allow, fromTypes: [planning]}]
content: [{name: keys, action: deny, patterns: {aws: "AKIA[A-Z]+"}}]
decisionPoints: [{point: opa, path: a/b}]
withoutSidecar: [{name: batch, callerTypes: [batch]}]
`,
      [
        { kind: 'added', what: 'delegation otherwise', details: ['is: deny'] },
        { kind: 'added', what: 'delegation rule down', details: ['effect: allow', 'fromTypes: planning'] },
        {
          kind: 'added',
          what: 'content rule keys',
          details: [
            'directions: request, response',
            'patterns: aws = AKIA[A-Z]+',
            'action: deny',
            'mode: hold',
            'holdBytes: 1048576',
          ],
        },
        { kind: 'added', what: 'decision point opa a/b', details: [] },
        { kind: 'added', what: 'way in without a sidecar batch', details: ['callerTypes: batch'] },
      ],
    ],
  ])('%s', (_what, to, expected) => expect(changes(to)).toEqual(expected));

  test('an operation that needs less, and a demand on labels', () => {
    const route = (scopes: string) =>
      BASE.replace(
        'rules:',
        `  - {name: t, path: /t, protocol: mcp, labels: {request: [pii]}, operations: [{methods: [ping], scopes: [a:b]}, {scopes: [${scopes}]}]}\nrules:`,
      );
    expect(changes(route('a:b'), route('a:c'))).toEqual([
      {
        kind: 'changed',
        what: 'route t',
        details: ['operations: + any operation requires a:b', 'operations: - any operation requires a:c'],
      },
    ]);
    expect(changes(`${route('a:b')}demands: [{labels: [pii], maxDepth: 2}]\n`, route('a:b'))).toEqual([
      { kind: 'added', what: 'demand for any scope on data labelled pii', details: ['maxDepth: 2'] },
    ]);
  });

  test('routes in another order, since the first that matches counts', () => {
    const more = '  - name: all\n    path: /reports/*\n    scopes: [cloud:list]\n';
    const one = BASE.replace('rules:', `${more}rules:`);
    const other = BASE.replace('routes:\n', `routes:\n${more}`);
    expect(changes(other, one)).toEqual([
      { kind: 'changed', what: 'order of routes', details: ['now: all, read'] },
    ]);
  });
});
