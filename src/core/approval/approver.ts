/** Who may approve, and what every token of an approver has (SPEC.md section 8). */
import { type UnverifiedJws, verifyJws } from '../encoding/jws.ts';
import type { AdmittedKey } from '../keys.ts';
import { CLOCK_SKEW_SECONDS } from '../limits.ts';
import { type Denial, deny } from '../verdict.ts';

/** Who may approve, by the key that it signs with. */
export interface Approver {
  readonly principal: string;
  readonly key: AdmittedKey;
  /** Seconds: what was signed before does not hold, since all that this principal had granted until then was revoked. */
  readonly since?: number;
}

/** By thumbprint, as the bundle names them. */
export type Approvers = ReadonlyMap<string, Approver>;

export interface ApprovalTerms {
  /** Principal URI of who approves. */
  readonly approver: string;
  /** The principal at the root of the chain: never the approver. */
  readonly principal: string;
  /** Seconds. */
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
}

export const invalid = (detail: string): Denial => deny('approval_invalid', `the approval ${detail}`);

/**
 * That somebody who may approve has signed, and is not who asked. `keys`: thumbprints of the agent keys of the chain, none of
 * which may approve. Refuses with `approval_invalid`.
 */
export const checkApprover = (
  jws: UnverifiedJws,
  terms: ApprovalTerms,
  approvers: Approvers,
  keys: readonly string[],
): Denial | undefined => {
  const { approver, principal } = terms;
  if (jws.kid !== undefined && keys.includes(jws.kid)) return invalid('is by an agent of the chain itself');
  if (approver === principal) return invalid(`is by ${principal}, on whose authority this is asked`);
  const known = approvers.get(jws.kid ?? '');
  if (known === undefined) return invalid('is by a key of no approver');
  if (known.principal !== approver) return invalid(`names ${approver}, and is by a key of somebody else`);
  if (!verifyJws(jws, known.key.key)) return invalid('is not signed by its approver');
  return isStanding(known, terms)
    ? undefined
    : invalid(`is from ${terms.iat}; what ${terms.approver} granted before ${known.since} was revoked`);
};

/** Whether an approval that verified is still one under the approvers of now. */
export const isStanding = (
  known: Approver | undefined,
  { approver, iat }: Pick<ApprovalTerms, 'approver' | 'iat'>,
): boolean => known !== undefined && known.principal === approver && iat >= (known.since ?? 0);

/** Its end is exact; only its beginning has skew. Refuses with `approval_invalid`. */
export const checkApprovalTime = ({ iat, exp }: ApprovalTerms, now: number): Denial | undefined => {
  if (now >= exp) return invalid(`expired at ${exp}, it is ${now}`);
  if (iat > now + CLOCK_SKEW_SECONDS) return invalid(`is from ${iat}, it is ${now}; compare both clocks`);
  return undefined;
};
