/** Proofs that this sidecar makes for its own agent's requests, where policy demands one on top of the handshake. */
import { randomBytes } from 'node:crypto';
import { type ReceivedRequest, readProvingRequest } from '../core/http-signature/received.ts';
import { signRequest } from '../core/http-signature/sign.ts';
import type { PeerConnection } from './peer-connection.ts';

/** Seconds. Longer than the way to the peer takes, shorter than what it has to remember. */
const LIFE_SECONDS = 20;
const NONCE_BYTES = 16;

/**
 * The headers to add to a request as it goes on, all others being there. None where it can't be signed, as when its agent has
 * signed it: the peer then says what it lacks.
 */
export const proofOf = (
  sent: ReceivedRequest,
  body: Buffer | undefined,
  { own, session }: PeerConnection,
  nowSeconds: number,
): readonly string[] => {
  const request = readProvingRequest(sent);
  if (!request.ok) return [];
  const { signatureInput, signature, fields } = request.value;
  const isTaken =
    signatureInput !== undefined || signature !== undefined || fields.has('workload-identity-token');
  if (isTaken) return [];
  const made = signRequest(request.value, sent.hasBody ? body : undefined, {
    audience: session.peer.id,
    exporter: session.exporter,
    wit: own.wit,
    sign: own.sign,
    nonce: randomBytes(NONCE_BYTES).toString('base64url'),
    created: nowSeconds,
    expires: nowSeconds + LIFE_SECONDS,
  });
  return made.ok ? made.value : [];
};
