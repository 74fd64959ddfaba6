import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LogVerifier } from '../../../src/core/audit/verify-log.ts';
import { type Holder, verifyChain } from '../../../src/core/delegation/chain.ts';
import { verifyJws } from '../../../src/core/encoding/jws.ts';
import { type HandshakeContext, Initiator, Responder } from '../../../src/core/handshake/machine.ts';
import { type AdmittedKey, admitKey, thumbprintOf } from '../../../src/core/keys.ts';
import { REASONS } from '../../../src/core/reasons.ts';
import { type AgentId, parseAgentId } from '../../../src/core/spiffe-id.ts';
import { verifyBundle } from '../../../src/core/trust/bundle.ts';
import { NOW } from '../../vectors/make/case.ts';
import { key, sha256 } from '../../vectors/make/signing.ts';
import { bundle, CLIENT, DOMAIN, INVENTORY, ISSUER, PLANNER, ROOT } from '../../vectors/make/world.ts';
import { must } from '../../vectors/run/outcome.ts';
import {
  betweenMarkers,
  readBlocks,
  SPECIFICATION,
  updateSpecification,
} from '../../vectors/spec-sections.ts';

const spec = readFileSync(SPECIFICATION, 'utf8');
const table = betweenMarkers(spec, 'reasons');
const examples = betweenMarkers(spec, 'examples');
const prose = spec.replace(table, '').replace(examples, '');
const named = (text: string): string[] =>
  [...text.matchAll(/(?<![*\w])\*([a-z][a-z0-9_]*)\*(?![*\w])/g)].map(([, code = '']) => code);

describe('the specification', () => {
  it('has the sections that the generator makes', () => {
    expect(updateSpecification(spec)).toBe(spec);
  });

  it('lists every reason code once, in the order of the code', () => {
    expect(named(table)).toEqual(Object.keys(REASONS));
  });

  it('says of each code what the code says', () => {
    for (const [code, { stage, status, peer, meaning }] of Object.entries(REASONS))
      expect(table).toContain(`| *${code}* | ${stage} | ${status} | ${peer ? 'yes' : 'no'} | ${meaning} |`);
  });

  it('names no code that does not exist', () => {
    expect(named(prose).filter((code) => !Object.hasOwn(REASONS, code))).toEqual([]);
  });

  it('says of every code of the protocol when it is given', () => {
    const protocol = new Set(['parse', 'handshake', 'verify', 'read', 'decide', 'trust', 'audit']);
    // Both tell of the sidecar, not of what it was sent.
    const ofTheSidecar = new Set(['denied', 'policy_unavailable']);
    const said = new Set(named(prose));
    const silent = Object.entries(REASONS)
      .filter(([code, { stage }]) => protocol.has(stage) && !ofTheSidecar.has(code) && !said.has(code))
      .map(([code]) => code);
    expect(silent).toEqual([]);
  });
});

const blocks = readBlocks(examples);
const block = (name: string): string => {
  const found = blocks.get(name);
  if (found === undefined) throw new Error(`no example ${name}`);
  return found;
};
const hex = (name: string): Buffer => Buffer.from(block(name), 'hex');
const admitted = (x: string): AdmittedKey => must(admitKey(x));
const idOf = (id: string): AgentId =>
  parseAgentId(id) ??
  (() => {
    throw new Error(`no agent: ${id}`);
  })();
const holder = (of: typeof CLIENT): Holder => ({ id: idOf(of.id), key: admitted(of.key.x) });
const trust = must(
  verifyBundle(bundle(), { trustDomain: DOMAIN, root: ROOT.jkt, last: { epoch: 1, seq: 1 }, now: NOW }),
);
const base64url = (text: string): string => Buffer.from(text).toString('base64url');

