import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { LogColumns, localTime, type RowOptions, shortId } from '../../../src/cli/log-columns.ts';
import type { ShownRecord } from '../../../src/cli/log-filter.ts';
import type { DecisionRecord } from '../../../src/core/audit/record.ts';
import { decision, INVENTORY, outcome, TASK } from '../../testkit/sealed-log.ts';

const TIME = new Date(2026, 10, 20, 13, 59, 58, 7).getTime();
const FRAME = { log: 'l', prev: '', seq: 1, sidecar: INVENTORY.id, time: TIME, v: 1 } as const;
const shown = (changes: Partial<DecisionRecord> = {}): ShownRecord => ({ ...decision(changes), ...FRAME });
const lay = (record: ShownRecord, options: Partial<RowOptions> = {}): readonly string[] =>
  new LogColumns({ terminalColumns: 140, wide: false, ...options })
    .lines(record)
    .map(stripVTControlCharacters);

const kept: ShownRecord = {
  ...FRAME,
  action: 'released',
  by: 'bob',
  callee: INVENTORY.id,
  caller: 'spiffe://company.com/agent/planning/abc123',
  hop: '',
  id: 'q'.repeat(42).concat('A'),
  key: '',
  kind: 'quarantine',
  method: 'POST',
  principal: 'mailto:alice@company.com',
  reason: 'a false\nalarm',
  rule: 'injection',
  target: '/reports',
  task: TASK,
};

describe('a row of the quarantine', () => {
  test('says who did what with which request', () => {
    const [, row] = lay(kept);
    expect(row).toMatch(
      /^13:59:58\.007 {2}– +planning\/abc123 → inventory\/… {2}POST \/reports +released by bob +quarantine$/,
    );
  });

  test('has id, rule, task and what was said when wide, on one line', () => {
    const [, row] = lay(kept, { wide: true });
    expect(row).toContain(`id=${'q'.repeat(42)}A rule=injection task=${TASK} why=a false\u{fffd}alarm`);
  });

  test('of a damaged file says so much as is known', () => {
    const blank = { caller: '', callee: '', method: '', target: '', rule: '', task: '', reason: '' };
    expect(lay({ ...kept, ...blank, action: 'dropped', by: 'operator' })[1]).toMatch(/– → –.*dropped by op/);
  });
});

describe('a row', () => {
  test('says when, what was decided, who called whom, for what, and how long it took', () => {
    const [date, row] = lay(shown());
    expect(date).toBe('— 2026-11-20 —');
    expect(row).toMatch(
      /^13:59:58\.007 {2}permit {2}out {2}planning\/abc123 → inventory\/… {2}GET \/instances +ec2:DescribeInstanc… +340 µs$/,
    );
  });

  test('takes the sidecar’s own total where there is one', () => {
    expect(lay(shown({ us: { total: 350, verify: 300 } }))[1]).toMatch(/ 350 µs$/);
  });

  test('keeps every column in its place, whatever stands in it', () => {
    const columns = new LogColumns({ terminalColumns: 140, wide: false });
    const rows = [
      shown(),
      shown({ verdict: 'deny', reason: 'scope_missing', target: `/${'x'.repeat(90)}` }),
    ].flatMap((record) => columns.lines(record).map(stripVTControlCharacters));
    const [, short, long] = rows;
    expect(long?.length).toBe(short?.length);
    expect(long?.indexOf('GET')).toBe(short?.indexOf('GET'));
    expect(long?.length).toBeLessThanOrEqual(140);
    expect(long).toContain('scope_missing');
  });

  test('is cut to no width where there is no terminal', () => {
    const target = `/${'x'.repeat(200)}`;
    expect(lay(shown({ target }), { terminalColumns: undefined })[1]).toContain(target);
  });

  test('has full IDs, task and hop when wide', () => {
    const [, row] = lay(shown(), { wide: true });
    expect(row).toContain(`→ ${INVENTORY.id}`);
    expect(row).toContain(`task=${TASK}`);
  });

  test('says by whom it was approved, or what it waits for, when wide', () => {
    const id = 'a'.repeat(43);
    const by = (approver: string) =>
      lay(shown({ approvals: [{ approver, id }] }), { wide: true })[1]?.split(' approval=')[1];
    expect(by('mailto:bob@company.com')).toBe(`${id} by mailto:bob@company.com`);
    expect(by('')).toBe(id);
  });

  test('says the date once', () => {
    const columns = new LogColumns({ terminalColumns: 140, wide: false });
    expect(columns.lines(shown())).toHaveLength(2);
    expect(columns.lines(shown())).toHaveLength(1);
    expect(columns.lines({ ...shown(), time: TIME + 86_400_000 })).toHaveLength(2);
  });
});

