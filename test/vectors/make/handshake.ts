/** The handshake, from the side that receives a frame. The planner is the initiator, the inventory the responder. */
import { type Case, NOW } from './case.ts';
import {
  answer,
  CERT,
  type ChallengePlan,
  challenge,
  EXPORTER,
  frame,
  frameOf,
  type HelloPlan,
  hello,
  NONCE,
  type ProofPlan,
  sessionOf,
} from './handshake-world.ts';
import { b64u, type Claims, key, octets, withSignature } from './signing.ts';
import { identityKey, mixedOrderKey, plusGroupOrder } from './torsion.ts';
import {
  AUDITOR,
  BILLING,
  INVENTORY,
  ISSUER,
  issuersOf,
  PARTNER_ISSUER,
  PLANNER,
  REPORT,
  rotated,
  wit,
} from './world.ts';

interface Options {
  readonly now?: number;
  readonly peer?: Claims;
  readonly own?: Claims;
  readonly exporter?: Uint8Array;
  readonly pin?: string;
  readonly seenNonces?: readonly string[];
  readonly source?: string;
}

const make = (
  comment: string,
  role: 'initiator' | 'responder',
  frames: Readonly<Record<string, Uint8Array>>,
  expect: Case['expect'],
  options: Options,
): Case => {
  const [self, other] =
    role === 'responder' ? ([INVENTORY, PLANNER] as const) : ([PLANNER, INVENTORY] as const);
  const peerRole = role === 'responder' ? 'initiator' : 'responder';
  return {
    comment,
    source: options.source ?? '11',
    now: options.now ?? NOW,
    input: {
      role,
      own: { id: self.id, jwk: self.key.jwk, cert: CERT[role], ...options.own },
      peer: { id: other.id, cert: CERT[peerRole], ...options.peer },
      ...(role === 'initiator' ? { pin: options.pin ?? INVENTORY.id } : {}),
      exporter: b64u(options.exporter ?? EXPORTER),
      frames: Object.fromEntries(
        Object.entries(frames).map(([name, sent]) => [name, Buffer.from(sent).toString('hex')]),
      ),
      issuers: issuersOf(),
      ...(options.seenNonces === undefined ? {} : { seenNonces: options.seenNonces }),
    },
    expect,
  };
};

const F1 = hello();
const F2 = challenge(F1);
const F3 = answer(F1, F2);

/** The responder receives F1. */
const first = (comment: string, plan: HelloPlan | Uint8Array, reason: string, options: Options = {}): Case =>
  make(comment, 'responder', { f1: plan instanceof Uint8Array ? plan : hello(plan) }, { reason }, options);

/** The responder has answered F1 with F2 and receives F3. */
const third = (comment: string, plan: ProofPlan | Uint8Array, reason: string, options: Options = {}): Case =>
  make(
    comment,
    'responder',
    { f1: F1, f2: F2, f3: plan instanceof Uint8Array ? plan : answer(F1, F2, plan) },
    { reason },
    options,
  );

/** The initiator has sent F1 and receives F2. */
const second = (
  comment: string,
  plan: ChallengePlan | Uint8Array,
  reason: string,
  options: Options = {},
): Case =>
  make(
    comment,
    'initiator',
    { f1: F1, f2: plan instanceof Uint8Array ? plan : challenge(F1, plan) },
    { reason },
    options,
  );

const TWO_SUITES = hello({ suites: [2, 1] });

const good = (): Case[] => [
  make(
    'a whole handshake',
    'responder',
    { f1: F1, f2: F2, f3: F3 },
    { reason: 'ok', session: sessionOf(F1, F2) },
    {},
  ),
  make(
    'the same, as the initiator sees it',
    'initiator',
    { f1: F1, f2: F2 },
    { reason: 'ok', session: sessionOf(F1, F2) },
    {},
  ),
  make(
    'the initiator pins a type',
    'initiator',
    { f1: F1, f2: F2 },
    { reason: 'ok', session: sessionOf(F1, F2) },
    { pin: 'spiffe://company.com/agent/inventory/*' },
  ),
  first('a first frame alone', {}, 'ok'),
  first('more suites than ours', { suites: [7, 1, 9] }, 'ok'),
  first('eight suites', { suites: [8, 7, 6, 5, 4, 3, 2, 1] }, 'ok'),
  first('other nonces were seen', {}, 'ok', { seenNonces: [NONCE.responder.toString('hex')] }),
  make(
    'suites offered that we don’t know, and the transcript over them',
    'responder',
    { f1: TWO_SUITES, f2: challenge(TWO_SUITES), f3: answer(TWO_SUITES, challenge(TWO_SUITES)) },
    { reason: 'ok', session: sessionOf(TWO_SUITES, challenge(TWO_SUITES)) },
    {},
  ),
];

