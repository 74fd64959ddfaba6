/** Audit logs: what is changed, dropped, reordered, forged or cut. */
import { type Case, NOW } from './case.ts';
import {
  CHECKPOINT,
  DECISION,
  type Edit,
  hashOf,
  line,
  OUTCOME,
  QUARANTINE,
  REFUSALS,
  recordOf,
  START,
  STOP,
  writeLog,
} from './log-world.ts';
import { b64u, key, octets } from './signing.ts';
import { identityKey } from './torsion.ts';
import { auditKeyOf, INVENTORY, issuersOf, PLANNER, wit } from './world.ts';

const verify = (
  comment: string,
  lines: readonly string[],
  expect: Case['expect'],
  complete?: number,
): Case => ({
  comment,
  source: '14',
  now: NOW,
  input: { lines, issuers: issuersOf(), ...(complete === undefined ? {} : { complete: { seq: complete } }) },
  expect,
});
const ok = (comment: string, lines: readonly string[], complete?: number): Case =>
  verify(comment, lines, { reason: 'ok' }, complete);
const bad = (
  comment: string,
  lines: readonly string[],
  reason: string,
  at: number,
  complete?: number,
): Case => verify(comment, lines, { reason, line: at }, complete);

const LINK = b64u(octets('L0'));
const BODIES = [START, DECISION, OUTCOME, CHECKPOINT, REFUSALS, STOP, CHECKPOINT];
const log = writeLog(BODIES);
const [first = '', second = '', third = '', fourth = ''] = log;
const but = (index: number, text: string): string[] => log.map((each, at) => (at === index ? text : each));
const edited = (comment: string, index: number, edit: Edit, reason: string): Case =>
  bad(comment, writeLog(BODIES, { [index]: edit }), reason, index + 1);
const checkpoint = (comment: string, edit: Edit, index = 3): Case =>
  edited(comment, index, edit, 'audit_checkpoint');
/** A changed line with the hash of before. */
const changed = (text: string, from: string, to: string): string => {
  if (!text.includes(from)) throw new Error(`nothing to change: ${from}`);
  return text.replace(from, to);
};
/** A changed line with its hash made anew; the lines behind it still name the old one. */
const rehashed = (text: string, edit: Readonly<Record<string, unknown>>): string =>
  line({ ...recordOf(text), ...edit });

/** A record so many milliseconds behind the `iat` of its checkpoint. */
const at = (behindMs: number): Edit => ({ record: { time: NOW * 1000 + behindMs } });

const sound = (): Case[] => [
  ok('a log that ends cleanly', log),
  ok('a log without a checkpoint: chained, and not yet signed', log.slice(0, 3)),
  ok('an empty log', []),
  ok('records behind the last checkpoint', [...log.slice(0, 5)]),
  ok('known to reach to its last checkpoint', log, 7),
  ok('known to reach to its first checkpoint, and longer', log, 4),
  ok('a restart goes on with the chain', writeLog([START, CHECKPOINT, START, CHECKPOINT])),
  ok(
    'a decision that waits for an approval',
    writeLog([{ ...DECISION, reason: 'approval_required', approvals: [{ approver: '', id: LINK }] }]),
  ),
  ok(
    'what became of a request in quarantine',
    writeLog([
      QUARANTINE,
      { ...QUARANTINE, action: 'released', by: 'bob', key: LINK, hop: '', reason: 'looked at it' },
      { ...QUARANTINE, action: 'passed' },
    ]),
  ),
  ok(
    'decisions and outcomes with every member',
    writeLog([
      {
        ...DECISION,
        verdict: 'permit',
        reason: 'ok',
        content: [{ action: 'flag', pattern: 'injection/ignore-previous', rule: 'words' }],
        flags: ['mark'],
        labels: ['pii'],
        observed: 'rule_denied',
        opa: [{ id: '4ca636c1', point: 'org' }],
        operations: [{ method: 'tools/call', name: 'query' }],
        shadow: [{ effect: 'error', rule: 'strict' }],
      },
      {
        ...OUTCOME,
        content: [{ action: 'deny', pattern: 'secrets/aws-access-key', rule: 'keys' }],
        labels: ['finance'],
        tools: [{ change: 'changed', digest: LINK, name: 'query' }],
      },
    ]),
  ),
  ok('an action of a newer sidecar', writeLog([{ ...QUARANTINE, action: 'moved' }])),
  ok('U+2028 in a string', writeLog([{ ...STOP, reason: 'line\u2028separator' }])),
  ok(
    'a checkpoint whose WIT has expired since',
    writeLog([START, CHECKPOINT], {
      1: { proof: { iat: NOW - 590 }, record: { time: (NOW - 590) * 1000 } },
    }),
  ),
  ok('a checkpoint issued 30 s before its record', writeLog(BODIES, { 3: at(30_000) })),
  ok('a checkpoint issued 30 s behind its record', writeLog(BODIES, { 3: at(-30_000) })),
];