describe('the worked examples', () => {
  it('of a key: seed, public key, JWK and thumbprint belong together', () => {
    const { x } = JSON.parse(block('jwk')) as { x: string };
    expect(Buffer.from(x, 'base64url')).toEqual(hex('public'));
    expect(key(CLIENT.key.name).x).toBe(x);
    expect(sha256(block('thumbprint-input')).toString('base64url')).toBe(block('thumbprint'));
    expect(thumbprintOf(x)).toBe(block('thumbprint'));
  });

  it('of a link: its parts make the whole, and its id is the hash of its signing input', () => {
    expect(`${base64url(block('header'))}.${base64url(block('payload'))}`).toBe(block('signing-input'));
    expect(block('L0').startsWith(`${block('signing-input')}.`)).toBe(true);
    expect(sha256(block('signing-input')).toString('base64url')).toBe(block('link-id'));
  });

  it('of a key binding: the issuer signed what a verifier rebuilds, and L1 carries it', () => {
    const signingInput = block('kb-signing-input');
    expect(`${base64url(block('kb-header'))}.${base64url(block('kb-payload'))}`).toBe(signingInput);
    const kb = JSON.parse(block('kb')) as { kid: string; sig: string };
    expect(kb.kid).toBe(ISSUER.jkt);
    const signature = Buffer.from(kb.sig, 'base64url');
    expect(verifyJws({ signingInput, signature }, admitted(ISSUER.x).key)).toBe(true);
    expect(block('L1-payload')).toContain(`"kb":${block('kb')}`);
  });

  it('of a chain: it verifies', () => {
    const text = [block('L0'), block('L1'), block('L2')].join('~');
    const limits = { maxDepth: 5, linkTtlSeconds: 7200, callbacks: false, humanRoot: true };
    const context = { now: NOW, trustDomain: DOMAIN, anchors: trust.anchors, issuers: trust.issuers, limits };
    const chain = must(verifyChain(text, holder(INVENTORY), context));
    expect(chain.links.map(({ id }) => id)).toEqual([block('link-id'), block('L1-id'), block('L2-id')]);
    expect(chain).toMatchObject({ depth: 3, principal: 'mailto:alice@company.com', task: block('link-id') });
  });

  it('of a handshake: both sides make these frames, and agree on the session', () => {
    const [f1, f2, f3] = [hex('F1'), hex('F2'), hex('F3')];
    const side = (
      own: typeof PLANNER,
      peer: typeof PLANNER,
      certs: readonly [string, string],
      frame: Buffer,
      at: number,
    ) => {
      const field = (index: number): Buffer => {
        let offset = 4;
        for (let skipped = 0; skipped < index; skipped++) offset += 2 + frame.readUInt16BE(offset);
        return frame.subarray(offset + 2, offset + 2 + frame.readUInt16BE(offset));
      };
      const context: HandshakeContext = {
        own: {
          ...holder(own),
          certificate: block(certs[0]),
          wit: field(at + 1).toString(),
          sign: own.key.sign,
        },
        channel: {
          peerId: idOf(peer.id),
          peerCertificate: block(certs[1]),
          exporter: Buffer.from(block('exporter'), 'base64url'),
        },
        issuers: trust.issuers,
        now: NOW,
        nonce: field(at),
      };
      return context;
    };
    const initiator = new Initiator(side(PLANNER, INVENTORY, ['icert', 'rcert'], f1, 2), idOf(INVENTORY.id));
    const responder = new Responder(side(INVENTORY, PLANNER, ['rcert', 'icert'], f2, 1), () => true);
    expect(initiator.hello).toEqual(f1);
    expect(must(responder.onHello(f1))).toEqual(f2);
    const proven = must(initiator.onChallenge(f2));
    expect(proven.proof).toEqual(f3);
    expect(must(responder.onProof(f3)).sessionId).toBe(proven.sessionId);
    expect(proven.sessionId).toBe(block('session-id'));
    const deadline = must(initiator.onResult(hex('F4')));
    expect(Responder.accepted(deadline)).toEqual(hex('F4'));
    expect(sha256(f1)).toEqual(hex('h1'));
    expect(sha256(hex('h1'), hex('F2-less-proof'))).toEqual(hex('th-R'));
    expect(sha256(hex('h1'), f2)).toEqual(hex('th-I'));
    expect(block('proof-R-payload')).toContain(`"th":"${hex('th-R').toString('base64url')}"`);
    expect(block('proof-I-payload')).toContain(`"th":"${hex('th-I').toString('base64url')}"`);
  });

  it('of an audit log: it verifies, and all of it is signed', () => {
    const verifier = new LogVerifier(trust.issuers);
    for (const name of ['line-1', 'line-2', 'line-3']) expect(verifier.next(block(name))).toBeUndefined();
    expect(verifier.state.signedThrough).toBe(3);
  });
});
