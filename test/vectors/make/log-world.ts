/** Writes audit logs, line by line, with any fault. */
import { NOW } from './case.ts';
import { b64u, type Claims, jcs, jws, octets, sha256 } from './signing.ts';
import { auditKeyOf, CLIENT, INVENTORY, PLANNER, PRINCIPAL, wit } from './world.ts';

export const LOG_ID = b64u(octets('log', 16));

export const line = (record: Claims): string => {
  const text = jcs(record);
  return `${text.slice(0, -1)},"hash":"${b64u(sha256(text))}"}`;
};
export const hashOf = (text: string): string => text.slice(-45, -2);
export const recordOf = (text: string): Claims => {
  const { hash, ...record } = JSON.parse(text) as Record<string, unknown>;
  if (typeof hash !== 'string') throw new Error('not a record');
  return record;
};

export const START = { kind: 'start', version: '0.1.0', policy: 'vectors-1', bundle: '2.7' };
export const STOP = { kind: 'stop', reason: 'SIGTERM' };
export const CHECKPOINT = { kind: 'checkpoint' };
const HOP = `${b64u(octets('session', 16))}.1`;

export const DECISION = {
  kind: 'decision',
  hop: HOP,
  direction: 'inbound',
  verdict: 'deny',
  reason: 'scope_missing',
  rule: '',
  caller: PLANNER.id,
  callee: INVENTORY.id,
  principal: PRINCIPAL,
  task: b64u(octets('L0')),
  method: 'GET',
  target: '/ec2/TerminateInstances',
  required: ['ec2:TerminateInstances'],
  granted: ['cloud:read', 'ec2:Describe*'],
  agents: [
    { id: CLIENT.id, link: b64u(octets('L0')) },
    { id: PLANNER.id, link: b64u(octets('L1')) },
  ],
  policy: 'vectors-1',
  bundle: '2.7',
  cached: false,
  us: { decide: 12, verify: 340 },
};
export const OUTCOME = {
  kind: 'outcome',
  hop: HOP,
  direction: 'inbound',
  status: 403,
  result: 'scope_missing',
  sent: 120,
  received: 0,
  us: 15,
};
export const REFUSALS = {
  kind: 'refusals',
  from: NOW * 1000 - 60_000,
  to: NOW * 1000,
  sources: [{ source: '192.0.2.7', reason: 'hs_frame', count: 41 }],
};
export const QUARANTINE = {
  kind: 'quarantine',
  action: 'kept',
  by: PLANNER.id,
  callee: INVENTORY.id,
  caller: PLANNER.id,
  hop: HOP,
  id: b64u(octets('quarantine')),
  key: '',
  method: 'POST',
  principal: PRINCIPAL,
  reason: '',
  rule: 'injection',
  target: '/reports',
  task: b64u(octets('L0')),
};

export interface Edit {
  /** Members of the record that differ before it is hashed. */
  readonly record?: Claims;
  /** Members of a checkpoint's proof that differ. */
  readonly proof?: Claims;
  readonly by?: ReturnType<typeof auditKeyOf>;
  readonly kid?: string;
  readonly wit?: string;
}

/** A log of the given bodies. Each edited line is hashed, and chained, as it then stands. */
export const writeLog = (bodies: readonly Claims[], edits: Readonly<Record<number, Edit>> = {}): string[] => {
  const lines: string[] = [];
  let prev = '';
  let pred = '';
  for (const [index, body] of bodies.entries()) {
    const edit = edits[index] ?? {};
    const seq = index + 1;
    const key = edit.by ?? auditKeyOf(INVENTORY);
    const proof =
      body.kind !== 'checkpoint'
        ? {}
        : {
            proof: jws(
              'audit-cp+jwt',
              { log: LOG_ID, sub: INVENTORY.id, seq, prev, pred, iat: NOW, ...edit.proof },
              key,
              edit.kid ?? key.jkt,
            ),
            wit: edit.wit ?? wit(INVENTORY),
          };
    const frame = { v: 1, log: LOG_ID, seq, prev, time: NOW * 1000 + index, sidecar: INVENTORY.id };
    const record = Object.fromEntries(
      Object.entries({ ...frame, ...body, ...proof, ...edit.record }).filter(
        ([, value]) => value !== undefined,
      ),
    );
    const text = line(record);
    lines.push(text);
    prev = hashOf(text);
    if (body.kind === 'checkpoint') pred = prev;
  }
  return lines;
};
