/** Proofs that single requests bring to the door in: what is asked of them, and which were used. */
import type { Holder } from '../core/delegation/chain.ts';
import { SeenNonces } from '../core/http-signature/nonces.ts';
import { bringsProof, readProvingRequest } from '../core/http-signature/received.ts';
import { grant, type Verdict } from '../core/verdict.ts';
import { type ProvenRequest, proveRequest } from '../hop/prove-request.ts';
import { isSession, type PlainConnection, type Session } from '../hop/session.ts';
import type { Clock, TrustPort } from '../ports.ts';

/** Of a request, as it came. */
export interface SignedCall {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
}

export class RequestProofs {
  private readonly clock: Clock;
  private readonly trust: TrustPort;
  private readonly nonces = new SeenNonces();
  /** Whole seconds, as proofs have them. */
  private readonly startedAt: number;

  constructor(clock: Clock, trust: TrustPort) {
    this.clock = clock;
    this.trust = trust;
    this.startedAt = Math.floor(clock.now() / 1000);
  }

  /**
   * Without a session every request has to bring a proof; on one, undefined where it brings none. Refuses with
   * `http_header_duplicate` and what {@link proveRequest} refuses with.
   */
  prove(
    connection: Session | PlainConnection,
    call: SignedCall,
    hasBody: boolean,
    own: Holder,
  ): Verdict<ProvenRequest | undefined> {
    const { method, target, rawHeaders } = call;
    if (isSession(connection) && !bringsProof(rawHeaders)) return grant(undefined);
    const trust = this.trust.current();
    if (!trust.ok) return trust;
    const request = readProvingRequest({ method, target, rawHeaders, hasBody });
    if (!request.ok) return request;
    return proveRequest({
      connection,
      request: request.value,
      own,
      trust: trust.value,
      nowSeconds: Math.floor(this.clock.now() / 1000),
      startedAt: this.startedAt,
      nonces: this.nonces,
    });
  }
}