test('an outcome shows how the request of its decision ended', () => {
  const ended: ShownRecord = {
    ...outcome({ status: 502, result: 'upstream_failed' }),
    ...FRAME,
    decision: decision(),
  };
  expect(lay(ended)[1]).toMatch(/ 502 .*planning\/abc123 .*GET \/instances.*upstream_failed/);
});

test('refusals are one row a source', () => {
  const rows = lay({
    kind: 'refusals',
    from: 1,
    to: 2,
    sources: [
      { source: '10.0.0.7', reason: 'svid_expired', count: 4 },
      { source: 'other', reason: 'hs_timeout', count: 1 },
      { source: 'spiffe://company.com/agent/planning/abc123', reason: 'caller_rate', count: 7 },
    ],
    ...FRAME,
  });
  expect(rows).toHaveLength(4);
  expect(rows[3]).toMatch(/deny +in +planning\/abc123 → inventory\/.*7 × more.*caller_rate/);
  expect(rows[1]).toMatch(/deny +in +10\.0\.0\.7 → inventory\/def456.*4 × unauthenticated.*svid_expired/);
});

test.each([
  ['a cursor movement', '/a\u001b[2K\u001b[1A'],
  ['a forged line', '/a\n13:59:58.007  permit'],
  ['a carriage return', '/a\rpermit'],
  ['a change of direction', '/a\u202etimrep'],
])('%s in a target stays in its cell', (_what, target) => {
  const raw = new LogColumns({ terminalColumns: undefined, wide: true }).lines(shown({ target })).join('|');
  expect(raw).not.toMatch(/[\n\r\u202e]/);
  expect(raw).not.toContain('\u001b[2K');
  expect(raw).toContain('/a\ufffd');
});

test('names are short in their own trust domain, and say the domain of others', () => {
  expect(shortId(INVENTORY.id, 'company.com')).toBe('inventory/def456');
  expect(shortId(INVENTORY.id, 'other.com')).toBe('inventory/def456@company.com');
  expect(shortId('spiffe://company.com/client/alice', 'company.com')).toBe('client/alice');
  expect(shortId('', 'company.com')).toBe('–');
});

test('times have milliseconds', () => {
  expect(localTime(TIME)).toBe('13:59:58.007');
});

describe('what would have been said', () => {
  test('stands where a reason would, of an observed route before a rule in shadow', () => {
    const shadow = [
      { effect: 'allow', rule: 'more' },
      { effect: 'deny', rule: 'night' },
    ];
    expect(lay(shown({ shadow }))[1]).toContain('would: deny night');
    expect(lay(shown({ shadow, observed: 'scope_missing' }))[1]).toContain('would: scope_missing');
    expect(lay(shown({ shadow: [{ effect: 'allow', rule: 'more' }] }))[1]).not.toContain('would');
  });

  test('is there in full when wide, with flags and labels', () => {
    const record = shown({
      flags: ['odd'],
      labels: ['finance', 'pii'],
      shadow: [{ effect: 'deny', rule: 'night' }],
      observed: 'scope_missing',
    });
    expect(lay(record, { wide: true })[1]).toContain(
      ' flags=odd labels=finance,pii shadow=deny:night observed=scope_missing',
    );
  });
});
