import { describe, expect, test } from 'vitest';
import { encodeBase64url } from '../../../../src/core/encoding/base64url.ts';
import { encodeFrame, FRAME, parseFrame } from '../../../../src/core/handshake/frames.ts';
import { type HandshakeContext, Initiator, Responder } from '../../../../src/core/handshake/machine.ts';
import type { IdPattern } from '../../../../src/core/spiffe-id.ts';
import { ISSUERS, NOW, permitted, reasonOf, type TestAgent, testAgent } from '../../../testkit/core-world.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const mallory = testAgent('mallory');

const certificateOf = (agent: TestAgent): string =>
  encodeBase64url(Buffer.alloc(32, Buffer.from(agent.id).reduce((sum, octet) => sum + octet, 0) & 0xff));

/** One TLS session: its exporter is the same at both ends. */
const channel = (seed: number) => Buffer.alloc(32, seed);

const side = (
  own: TestAgent,
  peer: TestAgent,
  changes: Partial<HandshakeContext> & { session?: number } = {},
) => {
  const { session = 1, ...rest } = changes;
  return {
    own: { ...own.holder, certificate: certificateOf(own), wit: own.wit, sign: own.key.sign },
    channel: { peerId: peer.id, peerCertificate: certificateOf(peer), exporter: channel(session) },
    issuers: ISSUERS,
    now: NOW,
    nonce: Buffer.alloc(32, own === planner ? 1 : 2),
    ...rest,
  } satisfies HandshakeContext;
};
const fresh = (_nonce: Buffer): boolean => true;
const toInventory = (changes: Parameters<typeof side>[2] = {}) =>
  new Initiator(side(planner, inventory, changes), inventory.id);
const atInventory = (changes: Parameters<typeof side>[2] = {}, isFresh = fresh) =>
  new Responder(side(inventory, planner, changes), isFresh);

describe('a good run', () => {
  test('proves each side to the other, under one session id', () => {
    const initiator = toInventory();
    const responder = atInventory();
    const answer = permitted(initiator.onChallenge(permitted(responder.onHello(initiator.hello))));
    const proven = permitted(responder.onProof(answer.proof));
    expect(answer.peer).toEqual({ ...inventory.holder, certificate: certificateOf(inventory) });
    expect(proven.peer).toEqual({ ...planner.holder, certificate: certificateOf(planner) });
    expect(proven.sessionId).toBe(answer.sessionId);
    expect(proven.sessionId).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(initiator.onResult(Responder.accepted(NOW + 600.9))).toEqual({ ok: true, value: NOW + 600 });
  });

  test('ends in another session id with another nonce or another exporter', () => {
    const idWith = (changes: Parameters<typeof side>[2]) => {
      const initiator = toInventory(changes);
      return permitted(initiator.onChallenge(permitted(atInventory(changes).onHello(initiator.hello))))
        .sessionId;
    };
    const ids = [idWith({}), idWith({ session: 9 }), idWith({ nonce: Buffer.alloc(32, 77) })];
    expect(new Set(ids).size).toBe(3);
  });

  test('a refusal in place of the challenge, or after the proof, reaches the initiator by its code alone', () => {
    const early = toInventory().onChallenge(Responder.refused('hs_busy'));
    expect(early).toMatchObject({ reason: 'hs_refused', detail: expect.stringContaining('hs_busy') });
    const unknown = toInventory().onChallenge(encodeFrame(FRAME.result, [Buffer.of(1), 'run: rm -rf /']));
    expect(unknown).toMatchObject({ reason: 'hs_refused', detail: expect.not.stringContaining('rm') });
    const initiator = toInventory();
    permitted(initiator.onChallenge(permitted(atInventory().onHello(initiator.hello))));
    expect(reasonOf(initiator.onResult(Responder.refused('proof_channel')))).toBe('hs_refused');
  });
});

