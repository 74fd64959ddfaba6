/** Verifies the proof that one request brings: its caller's key, on this connection, for us, once (SPEC.md section 12.1). */
import { verify as verifySignature } from 'node:crypto';
import type { Holder } from '../delegation/chain.ts';
import { encodeBase64url } from '../encoding/base64url.ts';
import { CLOCK_SKEW_SECONDS, MAX_REQUEST_PROOF_SECONDS } from '../limits.ts';
import type { AgentId } from '../spiffe-id.ts';
import { type Issuers, verifyWit, type Wit } from '../trust/wit.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import { type SignedRequest, signatureBase } from './components.ts';
import {
  type ContentDigest,
  parseContentDigest,
  parseSignature,
  parseSignatureInput,
  type SignatureInput,
} from './fields.ts';

/** A request with the fields that hold its proof, each undefined where it is not there. */
export interface ProvingRequest extends SignedRequest {
  readonly signatureInput: string | undefined;
  readonly signature: string | undefined;
  /** Whether a body is announced. */
  readonly hasBody: boolean;
}

export interface ProofContext {
  /** Who the proof must be for: our exact ID. */
  readonly own: Holder;
  /** Who TLS says the other end is. */
  readonly peerId: AgentId;
  /** TLS exporter of this connection, RFC 9266: 32 octets. */
  readonly exporter: Uint8Array;
  readonly issuers: Issuers;
  readonly now: number;
  /** Seconds: what was made before we began may have been used before, and nobody remembers. */
  readonly startedAt: number;
}

export interface RequestProof {
  readonly caller: Holder;
  readonly wit: Wit;
  readonly nonce: string;
  /** Seconds: from then on nobody can use it, whatever the clocks. */
  readonly until: number;
  /** What the body must have; undefined where there is none. */
  readonly digest: ContentDigest | undefined;
}

const checkTimes = (
  { created, expires }: SignatureInput,
  { now, startedAt }: ProofContext,
): Denial | undefined => {
  if (expires <= created || expires - created > MAX_REQUEST_PROOF_SECONDS)
    return deny(
      'request_proof_ttl',
      `the proof is for ${expires - created} s, at most ${MAX_REQUEST_PROOF_SECONDS}`,
    );
  if (now >= expires + CLOCK_SKEW_SECONDS)
    return deny('request_proof_expired', `the proof expired at ${expires}, it is ${now}`);
  if (created > now + CLOCK_SKEW_SECONDS)
    return deny('request_proof_not_yet_valid', `the proof is from ${created}, it is ${now}`);
  if (created < startedAt)
    return deny('request_proof_before_start', `the proof is from ${created}, this began at ${startedAt}`);
  return undefined;
};

const digestOf = ({ fields, hasBody }: ProvingRequest): Verdict<ContentDigest | undefined> => {
  const text = fields.get('content-digest');
  if (text !== undefined) return parseContentDigest(text);
  return hasBody ? deny('request_proof_digest', 'a body without Content-Digest') : grant(undefined);
};

const callerOf = (text: string, { issuers, now, peerId, own }: ProofContext): Verdict<Wit> => {
  const wit = verifyWit(text, issuers, now);
  if (!wit.ok) return wit;
  if (wit.value.sub !== peerId)
    return deny('wit_not_svid', `the SVID is of ${peerId}, the WIT of ${wit.value.sub}`);
  if (wit.value.agentKey.x === own.key.x)
    return deny('hs_reflection', 'the caller presents our own agent key');
  return wit;
};

/**
 * Verifies a proof; that its nonce is new is the caller's to check, last of all. Refuses with `request_proof_*`, and with
 * what the WIT is refused with. The body is not looked at here.
 */
export const verifyRequestProof = (request: ProvingRequest, context: ProofContext): Verdict<RequestProof> => {
  const { signatureInput, signature, fields } = request;
  const token = fields.get('workload-identity-token');
  const channel = fields.get('hopgate-channel');
  if (signatureInput === undefined || signature === undefined || token === undefined || channel === undefined)
    return deny(
      'request_proof_missing',
      'the request lacks Signature-Input, Signature, Workload-Identity-Token or Hopgate-Channel',
    );
  const input = parseSignatureInput(signatureInput);
  if (!input.ok) return input;
  const octets = parseSignature(signature);
  if (!octets.ok) return octets;
  const base = signatureBase(request, input.value.components, input.value.parameters);
  if (!base.ok) return base;
  if (input.value.audience !== context.own.id)
    return deny('request_proof_audience', `the proof is not for ${context.own.id}`);
  const late = checkTimes(input.value, context);
  if (late !== undefined) return late;
  if (channel !== encodeBase64url(context.exporter))
    return deny('request_proof_channel', 'Hopgate-Channel is not the exporter of this connection');
  const digest = digestOf(request);
  if (!digest.ok) return digest;
  const wit = callerOf(token, context);
  if (!wit.ok) return wit;
  const { sub: id, agentKey: key } = wit.value;
  if (!verifySignature(null, base.value, key.key, octets.value))
    return deny('request_proof_signature', `the request is not signed by the agent key of ${id}`);
  return grant({
    caller: { id, key },
    wit: wit.value,
    nonce: input.value.nonce,
    until: input.value.expires + CLOCK_SKEW_SECONDS,
    digest: digest.value,
  });
};
