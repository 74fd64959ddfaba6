import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_FRAME_BODY_BYTES } from '../../src/core/limits.ts';
import type { ReasonCode } from '../../src/core/reasons.ts';
import { mintWit } from '../../src/core/trust/wit.ts';
import { makeSigningKey, type SigningKey } from '../../src/edge/keys/signing-key.ts';
import { makeTokenId } from '../../src/verifier/authority/tokens.ts';
import { expectAllowed, RefusalCount } from '../testkit/attack.ts';
import { agentIdOf, makeDomain, type TestAgent, type TestDomain } from '../testkit/domain.ts';
import { b64u, forgeChain } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import {
  connectPeer,
  connectTlsTo,
  frame,
  helloFields,
  openSession,
  proofClaimsOf,
  requestText,
  shake,
  signCompact,
  type Tampering,
} from '../testkit/raw-peer.ts';

const BARRED = 'spiffe://company.com/agent/security/barred';

let mesh: Mesh;
let partner: TestDomain;
let target: MeshAgent;
let refusals: RefusalCount;

beforeAll(async () => {
  partner = await makeDomain({ trustDomain: 'partner.com', agents: ['planning/p1'] });
  mesh = await makeMesh({
    domain: { agents: ['planning/abc123', 'inventory/def456', 'security/s1', 'security/barred'] },
    bundle: { federated: [partner], revoked: [{ agent: agentIdOf('company.com', BARRED) }] },
  });
  target = await mesh.start('inventory/def456');
  refusals = new RefusalCount(target);
});
afterAll(() => mesh.stop());

const planning = (): TestAgent => mesh.domain.agent('planning/abc123');
const security = (): TestAgent => mesh.domain.agent('security/s1');
const now = () => Math.floor(Date.now() / 1000);
const goodRequest = () => requestText({ chain: forgeChain(mesh.domain, [planning()]) });

/** A WIT like the agent's own but for what is said. */
const witOf = (
  agent: TestAgent,
  change: {
    sub?: string;
    iat?: number;
    exp?: number;
    agentX?: string;
    issuer?: SigningKey;
    kid?: string;
  } = {},
): string => {
  const issuer = change.issuer ?? mesh.domain.issuer;
  return mintWit(
    {
      sub: agentIdOf('company.com', change.sub ?? agent.id),
      agentX: change.agentX ?? agent.x,
      auditX: agent.audit.x,
      iat: change.iat ?? now(),
      exp: change.exp ?? now() + 600,
      jti: makeTokenId(),
    },
    issuer.sign,
    change.kid ?? issuer.thumbprint,
  );
};
/** The header of a frame of this size, and nothing behind it. */
const announce = (type: number, length: number): Buffer =>
  Buffer.of(type, length >> 16, (length >> 8) & 255, length & 255);
const withWit = (wit: () => string): Tampering => ({ fields: (fields) => [...fields.slice(0, 3), wit()] });

describe('what passes', () => {
  it('the handshake, and the first request behind F3 before F4 was read', async () => {
    const { peer, result } = await connectPeer(target, planning(), { behind: goodRequest() });
    peer.requests++;
    expect(result.status).toBe('accepted');
    expect(await peer.readResponse()).toMatchObject({ status: 200, body: 'hello from inventory/def456' });
    expect(target.seen.at(-1)?.headers['hopgate-hop']).toBe(peer.hop);
    peer.close();
  });

  it('as many requests behind F3 as may be unanswered: each is decided on its own, in order', async () => {
    const good = goodRequest();
    const texts = Array.from({ length: 16 }, (_, index) => (index % 3 === 1 ? requestText({}) : good));
    const { peer } = await connectPeer(target, planning(), { behind: texts.join('') });
    for (const [index, text] of texts.entries()) {
      const answer = await peer.readResponse();
      const hop = `${peer.session}.${index + 1}`;
      if (text === good) expect(answer).toMatchObject({ status: 200, code: undefined });
      else expect(answer).toMatchObject({ code: 'chain_missing', hop });
    }
    const decided = target
      .log()
      .filter(({ kind, hop }) => kind === 'decision' && String(hop).startsWith(peer.session));
    expect(decided.map(({ hop }) => hop)).toEqual(texts.map((_, index) => `${peer.session}.${index + 1}`));
    expect(decided.map(({ verdict }) => verdict)).toEqual(
      texts.map((text) => (text === good ? 'permit' : 'deny')),
    );
    peer.close();
  });
});

