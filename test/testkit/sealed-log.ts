/** Sealed logs of the test mesh: what sidecars would have written, made with the core and without a sidecar. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { mintCheckpoint } from '../../src/core/audit/checkpoint.ts';
import {
  type AuditBody,
  type DecisionRecord,
  type Direction,
  type LogHead,
  type OutcomeRecord,
  sealRecord,
} from '../../src/core/audit/record.ts';
import { ALICE, auditKey, NOW, type TestAgent, testAgent } from './core-world.ts';

export const PLANNING = testAgent('planning', 1, 'abc123');
export const INVENTORY = testAgent('inventory', 1, 'def456');

/** Something that has the form of a SHA-256, told apart by its number. */
export const digest = (seed: number): string => `${String(seed).padStart(42, 'x')}A`;
export const TASK = digest(1);
/** 22 characters: sixteen octets. */
export const sessionOf = (seed: string): string => `${seed.padEnd(21, '0')}A`;

/** A permitted request of planning to inventory, in the second link of alice's task. */
export const decision = (changes: Partial<DecisionRecord> = {}): DecisionRecord => ({
  agents: [{ id: PLANNING.id, link: digest(1) }],
  bundle: '1.7',
  cached: false,
  callee: INVENTORY.id,
  caller: PLANNING.id,
  direction: 'outbound',
  granted: ['ec2:Describe*', 's3:List*'],
  hop: `${sessionOf('one')}.1`,
  kind: 'decision',
  method: 'GET',
  policy: 'r1',
  principal: ALICE,
  reason: 'ok',
  required: ['ec2:DescribeInstances'],
  rule: 'readers',
  target: '/instances',
  task: TASK,
  us: { decide: 40, verify: 300 },
  verdict: 'permit',
  ...changes,
});

export const outcome = (changes: Partial<OutcomeRecord> = {}): OutcomeRecord => ({
  direction: 'outbound',
  hop: `${sessionOf('one')}.1`,
  kind: 'outcome',
  received: 812,
  result: 'ok',
  sent: 0,
  status: 200,
  us: 9100,
  ...changes,
});

/** The log of one sidecar, in memory. Each record comes a second after the one before it. */
export class SealedLog {
  readonly sidecar: TestAgent;
  readonly lines: string[] = [];
  /** Of the last checkpoint, as the sidecar notes it in `<log>.head`. */
  checkpointHead: LogHead | undefined;
  head: LogHead;
  timeMs: number;

  constructor(sidecar: TestAgent, timeMs = NOW * 1000) {
    this.sidecar = sidecar;
    this.timeMs = timeMs;
    this.head = { log: sessionOf(sidecar.id.split('/')[4] ?? 'log'), seq: 0, hash: '', checkpoint: '' };
  }

  add(body: AuditBody, timeMs = this.timeMs + 1000): this {
    this.timeMs = timeMs;
    const { line, head } = sealRecord(body, this.head, this.sidecar.id, timeMs);
    this.lines.push(line);
    this.head = head;
    if (body.kind === 'checkpoint') this.checkpointHead = head;
    return this;
  }

  checkpoint(): this {
    const signer = {
      sidecar: this.sidecar.id,
      wit: this.sidecar.wit,
      auditX: auditKey.x,
      sign: auditKey.sign,
    };
    return this.add(mintCheckpoint(this.head, signer, Math.floor(this.timeMs / 1000)));
  }

  /** Ends cleanly. */
  stop(): this {
    return this.add({ kind: 'stop', reason: 'SIGTERM' }).checkpoint();
  }

  get text(): string {
    return this.lines.map((line) => `${line}\n`).join('');
  }

  /** What the sidecar writes beside the log. */
  get headText(): string {
    const { log, seq, hash } = this.checkpointHead ?? this.head;
    return `${JSON.stringify({ log, seq, hash })}\n`;
  }
}

export const started: AuditBody = { kind: 'start', version: '0.1.0', policy: 'r1', bundle: '1.7' };

/** The two logs of hops from planning to inventory, each ended cleanly. */
export const twoSides = (hops: number): { readonly caller: SealedLog; readonly callee: SealedLog } => {
  const caller = new SealedLog(PLANNING).add(started);
  const callee = new SealedLog(INVENTORY, NOW * 1000 + 100).add(started);
  for (let n = 1; n <= hops; n++) {
    const both = { hop: `${sessionOf('one')}.${n}` };
    const time = NOW * 1000 + 60_000 * n;
    for (const [log, direction, late] of [
      [caller, 'outbound', 0],
      [callee, 'inbound', 5],
    ] as const satisfies readonly (readonly [SealedLog, Direction, number])[])
      log
        .add(decision({ ...both, direction }), time + late)
        .add(outcome({ ...both, direction }), time + late + 10);
  }
  return { caller: caller.stop(), callee: callee.stop() };
};

/** A folder of its own for the running test, and files in it by name. */
export const writeFiles = (
  files: Readonly<Record<string, string | Uint8Array>>,
): ((name: string) => string) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'hopgate-logs-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, contents] of Object.entries(files)) writeFileSync(path.join(folder, name), contents);
  return (name) => path.join(folder, name);
};