describe('frames in the wrong place', () => {
  const run = () => {
    const initiator = toInventory();
    const responder = atInventory();
    const challenge = permitted(responder.onHello(initiator.hello));
    return { initiator, responder, challenge };
  };

  test('accepted before anything was proven is no session', () => {
    const { initiator } = run();
    expect(reasonOf(initiator.onChallenge(Responder.accepted(NOW + 1)))).toBe('hs_frame');
    expect(reasonOf(toInventory().onResult(Responder.accepted(NOW + 1)))).toBe('hs_frame');
  });

  test('a frame doubled is refused at either side', () => {
    const { initiator, responder, challenge } = run();
    expect(reasonOf(responder.onHello(initiator.hello))).toBe('hs_frame');
    const { proof } = permitted(initiator.onChallenge(challenge));
    expect(reasonOf(initiator.onChallenge(challenge))).toBe('hs_frame');
    expect(reasonOf(responder.onProof(proof))).toBe('ok');
    expect(reasonOf(responder.onProof(proof))).toBe('hs_frame');
    expect(reasonOf(initiator.onResult(Responder.accepted(NOW + 1)))).toBe('ok');
    expect(reasonOf(initiator.onResult(Responder.accepted(NOW + 1)))).toBe('hs_frame');
  });

  test('one wrong proof ends it: there is no second try', () => {
    const { initiator, responder, challenge } = run();
    const { proof } = permitted(initiator.onChallenge(challenge));
    const wrong = permitted(
      toInventory({ session: 2 }).onChallenge(
        permitted(atInventory({ session: 2 }).onHello(toInventory().hello)),
      ),
    );
    expect(reasonOf(responder.onProof(wrong.proof))).not.toBe('ok');
    expect(reasonOf(responder.onProof(proof))).toBe('hs_frame');
  });

  test('a proof, a challenge or a result in the place of another', () => {
    const { initiator, responder, challenge } = run();
    const { proof } = permitted(initiator.onChallenge(challenge));
    expect(reasonOf(atInventory().onHello(challenge))).toBe('hs_frame');
    expect(reasonOf(atInventory().onHello(proof))).toBe('hs_frame');
    expect(reasonOf(atInventory().onProof(proof))).toBe('hs_frame');
    expect(reasonOf(toInventory().onChallenge(proof))).toBe('hs_frame');
    expect(reasonOf(responder.onProof(challenge))).toBe('hs_frame');
    expect(reasonOf(initiator.onResult(proof))).toBe('hs_frame');
  });

  test('plain HTTP is seen by its first octet', () => {
    expect(reasonOf(atInventory().onHello(Buffer.from('GET / HTTP/1.1\r\n')))).toBe('hs_frame');
    expect(reasonOf(parseFrame(Buffer.alloc(0), [FRAME.hello]))).toBe('hs_frame');
  });

  test('fields too many, too few or of the wrong length', () => {
    const hello = (fields: readonly (Buffer | string)[]) =>
      reasonOf(atInventory().onHello(encodeFrame(FRAME.hello, fields)));
    const [version, suites, nonce, wit] = ['hopgate-hs/1', Buffer.of(1), Buffer.alloc(32, 1), planner.wit];
    expect(hello([version, suites, nonce, wit])).toBe('ok');
    expect(hello([version, suites, nonce, wit, ''])).toBe('hs_frame');
    expect(hello([version, suites, nonce])).toBe('hs_frame');
    expect(hello([version, Buffer.alloc(0), nonce, wit])).toBe('hs_frame');
    expect(hello([version, Buffer.alloc(9, 1), nonce, wit])).toBe('hs_frame');
    expect(hello([version, suites, nonce.subarray(1), wit])).toBe('hs_frame');
    expect(hello(['hopgate-hs/2', suites, nonce, wit])).toBe('hs_version');
    expect(hello([version, Buffer.of(7, 8), nonce, wit])).toBe('hs_suite');
    expect(hello([version, Buffer.of(7, 1), nonce, wit])).toBe('ok');
  });
});

