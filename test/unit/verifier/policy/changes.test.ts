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
  ])('%s', (_what, to, expected) => expect(changes(to)).toEqual(expected));

  test('routes in another order, since the first that matches counts', () => {
    const more = '  - name: all\n    path: /reports/*\n    scopes: [cloud:list]\n';
    const one = BASE.replace('rules:', `${more}rules:`);
    const other = BASE.replace('routes:\n', `routes:\n${more}`);
    expect(changes(other, one)).toEqual([
      { kind: 'changed', what: 'order of routes', details: ['now: all, read'] },
    ]);
  });
});