const BODY = F1.subarray(4);

const frames = (): Case[] => [
  first('nothing', Buffer.alloc(0), 'hs_frame'),
  first('a frame cut in its header', F1.subarray(0, 3), 'hs_frame'),
  first('a frame cut in its body', F1.subarray(0, 100), 'hs_frame'),
  first('a frame sent twice', Buffer.concat([F1, F1]), 'hs_frame'),
  first('one octet too many', Buffer.concat([F1, Buffer.of(0)]), 'hs_frame'),
  first(
    'an octet behind the last field, inside the body',
    frameOf(1, Buffer.concat([BODY, Buffer.of(0)])),
    'hs_frame',
  ),
  first(
    'a body of more than 8192 octets',
    frame(1, ['hopgate-hs/1', Buffer.of(1), NONCE.initiator, Buffer.alloc(8200, 65)]),
    'hs_frame',
  ),
  first('a header that announces 16 MiB', frameOf(1, BODY, 0xffffff), 'hs_frame'),
  first('a length one octet short', frameOf(1, BODY, BODY.length - 1), 'hs_frame'),
  first(
    'a field that reaches over the end',
    frameOf(1, Buffer.concat([BODY.subarray(0, 14), Buffer.of(0xff, 0xff)])),
    'hs_frame',
  ),
  first('an empty body', frameOf(1, Buffer.alloc(0)), 'hs_frame'),
  first('three fields', frame(1, ['hopgate-hs/1', Buffer.of(1), NONCE.initiator]), 'hs_frame'),
  first(
    'five fields',
    frame(1, ['hopgate-hs/1', Buffer.of(1), NONCE.initiator, wit(PLANNER), '']),
    'hs_frame',
  ),
  first('a frame of an unknown type', frameOf(9, BODY), 'hs_frame'),
  first('F1 under the type of F2', frameOf(2, BODY), 'hs_frame'),
  first('F3 before F1', F3, 'hs_frame'),
  first('a TLS record', Buffer.from('160301020001', 'hex'), 'hs_frame'),
  first('HTTP instead of the frames', Buffer.from('GET / HTTP/1.1\r\nHost: inventory\r\n\r\n'), 'hs_frame'),
  first('no suite', { suites: [] }, 'hs_frame'),
  first('nine suites', { suites: [1, 1, 1, 1, 1, 1, 1, 1, 1] }, 'hs_frame'),
  first('a nonce of 31 octets', { nonce: octets('short', 31) }, 'hs_frame'),
  first('a nonce of 33 octets', { nonce: Buffer.alloc(33, 1) }, 'hs_frame'),
  third('HTTP instead of F3', Buffer.from('GET / HTTP/1.1\r\nHost: inventory\r\n\r\n'), 'hs_frame'),
  third('F1 again instead of F3', F1, 'hs_frame'),
  third('F3 cut', F3.subarray(0, -1), 'hs_frame'),
  third(
    'HTTP in the same frame as F3',
    Buffer.concat([F3, Buffer.from('GET / HTTP/1.1\r\n\r\n')]),
    'hs_frame',
  ),
  third('two proofs', frame(3, [F3.subarray(6), F3.subarray(6)]), 'hs_frame'),
  second('F2 cut', F2.subarray(0, -1), 'hs_frame'),
  second('our own F1 reflected', F1, 'hs_frame'),
  second('a suite of two octets', { suite: [1, 1] }, 'hs_frame'),
  second('a nonce of 16 octets', { nonce: octets('short', 16) }, 'hs_frame'),
  second('accepted before it was proven', frame(4, [Buffer.of(0), Buffer.alloc(8)]), 'hs_frame'),
  second('a result that is neither', frame(4, [Buffer.of(2), 'hs_busy']), 'hs_frame'),
  second('refused in place of F2', frame(4, [Buffer.of(1), 'hs_busy']), 'hs_refused'),
  second('refused for a reason that nobody knows', frame(4, [Buffer.of(1), 'because']), 'hs_refused'),
];

