/**
 * Stage 2 for one request: it is signed by its caller's agent key, for us, on this connection, once (SPEC.md section 12.1). In
 * place of the handshake for a client without a sidecar, on top of it where policy demands that.
 */
import type { Holder } from '../core/delegation/chain.ts';
import type { ContentDigest } from '../core/http-signature/fields.ts';
import type { SeenNonces } from '../core/http-signature/nonces.ts';
import { type ProvingRequest, verifyRequestProof } from '../core/http-signature/verify.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import type { TrustSnapshot } from '../ports.ts';
import { isSession, type PlainConnection, type Session } from './session.ts';

declare const proven: unique symbol;

/** Only {@link proveRequest} makes one. */
export interface ProvenRequest {
  readonly [proven]: true;
  readonly caller: Holder;
  readonly proof: 'request' | 'both';
  /** What its body has to be; undefined where it has none. */
  readonly digest: ContentDigest | undefined;
  /** Seconds: the earlier end of the connection and of the WIT. */
  readonly deadline: number;
}

export interface ProofInput {
  readonly connection: Session | PlainConnection;
  readonly request: ProvingRequest;
  /** Ourselves, as we are known on this connection. */
  readonly own: Holder;
  readonly trust: TrustSnapshot;
  readonly nowSeconds: number;
  /** Seconds: when this sidecar began. */
  readonly startedAt: number;
  readonly nonces: SeenNonces;
}

/** On a session the key is the one of its handshake. */
const checkKey = (connection: Session | PlainConnection, { key }: Holder): Denial | undefined =>
  isSession(connection) && connection.peer.key.x !== key.x
    ? deny('request_proof_signature', 'the request is signed by another key than the one of this session')
    : undefined;

/** Refuses with `request_proof_*`, what a WIT is refused with, `revoked_*`. A nonce is taken last, and only by a good proof. */
export const proveRequest = ({
  connection,
  request,
  own,
  trust: { bundle },
  nowSeconds,
  startedAt,
  nonces,
}: ProofInput): Verdict<ProvenRequest> => {
  const verified = verifyRequestProof(request, {
    own,
    peerId: connection.identified.id,
    exporter: connection.exporter,
    issuers: bundle.issuers,
    now: nowSeconds,
    startedAt,
  });
  if (!verified.ok) return verified;
  const { caller, wit, nonce, until, digest } = verified.value;
  const denial =
    checkKey(connection, caller) ??
    bundle.revocations.checkHolder(caller.id, caller.key.thumbprint) ??
    nonces.take(caller.id, nonce, until, nowSeconds);
  if (denial !== undefined) return denial;
  return grant({
    caller,
    proof: isSession(connection) ? 'both' : 'request',
    digest,
    deadline: Math.min(connection.deadline, wit.exp),
  } as ProvenRequest);
};
