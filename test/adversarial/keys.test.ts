import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReasonCode } from '../../src/core/reasons.ts';
import { mintWit } from '../../src/core/trust/wit.ts';
import { makeTokenId } from '../../src/verifier/authority/tokens.ts';
import { expectAllowed, expectDenied, RefusalCount } from '../testkit/attack.ts';
import type { TestAgent } from '../testkit/domain.ts';
import { forgeChain, forgeLinks, invent, resign } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import { b64u, publicKey } from '../vectors/make/signing.ts';
import {
  identityKey,
  mixedOrderKey,
  nonCanonical,
  offCurve,
  plusGroupOrder,
  SMALL_ORDER,
} from '../vectors/make/torsion.ts';

let mesh: Mesh;
let target: MeshAgent;
let refusals: RefusalCount;

beforeAll(async () => {
  mesh = await makeMesh({
    domain: { agents: ['client/alice', 'planning/abc123', 'inventory/def456', 'security/s1'] },
  });
  target = await mesh.start('inventory/def456');
  refusals = new RefusalCount(target);
});
afterAll(() => mesh.stop());

const agent = (name: string): TestAgent => mesh.domain.agent(name);
const planning = () => agent('planning/abc123');

interface WeakKey {
  readonly x: string;
  readonly thumbprint: string;
  readonly sign: (message: Buffer) => Buffer;
}
const weak = (x: string, sign?: (message: Buffer) => Buffer): WeakKey => ({
  x,
  thumbprint: publicKey('weak', x).jkt,
  sign: sign ?? (() => Buffer.alloc(64)),
});
const ofVector = (key: typeof identityKey): WeakKey => weak(key.x, (message) => key.sign(message));

const WEAK: readonly (readonly [string, WeakKey, ReasonCode])[] = [
  [
    'the identity point, under which one signature fits every message',
    ofVector(identityKey),
    'key_small_order',
  ],
  ...SMALL_ORDER.map(
    ([name, hex]) => [name, weak(b64u(Buffer.from(hex, 'hex'))), 'key_small_order'] as const,
  ),
  ['a mixed-order key, with a signature that OpenSSL takes', ofVector(mixedOrderKey), 'key_mixed_order'],
  ...nonCanonical().map(
    ([name, octets]) => [`not canonical: ${name}`, weak(b64u(octets)), 'key_not_canonical'] as const,
  ),
  ['y that is on no point', weak(b64u(offCurve())), 'key_not_canonical'],
];

describe('a weak key', () => {
  it.each(WEAK)('as a link’s agent key, bound to its name by the issuer: %s', async (_, key, reason) => {
    const alice = invent(mesh.domain, 'client/alice', { key });
    await expectDenied(target, planning(), { chain: forgeChain(mesh.domain, [alice, planning()]) }, reason);
  });

  it.each(WEAK)('in a WIT that the issuer signed: %s', async (_, key, reason) => {
    const { id, notAfter, audit } = planning();
    const wit = mintWit(
      { sub: id, agentX: key.x, auditX: audit.x, iat: mesh.domain.now, exp: notAfter, jti: makeTokenId() },
      mesh.domain.issuer.sign,
      mesh.domain.issuer.thumbprint,
    );
    await refusals.refusesHandshake({ ...planning(), ...key, wit }, {}, reason);
  });

  it.each([
    ['31 octets', 31],
    ['33 octets', 33],
    ['no octets', 0],
  ])('of %s', async (_, length) => {
    const alice = invent(mesh.domain, 'client/alice', { key: weak(b64u(Buffer.alloc(length, 7))) });
    await expectDenied(
      target,
      planning(),
      { chain: forgeChain(mesh.domain, [alice, planning()]) },
      'claim_invalid',
    );
  });

  it('in the leaf, where the handshake knows better', async () => {
    const chain = forgeChain(mesh.domain, [
      agent('client/alice'),
      invent(mesh.domain, 'planning/abc123', { key: ofVector(identityKey) }),
    ]);
    await expectDenied(target, planning(), { chain }, 'chain_leaf_key');
  });

  it('junk keys that nobody signed for are not looked at: the signature above them is', async () => {
    const junk = [ofVector(identityKey), ofVector(mixedOrderKey), weak(b64u(offCurve()))].map((key, index) =>
      invent(mesh.domain, `security/j${index}`, { key }),
    );
    const chain = forgeChain(mesh.domain, [...junk, planning()], {
      at: { 0: { sign: () => Buffer.alloc(64) } },
    });
    await expectDenied(target, planning(), { chain }, 'link_signature');
  });
});