const negotiation = (): Case[] => [
  first('another version', { version: 'hopgate-hs/2' }, 'hs_version'),
  first('no version', { version: '' }, 'hs_version'),
  first('the version in another case', { version: 'Hopgate-hs/1' }, 'hs_version'),
  first('suites without ours', { suites: [2, 3] }, 'hs_suite'),
  first('suite 0', { suites: [0] }, 'hs_suite'),
  second('a suite that was not offered', { suite: [2] }, 'hs_suite'),
  make(
    'a suite stripped on the way: the responder has signed another F1',
    'initiator',
    { f1: F1, f2: challenge(TWO_SUITES) },
    { reason: 'proof_transcript' },
    {},
  ),
  make(
    'a suite added on the way: the initiator has signed another F1',
    'responder',
    { f1: TWO_SUITES, f2: challenge(TWO_SUITES), f3: answer(F1, challenge(TWO_SUITES)) },
    { reason: 'proof_transcript' },
    {},
  ),
  first('a nonce used before', {}, 'hs_nonce', { seenNonces: [NONCE.initiator.toString('hex')] }),
];

const identity = (): Case[] => [
  first('no WIT', { wit: '' }, 'jws_structure'),
  first('a WIT with octets outside ASCII', { wit: `\u00ff${wit(PLANNER).slice(1)}` }, 'jws_base64url'),
  first('a proof in place of the WIT', { wit: F3.subarray(6).toString('latin1') }, 'jws_header'),
  first('the WIT of another agent than the SVID', { wit: wit(BILLING) }, 'wit_not_svid'),
  first('the SVID of another agent than the WIT', {}, 'wit_not_svid', { peer: { id: BILLING.id } }),
  first('the SVID of the same name in another trust domain', {}, 'wit_not_svid', {
    peer: { id: PLANNER.id.replace('company', 'partner') },
  }),
  first('a WIT by an unknown issuer', { wit: wit(PLANNER, {}, key('issuer evil')) }, 'wit_issuer_unknown'),
  first(
    'a WIT by the issuer of another trust domain',
    { wit: wit(PLANNER, {}, PARTNER_ISSUER) },
    'wit_issuer_unknown',
  ),
  first(
    'a WIT that nobody signed',
    { wit: wit(PLANNER, {}, key('issuer evil'), ISSUER.jkt) },
    'wit_signature',
  ),
  first('an expired WIT', {}, 'wit_expired', { now: NOW + 3030 }),
  first('a WIT from the future', {}, 'wit_not_yet_valid', { now: NOW - 631 }),
  first(
    'the identity point as agent key',
    { wit: wit(PLANNER, { cnf: { jwk: identityKey.jwk } }) },
    'key_small_order',
  ),
  first(
    'an agent key of mixed order',
    { wit: wit(PLANNER, { cnf: { jwk: mixedOrderKey.jwk } }) },
    'key_mixed_order',
  ),
  first(
    'our own words sent back to us: the peer presents our key',
    { wit: wit(INVENTORY) },
    'hs_reflection',
    { peer: { id: INVENTORY.id } },
  ),
  first('another name over our own key', { wit: wit(rotated(PLANNER, INVENTORY.key)) }, 'hs_reflection'),
  second('the responder is another agent than the pin', {}, 'peer_not_pinned', { pin: BILLING.id }),
  second('the responder is of another type than the pin', {}, 'peer_not_pinned', {
    pin: 'spiffe://company.com/agent/billing/*',
  }),
  second('the responder is another instance than the pin', {}, 'peer_not_pinned', {
    pin: `${INVENTORY.id}1`,
  }),
  second('the responder is of the pinned type, in another trust domain', {}, 'peer_not_pinned', {
    pin: 'spiffe://partner.com/agent/inventory/*',
  }),
  second('the responder’s WIT is not of its SVID', { wit: wit(REPORT) }, 'wit_not_svid'),
  second(
    'the responder’s WIT is by an unknown issuer',
    { wit: wit(INVENTORY, {}, key('issuer evil')) },
    'wit_issuer_unknown',
  ),
  second(
    'the responder presents our own key',
    { wit: wit(rotated(INVENTORY, PLANNER.key)) },
    'hs_reflection',
  ),
  second(
    'the responder’s agent key is the identity point',
    { wit: wit(INVENTORY, { cnf: { jwk: identityKey.jwk } }), by: identityKey },
    'key_small_order',
  ),
];

const OTHER = octets('exporter of another connection');
const RELAYED = challenge(F1, { edit: { exporter: b64u(OTHER) } });
const LATE = hello({ nonce: octets('another nonce') });

