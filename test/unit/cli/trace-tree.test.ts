import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { renderTrace } from '../../../src/cli/trace-tree.ts';
import type { Trace, TraceNode } from '../../../src/core/audit/trace.ts';
import { ALICE } from '../../testkit/core-world.ts';
import { TASK } from '../../testkit/sealed-log.ts';

const FIRST = new Date(2026, 10, 20, 13, 59, 58).getTime();
const LAST = FIRST + 43_000;
const node = (name: string, actions: number, changes: Partial<TraceNode> = {}): TraceNode => ({
  agent: `spiffe://company.com/agent/${name}`,
  links: 1,
  actions,
  denied: [],
  scopes: [],
  first: FIRST,
  last: LAST,
  children: [],
  ...changes,
});
const trace = (roots: readonly TraceNode[], changes: Partial<Trace> = {}): Trace => ({
  task: TASK,
  principal: ALICE,
  actions: 249,
  denials: 0,
  agents: 2,
  untraced: 0,
  first: FIRST,
  last: LAST,
  roots,
  ...changes,
});
const render = (value: Trace, columns = 100): readonly string[] =>
  stripVTControlCharacters(renderTrace(value, columns)).split('\n');

test('a tree of agents, with what each did and on which scope', () => {
  const scopes = [
    { pattern: 'ec2:Describe*', count: 200 },
    { pattern: 's3:List*', count: 34 },
  ];
  const children = [node('inventory/def456', 234, { scopes }), node('security/s1', 0)];
  expect(render(trace([node('planning/abc123', 15, { children })]))).toEqual([
    `task ${TASK}  ${ALICE}   13:59:58 – 14:00:41`,
    ALICE,
    '└─ planning/abc123        15 actions',
    '   ├─ inventory/def456   234 actions   ec2:Describe*, s3:List*',
    '   └─ security/s1          0 actions',
    '',
    '249 actions by 2 agents, all traceable to alice@company.com',
  ]);
});

test('more scopes than there is room for are left out, and that is shown', () => {
  const scopes = Array.from({ length: 20 }, (_, index) => ({ pattern: `ec2:Describe${index}*`, count: 1 }));
  const [, , line] = render(trace([node('planning/abc123', 1, { scopes })]), 70);
  expect(line).toMatch(/ec2:Describe0\*, .*, …$/);
  expect(line?.length).toBeLessThanOrEqual(70);
});

test('denials stand beside the agent, with their reasons', () => {
  const denied = [
    { reason: 'scope_missing', count: 2 },
    { reason: 'rule_denied', count: 1 },
  ] as const;
  const lines = render(
    trace([node('planning/abc123', 1, { denied })], { actions: 1, agents: 1, denials: 3 }),
  );
  expect(lines[2]).toContain('1 action   3 denied: scope_missing ×2, rule_denied');
  expect(lines.at(-1)).toBe('1 action by 1 agent, all traceable to alice@company.com; 3 requests denied');
});

test('what can’t be traced is not called traceable', () => {
  expect(render(trace([node('planning/abc123', 248)], { untraced: 1 })).at(-1)).toBe(
    '249 actions by 2 agents, of which 1 can’t be traced to alice@company.com',
  );
});

test('a task over midnight has dates', () => {
  expect(render(trace([], { last: FIRST + 86_400_000 }))[0]).toContain(
    '2026-11-20 13:59:58 – 2026-11-21 13:59:58',
  );
});
