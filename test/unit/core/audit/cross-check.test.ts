import { describe, expect, test } from 'vitest';
import { CrossCheck, HopIndex } from '../../../../src/core/audit/cross-check.ts';
import { type AuditRecord, readRecordLine } from '../../../../src/core/audit/read-record.ts';
import type { ReasonCode } from '../../../../src/core/reasons.ts';
import { NOW, permitted } from '../../../testkit/core-world.ts';
import {
  decision,
  INVENTORY,
  outcome,
  PLANNING,
  SealedLog,
  sessionOf,
  twoSides,
} from '../../../testkit/sealed-log.ts';

const recordsOf = (log: SealedLog, lines = log.lines.length): readonly AuditRecord[] =>
  log.lines.slice(0, lines).map((line) => permitted(readRecordLine(line)));

const indexOf = (name: string, records: readonly AuditRecord[]): HopIndex => {
  const index = new HopIndex(name, records[0]?.sidecar ?? '');
  for (const record of records) index.take(record);
  return index;
};

/** Goes through `shown` and asks `others` for its hops. */
const lacking = (shown: readonly AuditRecord[], ...others: readonly (readonly AuditRecord[])[]) => {
  const indexes = others.map((records, index) => indexOf(`log ${index + 1}`, records));
  const check = new CrossCheck('shown', [...indexes, indexOf('shown', shown)]);
  for (const [index, record] of shown.entries()) check.take(record, index + 1);
  return check.finish();
};

describe('two logs of the same hops', () => {
  const { caller, callee } = twoSides(4);

  test('lack nothing when both are whole', () => {
    expect(lacking(recordsOf(caller), recordsOf(callee))).toEqual([]);
    expect(lacking(recordsOf(callee), recordsOf(caller))).toEqual([]);
  });

  test('show that the callee’s was cut off', () => {
    expect(lacking(recordsOf(caller), recordsOf(callee, 5))).toMatchObject([
      { kind: 'audit_cut', sidecar: INVENTORY.id, direction: 'inbound', count: 2, example: { line: 6 } },
    ]);
  });

  test('show that the caller’s was cut off', () => {
    expect(lacking(recordsOf(callee), recordsOf(caller, 5))).toMatchObject([
      { kind: 'audit_cut', sidecar: PLANNING.id, direction: 'outbound', count: 2 },
    ]);
  });

  test('show a hop that was never recorded by a log that goes on', () => {
    const holed = recordsOf(caller).filter(
      (record) => !('hop' in record) || record.hop !== `${sessionOf('one')}.2`,
    );
    expect(lacking(recordsOf(callee), holed)).toMatchObject([{ kind: 'hole', count: 1 }]);
  });
});

test('a caller without a sidecar has no log that could lack its hop', () => {
  const hops = (proof: 'request' | 'none' | 'both') =>
    recordsOf(new SealedLog(INVENTORY).add(decision({ direction: 'inbound', proof })));
  const base = recordsOf(new SealedLog(PLANNING).add({ kind: 'stop', reason: 'test' }));
  expect(lacking(hops('request'), base)).toEqual([]);
  expect(lacking(hops('none'), base)).toEqual([]);
  expect(lacking(hops('both'), base)).toMatchObject([{ sidecar: PLANNING.id, direction: 'outbound' }]);
});

