/** One way in which a workload shows what it is. */
import type { Evidence } from '../../../api/enrolment.ts';
import type { Recorded } from '../../records.ts';
import type { Attested } from '../entry-match.ts';
import type { JoinToken } from '../join-tokens.ts';

export type EvidenceOf<Method extends Evidence['method']> = Extract<Evidence, { readonly method: Method }>;

/** What the evidence must belong to. The proof over it has been verified. */
export interface AttestContext {
  readonly nonce: string;
  /** base64url SHA-256 of the CSR. */
  readonly csr: string;
  /** Of the agent key. */
  readonly thumbprint: string;
  /** Seconds. */
  readonly now: number;
}

export interface Attestation extends Attested {
  /** To be used up with the enrolment. */
  readonly token?: Recorded<JoinToken>;
}

/** Throws `attestation_refused`, `attestation_expired`, `api_unavailable`; no message repeats evidence. */
export interface Attestor<Method extends Evidence['method']> {
  readonly method: Method;
  attest(evidence: EvidenceOf<Method>, context: AttestContext): Promise<Attestation>;
}
