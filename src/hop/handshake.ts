/** Stage 2: both sides prove their agent keys on this TLS connection, before any HTTP (SPEC.md section 11). */
import { FRAME } from '../core/handshake/frames.ts';
import { Initiator, type OwnIdentity, type Proven, Responder } from '../core/handshake/machine.ts';
import type { IdPattern } from '../core/spiffe-id.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import type { FrameChannel, TrustSnapshot } from '../ports.ts';
import type { Identified } from './identify.ts';
import type { Session } from './session.ts';

/** Our side of it. */
export interface OwnSide extends OwnIdentity {
  /** Seconds: the earlier end of our SVID and our WIT. */
  readonly notAfter: number;
}

export interface HandshakeInput {
  readonly own: OwnSide;
  readonly peer: Identified;
  /** TLS exporter, RFC 9266: 32 octets. */
  readonly exporter: Uint8Array;
  /** 32 random octets. */
  readonly nonce: Uint8Array;
  readonly trust: TrustSnapshot;
  readonly nowSeconds: number;
}

const contextOf = ({ own, peer, exporter, nonce, trust, nowSeconds }: HandshakeInput) => ({
  own,
  channel: { peerId: peer.id, peerCertificate: peer.certificate.digest, exporter },
  issuers: trust.bundle.issuers,
  now: nowSeconds,
  nonce,
});

const deadlineOf = ({ own, peer, trust, nowSeconds }: HandshakeInput, { wit }: Proven): number =>
  Math.min(
    own.notAfter,
    peer.certificate.notAfter,
    wit.exp,
    nowSeconds + trust.policy.policy.limits.sessionSeconds,
  );

/** A peer that was revoked or listed doesn't get as far as a request. */
const checkStanding = ({ trust }: HandshakeInput, { peer }: Proven): Denial | undefined =>
  trust.bundle.revocations.checkHolder(peer.id, peer.key.thumbprint);

const sessionOf = (input: HandshakeInput, proven: Proven, deadline: number): Session =>
  ({
    id: proven.sessionId,
    peer: proven.peer,
    identified: input.peer,
    peerCertificateHex: input.peer.certificate.digestHex,
    exporter: input.exporter,
    startedAt: input.nowSeconds,
    deadline,
    requests: 0,
    last: undefined,
  }) as Session;

/** The TLS server's side. The refusal has been sent to the peer when it is returned. */
export const respond = async (
  input: HandshakeInput,
  channel: FrameChannel,
  isFreshNonce: (nonce: Buffer) => boolean,
): Promise<Verdict<Session>> => {
  const responder = new Responder(contextOf(input), isFreshNonce);
  const refuse = async (denial: Denial): Promise<Denial> => {
    await channel.write(Responder.refused(denial.reason));
    return denial;
  };
  const hello = await channel.read([FRAME.hello]);
  if (!hello.ok) return refuse(hello);
  const challenge = responder.onHello(hello.value);
  if (!challenge.ok) return refuse(challenge);
  await channel.write(challenge.value);
  const proof = await channel.read([FRAME.proof]);
  if (!proof.ok) return refuse(proof);
  const proven = responder.onProof(proof.value);
  if (!proven.ok) return refuse(proven);
  const denial = checkStanding(input, proven.value);
  if (denial !== undefined) return refuse(denial);
  const deadline = deadlineOf(input, proven.value);
  if (deadline <= input.nowSeconds)
    return refuse(deny('session_expired', 'a credential of this session has ended'));
  // The socket goes to the HTTP parser only after this write: no request can race the proof.
  await channel.write(Responder.accepted(deadline));
  return grant(sessionOf(input, proven.value, deadline));
};

/** The TLS client's side; `pin` is the agent or type that must answer. */
export const initiate = async (
  input: HandshakeInput,
  channel: FrameChannel,
  pin: IdPattern,
): Promise<Verdict<Session>> => {
  const initiator = new Initiator(contextOf(input), pin);
  await channel.write(initiator.hello);
  const challenge = await channel.read([FRAME.challenge, FRAME.result]);
  if (!challenge.ok) return challenge;
  const proven = initiator.onChallenge(challenge.value);
  if (!proven.ok) return proven;
  const denial = checkStanding(input, proven.value);
  if (denial !== undefined) return denial;
  await channel.write(proven.value.proof);
  const result = await channel.read([FRAME.result]);
  if (!result.ok) return result;
  const accepted = initiator.onResult(result.value);
  if (!accepted.ok) return accepted;
  return grant(sessionOf(input, proven.value, Math.min(accepted.value, deadlineOf(input, proven.value))));
};
