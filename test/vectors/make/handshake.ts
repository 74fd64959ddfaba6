/** The handshake, from the side that receives a frame. The planner is the initiator, the inventory the responder. */
import type { Case } from './case.ts';
import { F1, F2, F3, first, make, second, third } from './handshake-case.ts';
import { proofCases } from './handshake-proofs.ts';
import { answer, challenge, fieldsOf, frame, frameOf, hello, NONCE, sessionOf } from './handshake-world.ts';
import { octets } from './signing.ts';
import { INVENTORY, PLANNER, wit } from './world.ts';

const TWO_SUITES = hello({ suites: [2, 1] });
/** A WIT and a proof that are as large as they may be. */
const LARGE_WIT = wit(INVENTORY, { attested: { fact: 'x'.repeat(2568) } });
const LARGE = challenge(F1, { wit: LARGE_WIT, spaces: 2512 });
const largestFields = fieldsOf(LARGE).slice(2);
if (!largestFields.every((field) => field.length === 4096))
  throw new Error(`not the largest: ${largestFields.map((field) => field.length)}`);

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
  make(
    'a WIT and a proof of 4096 octets each: F2 has more than 8192',
    'initiator',
    { f1: F1, f2: LARGE },
    { reason: 'ok', session: sessionOf(F1, LARGE) },
    {},
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
    'a body of more than 12288 octets',
    frame(1, ['hopgate-hs/1', Buffer.of(1), NONCE.initiator, Buffer.alloc(12_289 - 53, 65)]),
    'hs_frame',
  ),
  first(
    'a body of 12288 octets, of which the WIT has too many',
    frame(1, ['hopgate-hs/1', Buffer.of(1), NONCE.initiator, Buffer.alloc(12_288 - 53, 65)]),
    'jws_size',
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

export const handshakeCases = (): Case[] => [...good(), ...frames(), ...negotiation(), ...proofCases()];
