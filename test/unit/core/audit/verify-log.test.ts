import { describe, expect, test } from 'vitest';
import { mintCheckpoint } from '../../../../src/core/audit/checkpoint.ts';
import { sealRecord } from '../../../../src/core/audit/record.ts';
import { mintWit } from '../../../../src/core/trust/wit.ts';
import {
  decision,
  EMPTY_LOG,
  LOG_ID,
  outcome,
  readLog,
  sidecar,
  start,
  stop,
  writeLog,
} from '../../../testkit/core-log.ts';
import { auditKey, issuerKey, issuersOf, jti, NOW, testAgent, testKey } from '../../../testkit/core-world.ts';

const signer = { sidecar: sidecar.id, wit: sidecar.wit, auditX: auditKey.x, sign: auditKey.sign };
const { lines, head } = writeLog([start, decision(), outcome()]);

/** The log above with a checkpoint made this way behind it. */
const withCheckpoint = (
  changes: Partial<typeof signer>,
  at = head,
  nowSeconds = NOW,
  recordMs = nowSeconds * 1000,
) => {
  const record = mintCheckpoint(at, { ...signer, ...changes }, nowSeconds);
  return [...lines, sealRecord(record, head, sidecar.id, recordMs).line];
};
const reason = (log: readonly string[], issuers?: Parameters<typeof readLog>[1]) =>
  readLog(log, issuers).fault?.reason;

test('stop and its checkpoint end a log cleanly; either alone does not', () => {
  const closed = (bodies: Parameters<typeof writeLog>[0]) => readLog(writeLog(bodies).lines).state;
  expect(closed([start, stop, 'checkpoint'])).toMatchObject({ closed: true, signedThrough: 3 });
  expect(closed([start, stop])).toMatchObject({ closed: false, signedThrough: 0 });
  expect(closed([start, 'checkpoint'])).toMatchObject({ closed: false, signedThrough: 2 });
  expect(closed([start, stop, 'checkpoint', start])).toMatchObject({ closed: false, signedThrough: 3 });
});

test('an empty log is no fault and nothing signed', () => {
  expect(readLog([])).toMatchObject({
    fault: undefined,
    state: { lines: 0, signedThrough: 0, closed: false },
  });
});

describe('a checkpoint', () => {
  test('signs what stands before it', () => {
    expect(readLog(withCheckpoint({}))).toMatchObject({ fault: undefined, state: { signedThrough: 4 } });
  });

  test('by a key that its WIT does not certify is none', () => {
    const other = testKey('another audit key');
    expect(reason(withCheckpoint({ sign: other.sign }))).toBe('audit_checkpoint');
    expect(reason(withCheckpoint({ sign: other.sign, auditX: other.x }))).toBe('audit_checkpoint');
  });

  test('by another sidecar is none, though its WIT is good', () => {
    const other = testAgent('security');
    expect(reason(withCheckpoint({ sidecar: other.id, wit: other.wit }))).toBe('audit_checkpoint');
    expect(reason(withCheckpoint({ wit: other.wit }))).toBe('audit_checkpoint');
    expect(reason(withCheckpoint({ sidecar: other.id }))).toBe('audit_checkpoint');
  });

  test('moved from another place of the log, or of another log, is none', () => {
    expect(reason(withCheckpoint({}, { ...head, seq: head.seq - 1 }))).toBe('audit_checkpoint');
    expect(reason(withCheckpoint({}, { ...head, hash: 'A'.repeat(43) }))).toBe('audit_checkpoint');
    expect(reason(withCheckpoint({}, { ...head, log: 'BBBBBBBBBBBBBBBBBBBBBA' }))).toBe('audit_checkpoint');
    expect(reason(withCheckpoint({}, { ...head, checkpoint: 'A'.repeat(43) }))).toBe('audit_checkpoint');
  });

  test('outlives its WIT: the WIT was good when it was made', () => {
    expect(reason(withCheckpoint({}, head, NOW + 3600))).toBeUndefined();
    expect(reason(withCheckpoint({}, head, NOW + 3630))).toBe('audit_checkpoint');
  });

  test('is of the time of its record, and can’t be dated back into the life of its WIT', () => {
    const made = NOW * 1000;
    for (const [behind, outcome] of [
      [0, undefined],
      [30_000, undefined],
      [-30_000, undefined],
      [30_001, 'audit_checkpoint'],
      [-30_001, 'audit_checkpoint'],
      [3_600_000, 'audit_checkpoint'],
    ] as const)
      expect(reason(withCheckpoint({}, head, NOW, made + behind))).toBe(outcome);
  });

  test('under an issuer that we don’t know is none', () => {
    expect(reason(withCheckpoint({}), issuersOf(['company.com', testKey('another issuer')]))).toBe(
      'audit_checkpoint',
    );
  });

  test('under an audit key of small order is none', () => {
    const identity = Buffer.from(`01${'00'.repeat(31)}`, 'hex').toString('base64url');
    const wit = mintWit(
      { sub: sidecar.id, agentX: sidecar.key.x, auditX: identity, iat: NOW, exp: NOW + 60, jti: jti('w') },
      issuerKey.sign,
      issuerKey.thumbprint,
    );
    const forged = () =>
      Buffer.concat([Buffer.from(`58${'66'.repeat(31)}`, 'hex'), Buffer.of(1), Buffer.alloc(31)]);
    expect(reason(withCheckpoint({ wit, auditX: identity, sign: forged }))).toBe('audit_checkpoint');
  });
});

describe('lines that are not records', () => {
  const sealedText = (text: string) => sealRecord(JSON.parse(text), EMPTY_LOG, sidecar.id, 1).line;
  test.each([
    ['nothing', ''],
    ['no JSON', 'hello'],
    [
      'another order of members',
      (lines[0] ?? '').replace(/^\{("bundle":"[^"]*"),("kind":"[^"]*")/, '{$2,$1'),
    ],
    ['white space', (lines[0] ?? '').replace('{"', '{ "')],
    ['a carriage return behind it', `${lines[0]}\r`],
    ['two records', `${lines[0]}${lines[1]}`],
    [
      'a hash that is not at the end',
      (lines[0] ?? '').replace(/(.*),("hash":"[^"]*")\}/, '{$2,$1}').replace(',{', ','),
    ],
  ])('%s', (_, line) => {
    expect(line).not.toBe(lines[0]);
    expect(reason([line])).toBe('audit_line');
  });

  test('a record that tells of the hash twice', () => {
    expect(
      reason([sealedText('{"bundle":"1.7","hash":"A","kind":"start","policy":"r","version":"1"}')]),
    ).toBe('audit_line');
  });

  test('a first record that is not the first', () => {
    const late = sealRecord(
      start,
      { log: LOG_ID, seq: 4, hash: 'A'.repeat(43), checkpoint: '' },
      sidecar.id,
      1,
    );
    expect(reason([late.line])).toMatch(/^audit_(gap|order)$/);
  });

  test('a sidecar that is no agent', () => {
    expect(reason([sealRecord(start, EMPTY_LOG, 'https://company.com', 1).line])).toBe('audit_line');
  });
});