describe('what proves nothing', () => {
  const { caller } = twoSides(1);
  const base = recordsOf(new SealedLog(INVENTORY).add({ kind: 'stop', reason: 'test' }));
  const withOutcome = (status: number) =>
    recordsOf(new SealedLog(PLANNING).add(decision()).add(outcome({ status })));

  test('a request that is still under way, or got no answer', () => {
    expect(lacking(recordsOf(new SealedLog(PLANNING).add(decision())), base)).toEqual([]);
    expect(lacking(withOutcome(0), base)).toEqual([]);
  });

  test('an answer that a sidecar gives when it can’t record', () => {
    expect(lacking(withOutcome(503), base)).toEqual([]);
    expect(lacking(withOutcome(403), base)).toMatchObject([{ kind: 'audit_cut' }]);
  });

  test('a request whose callee broke off before it answered: the status is the caller’s own', () => {
    const brokenOff = (status: number) =>
      recordsOf(new SealedLog(PLANNING).add(decision()).add(outcome({ status, result: 'peer_failed' })));
    expect(lacking(brokenOff(502), base)).toEqual([]);
    expect(lacking(brokenOff(200), base)).toMatchObject([{ kind: 'audit_cut' }]);
  });

  test('a hop from before the other log began, or of a log that isn’t there', () => {
    const late = recordsOf(
      new SealedLog(INVENTORY, (NOW + 86_400) * 1000).add({ kind: 'stop', reason: 'test' }),
    );
    expect(lacking(recordsOf(caller), late)).toEqual([]);
    expect(lacking(recordsOf(caller))).toEqual([]);
  });
});

describe('denials that are summed up', () => {
  const answered = (status: number, hops: number) => {
    const log = new SealedLog(PLANNING);
    for (let n = 1; n <= hops; n++) {
      const hop = `${sessionOf('one')}.${n}`;
      log.add(decision({ hop })).add(outcome({ hop, status }));
    }
    return recordsOf(log);
  };
  const summed = (source: string, reason: ReasonCode, count: number, time = NOW * 1000) =>
    recordsOf(
      new SealedLog(INVENTORY)
        .add({ kind: 'refusals', from: time, to: time + 10_000, sources: [{ source, reason, count }] })
        .add({ kind: 'stop', reason: 'test' }, time + 60_000),
    );

  test('account for so many of their caller, with the status that it saw', () => {
    expect(lacking(answered(429, 3), summed(PLANNING.id, 'caller_rate', 3))).toEqual([]);
    expect(lacking(answered(429, 3), summed('other', 'caller_rate', 3))).toEqual([]);
    // What the peer isn't told, it has as a plain denial.
    expect(lacking(answered(403, 3), summed(PLANNING.id, 'rule_denied', 3))).toEqual([]);
  });

  test('and for no more, no other caller, no other status and no other time', () => {
    expect(lacking(answered(429, 4), summed(PLANNING.id, 'caller_rate', 3))).toMatchObject([
      { kind: 'hole', count: 1, example: { hop: `${sessionOf('one')}.4` } },
    ]);
    for (const other of [
      summed(INVENTORY.id, 'caller_rate', 9),
      summed(PLANNING.id, 'caller_rate', 9, NOW * 1000 - 120_000),
      summed(PLANNING.id, 'scope_missing', 9),
    ])
      expect(lacking(answered(429, 3), other)).toMatchObject([{ count: 3 }]);
  });

  test('a permit is never among them', () => {
    expect(lacking(answered(200, 1), summed(PLANNING.id, 'caller_rate', 9))).toMatchObject([{ count: 1 }]);
  });
});

describe('clocks that differ', () => {
  test('a hop that seems a little older than the end of the other log is cut off all the same', () => {
    const end = recordsOf(new SealedLog(PLANNING, (NOW + 5) * 1000).add({ kind: 'stop', reason: 'test' }));
    const first = { ...end[0], time: NOW * 1000 } as AuditRecord;
    const shown = recordsOf(new SealedLog(INVENTORY).add(decision({ direction: 'inbound' })));
    expect(lacking(shown, [first, ...end])).toMatchObject([{ kind: 'audit_cut', count: 1 }]);
  });

  test('and is a hole when a later hop is there', () => {
    const hops = [1, 2].map((n) => decision({ direction: 'inbound', hop: `${sessionOf('one')}.${n}` }));
    const shown = recordsOf(new SealedLog(INVENTORY).add(hops[0] ?? decision()).add(hops[1] ?? decision()));
    const held = recordsOf(
      new SealedLog(PLANNING, NOW * 1000 - 1000)
        .add({ kind: 'stop', reason: 'test' })
        .add(decision({ hop: `${sessionOf('one')}.2` }), (NOW + 9) * 1000),
    );
    expect(lacking(shown, held)).toMatchObject([{ kind: 'hole', count: 1 }]);
  });
});
