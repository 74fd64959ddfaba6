/** One flipped bit, anywhere in what was signed, is found. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { verifyChain } from '../../src/core/delegation/chain.ts';
import { encodeBase64url } from '../../src/core/encoding/base64url.ts';
import { type HandshakeContext, Initiator, Responder } from '../../src/core/handshake/machine.ts';
import { mintProof, type Party, verifyProof } from '../../src/core/handshake/proof.ts';
import { verifyBundle } from '../../src/core/trust/bundle.ts';
import { verifyWit } from '../../src/core/trust/wit.ts';
import { sealedBundle } from '../testkit/core-bundle.ts';
import { ISSUERS, mintChain, NOW, permitted, testAgent, testContext } from '../testkit/core-world.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const security = testAgent('security');

/** The octets with one bit turned. */
const flip = (octets: Uint8Array, bit: number): Buffer => {
  const copy = Buffer.from(octets);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
};

/** Bits that pass unseen when each one is flipped by itself. */
const unseen = (text: string, accepts: (bent: string) => boolean): number[] => {
  const octets = Buffer.from(text, 'latin1');
  const found: number[] = [];
  for (let bit = 0; bit < octets.length * 8; bit++)
    if (accepts(flip(octets, bit).toString('latin1'))) found.push(bit);
  return found;
};

describe('every single bit', () => {
  test('of a link: header, payload, signature and the dots between', () => {
    const chain = mintChain(planner);
    const accepts = (text: string) => verifyChain(text, planner.holder, testContext()).ok;
    expect(accepts(chain)).toBe(true);
    expect(unseen(chain, accepts)).toEqual([]);
  });

  test('of a WIT', () => {
    const accepts = (text: string) => verifyWit(text, ISSUERS, NOW).ok;
    expect(accepts(planner.wit)).toBe(true);
    expect(unseen(planner.wit, accepts)).toEqual([]);
  });

  test('of a proof', () => {
    const party = (agent: typeof planner, certificate: string): Party => ({ ...agent.holder, certificate });
    const binding = {
      initiator: party(planner, 'A'.repeat(43)),
      responder: party(inventory, `${'B'.repeat(42)}A`),
      exporter: Buffer.alloc(32, 7),
      transcript: Buffer.alloc(32, 8),
    };
    for (const role of ['initiator', 'responder'] as const) {
      const signer = role === 'initiator' ? planner : inventory;
      const proof = mintProof(role, binding, signer.key.sign);
      const accepts = (text: string) => verifyProof(text, role, binding) === undefined;
      expect(accepts(proof)).toBe(true);
      expect(unseen(proof, accepts)).toEqual([]);
    }
  });
});

describe('any bit, sampled', () => {
  test('of a chain of three links, whichever link it stands in', () => {
    const chain = Buffer.from(
      mintChain(planner, [{ to: inventory, scope: ['cloud:read'] }, { to: security }]),
      'latin1',
    );
    const accepts = (octets: Buffer) =>
      verifyChain(octets.toString('latin1'), security.holder, testContext()).ok;
    expect(accepts(chain)).toBe(true);
    fc.assert(
      fc.property(fc.nat({ max: chain.length * 8 - 1 }), (bit) => !accepts(flip(chain, bit))),
      { numRuns: 4000 },
    );
  });

  test('of a bundle, and of the roles inside it', () => {
    const { text, expected } = sealedBundle();
    const octets = Buffer.from(text, 'latin1');
    expect(verifyBundle(text, expected).ok).toBe(true);
    fc.assert(
      fc.property(
        fc.nat({ max: octets.length * 8 - 1 }),
        (bit) => !verifyBundle(flip(octets, bit).toString('latin1'), expected).ok,
      ),
      { numRuns: 2000 },
    );
  });
});

const CERTIFICATE = {
  planner: encodeBase64url(Buffer.alloc(32, 1)),
  inventory: encodeBase64url(Buffer.alloc(32, 2)),
};
const EXPORTER = Buffer.alloc(32, 9);

const sideOf = (own: 'planner' | 'inventory'): HandshakeContext => {
  const [self, peer, peerName] =
    own === 'planner' ? [planner, inventory, 'inventory' as const] : [inventory, planner, 'planner' as const];
  return {
    own: { ...self.holder, certificate: CERTIFICATE[own], wit: self.wit, sign: self.key.sign },
    channel: { peerId: peer.id, peerCertificate: CERTIFICATE[peerName], exporter: EXPORTER },
    issuers: ISSUERS,
    now: NOW,
    nonce: Buffer.alloc(32, own === 'planner' ? 3 : 4),
  };
};

/** A whole handshake over a wire that may change one frame; whether **both** sides took it. */
const completes = (frame?: 'F1' | 'F2' | 'F3', bit = 0): boolean => {
  const wire = (name: string, octets: Buffer) => (name === frame ? flip(octets, bit) : octets);
  const initiator = new Initiator(sideOf('planner'), inventory.id);
  const responder = new Responder(sideOf('inventory'), () => true);
  const challenge = responder.onHello(wire('F1', initiator.hello));
  if (!challenge.ok) return false;
  const proof = initiator.onChallenge(wire('F2', challenge.value));
  if (!proof.ok) return false;
  return responder.onProof(wire('F3', proof.value.proof)).ok;
};

const frames = (): Readonly<Record<'F1' | 'F2' | 'F3', Buffer>> => {
  const initiator = new Initiator(sideOf('planner'), inventory.id);
  const F2 = permitted(new Responder(sideOf('inventory'), () => true).onHello(initiator.hello));
  return { F1: initiator.hello, F2, F3: permitted(initiator.onChallenge(F2)).proof };
};

describe('a handshake over a wire that changes one bit', () => {
  test('completes when nothing is changed', () => expect(completes()).toBe(true));

  test.each(['F1', 'F2', 'F3'] as const)('%s: every bit of its framing, version, suite and nonce', (name) => {
    const bits = Math.min(frames()[name].length, 64) * 8;
    const unseenBits = Array.from({ length: bits }, (_, bit) => bit).filter((bit) => completes(name, bit));
    expect(unseenBits).toEqual([]);
  });

  test.each(['F1', 'F2', 'F3'] as const)('%s: any bit of the rest', (name) => {
    const bits = frames()[name].length * 8;
    fc.assert(
      fc.property(fc.nat({ max: bits - 1 }), (bit) => !completes(name, bit)),
      { numRuns: 1200 },
    );
  });

  test('a frame cut or with more behind it is refused at any length', () => {
    const { F1, F2, F3 } = frames();
    const takers: readonly (readonly [Buffer, (octets: Buffer) => boolean])[] = [
      [F1, (octets) => new Responder(sideOf('inventory'), () => true).onHello(octets).ok],
      [F2, (octets) => new Initiator(sideOf('planner'), inventory.id).onChallenge(octets).ok],
      [
        F3,
        (octets) => {
          const responder = new Responder(sideOf('inventory'), () => true);
          permitted(responder.onHello(F1));
          return responder.onProof(octets).ok;
        },
      ],
    ];
    for (const [frame, takes] of takers) {
      expect(takes(frame)).toBe(true);
      for (const length of [0, 1, 3, 4, 5, 6, 20, frame.length - 1])
        expect(takes(frame.subarray(0, length))).toBe(false);
      expect(takes(Buffer.concat([frame, Buffer.of(0)]))).toBe(false);
      expect(takes(Buffer.concat([frame, frame]))).toBe(false);
    }
  });
});
