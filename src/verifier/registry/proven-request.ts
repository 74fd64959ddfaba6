/** The part of an enrolment or renewal that holds for both: a fresh challenge, a CSR, and keys that are proven to be one’s own. */
import type { AdmittedKey } from '../../core/keys.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import { parseEnrolmentProof, verifyEnrolmentProof } from '../../core/trust/enrolment.ts';
import type { Denial } from '../../core/verdict.ts';
import { Refusal } from '../refusal.ts';
import type { Challenges } from './challenges.ts';
import { type ProvenCsr, readCsr } from './csr.ts';

export interface ProvenRequest {
  readonly nonce: string;
  readonly csr: ProvenCsr;
  readonly agentKey: AdmittedKey;
  readonly auditKey: AdmittedKey;
  /** The name that the workload expects. */
  readonly id: AgentId | undefined;
  /** By the agent key so far, in a planned rotation; not verified yet. */
  readonly previous: string | undefined;
}

/** Whatever is wrong with a proof, its reason is one: which key fault it was stands in the detail. */
const refuse = ({ detail }: Denial): Refusal => new Refusal('enrolment_proof', detail);

/** Throws `enrolment_proof`, `api_busy`. Takes the challenge before it does anything dear. */
export const proveRequest = async (
  {
    csr: pem,
    proof,
    previous,
  }: { readonly csr: string; readonly proof: string; readonly previous?: string | undefined },
  challenges: Challenges,
  trustDomain: string,
): Promise<ProvenRequest> => {
  const parsed = parseEnrolmentProof(proof);
  if (!parsed.ok) throw refuse(parsed);
  const { claims } = parsed.value;
  if (claims.trustDomain !== trustDomain)
    throw new Refusal('enrolment_proof', `the proof is not for ${trustDomain}`);
  challenges.take(claims.nonce);
  const keys = verifyEnrolmentProof(parsed.value);
  if (!keys.ok) throw refuse(keys);
  const csr = await readCsr(pem);
  if (csr.digest !== claims.csr)
    throw new Refusal('enrolment_proof', 'the proof is for another certificate request');
  return { nonce: claims.nonce, csr, ...keys.value, id: claims.id, previous };
};
