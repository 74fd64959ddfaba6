/** What is suggested from a log lets through all that the log permits, and requires and allows nothing that is not in it. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { baseFrom, renderSuggestion } from '../../src/cli/suggested-policy.ts';
import { parsePolicy } from '../../src/config/policy.ts';
import type { DecisionRecord, OperationNote } from '../../src/core/audit/record.ts';
import { lintPolicy } from '../../src/core/policy/analysis/lint.ts';
import type { RecordedDecision } from '../../src/core/policy/analysis/recorded.ts';
import { Replay } from '../../src/core/policy/analysis/replay.ts';
import { suggestPolicy } from '../../src/core/policy/analysis/suggest.ts';
import { Usage } from '../../src/core/policy/analysis/usage.ts';
import { decision } from '../testkit/core-log.ts';

const AGENTS = ['agent/a/1', 'agent/a/2', 'agent/b/1', 'client/c'].map((one) => `spiffe://x.y/${one}`);

/** A site whose paths mean something, as a policy would have it. */
const SITE: readonly {
  readonly path: string;
  readonly required: readonly string[];
  readonly operations?: readonly OperationNote[];
}[] = [
  ...['1', '2', '3', '4', '5', 'a.b'].map((id) => ({ path: `/items/${id}`, required: ['items:read'] })),
  { path: '/items', required: ['items:list'] },
  { path: '/items/1/parts/2', required: ['items:read', 'parts:read'] },
  ...['Describe', 'Terminate', 'Start', 'Stop', 'List'].map((name) => ({
    path: `/ec2/${name}`,
    required: ['cloud:use', `ec2:${name}`],
  })),
  { path: '/', required: ['root:read'] },
  ...['read', 'write', 'drop'].map((name) => ({
    path: '/mcp',
    required: ['mcp:use', `mcp:${name}`],
    operations: [{ method: 'tools/call', name }],
  })),
  { path: '/mcp', required: ['mcp:use'], operations: [{ method: 'initialize', name: '' }] },
  { path: '/a2a', required: ['a2a:review'], operations: [{ method: 'SendMessage', name: 'review' }] },
];

const hop = fc
  .record({
    agents: fc.uniqueArray(fc.constantFrom(...AGENTS), { minLength: 1, maxLength: 3 }),
    callee: fc.constantFrom(...AGENTS),
    method: fc.constantFrom('GET', 'POST'),
    visit: fc.constantFrom(...SITE),
    denied: fc.boolean(),
    plain: fc.boolean(),
    principal: fc.constantFrom('mailto:p@x.y', 'mailto:q@x.y'),
  })
  .map(
    ({ agents, visit, denied, plain, ...rest }): Partial<DecisionRecord> => ({
      ...rest,
      agents: agents.map((id, at) => ({ id, link: `l${at}` })),
      caller: agents.at(-1) ?? '',
      granted: ['items:*', 'parts:*', 'cloud:*', 'ec2:*', 'root:*', 'mcp:*', 'a2a:*'],
      required: visit.required,
      target: visit.path,
      ...(visit.operations !== undefined && { operations: visit.operations, method: 'POST' }),
      ...(denied && { verdict: 'deny', reason: 'rule_denied' }),
      ...(plain && { direction: 'inbound', proof: 'request' }),
    }),
  );

const recordsOf = (all: readonly Partial<DecisionRecord>[]): readonly RecordedDecision[] =>
  all.map((one, at) => ({
    ...decision({ hop: `h.${at}`, rule: '', task: 't', ...one }),
    log: 'L',
    prev: '',
    seq: at + 1,
    sidecar: AGENTS[0] ?? '',
    time: (at + 1) * 1000,
    v: 1,
  }));

const used = (records: readonly RecordedDecision[]) => {
  const usage = new Usage();
  for (const record of records) usage.take(record);
  return usage.used();
};

const NO_LABELS = new Set<string>();
const logs = fc.array(hop, { minLength: 1, maxLength: 40 }).map(recordsOf);

/** Of literals alone: everything that a policy requires or allows. */
const literals = (text: string): readonly string[] => {
  const { routes, rules } = parsePolicy(text, 's.yaml');
  return [
    ...routes.flatMap(({ scopes, operations = [] }) => [
      ...scopes,
      ...operations.flatMap((one) => one.scopes),
    ]),
    ...rules.flatMap(({ scopes = [] }) => scopes),
  ];
};

