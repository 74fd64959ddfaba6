/** Whatever is done to the lines of a log is found, and what is signed is told from what is only chained. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AuditBody,
  type DecisionRecord,
  type OutcomeRecord,
  sealDecision,
  sealOutcome,
  sealRecord,
} from '../../src/core/audit/record.ts';
import {
  decision,
  EMPTY_LOG,
  outcome,
  readLog,
  sidecar,
  start,
  stop,
  writeLog,
} from '../testkit/core-log.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('\u2028', '"},"hash":"', '/a', '__proto__'),
);
const count = fc.maxSafeNat();
const decisions: fc.Arbitrary<DecisionRecord> = fc
  .record({
    agents: fc.array(
      fc.tuple(text, text, fc.boolean()).map(([id, link, turned]) => (turned ? { link, id } : { id, link })),
      { maxLength: 3 },
    ),
    approvals: fc.option(fc.array(fc.record({ id: text, approver: text }), { maxLength: 3 }), {
      nil: undefined,
    }),
    cached: fc.boolean(),
    granted: fc.array(text, { maxLength: 3 }),
    required: fc.array(text, { maxLength: 3 }),
    method: text,
    principal: text,
    proof: fc.option(fc.constantFrom<'request' | 'both' | 'none'>('request', 'both', 'none'), {
      nil: undefined,
    }),
    rule: text,
    target: text,
    us: fc.dictionary(fc.oneof(text, fc.constantFrom('verify', 'decide', '10', '9')), count, { maxKeys: 5 }),
    verdict: fc.constantFrom<'permit' | 'deny'>('permit', 'deny'),
  })
  .map(({ approvals, proof, ...rest }) =>
    decision({ ...rest, ...(approvals && { approvals }), ...(proof && { proof }) }),
  );
const outcomes: fc.Arbitrary<OutcomeRecord> = fc
  .record({ hop: text, received: count, sent: count, status: fc.nat({ max: 599 }), us: count })
  .map(outcome);
const others: fc.Arbitrary<AuditBody> = fc.oneof(
  fc.constantFrom(start, stop),
  fc.record({ source: text, count }).map(
    ({ source, count }): AuditBody => ({
      from: 1,
      kind: 'refusals',
      sources: [{ source, reason: 'svid_untrusted', count }],
      to: 2,
    }),
  ),
);
const record = fc.oneof(decisions, outcomes, others, fc.constant<'checkpoint'>('checkpoint'));
const log = fc
  .array(record, { minLength: 3, maxLength: 12 })
  .map((bodies) => ({ bodies, ...writeLog(bodies) }));

/** The seq of the last checkpoint among the first `n` records. */
const signedAmong = (bodies: readonly unknown[], n: number): number =>
  bodies.slice(0, n).lastIndexOf('checkpoint') + 1;

describe('sealing', () => {
  test('the hot paths write byte for byte what sealRecord writes', () => {
    fc.assert(
      fc.property(decisions, outcomes, fc.nat(), fc.nat(), (one, other, seq, time) => {
        const head = { ...EMPTY_LOG, seq, hash: 'B'.repeat(43), checkpoint: 'C'.repeat(43) };
        expect(sealDecision(one, head, sidecar.id, time)).toEqual(sealRecord(one, head, sidecar.id, time));
        expect(sealOutcome(other, head, sidecar.id, time)).toEqual(sealRecord(other, head, sidecar.id, time));
      }),
      { numRuns: 500 },
    );
  });

  test('a line is one line, whatever is in the record', () => {
    fc.assert(fc.property(log, ({ lines }) => lines.every((line) => !/[\n\r]/.test(line))));
  });
});

describe('a log that nobody touched', () => {
  test('verifies to its end, and what follows the last checkpoint is not called signed', () => {
    fc.assert(
      fc.property(log, ({ bodies, lines, head }) => {
        const { fault, state } = readLog(lines);
        expect(fault).toBeUndefined();
        expect(state.head).toEqual(head);
        expect(state.lines).toBe(lines.length);
        expect(state.signedThrough).toBe(signedAmong(bodies, bodies.length));
        expect(state.closed).toBe(bodies.at(-1) === 'checkpoint' && bodies.at(-2) === stop);
      }),
    );
  });

  test('goes on after a restart with the head that was kept', () => {
    fc.assert(
      fc.property(log, fc.array(record, { minLength: 1, maxLength: 4 }), ({ lines, head }, more) => {
        expect(readLog([...lines, ...writeLog(more, head).lines]).fault).toBeUndefined();
      }),
    );
  });

  test('cut at its end, it verifies but claims no more than the checkpoints that are left', () => {
    fc.assert(
      fc.property(log, fc.nat(), ({ bodies, lines }, where) => {
        const kept = 1 + (where % lines.length);
        const { fault, state } = readLog(lines.slice(0, kept));
        expect(fault).toBeUndefined();
        expect(state.signedThrough).toBe(signedAmong(bodies, kept));
        expect(state.head.seq).toBe(kept);
      }),
    );
  });
});