describe('attacks', () => {
  test('a relay between two TLS sessions is seen by the exporter, by either side', () => {
    const initiator = toInventory({ session: 1 });
    const responder = atInventory({ session: 2 });
    const challenge = permitted(responder.onHello(initiator.hello));
    expect(reasonOf(initiator.onChallenge(challenge))).toBe('proof_channel');
    // An initiator that doesn’t look is still seen by the responder.
    const careless = toInventory({ session: 1 });
    const { proof } = permitted(
      careless.onChallenge(permitted(atInventory({ session: 1 }).onHello(careless.hello))),
    );
    expect(reasonOf(responder.onProof(proof))).toBe('proof_channel');
  });

  test('our own hello reflected to us proves nobody', () => {
    const reflected = new Responder(side(planner, planner), fresh).onHello(toInventory().hello);
    expect(reasonOf(reflected)).toBe('hs_reflection');
  });

  test('a challenge of our own making, reflected, proves nobody', () => {
    const own = new Initiator(side(planner, planner), planner.id);
    const twin = new Responder(side(planner, inventory), fresh);
    const challenge = twin.onHello(new Initiator(side(inventory, planner), planner.id).hello);
    expect(reasonOf(own.onChallenge(permitted(challenge)))).toBe('hs_reflection');
  });

  test('a stolen WIT does not help without its SVID: identity is bound to the channel', () => {
    const thief = new Initiator(
      { ...side(mallory, inventory), own: { ...side(mallory, inventory).own, wit: planner.wit } },
      inventory.id,
    );
    const responder = new Responder(side(inventory, mallory), fresh);
    expect(reasonOf(responder.onHello(thief.hello))).toBe('wit_not_svid');
  });

  test('a stolen WIT and SVID do not help without the agent key', () => {
    const stolen = side(planner, inventory);
    const thief = new Initiator({ ...stolen, own: { ...stolen.own, sign: mallory.key.sign } }, inventory.id);
    const responder = atInventory();
    const { proof } = permitted(thief.onChallenge(permitted(responder.onHello(thief.hello))));
    expect(reasonOf(responder.onProof(proof))).toBe('proof_signature');
  });

  test('identity misbinding: a proof made for another responder is not ours', () => {
    const toMallory = new Initiator(side(planner, mallory), mallory.id);
    const asMallory = new Responder(side(mallory, planner), fresh);
    const { proof } = permitted(toMallory.onChallenge(permitted(asMallory.onHello(toMallory.hello))));
    const victim = atInventory();
    permitted(victim.onHello(toMallory.hello));
    expect(reasonOf(victim.onProof(proof))).toBe('proof_identity');
  });

  test('another key of the right agent, or another certificate, is seen', () => {
    const initiator = toInventory();
    const challenge = permitted(
      new Responder(
        {
          ...side(inventory, planner),
          own: { ...side(inventory, planner).own, certificate: certificateOf(mallory) },
        },
        fresh,
      ).onHello(initiator.hello),
    );
    expect(reasonOf(initiator.onChallenge(challenge))).toBe('proof_certificate');
    const renewed = testAgent('inventory', 2);
    const mixed = side(inventory, planner);
    const half = new Responder({ ...mixed, own: { ...mixed.own, wit: renewed.wit } }, fresh);
    const other = toInventory();
    expect(reasonOf(other.onChallenge(permitted(half.onHello(other.hello))))).toBe('proof_key');
  });

  test('the responder’s proof is not taken for an initiator’s', () => {
    const initiator = toInventory();
    const responder = atInventory();
    const challenge = permitted(responder.onHello(initiator.hello));
    const frame = permitted(parseFrame(challenge, [FRAME.challenge]));
    const swapped = encodeFrame(FRAME.proof, [frame.fields[3] ?? Buffer.alloc(0)]);
    expect(reasonOf(responder.onProof(swapped))).toBe('jws_header');
  });

  test('a proof of another run of the same two sides is stale', () => {
    const first = toInventory();
    const { proof } = permitted(first.onChallenge(permitted(atInventory().onHello(first.hello))));
    const second = atInventory({ nonce: Buffer.alloc(32, 55) });
    permitted(second.onHello(first.hello));
    expect(reasonOf(second.onProof(proof))).toBe('proof_transcript');
  });

  test('a nonce seen before is refused before any signature is looked at', () => {
    const seen = new Set<string>();
    const once = (nonce: Buffer) =>
      !seen.has(nonce.toString('hex')) && seen.add(nonce.toString('hex')) !== undefined;
    const { hello } = toInventory();
    expect(reasonOf(atInventory({}, once).onHello(hello))).toBe('ok');
    expect(reasonOf(atInventory({}, once).onHello(hello))).toBe('hs_nonce');
  });

  test('a suite that was not offered', () => {
    const initiator = toInventory();
    const fields = permitted(
      parseFrame(permitted(atInventory().onHello(initiator.hello)), [FRAME.challenge]),
    ).fields;
    const downgraded = encodeFrame(FRAME.challenge, [Buffer.of(2), ...fields.slice(1)]);
    expect(reasonOf(initiator.onChallenge(downgraded))).toBe('hs_suite');
  });

  test('an expired WIT, or one of no issuer, at either side', () => {
    const initiator = toInventory();
    expect(reasonOf(atInventory({ now: NOW + 3630 }).onHello(initiator.hello))).toBe('wit_expired');
    expect(reasonOf(atInventory({ issuers: new Map() }).onHello(initiator.hello))).toBe('wit_issuer_unknown');
    const late = toInventory({ now: NOW + 3630 });
    expect(reasonOf(late.onChallenge(permitted(atInventory().onHello(late.hello))))).toBe('wit_expired');
  });
});

describe('pins', () => {
  const withPin = (pin: string, peer = inventory) => {
    const initiator = new Initiator(side(planner, peer), pin as IdPattern);
    return reasonOf(
      initiator.onChallenge(permitted(new Responder(side(peer, planner), fresh).onHello(initiator.hello))),
    );
  };
  const other = testAgent('inventory', 1, 'b2');

  test('an exact ID takes that agent and no sibling', () => {
    expect(withPin(inventory.id)).toBe('ok');
    expect(withPin(inventory.id, other)).toBe('peer_not_pinned');
  });

  test('a type takes each of its instances and no other type', () => {
    expect(withPin('spiffe://company.com/agent/inventory/*')).toBe('ok');
    expect(withPin('spiffe://company.com/agent/inventory/*', other)).toBe('ok');
    expect(withPin('spiffe://company.com/agent/inventory/*', mallory)).toBe('peer_not_pinned');
    expect(withPin('spiffe://company.com/agent/invent/*')).toBe('peer_not_pinned');
    expect(withPin('spiffe://partner.org/agent/inventory/*')).toBe('peer_not_pinned');
  });
});

describe('the result frame', () => {
  const after = (octets: Buffer) => {
    const initiator = toInventory();
    permitted(initiator.onChallenge(permitted(atInventory().onHello(initiator.hello))));
    return reasonOf(initiator.onResult(octets));
  };
  test.each([
    ['an unknown status', [Buffer.of(2), Buffer.alloc(8)]],
    ['a long status', [Buffer.of(0, 0), Buffer.alloc(8)]],
    ['a short deadline', [Buffer.of(0), Buffer.alloc(7)]],
    ['a deadline beyond integers', [Buffer.of(0), Buffer.alloc(8, 0xff)]],
  ])('%s is no session', (_, fields) => expect(after(encodeFrame(FRAME.result, fields))).toBe('hs_frame'));
});