const flip = (at: number) => (signature: Buffer) =>
  Buffer.from(signature.map((octet, index) => (index === at ? octet ^ 1 : octet)));

const SIGNATURES: readonly (readonly [string, (signature: Buffer) => Uint8Array, ReasonCode])[] = [
  ['S + L', plusGroupOrder, 'link_signature'],
  ['a flipped bit in R', flip(0), 'link_signature'],
  ['a flipped bit in S', flip(40), 'link_signature'],
  ['zeros', () => Buffer.alloc(64), 'link_signature'],
  [
    'the identity point and zero',
    () => Buffer.concat([Buffer.from(SMALL_ORDER[0][1], 'hex'), Buffer.alloc(32)]),
    'link_signature',
  ],
  [
    'R and S swapped',
    (signature) => Buffer.concat([signature.subarray(32), signature.subarray(0, 32)]),
    'link_signature',
  ],
  ['63 octets', (signature) => signature.subarray(0, 63), 'jws_structure'],
  ['65 octets', (signature) => Buffer.concat([signature, Buffer.alloc(1)]), 'jws_structure'],
  ['two signatures', (signature) => Buffer.concat([signature, signature]), 'jws_structure'],
];

describe('a signature that is not the key’s', () => {
  it('passes when it is', async () => {
    await expectAllowed(target, planning(), {
      chain: forgeChain(mesh.domain, [agent('client/alice'), planning()]),
    });
  });

  describe.each([
    ['on the root', 0],
    ['on the leaf', 1],
  ] as const)('%s', (_, index) => {
    it.each(SIGNATURES)('%s', async (_name, change, reason) => {
      const links = forgeLinks(mesh.domain, [agent('client/alice'), planning()], {
        at: { [index]: { text: (link) => resign(link, change) } },
      });
      await expectDenied(target, planning(), { chain: links.join('~') }, reason);
    });
  });

  it.each([
    ['the delegatee itself', () => planning().sign],
    ['the principal, for a link that an agent must sign', () => mesh.domain.principal().sign],
    ['the WIT issuer', () => mesh.domain.issuer.sign],
    ['the root of the trust domain', () => mesh.domain.root.sign],
    ['the policy key', () => mesh.domain.policyKey.sign],
    ['the agent’s own audit key', () => agent('client/alice').audit.sign],
  ])('a leaf signed by %s', async (_, signer) => {
    const chain = forgeChain(mesh.domain, [agent('client/alice'), planning()], {
      at: { 1: { sign: signer() } },
    });
    await expectDenied(target, planning(), { chain }, 'link_signature');
  });

  it.each([
    ['S + L', plusGroupOrder, 'proof_signature'],
    ['zeros', () => Buffer.alloc(64), 'proof_signature'],
    ['a flipped bit', flip(5), 'proof_signature'],
    ['63 octets', (signature: Buffer) => signature.subarray(0, 63), 'jws_structure'],
  ] as const)('on the proof of the handshake: %s', async (_, change, reason) => {
    await refusals.refusesHandshake(planning(), { proof: (text) => resign(text, change) }, reason);
  });

  it('on the proof: the key of another agent', async () => {
    await refusals.refusesHandshake(planning(), { signer: agent('security/s1').sign }, 'proof_signature');
  });

  it('on the WIT: S + L', async () => {
    await refusals.refusesHandshake(
      { ...planning(), wit: resign(planning().wit, plusGroupOrder) },
      {},
      'wit_signature',
    );
  });

  it('all that fell before authentication is in the log, summed up', () => {
    refusals.expectOnRecord();
    expect(target.log().at(-1)?.kind).toBe('checkpoint');
  });
});