const proofs = (): Case[] => [
  third('role swapped', { edit: { role: 'responder' } }, 'proof_role'),
  third('another label', { edit: { label: 'hopgate-hs/2' } }, 'proof_role'),
  third('typ swapped', { typ: 'hs-r+jwt' }, 'jws_header'),
  third('our own proof reflected', frame(3, [Buffer.from(proofOf(F2))]), 'jws_header'),
  third(
    'identity misbinding: the proof was meant for another responder',
    { edit: { rid: BILLING.id } },
    'proof_identity',
  ),
  third('the proof names another initiator', { edit: { iid: BILLING.id } }, 'proof_identity'),
  third('the names swapped', { edit: { iid: INVENTORY.id, rid: PLANNER.id } }, 'proof_identity'),
  third('the proof names another key of ours', { edit: { rjkt: key('agent old').jkt } }, 'proof_key'),
  third('the proof names another key of its own', { edit: { ijkt: key('agent old').jkt } }, 'proof_key'),
  third(
    'relayed: the proof names the certificate of the relay',
    { edit: { rcert: b64u(octets('relay certificate')) } },
    'proof_certificate',
  ),
  third(
    'the proof names another certificate of its own',
    { edit: { icert: b64u(octets('relay certificate')) } },
    'proof_certificate',
  ),
  third(
    'relayed through two TLS sessions: the exporter is that of the other one',
    { edit: { exporter: b64u(OTHER) } },
    'proof_channel',
  ),
  third('the exporter left out', { edit: { exporter: undefined } }, 'claim_missing'),
  third('the exporter of zeros', { edit: { exporter: b64u(Buffer.alloc(32)) } }, 'proof_channel'),
  make(
    'on the second connection of a relay: our F2 is over its exporter, the proof that is passed on is not',
    'responder',
    { f1: F1, f2: RELAYED, f3: answer(F1, RELAYED) },
    { reason: 'proof_channel' },
    { exporter: OTHER },
  ),
  third(
    'the proof of an earlier handshake on this connection',
    answer(LATE, challenge(LATE)),
    'proof_transcript',
  ),
  third('the proof over F1 alone', { edit: { th: b64u(octets('h1')) } }, 'proof_transcript'),
  third('signed by another key', { by: BILLING.key }, 'proof_signature'),
  third('signed by the WIT issuer', { by: ISSUER }, 'proof_signature'),
  third('S + L', { change: (text) => withSignature(text, plusGroupOrder) }, 'proof_signature'),
  third(
    'a signature of zeros',
    { change: (text) => withSignature(text, (s) => Buffer.alloc(s.length)) },
    'proof_signature',
  ),
  third('a cut signature', { change: (text) => text.slice(0, -2) }, 'jws_structure'),
  third('a WIT in place of the proof', frame(3, [wit(PLANNER)]), 'jws_header'),
  third('an empty proof', frame(3, ['']), 'jws_structure'),
  second('the responder swaps its role', { edit: { role: 'initiator' } }, 'proof_role'),
  second('the responder swaps its typ', { typ: 'hs-i+jwt' }, 'jws_header'),
  second(
    'the responder’s proof was meant for another initiator',
    { edit: { iid: BILLING.id } },
    'proof_identity',
  ),
  second('the responder’s proof names another responder', { edit: { rid: AUDITOR.id } }, 'proof_identity'),
  second(
    'the responder’s proof names another key of ours',
    { edit: { ijkt: key('agent old').jkt } },
    'proof_key',
  ),
  second(
    'relayed: the responder names the certificate of the relay',
    { edit: { icert: b64u(octets('relay certificate')) } },
    'proof_certificate',
  ),
  second('relayed: the certificate that we see is that of the relay', {}, 'proof_certificate', {
    peer: { cert: b64u(octets('relay certificate')) },
  }),
  second('relayed through two TLS sessions', { edit: { exporter: b64u(OTHER) } }, 'proof_channel'),
  second('the answer to another F1', challenge(LATE), 'proof_transcript'),
  second('the proof of another F2 under a new nonce', swappedNonce(), 'proof_transcript'),
  second('the responder’s proof is signed by another key', { by: BILLING.key }, 'proof_signature'),
  second('no proof', frame(2, [Buffer.of(1), NONCE.responder, wit(INVENTORY), '']), 'jws_structure'),
];

function proofOf(f2: Buffer): string {
  const text = f2.toString('latin1');
  return text.slice(text.lastIndexOf('eyJhbGciOiJFZDI1NTE5IiwidHlwIjoiaHMt'));
}

/** F2 whose nonce was exchanged after it was signed. */
function swappedNonce(): Buffer {
  const changed = Buffer.from(F2);
  octets('exchanged nonce').copy(changed, 4 + 3 + 2);
  return changed;
}

export const handshakeCases = (): Case[] => [
  ...good(),
  ...frames(),
  ...negotiation(),
  ...identity(),
  ...proofs(),
];