describe('a log that somebody touched', () => {
  test('a changed character is found at its line', () => {
    fc.assert(
      fc.property(
        log,
        fc.nat(),
        fc.nat(),
        fc.constantFrom('0', 'A', 'z', '"', '}', ' ', '\u2028'),
        ({ lines }, which, where, c) => {
          const index = which % lines.length;
          const line = lines[index] ?? '';
          const at = where % line.length;
          fc.pre(line.charAt(at) !== c);
          const bent = lines.with(index, line.slice(0, at) + c + line.slice(at + 1));
          expect(readLog(bent).fault).toMatchObject({
            line: index + 1,
            reason: expect.stringMatching(/^audit_(line|hash)$/),
          });
        },
      ),
      { numRuns: 500 },
    );
  });

  test('every bit of every line of a log, its last and unsigned one too', () => {
    const { lines } = writeLog([decision(), 'checkpoint', outcome()]);
    const missed: string[] = [];
    for (const [index, line] of lines.entries()) {
      const octets = Buffer.from(line);
      for (let bit = 0; bit < octets.length * 8; bit++) {
        const bent = Buffer.from(octets);
        bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        if (readLog(lines.with(index, bent.toString('utf8'))).fault?.line !== index + 1)
          missed.push(`line ${index + 1}, bit ${bit}`);
      }
    }
    expect(missed).toEqual([]);
  });

  test('a line removed at the front or in the middle is found where it was', () => {
    fc.assert(
      fc.property(log, fc.nat(), ({ lines }, which) => {
        const index = which % (lines.length - 1);
        expect(readLog(lines.toSpliced(index, 1)).fault).toMatchObject({
          line: index + 1,
          reason: expect.stringMatching(/^audit_(gap|order)$/),
        });
      }),
    );
  });

  test('several lines removed at the front are found', () => {
    fc.assert(
      fc.property(log, fc.nat(), ({ lines }, which) => {
        expect(readLog(lines.slice(1 + (which % (lines.length - 1)))).fault?.line).toBe(1);
      }),
    );
  });

  test('a line doubled, or two lines changed round, are found', () => {
    fc.assert(
      fc.property(log, fc.nat(), fc.nat(), ({ lines }, a, b) => {
        const [i, j] = [a % lines.length, b % lines.length].sort((x, y) => x - y) as [number, number];
        expect(readLog(lines.toSpliced(i, 0, lines[i] ?? '')).fault?.line).toBe(i + 2);
        fc.pre(i !== j);
        const swapped = lines.with(i, lines[j] ?? '').with(j, lines[i] ?? '');
        expect(readLog(swapped).fault?.line).toBe(i + 1);
      }),
    );
  });

  test('lines of another log, or of another sidecar, do not fit in', () => {
    fc.assert(
      fc.property(log, fc.nat(), ({ lines, heads }, which) => {
        const index = 1 + (which % (lines.length - 1));
        const before = heads[index - 1] ?? EMPTY_LOG;
        const foreign = sealRecord(start, { ...before, log: 'BBBBBBBBBBBBBBBBBBBBBA' }, sidecar.id, 1);
        const stranger = sealRecord(start, before, 'spiffe://company.com/agent/other/b2', 1);
        for (const { line } of [foreign, stranger])
          expect(readLog(lines.with(index, line)).fault).toMatchObject({
            line: index + 1,
            reason: 'audit_order',
          });
      }),
    );
  });

  test('one record sealed anew in its place no longer carries the next one', () => {
    fc.assert(
      fc.property(log, fc.nat(), decisions, ({ lines, heads }, which, lie) => {
        const index = which % (lines.length - 1);
        const forged = writeLog([lie], heads[index - 1] ?? EMPTY_LOG).lines[0] ?? '';
        fc.pre(forged !== lines[index]);
        expect(readLog(lines.with(index, forged)).fault).toMatchObject({
          line: index + 2,
          reason: 'audit_order',
        });
      }),
    );
  });

  test('rewritten and hashed anew by one without the audit key, it is found or not called signed', () => {
    fc.assert(
      fc.property(log, fc.nat(), decisions, ({ bodies, lines, heads }, which, lie) => {
        const index = which % lines.length;
        const head = index === 0 ? EMPTY_LOG : (heads[index - 1] ?? EMPTY_LOG);
        fc.pre(bodies[index] !== 'checkpoint');
        // The liar seals all records from there on again; the old checkpoints are all the signatures he has.
        const kept = bodies.slice(index + 1).map((body, i): AuditBody => {
          if (body !== 'checkpoint') return body;
          const { proof, wit } = JSON.parse(lines[index + 1 + i] ?? '');
          return { kind: 'checkpoint', proof, wit };
        });
        const { lines: rewritten } = writeLog([lie, ...kept], head);
        fc.pre(rewritten[0] !== lines[index]);
        const { fault, state } = readLog([...lines.slice(0, index), ...rewritten]);
        if (bodies.slice(index).includes('checkpoint'))
          expect(fault).toMatchObject({ reason: 'audit_checkpoint' });
        else expect(fault).toBeUndefined();
        expect(state.signedThrough).toBeLessThanOrEqual(index);
      }),
    );
  });
});