const form = (): Case[] => [
  bad('an empty line', but(1, ''), 'audit_line', 2),
  bad('text', but(1, 'hello'), 'audit_line', 2),
  bad('a line without hash', but(1, second.replace(/,"hash":".*/, '}')), 'audit_line', 2),
  bad(
    'the hash not at the end',
    but(1, `{"hash":"${hashOf(second)}",${second.slice(1).replace(/,"hash":".*/, '}')}`),
    'audit_line',
    2,
  ),
  bad(
    'a hash of 42 characters',
    but(1, changed(second, `${hashOf(second)}"`, `${hashOf(second).slice(1)}"`)),
    'audit_line',
    2,
  ),
  bad('a half-written line', but(1, second.slice(0, 200)), 'audit_line', 2),
  bad('white space behind a line', but(1, `${second} `), 'audit_line', 2),
  bad('white space in a line', but(1, changed(second, '"v":1', '"v": 1')), 'audit_line', 2),
  bad(
    'members in another order',
    but(1, `{"verdict":"deny",${changed(second, ',"verdict":"deny"', '').slice(1)}`),
    'audit_line',
    2,
  ),
  bad('a member twice', but(1, changed(second, '"v":1', '"v":1,"v":1')), 'audit_line', 2),
  bad('a number in another spelling', but(1, changed(second, '"v":1', '"v":1.0')), 'audit_line', 2),
  bad(
    'an escape that is not needed',
    but(1, changed(second, '"method":"GET"', '"method":"\\u0047ET"')),
    'audit_line',
    2,
  ),
  edited('another version', 1, { record: { v: 2 } }, 'audit_line'),
  edited('seq as text', 1, { record: { seq: '2' } }, 'audit_line'),
  edited('no time', 1, { record: { time: undefined } }, 'audit_line'),
  edited('a sidecar that is no agent', 1, { record: { sidecar: 'inventory' } }, 'audit_line'),
  edited('a kind that nobody knows', 1, { record: { kind: 'gossip' } }, 'audit_line'),
  edited('a decision without verdict', 1, { record: { verdict: undefined } }, 'audit_line'),
  edited('an approval without its approver', 1, { record: { approvals: [{ id: 'x' }] } }, 'audit_line'),
  edited('approvals that are none', 1, { record: { approvals: 'carol' } }, 'audit_line'),
  edited('flags that are none', 1, { record: { flags: 'mark' } }, 'audit_line'),
  edited(
    'a note on content with what was found',
    1,
    { record: { content: [{ action: 'deny', pattern: 'p', rule: 'r', text: 'x' }] } },
    'audit_line',
  ),
  edited(
    'an operation without its name',
    1,
    { record: { operations: [{ method: 'tools/call' }] } },
    'audit_line',
  ),
  edited(
    'an operation with its arguments',
    1,
    { record: { operations: [{ method: 'tools/call', name: 'q', arguments: {} }] } },
    'audit_line',
  ),
  edited('observed, with what is no code', 1, { record: { observed: 'Denied!' } }, 'audit_line'),
  edited('a decision point without its name', 1, { record: { opa: [{ id: 'x' }] } }, 'audit_line'),
  edited('a rule in shadow without its effect', 1, { record: { shadow: [{ rule: 'x' }] } }, 'audit_line'),
  edited('labels of an outcome that are none', 2, { record: { labels: { pii: true } } }, 'audit_line'),
  edited(
    'a tool without its digest',
    2,
    { record: { tools: [{ change: 'changed', name: 'q' }] } },
    'audit_line',
  ),
  edited('flags of an outcome', 2, { record: { flags: ['mark'] } }, 'audit_line'),
  bad(
    'a quarantine record without its id',
    writeLog([START, QUARANTINE], { 1: { record: { id: undefined } } }),
    'audit_line',
    2,
  ),
  bad(
    'a quarantine record with octets of the body',
    writeLog([START, QUARANTINE], { 1: { record: { body: 'x' } } }),
    'audit_line',
    2,
  ),
  bad(
    'a quarantine record whose action is no word',
    writeLog([START, QUARANTINE], { 1: { record: { action: 'Kept!' } } }),
    'audit_line',
    2,
  ),
  edited('a decision with a member of no meaning', 1, { record: { note: 'x' } }, 'audit_line'),
];

const tampered = (): Case[] => [
  bad(
    'deny flipped to permit',
    but(1, changed(second, '"verdict":"deny"', '"verdict":"permit"')),
    'audit_hash',
    2,
  ),
  bad('the rule changed', but(1, changed(second, '"rule":""', '"rule":"planner"')), 'audit_hash', 2),
  bad('the target changed', but(1, changed(second, 'Terminate', 'Describex')), 'audit_hash', 2),
  bad(
    'the time changed',
    but(0, changed(first, `"time":${NOW * 1000}`, `"time":${NOW * 1000 + 1}`)),
    'audit_hash',
    1,
  ),
  bad('the scopes changed', but(1, changed(second, '"cloud:read"', '"cloud:root"')), 'audit_hash', 2),
  bad('the hash changed', but(1, changed(second, hashOf(second), hashOf(third))), 'audit_hash', 2),
  bad(
    'deny flipped to permit, and the hash made anew',
    but(1, rehashed(second, { verdict: 'permit' })),
    'audit_order',
    3,
  ),
  bad(
    'a record dropped',
    log.filter((_, at) => at !== 1),
    'audit_gap',
    2,
  ),
  bad('the first record dropped', log.slice(1), 'audit_gap', 1),
  bad(
    'a checkpoint dropped',
    log.filter((_, at) => at !== 3),
    'audit_gap',
    4,
  ),
  bad(
    'a record dropped, and the next one renumbered and hashed anew',
    [first, rehashed(third, { seq: 2, prev: hashOf(first) }), fourth],
    'audit_gap',
    3,
  ),
  bad('a record twice', [first, second, second, third], 'audit_order', 3),
  bad(
    'a record put in',
    [first, second, rehashed(second, { seq: 3, prev: hashOf(second), target: '/x' }), third],
    'audit_order',
    4,
  ),
  bad('two records swapped', [first, third, second, fourth], 'audit_gap', 2),
  bad('another log behind this one', [...log, first], 'audit_order', 8),
  edited(
    'a record of another log, chained',
    4,
    { record: { log: b64u(octets('other log', 16)) } },
    'audit_order',
  ),
  edited('a record of another sidecar, chained', 4, { record: { sidecar: PLANNER.id } }, 'audit_order'),
  edited('a seq that skips, chained', 4, { record: { seq: 6 } }, 'audit_gap'),
  edited('a seq that stands still, chained', 4, { record: { seq: 4 } }, 'audit_order'),
  edited('a prev that is empty', 4, { record: { prev: '' } }, 'audit_order'),
  edited('a first record with a prev', 0, { record: { prev: hashOf(second) } }, 'audit_order'),
];

const evil = key('audit evil');

const checkpoints = (): Case[] => [
  checkpoint('signed by another key', { by: evil, kid: auditKeyOf(INVENTORY).jkt }),
  checkpoint('by a key that the WIT does not certify', { by: evil }),
  checkpoint('a WIT by an unknown issuer', { wit: wit(INVENTORY, {}, key('issuer evil')) }),
  checkpoint('the WIT of another agent', { wit: wit(PLANNER), by: auditKeyOf(PLANNER) }),
  checkpoint('a WIT without audit key', { wit: wit(INVENTORY, { audit_jwk: undefined }) }),
  checkpoint('a WIT that had expired when the checkpoint was made', {
    wit: wit(INVENTORY, { exp: NOW - 30 }),
  }),
  checkpoint('issued 30.001 s before its record', at(30_001)),
  checkpoint('issued 30.001 s behind its record', at(-30_001)),
  checkpoint('backdated into the life of a WIT that had expired by its record', {
    proof: { iat: NOW - 60 },
    wit: wit(INVENTORY, { exp: NOW - 30 }),
  }),
  checkpoint('the identity point as audit key', {
    wit: wit(INVENTORY, { audit_jwk: identityKey.jwk }),
    by: identityKey,
  }),
  checkpoint('for another sidecar', { proof: { sub: PLANNER.id } }),
  checkpoint('for another log', { proof: { log: b64u(octets('other log', 16)) } }),
  checkpoint('for another position', { proof: { seq: 5 } }),
  checkpoint('over another record', { proof: { prev: hashOf(second) } }),
  checkpoint('the second one leaves out its predecessor', { proof: { pred: '' } }, 6),
  checkpoint('the second one names another predecessor', { proof: { pred: hashOf(second) } }, 6),
  checkpoint('the first one names a predecessor', { proof: { pred: hashOf(second) } }),
  checkpoint('the first checkpoint’s proof again', { record: { proof: String(recordOf(fourth).proof) } }, 6),
  checkpoint('a proof with a member too many', { proof: { note: 'x' } }),
  checkpoint('a proof without time', { proof: { iat: undefined } }),
  checkpoint('no proof at all', { record: { proof: '' } }),
  checkpoint('a WIT as proof', { record: { proof: wit(INVENTORY) } }),
];

const cut = (): Case[] => [
  bad('the last checkpoint cut off', log.slice(0, 6), 'audit_cut', 6, 7),
  bad('cut back to the first checkpoint', log.slice(0, 4), 'audit_cut', 4, 7),
  bad('cut in the middle', log.slice(0, 2), 'audit_cut', 2, 4),
  bad('nothing is left', [], 'audit_cut', 0, 4),
];

export const auditCases = (): Case[] => [...sound(), ...form(), ...tampered(), ...checkpoints(), ...cut()];