/** Whether the name that came with a message was its skill or its task, no record says. */
const expectKept = (record: RecordedDecision, replay: Replay, text: string): void => {
  const { change, missing } = replay.judge(record);
  const isOpen = record.operations?.[0]?.method === 'SendMessage' && change === 'unknown';
  if (isOpen) expect(missing, text).toEqual(['what a name stands for']);
  else expect(change, text).toBe('same');
};

test('from a log alone', () => {
  let suggested = 0;
  fc.assert(
    fc.property(logs, (records) => {
      const permitted = records.filter(({ verdict }) => verdict === 'permit');
      const hops = used(records);
      expect(hops).toHaveLength(permitted.length);
      if (hops.length === 0) return;
      const suggestion = suggestPolicy(hops, undefined);
      expect(suggestion.leftOut).toEqual([]);
      const text = renderSuggestion(suggestion, undefined, []);
      const policy = parsePolicy(text, 's.yaml');
      expect(lintPolicy(policy, 0).filter(({ severity }) => severity === 'fault')).toEqual([]);
      const replay = new Replay(policy, NO_LABELS);
      for (const record of permitted) expectKept(record, replay, text);
      const inLog = new Set(permitted.flatMap(({ required }) => required));
      for (const scope of literals(text)) expect(inLog.has(scope), scope).toBe(true);
      suggested++;
    }),
    { numRuns: 200 },
  );
  expect(suggested).toBeGreaterThan(100);
});

const BASE = `apiVersion: hopgate.dev/v1
kind: Policy
revision: base-1
limits: {maxDepth: 5}
scopeSets: {items:all: ["items:*"]}
routes:
  - {name: item, path: "/items/{id}", scopes: [items:read], labels: {response: [pii]}}
  - {name: items, path: /items, scopes: [items:list]}
  - {name: part, path: "/items/{id}/parts/{part}", scopes: [items:read, parts:read]}
  - {name: ec2, path: "/ec2/{action}", scopes: [cloud:use, "ec2:{action}"]}
  - {name: root, path: /, scopes: [root:read]}
  - name: mcp
    path: /mcp
    protocol: mcp
    scopes: [mcp:use]
    operations: [{methods: [tools/call], scopes: ["mcp:{tool}"]}, {methods: [initialize, ping]}]
  - {name: a2a, path: /a2a, protocol: a2a, operations: [{scopes: ["a2a:{skill}"]}]}
rules:
  - {name: all, effect: allow, callerTypes: [a, client]}
  - {name: some, effect: allow, callerTypes: [b], when: 'caller.score > 100 && chain.depth < 9'}
  - {name: no-deep-parts, effect: deny, routes: [part], when: chain.depth > 7}
  - {name: no-termination, effect: deny, scopes: ["ec2:Terminate*"], when: 'chain.depth > 8'}
demands: [{labels: [pii], maxDepth: 4}]
withoutSidecar:
  - {name: anybody, callerTypes: [a, b, client]}
`;

test('beside a base: its conditions, denies, labels and sets stay', () => {
  const base = parsePolicy(BASE, 'b.yaml');
  fc.assert(
    fc.property(logs, (records) => {
      const hops = used(records);
      if (hops.length === 0) return;
      const suggestion = suggestPolicy(hops, base);
      expect(suggestion.leftOut).toEqual([]);
      const text = renderSuggestion(suggestion, baseFrom(BASE, base), []);
      const policy = parsePolicy(text, 's.yaml');
      expect(lintPolicy(policy, 0).filter(({ severity }) => severity === 'fault')).toEqual([]);
      const [was, now] = [new Replay(base, NO_LABELS), new Replay(policy, NO_LABELS)];
      for (const { record } of hops) {
        expect(now.judge(record).change, text).not.toBe('denied');
        // What hung on a condition hangs on it still.
        expect(now.judge(record).change).toBe(was.judge(record).change);
      }
      // Nothing that the base refused is let through.
      for (const record of records)
        if (was.judge(record).now?.verdict === 'deny') expect(now.judge(record).now?.verdict).toBe('deny');
      expect(policy.scopeSets).toEqual(base.scopeSets);
      const inLog = new Set(hops.flatMap(({ record }) => record.required));
      for (const { effect, scopes = [] } of policy.rules)
        if (effect === 'allow') for (const scope of scopes) expect(inLog.has(scope), scope).toBe(true);
    }),
    { numRuns: 150 },
  );
});
