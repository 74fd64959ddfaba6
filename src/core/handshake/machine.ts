/**
 * Both sides of the handshake as pure state machines: octets in, octets or a denial out (SPEC.md section 11).
 * Nonces, keys, time and the TLS facts are passed in. Nobody signs octets that the peer alone chose.
 */

import { encodeBase64url } from '../encoding/base64url.ts';
import { type Sign, sha256 } from '../encoding/jws.ts';
import { isReasonCode, type ReasonCode } from '../reasons.ts';
import type { AgentId, IdPattern } from '../spiffe-id.ts';
import { idMatches } from '../spiffe-id.ts';
import { type Issuers, verifyWit, type Wit } from '../trust/wit.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import {
  encodeFrame,
  FRAME,
  type Frame,
  HANDSHAKE_VERSION,
  NONCE_BYTES,
  parseFrame,
  SUITE_1,
  withoutProof,
} from './frames.ts';
import { type Binding, mintProof, type Party, verifyProof } from './proof.ts';

/** What a side of the handshake has of its own. */
export interface OwnIdentity extends Party {
  readonly wit: string;
  readonly sign: Sign;
}

/** What TLS says about the connection and its other end. */
export interface Channel {
  readonly peerId: AgentId;
  /** SHA-256 of the peer's certificate (DER), base64url. */
  readonly peerCertificate: string;
  /** 32 octets. */
  readonly exporter: Uint8Array;
}

export interface HandshakeContext {
  readonly own: OwnIdentity;
  readonly channel: Channel;
  readonly issuers: Issuers;
  readonly now: number;
  /** 32 random octets. */
  readonly nonce: Uint8Array;
}

/** What a completed handshake proves. */
export interface Proven {
  readonly peer: Party;
  readonly wit: Wit;
  /** First 16 octets of th_I, base64url: 22 characters. */
  readonly sessionId: string;
}

const sessionIdOf = (transcript: Buffer): string => encodeBase64url(transcript.subarray(0, 16));

/** The peer's WIT, held against what TLS proved. */
const checkPeer = (wit: string, { channel, issuers, now, own }: HandshakeContext): Verdict<Wit> => {
  const verified = verifyWit(wit, issuers, now);
  if (!verified.ok) return verified;
  if (verified.value.sub !== channel.peerId)
    return deny('wit_not_svid', `the SVID is of ${channel.peerId}, the WIT of ${verified.value.sub}`);
  // Our own words, sent back to us, must not prove a peer.
  if (verified.value.agentKey.x === own.key.x)
    return deny('hs_reflection', 'the peer presents our own agent key');
  return verified;
};

const partyOf = (wit: Wit, channel: Channel): Party => ({
  id: wit.sub,
  key: wit.agentKey,
  certificate: channel.peerCertificate,
});

/** The TLS client's side. */
export class Initiator {
  private readonly context: HandshakeContext;
  private readonly pin: IdPattern | AgentId;
  private awaits: 'challenge' | 'result' | 'nothing' = 'challenge';
  /** F1, to be sent first. */
  readonly hello: Buffer;

  constructor(context: HandshakeContext, pin: IdPattern | AgentId) {
    this.context = context;
    this.pin = pin;
    this.hello = encodeFrame(FRAME.hello, [
      HANDSHAKE_VERSION,
      Buffer.of(SUITE_1),
      context.nonce,
      context.own.wit,
    ]);
  }

  /** F2 (or F4, refused) in, once; F3 out. */
  onChallenge(octets: Buffer): Verdict<Proven & { readonly proof: Buffer }> {
    const { own, channel } = this.context;
    if (this.awaits !== 'challenge') return deny('hs_frame', 'a second challenge');
    this.awaits = 'nothing';
    const frame = parseFrame(octets, [FRAME.challenge, FRAME.result]);
    if (!frame.ok) return frame;
    if (frame.value.type === FRAME.result) {
      const result = readResult(frame.value);
      return result.ok ? deny('hs_frame', 'accepted before it was proven') : result;
    }
    const [suite, nonce, wit, proof] = frame.value.fields as [Buffer, Buffer, Buffer, Buffer];
    if (suite.length !== 1 || nonce.length !== NONCE_BYTES)
      return deny('hs_frame', 'suite is 1 octet, nonce 32');
    if (suite[0] !== SUITE_1) return deny('hs_suite', 'the responder chose a suite that was not offered');
    const peer = checkPeer(wit.toString('latin1'), this.context);
    if (!peer.ok) return peer;
    if (!idMatches(this.pin, peer.value.sub))
      return deny('peer_not_pinned', `${this.pin} is pinned, the peer is ${peer.value.sub}`);
    const h1 = sha256(this.hello);
    const responder = partyOf(peer.value, channel);
    const binding: Binding = {
      initiator: own,
      responder,
      exporter: channel.exporter,
      transcript: sha256(h1, withoutProof(frame.value)),
    };
    const denial = verifyProof(proof.toString('latin1'), 'responder', binding);
    if (denial !== undefined) return denial;
    const transcript = sha256(h1, octets);
    const answer = encodeFrame(FRAME.proof, [mintProof('initiator', { ...binding, transcript }, own.sign)]);
    this.awaits = 'result';
    return grant({ peer: responder, wit: peer.value, sessionId: sessionIdOf(transcript), proof: answer });
  }

