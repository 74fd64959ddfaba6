import { describe, expect, test } from 'vitest';
import { CommandError } from '../../../src/cli/command.ts';
import { type LogFilter, LogSelection, parseReason, parseSince } from '../../../src/cli/log-filter.ts';
import { readRecordLine } from '../../../src/core/audit/read-record.ts';
import type { AuditBody } from '../../../src/core/audit/record.ts';
import { permitted } from '../../testkit/core-world.ts';
import {
  decision,
  digest,
  INVENTORY,
  outcome,
  PLANNING,
  SealedLog,
  started,
  TASK,
} from '../../testkit/sealed-log.ts';

const refusals: AuditBody = {
  kind: 'refusals',
  from: 1,
  to: 2,
  sources: [{ source: '10.0.0.7', reason: 'svid_expired', count: 4 }],
};

const kept: AuditBody = {
  action: 'released',
  by: 'bob',
  callee: INVENTORY.id,
  caller: PLANNING.id,
  hop: '',
  id: digest(3),
  key: '',
  kind: 'quarantine',
  method: 'POST',
  principal: 'mailto:alice@company.com',
  reason: '',
  rule: 'injection',
  target: '/reports',
  task: TASK,
};

/** Kinds of the records that a filter lets through. */
const selected = (filter: Partial<LogFilter>, ...bodies: readonly AuditBody[]): readonly string[] => {
  const selection = new LogSelection({ outcomes: false, ...filter });
  const log = new SealedLog(PLANNING);
  for (const body of bodies) log.add(body);
  return log.lines.flatMap((line) => selection.select(permitted(readRecordLine(line)))?.kind ?? []);
};

describe('what is shown', () => {
  const all = [started, decision(), outcome(), refusals] as const;

  test('decisions and refusals, and outcomes when asked for', () => {
    expect(selected({}, ...all)).toEqual(['decision', 'refusals']);
    expect(selected({ outcomes: true }, ...all)).toEqual(['decision', 'outcome', 'refusals']);
  });

  test.each<[Partial<LogFilter>, number]>([
    [{ verdict: 'permit' }, 1],
    [{ verdict: 'deny' }, 0],
    [{ task: TASK.slice(0, 3) }, 1],
    [{ task: digest(9) }, 0],
    [{ agent: 'inventory/def' }, 1],
    [{ agent: 'abc123' }, 1],
    [{ agent: 'security' }, 0],
    [{ reason: 'ok' }, 1],
    [{ reason: 'scope_missing' }, 0],
    [{ direction: 'outbound' }, 1],
    [{ direction: 'inbound' }, 0],
    [{ since: 0 }, 1],
    [{ since: Number.MAX_SAFE_INTEGER }, 0],
  ])('a decision under %o: %i', (filter, count) => {
    expect(selected(filter, decision())).toHaveLength(count);
  });

  test.each<[Partial<LogFilter>, number]>([
    [{}, 1],
    [{ task: TASK.slice(0, 3) }, 1],
    [{ task: digest(9) }, 0],
    [{ agent: 'abc123' }, 1],
    [{ agent: 'inventory/def' }, 1],
    [{ agent: 'bob' }, 1],
    [{ agent: 'security' }, 0],
    [{ verdict: 'deny' }, 0],
    [{ reason: 'quarantined' }, 0],
    [{ direction: 'inbound' }, 0],
    [{ since: Number.MAX_SAFE_INTEGER }, 0],
  ])('what became of a request in quarantine under %o: %i', (filter, count) => {
    expect(selected(filter, kept)).toHaveLength(count);
  });

  test('an agent in the middle of the chain is found', () => {
    const agents = [
      { id: 'spiffe://company.com/agent/security/s1', link: digest(1) },
      { id: PLANNING.id, link: digest(2) },
    ];
    expect(selected({ agent: 'security' }, decision({ agents }))).toHaveLength(1);
  });

  test('an outcome is found by what its decision says', () => {
    const withOutcomes = { outcomes: true } as const;
    expect(selected({ ...withOutcomes, agent: INVENTORY.id }, decision(), outcome())).toHaveLength(2);
    expect(selected({ ...withOutcomes, agent: INVENTORY.id }, outcome())).toEqual([]);
    expect(selected({ ...withOutcomes, task: digest(9) }, decision(), outcome())).toEqual([]);
  });

  test('refusals are denials of nobody known', () => {
    expect(
      selected({ verdict: 'deny', reason: 'svid_expired', direction: 'inbound' }, refusals),
    ).toHaveLength(1);
    expect(selected({ reason: 'svid_id' }, refusals)).toEqual([]);
    expect(selected({ agent: 'planning' }, refusals)).toEqual([]);
    expect(selected({ verdict: 'permit' }, refusals)).toEqual([]);
  });
});

describe('--since', () => {
  const now = Date.UTC(2026, 10, 20, 14);

  test.each([
    ['30s', now - 30_000],
    ['10m', now - 600_000],
    ['2h', now - 7_200_000],
    ['1d', now - 86_400_000],
    ['2026-11-20T13:59:58Z', Date.UTC(2026, 10, 20, 13, 59, 58)],
    ['2026-11-20T13:59+01:00', Date.UTC(2026, 10, 20, 12, 59)],
    ['2026-11-20', new Date(2026, 10, 20).getTime()],
    ['2026-11-20T13:59', new Date(2026, 10, 20, 13, 59).getTime()],
  ])('%s', (text, ms) => {
    expect(parseSince(text, now)).toBe(ms);
  });

  test.each(['', '10', '-10m', '0m', '10 m', 'yesterday', '2026-13-01', '1.5h'])('not %o', (text) => {
    expect(() => parseSince(text, now)).toThrow(CommandError);
  });
});

test('a reason that can’t occur is wrong usage, not an empty answer', () => {
  expect(parseReason('scope_missing')).toBe('scope_missing');
  expect(parseReason('ok')).toBe('ok');
  expect(() => parseReason('scope_mising')).toThrow(CommandError);
});

describe('what policy has noted', () => {
  const all: readonly AuditBody[] = [
    decision(),
    decision({ flags: ['odd', 'external'] }),
    decision({ labels: ['pii'] }),
    decision({ shadow: [{ effect: 'deny', rule: 'night' }] }),
    decision({ content: [{ action: 'shadow', pattern: 'iban', rule: 'pii' }] }),
    decision({ observed: 'scope_missing' }),
    refusals,
    kept,
  ];

  test.each<[Partial<LogFilter>, number]>([
    [{ flag: 'odd' }, 1],
    [{ flag: 'even' }, 0],
    [{ label: 'pii' }, 1],
    [{ shadow: true }, 2],
    [{ observed: true }, 1],
    [{ observed: true, shadow: true }, 0],
    [{ shadow: false, observed: false }, 8],
  ])('%j: %i', (filter, count) => {
    expect(selected(filter, ...all)).toHaveLength(count);
  });

  test('an outcome is shown with the decision that was asked for', () => {
    const noted = decision({ flags: ['odd'] });
    expect(selected({ outcomes: true, flag: 'odd' }, noted, outcome())).toEqual(['decision', 'outcome']);
    expect(selected({ outcomes: true, flag: 'even' }, noted, outcome())).toEqual([]);
  });
});
