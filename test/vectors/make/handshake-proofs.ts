/** Identities and proofs of the handshake. */
import { type Case, NOW } from './case.ts';
import { F1, F2, F3, first, make, second, third } from './handshake-case.ts';
import { answer, challenge, frame, hello, NONCE } from './handshake-world.ts';
import { b64u, key, octets, withSignature } from './signing.ts';
import { identityKey, mixedOrderKey, plusGroupOrder } from './torsion.ts';
import {
  AUDITOR,
  BILLING,
  INVENTORY,
  ISSUER,
  PARTNER_ISSUER,
  PLANNER,
  REPORT,
  rotated,
  wit,
} from './world.ts';

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

export const proofCases = (): Case[] => [...identity(), ...proofs()];
