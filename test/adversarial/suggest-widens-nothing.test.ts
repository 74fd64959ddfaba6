/** What the base denies, a suggestion from its log denies too: whatever was called, and whatever was not. */
import { describe, expect, test } from 'vitest';
import { baseFrom, renderSuggestion } from '../../src/cli/suggested-policy.ts';
import { parsePolicy } from '../../src/config/policy.ts';
import type { AuditRecord } from '../../src/core/audit/read-record.ts';
import type { AuditBody, DecisionRecord } from '../../src/core/audit/record.ts';
import type { RecordedDecision } from '../../src/core/policy/analysis/recorded.ts';
import { Replay } from '../../src/core/policy/analysis/replay.ts';
import { suggestPolicy } from '../../src/core/policy/analysis/suggest.ts';
import { Usage } from '../../src/core/policy/analysis/usage.ts';
import type { Policy } from '../../src/core/policy/model.ts';
import { decision, outcome } from '../testkit/core-log.ts';

const PLANNER = 'spiffe://x.y/agent/planner/1';
const BOSS = 'spiffe://x.y/agent/boss/1';
const FILES = 'spiffe://x.y/agent/files/1';

let seq = 0;
const framed = <T extends AuditBody>(body: T) => ({
  ...body,
  log: 'L',
  prev: '',
  seq: ++seq,
  sidecar: FILES,
  time: seq,
  v: 1 as const,
});
const call = (
  target: string,
  required: readonly string[],
  { caller = PLANNER, ...more }: Partial<DecisionRecord> = {},
): RecordedDecision =>
  framed(
    decision({
      hop: `h.${seq}`,
      caller,
      callee: FILES,
      agents: [{ id: caller, link: 'l' }],
      granted: ['items:*', 'use:*', 'admin:*'],
      target,
      required,
      rule: '',
      ...more,
    }),
  );
const tool = (name: string, required: readonly string[], more: Partial<DecisionRecord> = {}) =>
  call('/mcp', required, { method: 'POST', operations: [{ method: 'tools/call', name }], ...more });

const suggested = (source: string, records: readonly AuditRecord[]): Policy => {
  const base = parsePolicy(source, 'base.yaml');
  const usage = new Usage();
  for (const record of records) usage.take(record);
  const text = renderSuggestion(suggestPolicy(usage.used(), base), baseFrom(source, base), []);
  return parsePolicy(text, 'suggested.yaml');
};
const policyOf = (routes: string, rules: string): string =>
  `apiVersion: hopgate.dev/v1\nkind: Policy\nrevision: r1\nroutes:\n${routes}\nrules:\n${rules}\n`;

const judged = (policy: Policy, probe: RecordedDecision) =>
  new Replay(policy, new Set()).judge(probe).now?.verdict;

const ALL =
  '  - {name: all, effect: allow, callers: ["spiffe://x.y/agent/planner/*"], scopes: ["items:*", "use:*"]}';

describe.each<[string, string, readonly AuditRecord[], RecordedDecision]>([
  [
    'a route that nobody used, before one that would take its requests',
    policyOf(
      `  - {name: secret, path: /items/secret, scopes: [admin:read]}
  - {name: item, path: "/items/{id}", scopes: [items:read]}`,
      ALL,
    ),
    [call('/items/1', ['items:read'])],
    call('/items/secret', []),
  ],
  [
    'a method that nobody used, of a route before one that would take it',
    policyOf(
      `  - {name: admin, path: /admin, scopes: [admin:use]}
  - {name: other, path: "/*", scopes: [use:it]}`,
      `${ALL}\n  - {name: boss, effect: allow, callers: ["spiffe://x.y/agent/boss/*"]}`,
    ),
    [
      call('/admin', ['admin:use'], { caller: BOSS }),
      call('/x', ['use:it']),
      call('/x', ['use:it'], { method: 'POST' }),
    ],
    call('/admin', [], { method: 'POST' }),
  ],
  [
    'an operation that nobody asked for, before one that would take it',
    policyOf(
      `  - name: mcp
    path: /mcp
    protocol: mcp
    operations: [{methods: [tools/call], names: ["delete*"], scopes: [admin:use]}, {scopes: [use:it]}]`,
      ALL,
    ),
    [
      tool('read', ['use:it']),
      call('/mcp', ['use:it'], { method: 'POST', operations: [{ method: 'initialize', name: '' }] }),
    ],
    tool('delete-all', []),
  ],
  [
    'another instance of the caller',
    policyOf(
      '  - {name: item, path: "/items/{id}", scopes: [items:read]}',
      `  - {name: one, effect: allow, callers: ["${PLANNER}"]}`,
    ),
    [call('/items/1', ['items:read'])],
    call('/items/1', [], { caller: 'spiffe://x.y/agent/planner/2' }),
  ],
  [
    'another instance of the callee',
    policyOf(
      '  - {name: item, path: "/items/{id}", scopes: [items:read]}',
      `  - {name: one, effect: allow, callees: ["${FILES}"]}`,
    ),
    [call('/items/1', ['items:read'])],
    call('/items/1', [], { callee: 'spiffe://x.y/agent/files/2' }),
  ],
])('%s', (_what, source, records, probe) => {
  test('is denied still, and what was used is not', () => {
    const policy = suggested(source, records);
    expect(judged(parsePolicy(source, 'base.yaml'), probe)).toBe('deny');
    expect(judged(policy, probe)).toBe('deny');
    for (const record of records)
      if (record.kind === 'decision') expect(judged(policy, record)).toBe('permit');
  });
});

const MCP = (tools: string) =>
  policyOf(
    `  - {name: mcp, path: /mcp, protocol: mcp, operations: [{methods: [tools/call], names: [read, "a*"], scopes: [use:it]}], tools: ${tools}}`,
    ALL,
  );
const DIGEST = 'A'.repeat(43);
const offered = (name: string): AuditRecord =>
  framed(outcome({ hop: 'h.tools', tools: [{ change: 'unlisted', digest: DIGEST, name }] }));

test('a tool that was offered where none may be that nobody has approved is not approved by that', () => {
  const used = tool('read', ['use:it'], { hop: 'h.tools' });
  const policy = suggested(MCP(`{approved: {read: ${DIGEST}}}`), [used, offered('evil')]);
  expect(Object.keys(policy.routes[0]?.tools?.approved ?? {})).toEqual(['read']);
});

test('a tool whose name is a pattern opens nothing', () => {
  const policy = suggested(MCP('{unlisted: flag, filter: true}'), [
    tool('read', ['use:it']),
    tool('a*', ['use:it']),
  ]);
  expect(policy.routes[0]?.operations?.[0]?.names).toEqual(['read', 'a*']);
  const usage = new Usage();
  for (const one of [tool('read', ['use:it']), tool('*', ['use:it'])]) usage.take(one);
  const alone = parsePolicy(
    renderSuggestion(suggestPolicy(usage.used(), undefined), undefined, []),
    's.yaml',
  );
  expect(alone.routes.flatMap(({ operations = [] }) => operations.flatMap(({ names }) => names))).toEqual([
    'read',
  ]);
});