describe('F1', () => {
  it.each<readonly [string, Tampering, ReasonCode]>([
    ['another version', { fields: (f) => ['hopgate-hs/2', ...f.slice(1)] }, 'hs_version'],
    ['no version', { fields: (f) => ['', ...f.slice(1)] }, 'hs_version'],
    ['no suite in common', { fields: (f) => [f[0] ?? '', Buffer.of(2, 255), ...f.slice(2)] }, 'hs_suite'],
    [
      'no suites: all were stripped',
      { fields: (f) => [f[0] ?? '', Buffer.alloc(0), ...f.slice(2)] },
      'hs_frame',
    ],
    ['nine suites', { fields: (f) => [f[0] ?? '', Buffer.alloc(9, 1), ...f.slice(2)] }, 'hs_frame'],
    [
      'a nonce of 31 octets',
      { fields: (f) => [f[0] ?? '', f[1] ?? '', Buffer.alloc(31), ...f.slice(3)] },
      'hs_frame',
    ],
    ['no nonce', { fields: (f) => [f[0] ?? '', f[1] ?? '', '', ...f.slice(3)] }, 'hs_frame'],
    ['a field missing', { fields: (f) => f.slice(0, 3) }, 'hs_frame'],
    ['a field too many', { fields: (f) => [...f, 'x'] }, 'hs_frame'],
    ['no fields', { hello: () => Buffer.of(1, 0, 0, 0) }, 'hs_frame'],
    [
      'a field that runs over the end',
      { hello: (f) => Buffer.concat([f.subarray(0, 4), Buffer.of(255, 255), f.subarray(6)]) },
      'hs_frame',
    ],
    ['octets behind the last field', { hello: () => Buffer.of(1, 0, 0, 1, 0) }, 'hs_frame'],
    ['a length over the limit', { hello: () => announce(1, MAX_FRAME_BODY_BYTES + 1) }, 'hs_frame'],
    ['a length of 16 MiB', { hello: () => announce(1, 0xffffff) }, 'hs_frame'],
    ['a type that nobody knows', { hello: (f) => Buffer.concat([Buffer.of(9), f.subarray(1)]) }, 'hs_frame'],
    ['type zero', { hello: (f) => Buffer.concat([Buffer.of(0), f.subarray(1)]) }, 'hs_frame'],
    ['F3 first', { hello: () => frame(3, ['x']) }, 'hs_frame'],
    ['F2, as if we had asked', { hello: (f) => Buffer.concat([Buffer.of(2), f.subarray(1)]) }, 'hs_frame'],
    [
      'F4 accepted, as if it were ours to hear',
      { hello: () => frame(4, [Buffer.of(0), Buffer.alloc(8, 1)]) },
      'hs_frame',
    ],
    ['HTTP instead', { hello: () => Buffer.from('GET /vpcs HTTP/1.1\r\nHost: x\r\n\r\n') }, 'hs_frame'],
    ['HTTP/2 instead', { hello: () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') }, 'hs_frame'],
    [
      'HTTP before it',
      { hello: (f) => Buffer.concat([Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), f]) },
      'hs_frame',
    ],
    ['zeros', { hello: () => Buffer.alloc(4096) }, 'hs_frame'],
  ])('%s', async (_, tampering, reason) => {
    await refusals.refusesHandshake(planning(), tampering, reason);
  });

  it('cut, and the connection ended', async () => {
    for (const length of [1, 3, 4, 5, 200]) {
      const peer = await connectTlsTo(target, { cert: planning().svidPem, key: planning().svidKeyPem });
      peer.socket.end(frame(1, helloFields(planning(), Buffer.alloc(32, length))).subarray(0, length));
      refusals.add('hs_frame');
      await peer.ended();
      peer.close();
    }
  });

  it('a nonce used before, by the same agent and by another', async () => {
    const nonce = Buffer.alloc(32, 0x77);
    const again: Tampering = { fields: (f) => [f[0] ?? '', f[1] ?? '', nonce, ...f.slice(3)] };
    const { peer, result } = await connectPeer(target, planning(), again);
    expect(result.status).toBe('accepted');
    peer.close();
    await refusals.refusesHandshake(planning(), again, 'hs_nonce');
    await refusals.refusesHandshake(security(), again, 'hs_nonce');
  });
});

describe('WIT', () => {
  it.each<readonly [string, () => string, ReasonCode]>([
    ['of another agent than the SVID', () => security().wit, 'wit_not_svid'],
    ['of us', () => target.agent.wit, 'wit_not_svid'],
    ['expired', () => witOf(planning(), { iat: now() - 600, exp: now() - 40 }), 'wit_expired'],
    ['from the future', () => witOf(planning(), { iat: now() + 60, exp: now() + 600 }), 'wit_not_yet_valid'],
    ['by nobody', () => witOf(planning(), { issuer: makeSigningKey() }), 'wit_issuer_unknown'],
    [
      'by nobody, in the name of our issuer',
      () => witOf(planning(), { issuer: makeSigningKey(), kid: mesh.domain.issuer.thumbprint }),
      'wit_signature',
    ],
    ['by itself', () => witOf(planning(), { issuer: planning() }), 'wit_issuer_unknown'],
    [
      'by the issuer of a federated domain',
      () => witOf(planning(), { issuer: partner.issuer }),
      'wit_issuer_unknown',
    ],
    ['by the root key', () => witOf(planning(), { issuer: mesh.domain.root }), 'wit_issuer_unknown'],
    ['of a federated agent', () => partner.agent('planning/p1').wit, 'wit_not_svid'],
    ['that names our own key', () => witOf(planning(), { agentX: target.agent.x }), 'hs_reflection'],
  ])('%s', async (_, wit, reason) => {
    await refusals.refusesHandshake(planning(), withWit(wit), reason);
  });

  it('for a key that the peer does not hold', async () => {
    const tampering = withWit(() => witOf(planning(), { agentX: security().x }));
    await refusals.refusesHandshake(planning(), tampering, 'proof_key');
    await refusals.refusesHandshake(
      planning(),
      { ...tampering, claims: (c) => ({ ...c, ijkt: security().thumbprint }) },
      'proof_signature',
    );
  });

  it('of an agent that was revoked', async () => {
    const barred = mesh.domain.agent('security/barred');
    await refusals.refusesHandshake(barred, { behind: goodRequest() }, 'revoked_agent');
  });

  it('a federated agent is who it is: its own SVID with its own WIT passes, and no more', async () => {
    const auditor = partner.agent('planning/p1');
    const peer = await openSession(target, auditor);
    expect((await peer.ask(goodRequest())).code).toBe('chain_leaf_not_caller');
    peer.close();
    const forger = { ...auditor, wit: planning().wit };
    await refusals.refusesHandshake(forger, {}, 'wit_not_svid');
  });
});

describe('proof', () => {
  it.each<readonly [string, Tampering, ReasonCode]>([
    ['the label of another version', { claims: (c) => ({ ...c, label: 'hopgate-hs/0' }) }, 'proof_role'],
    ['the role of the responder', { claims: (c) => ({ ...c, role: 'responder' }) }, 'proof_role'],
    ['the header of the responder', { type: 'hs-r+jwt' }, 'jws_header'],
    ['the header of a link', { type: 'dlink+jwt' }, 'jws_header'],
    [
      'both of the responder',
      { type: 'hs-r+jwt', claims: (c) => ({ ...c, role: 'responder' }) },
      'jws_header',
    ],
    ['another initiator', { claims: (c) => ({ ...c, iid: security().id }) }, 'proof_identity'],
    [
      'another responder, whom the peer meant to call',
      { claims: (c) => ({ ...c, rid: security().id }) },
      'proof_identity',
    ],
    ['both names swapped', { claims: (c) => ({ ...c, iid: c.rid, rid: c.iid }) }, 'proof_identity'],
    ['another key of the initiator', { claims: (c) => ({ ...c, ijkt: security().thumbprint }) }, 'proof_key'],
    ['another key of the responder', { claims: (c) => ({ ...c, rjkt: security().thumbprint }) }, 'proof_key'],
    [
      'another certificate of the initiator',
      { claims: (c) => ({ ...c, icert: b64u(Buffer.alloc(32)) }) },
      'proof_certificate',
    ],
    [
      'another certificate of the responder',
      { claims: (c) => ({ ...c, rcert: c.icert }) },
      'proof_certificate',
    ],
    [
      'the exporter of another connection',
      { claims: (c) => ({ ...c, exporter: b64u(Buffer.alloc(32, 1)) }) },
      'proof_channel',
    ],
    [
      'an exporter of zeros',
      { claims: (c) => ({ ...c, exporter: b64u(Buffer.alloc(32)) }) },
      'proof_channel',
    ],
    ['the exporter left out', { claims: ({ exporter: _, ...c }) => c }, 'claim_missing'],
    ['another transcript', { claims: (c) => ({ ...c, th: b64u(Buffer.alloc(32)) }) }, 'proof_transcript'],
    [
      'our own proof, sent back',
      { proof: (_, seen) => (seen.fields[3] ?? Buffer.alloc(0)).toString('latin1') },
      'jws_header',
    ],
    [
      'our own proof under the initiator’s header',
      {
        proof: (_, seen) =>
          `${b64u('{"alg":"Ed25519","typ":"hs-i+jwt"}')}.${(seen.fields[3] ?? '').toString().split('.').slice(1).join('.')}`,
      },
      'proof_role',
    ],
    ['signed by another agent', { signer: (message) => security().sign(message) }, 'proof_signature'],
    ['signed by the audit key', { signer: (message) => planning().audit.sign(message) }, 'proof_signature'],
    ['F1 again', { last: () => frame(1, helloFields(planning(), Buffer.alloc(32, 9))) }, 'hs_frame'],
    [
      'F2, as if we were the initiator',
      { last: (f) => Buffer.concat([Buffer.of(2), f.subarray(1)]) },
      'hs_frame',
    ],
    [
      'F4 accepted instead of a proof',
      { last: () => frame(4, [Buffer.of(0), Buffer.alloc(8, 1)]) },
      'hs_frame',
    ],
    ['two fields', { last: (f) => frame(3, [f.subarray(6), 'x']) }, 'hs_frame'],
    ['oversize', { last: () => announce(3, MAX_FRAME_BODY_BYTES + 1) }, 'hs_frame'],
    ['HTTP instead', { last: () => Buffer.from(goodRequest()) }, 'hs_frame'],
    ['HTTP before it', { last: (f) => Buffer.concat([Buffer.from(goodRequest()), f]) }, 'hs_frame'],
    [
      'wrong, with a good request behind it',
      {
        claims: (c) => ({ ...c, th: b64u(Buffer.alloc(32)) }),
        get behind() {
          return goodRequest();
        },
      },
      'proof_transcript',
    ],
  ])('%s', async (_, tampering, reason) => {
    await refusals.refusesHandshake(planning(), tampering, reason);
  });

  it('a second F3 behind the first is no HTTP: the session ends, unseen by the agent', async () => {
    const before = target.seen.length;
    const { peer, result } = await connectPeer(target, planning(), { last: (f) => Buffer.concat([f, f]) });
    expect(result.status).toBe('accepted');
    peer.requests++;
    expect(await peer.readResponse()).toMatchObject({ code: 'http_malformed', hop: peer.hop });
    expect(target.log().filter(({ hop }) => hop === peer.hop)).toMatchObject([
      { verdict: 'deny', reason: 'http_malformed' },
    ]);
    await peer.ended();
    expect(target.seen).toHaveLength(before);
  });
});

describe('a man in the middle', () => {
  it('relays a handshake through a TLS session of its own: the names differ', async () => {
    // The honest planner talks to "security", who passes every frame on to us under its own SVID.
    await refusals.refusesHandshake(
      { ...security(), wit: planning().wit, sign: planning().sign, thumbprint: planning().thumbprint },
      {},
      'wit_not_svid',
    );
  });

  it('has stolen SVID and key of TLS, and relays the proof from another connection', async () => {
    const honest = await connectTlsTo(target, { cert: planning().svidPem, key: planning().svidKeyPem });
    const thief = await connectTlsTo(target, { cert: planning().svidPem, key: planning().svidKeyPem });
    // The honest planner signs what it sees on its own connection: its exporter.
    const result = await shake(thief, target, planning(), {
      claims: (c, seen) => ({ ...proofClaimsOf(honest, planning(), target, seen), th: c.th }),
    });
    expect(result).toEqual({ status: 'refused', reason: 'proof_channel' });
    refusals.add('proof_channel');
    honest.close();
    thief.close();
    refusals.add('hs_frame');
  });

  it('replays a proof that was good', async () => {
    let captured = '';
    const first = await connectPeer(target, planning(), {
      proof: (text) => {
        captured = text;
        return text;
      },
    });
    expect(first.result.status).toBe('accepted');
    await refusals.refusesHandshake(planning(), { proof: () => captured }, 'proof_channel');
    first.peer.close();
  });

  it('strips suites from F1: the transcripts differ', async () => {
    const peer = await connectTlsTo(target, { cert: planning().svidPem, key: planning().svidKeyPem });
    const nonce = Buffer.alloc(32, 0x55);
    const [version = '', , , wit = ''] = helloFields(planning(), nonce);
    const offered = frame(1, [version, Buffer.of(9, 1), nonce, wit]);
    peer.write(frame(1, [version, Buffer.of(1), nonce, wit]));
    const challenge = (await peer.readFrame()) ?? Buffer.alloc(0);
    const claims = proofClaimsOf(peer, planning(), target, { hello: offered, challenge, fields: [] });
    peer.write(
      frame(3, [signCompact('{"alg":"Ed25519","typ":"hs-i+jwt"}', JSON.stringify(claims), planning().sign)]),
    );
    expect(await peer.readFrame()).toEqual(frame(4, [Buffer.of(1), 'proof_transcript']));
    refusals.add('proof_transcript');
    peer.close();
  });

  it('holds SVID and agent key of ours, turned against us', async () => {
    await refusals.refusesHandshake(target.agent, {}, 'hs_reflection');
  });
});

describe('the log', () => {
  it('holds every refusal, summed up, and no session came of any', async () => {
    await expectAllowed(target, planning(), { chain: forgeChain(mesh.domain, [planning()]) });
    refusals.expectOnRecord();
  });
});