  /** F4 in, once, after F3; the session's deadline (seconds) out. Refuses with `hs_refused`, whose detail is the responder's code, and `hs_frame`. */
  onResult(octets: Buffer): Verdict<number> {
    if (this.awaits !== 'result') return deny('hs_frame', 'a result before the proof, or a second one');
    this.awaits = 'nothing';
    const frame = parseFrame(octets, [FRAME.result]);
    return frame.ok ? readResult(frame.value) : frame;
  }
}

const readResult = (frame: Frame): Verdict<number> => {
  const [status, value] = frame.fields as [Buffer, Buffer];
  if (status.length === 1 && status[0] === 0 && value.length === 8) {
    const deadline = value.readBigUInt64BE();
    return deadline <= BigInt(Number.MAX_SAFE_INTEGER)
      ? grant(Number(deadline))
      : deny('hs_frame', 'the deadline is out of range');
  }
  if (status.length !== 1 || status[0] !== 1)
    return deny('hs_frame', 'the result is neither accepted nor refused');
  const reason = value.toString('latin1');
  return deny(
    'hs_refused',
    `the peer refused: ${isReasonCode(reason) ? reason : 'for a reason that we don’t know'}`,
  );
};

/** The TLS server's side. */
export class Responder {
  private readonly context: HandshakeContext;
  /** Whether a nonce was not seen before; remembers it. */
  private readonly isFreshNonce: (nonce: Buffer) => boolean;
  private greeted = false;
  private state: { readonly binding: Binding; readonly wit: Wit; readonly sessionId: string } | undefined;

  constructor(context: HandshakeContext, isFreshNonce: (nonce: Buffer) => boolean) {
    this.context = context;
    this.isFreshNonce = isFreshNonce;
  }

  /** F1 in, once; F2 out. */
  onHello(octets: Buffer): Verdict<Buffer> {
    const { own, channel, nonce: ownNonce } = this.context;
    if (this.greeted) return deny('hs_frame', 'a second hello');
    this.greeted = true;
    const frame = parseFrame(octets, [FRAME.hello]);
    if (!frame.ok) return frame;
    const [version, suites, nonce, wit] = frame.value.fields as [Buffer, Buffer, Buffer, Buffer];
    if (suites.length < 1 || suites.length > 8 || nonce.length !== NONCE_BYTES)
      return deny('hs_frame', 'suites are 1 to 8 octets, nonce is 32');
    if (version.toString('latin1') !== HANDSHAKE_VERSION)
      return deny('hs_version', `only ${HANDSHAKE_VERSION} is spoken here`);
    if (!suites.includes(SUITE_1)) return deny('hs_suite', 'no common suite');
    if (!this.isFreshNonce(nonce)) return deny('hs_nonce', 'the nonce was used before');
    const peer = checkPeer(wit.toString('latin1'), this.context);
    if (!peer.ok) return peer;
    const initiator = partyOf(peer.value, channel);
    const h1 = sha256(octets);
    const draft = parseFrame(encodeFrame(FRAME.challenge, [Buffer.of(SUITE_1), ownNonce, own.wit, '']), [
      FRAME.challenge,
    ]);
    if (!draft.ok) return draft;
    const binding: Binding = {
      initiator,
      responder: own,
      exporter: channel.exporter,
      transcript: sha256(h1, withoutProof(draft.value)),
    };
    const proof = mintProof('responder', binding, own.sign);
    const challenge = encodeFrame(FRAME.challenge, [Buffer.of(SUITE_1), ownNonce, own.wit, proof]);
    const transcript = sha256(h1, challenge);
    this.state = { binding: { ...binding, transcript }, wit: peer.value, sessionId: sessionIdOf(transcript) };
    return grant(challenge);
  }

  /** F3 in; what is proven out. */
  onProof(octets: Buffer): Verdict<Proven> {
    const { state } = this;
    if (state === undefined) return deny('hs_frame', 'a proof before the challenge');
    this.state = undefined;
    const frame = parseFrame(octets, [FRAME.proof]);
    if (!frame.ok) return frame;
    const denial: Denial | undefined = verifyProof(
      (frame.value.fields[0] as Buffer).toString('latin1'),
      'initiator',
      state.binding,
    );
    return denial ?? grant({ peer: state.binding.initiator, wit: state.wit, sessionId: state.sessionId });
  }

  /** F4, accepted: `deadline` in seconds. */
  static accepted(deadline: number): Buffer {
    const value = Buffer.alloc(8);
    value.writeBigUInt64BE(BigInt(Math.floor(deadline)));
    return encodeFrame(FRAME.result, [Buffer.of(0), value]);
  }

  /** F4, refused. */
  static refused(reason: ReasonCode): Buffer {
    return encodeFrame(FRAME.result, [Buffer.of(1), reason]);
  }
}
