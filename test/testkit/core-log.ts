/** Sealed audit logs of the test mesh. */
import { mintCheckpoint } from '../../src/core/audit/checkpoint.ts';
import {
  type AuditBody,
  type DecisionRecord,
  type LogHead,
  type OutcomeRecord,
  sealDecision,
  sealOutcome,
  sealRecord,
} from '../../src/core/audit/record.ts';
import { LogVerifier } from '../../src/core/audit/verify-log.ts';
import type { Issuers } from '../../src/core/trust/wit.ts';
import { ALICE, auditKey, ISSUERS, NOW, testAgent } from './core-world.ts';

export const sidecar = testAgent('inventory');
export const LOG_ID = 'AAAAAAAAAAAAAAAAAAAAAA';
export const EMPTY_LOG: LogHead = { log: LOG_ID, seq: 0, hash: '', checkpoint: '' };

export const decision = (changes: Partial<DecisionRecord> = {}): DecisionRecord => ({
  agents: [{ id: testAgent('planner').id, link: 'A'.repeat(43) }],
  bundle: '1.7',
  cached: false,
  callee: sidecar.id,
  caller: testAgent('planner').id,
  direction: 'inbound',
  granted: ['cloud:*'],
  hop: `${'A'.repeat(22)}.1`,
  kind: 'decision',
  method: 'GET',
  policy: 'r1',
  principal: ALICE,
  reason: 'ok',
  required: ['cloud:read'],
  rule: 'readers',
  target: '/reports',
  task: 'A'.repeat(43),
  us: { verify: 120, decide: 8 },
  verdict: 'permit',
  ...changes,
});

export const outcome = (changes: Partial<OutcomeRecord> = {}): OutcomeRecord => ({
  direction: 'inbound',
  hop: `${'A'.repeat(22)}.1`,
  kind: 'outcome',
  received: 0,
  result: 'ok',
  sent: 12,
  status: 200,
  us: 900,
  ...changes,
});

export const start: AuditBody = { bundle: '1.7', kind: 'start', policy: 'r1', version: '0.1.0' };
export const stop: AuditBody = { kind: 'stop', reason: 'SIGTERM' };

const signer = { sidecar: sidecar.id, wit: sidecar.wit, auditX: auditKey.x, sign: auditKey.sign };

/** Writes records as a sidecar does; `'checkpoint'` signs what stands before. */
export const writeLog = (bodies: readonly (AuditBody | 'checkpoint')[], from = EMPTY_LOG) => {
  let head = from;
  const lines: string[] = [];
  const heads: LogHead[] = [];
  for (const [index, body] of bodies.entries()) {
    const record = body === 'checkpoint' ? mintCheckpoint(head, signer, NOW) : body;
    const time = NOW * 1000 + index;
    const sealed =
      record.kind === 'decision'
        ? sealDecision(record, head, sidecar.id, time)
        : record.kind === 'outcome'
          ? sealOutcome(record, head, sidecar.id, time)
          : sealRecord(record, head, sidecar.id, time);
    lines.push(sealed.line);
    heads.push(sealed.head);
    head = sealed.head;
  }
  return { lines, heads, head };
};

/** Reads a log to its first fault, as `audit verify` does. */
export const readLog = (lines: readonly string[], issuers: Issuers = ISSUERS) => {
  const verifier = new LogVerifier(issuers);
  for (const line of lines) {
    const fault = verifier.next(line);
    if (fault !== undefined) return { fault, state: verifier.state };
  }
  return { fault: undefined, state: verifier.state };
};
