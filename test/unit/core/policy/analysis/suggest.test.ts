/** What a suggestion is made of: what was used, and what was seen of tools. */
import { expect, test } from 'vitest';
import { baseFrom, renderSuggestion } from '../../../../../src/cli/suggested-policy.ts';
import { parsePolicy } from '../../../../../src/config/policy.ts';
import type { AuditRecord } from '../../../../../src/core/audit/read-record.ts';
import type { AuditBody } from '../../../../../src/core/audit/record.ts';
import { suggestPolicy } from '../../../../../src/core/policy/analysis/suggest.ts';
import { grantedUses, Usage } from '../../../../../src/core/policy/analysis/usage.ts';
import { decision, outcome } from '../../../../testkit/core-log.ts';

const PLANNER = 'spiffe://x.y/agent/planner/1';
const FILES = 'spiffe://x.y/agent/files/1';
const DIGEST = 'A'.repeat(43);

let seq = 0;
const framed = (body: AuditBody): AuditRecord => ({
  ...body,
  log: 'L',
  prev: '',
  seq: ++seq,
  sidecar: FILES,
  time: seq,
  v: 1,
});
const call = (hop: string, name: string, more = {}) =>
  framed(
    decision({
      hop,
      caller: PLANNER,
      callee: FILES,
      agents: [{ id: PLANNER, link: 'l' }],
      granted: ['files:*'],
      method: 'POST',
      target: '/mcp',
      required: [`files:${name}`],
      operations: [{ method: 'tools/call', name }],
      ...more,
    }),
  );

const BASE = `apiVersion: hopgate.dev/v1
kind: Policy
revision: base-1
routes:
  # The server of files.
  - name: files
    path: /mcp
    protocol: mcp
    operations: [{methods: [tools/call], scopes: ["files:{tool}"]}, {methods: [initialize], scopes: [files:use]}]
    tools: {filter: true, unlisted: flag}
    labels: {response: [documents]}
  - {name: never, path: /never, scopes: [never:used]}
rules:
  - {name: all, effect: allow, scopes: ["files:*"]}
  - {name: all-of-it, effect: allow, scopes: ["never:*"]}
  - {name: not-that, effect: deny, routes: [never], when: chain.depth > 1}
  - {name: odd, effect: flag, when: '"documents" in data.labels'}
content:
  - {name: secrets, directions: [request], routes: [files, never], detectors: [secrets], action: flag}
`;

const usageOf = (...records: readonly AuditRecord[]) => {
  const usage = new Usage();
  for (const record of records) usage.take(record);
  return usage.used();
};

test('operations that were asked for, tools that were offered, and the rest of the base', () => {
  const hops = usageOf(
    call('h.1', 'read'),
    call('h.1', 'read', { direction: 'outbound' }),
    call('h.2', 'write'),
    framed(
      outcome({
        hop: 'h.2',
        tools: [
          { change: 'unlisted', digest: DIGEST, name: 'read' },
          { change: 'changed', digest: DIGEST, name: 'write' },
        ],
      }),
    ),
  );
  expect(hops).toHaveLength(2);
  const base = parsePolicy(BASE, 'b.yaml');
  const text = renderSuggestion(suggestPolicy(hops, base), baseFrom(BASE, base), []);
  const policy = parsePolicy(text, 's.yaml');
  expect(policy.routes).toMatchObject([
    {
      name: 'files',
      methods: ['POST'],
      operations: [{ methods: ['tools/call'], names: ['read', 'write'], scopes: ['files:{tool}'] }],
      // What has changed since it was approved is for people to look at.
      tools: { filter: true, unlisted: 'flag', approved: { read: DIGEST } },
      labels: { response: ['documents'] },
    },
  ]);
  expect(policy.rules.map(({ name }) => name)).toEqual(['planner-to-files', 'odd']);
  expect(policy.rules[0]).toMatchObject({
    scopes: ['files:read', 'files:write'],
    callees: ['spiffe://x.y/agent/files/*'],
  });
  expect(policy.content).toMatchObject([{ name: 'secrets', routes: ['files'] }]);
  expect(text).toContain('# 2 hops');
});

test('a hop that one side denied was not used', () => {
  expect(
    usageOf(
      call('h.1', 'read', { direction: 'outbound' }),
      call('h.1', 'read', { verdict: 'deny', reason: 'rule_denied' }),
    ),
  ).toEqual([]);
});

test('what a kind of agent held, and what of it was needed behind it', () => {
  const hops = usageOf(
    call('h.1', 'read', { granted: ['files:*', 'mail:send'] }),
    call('h.2', 'list', {
      caller: 'spiffe://x.y/agent/helper/1',
      agents: [
        { id: PLANNER, link: 'l' },
        { id: 'spiffe://x.y/agent/helper/1', link: 'm' },
      ],
      granted: ['files:list'],
    }),
  );
  expect(grantedUses(hops)).toEqual([
    {
      agent: 'spiffe://x.y/agent/planner/*',
      granted: ['files:*', 'mail:send'],
      used: ['files:list', 'files:read'],
    },
    { agent: 'spiffe://x.y/agent/helper/*', granted: ['files:list'], used: ['files:list'] },
  ]);
});

test('what senders chose becomes no wildcard', () => {
  const base = parsePolicy(BASE, 'b.yaml');
  const hops = usageOf(call('h.1', 'read*'), call('h.2', 'read'));
  const beside = suggestPolicy(hops, base).routes[0]?.rule.operations;
  expect(beside).toMatchObject([{ methods: ['tools/call'], names: undefined }]);
  const alone = suggestPolicy(hops, undefined).routes.flatMap(({ rule }) => rule.operations ?? []);
  expect(alone.flatMap(({ names = [] }) => names)).toEqual(['read']);

  const paths = usageOf(
    call('h.1', 'x', { target: '/items/*', operations: undefined, required: ['items:read'] }),
    call('h.2', 'x', { target: '/items/1', operations: undefined, required: ['items:read'] }),
  );
  const { routes, leftOut } = suggestPolicy(paths, undefined);
  expect(routes.map(({ rule }) => rule.path)).toEqual(['/items/1']);
  expect(leftOut.map(({ record }) => record.target)).toEqual(['/items/*']);
});
