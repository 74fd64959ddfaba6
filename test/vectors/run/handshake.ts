/** Both state machines of the handshake, fed with the frames of a vector. */
import { parseFrame } from '../../../src/core/handshake/frames.ts';
import { type HandshakeContext, Initiator, Responder } from '../../../src/core/handshake/machine.ts';
import { admitKey } from '../../../src/core/keys.ts';
import { type AgentId, type IdPattern, isIdPattern, parseAgentId } from '../../../src/core/spiffe-id.ts';
import { keyByThumbprint } from '../make/signing.ts';
import { issuersOf } from './chain.ts';
import { must, type Outcome, outcomeOf } from './outcome.ts';

interface HandshakeInput {
  readonly role: 'initiator' | 'responder';
  readonly own: { readonly id: string; readonly jwk: { readonly x: string }; readonly cert: string };
  readonly peer: { readonly id: string; readonly cert: string };
  readonly pin?: string;
  readonly exporter: string;
  readonly frames: { readonly f1: string; readonly f2?: string; readonly f3?: string };
  readonly issuers: Parameters<typeof issuersOf>[0];
  readonly seenNonces?: readonly string[];
}

const idOf = (text: string): AgentId => {
  const id = parseAgentId(text);
  if (id === undefined) throw new Error(`no agent ID: ${text}`);
  return id;
};
const pinOf = (text = ''): IdPattern => {
  if (!isIdPattern(text)) throw new Error(`no pin: ${text}`);
  return text;
};

/** Nonce and WIT of our own frame; a responder that refuses F1 never needs them. */
const ownWords = (
  sent: Buffer | undefined,
  type: 1 | 2,
): { readonly nonce: Buffer; readonly wit: string } => {
  if (sent === undefined) return { nonce: Buffer.alloc(32), wit: '' };
  // F1 begins with version and suites, F2 with the suite.
  const [nonce = Buffer.alloc(0), wit = Buffer.alloc(0)] = must(parseFrame(sent, [type])).fields.slice(
    3 - type,
  );
  return { nonce, wit: wit.toString('latin1') };
};

const contextOf = (input: HandshakeInput, now: number, sent: Buffer | undefined): HandshakeContext => {
  const key = must(admitKey(input.own.jwk.x));
  const { nonce, wit } = ownWords(sent, input.role === 'initiator' ? 1 : 2);
  return {
    own: {
      id: idOf(input.own.id),
      key,
      certificate: input.own.cert,
      wit,
      sign: (message) => keyByThumbprint(key.thumbprint)?.sign(message) ?? Buffer.alloc(64),
    },
    channel: {
      peerId: idOf(input.peer.id),
      peerCertificate: input.peer.cert,
      exporter: Buffer.from(input.exporter, 'base64url'),
    },
    issuers: issuersOf(input.issuers),
    now,
    nonce,
  };
};

const octetsOf = (hex: string | undefined): Buffer | undefined =>
  hex === undefined ? undefined : Buffer.from(hex, 'hex');

const runInitiator = (input: HandshakeInput, now: number): Outcome => {
  const f1 = Buffer.from(input.frames.f1, 'hex');
  const initiator = new Initiator(contextOf(input, now, f1), pinOf(input.pin));
  if (!initiator.hello.equals(f1)) throw new Error('the vector’s F1 is not the one that we send');
  const proven = initiator.onChallenge(octetsOf(input.frames.f2) ?? Buffer.alloc(0));
  return outcomeOf(proven, ({ sessionId }) => ({ session: sessionId }));
};

const runResponder = (input: HandshakeInput, now: number): Outcome => {
  const f2 = octetsOf(input.frames.f2);
  const seen = new Set(input.seenNonces);
  const responder = new Responder(contextOf(input, now, f2), (nonce) => !seen.has(nonce.toString('hex')));
  const answered = responder.onHello(Buffer.from(input.frames.f1, 'hex'));
  if (!answered.ok || f2 === undefined) return outcomeOf(answered);
  if (!answered.value.equals(f2)) throw new Error('the vector’s F2 is not the one that we send');
  const f3 = octetsOf(input.frames.f3);
  if (f3 === undefined) return { reason: 'ok' };
  return outcomeOf(responder.onProof(f3), ({ sessionId }) => ({ session: sessionId }));
};

export const runHandshake = (input: HandshakeInput, now: number): Outcome =>
  input.role === 'initiator' ? runInitiator(input, now) : runResponder(input, now);
