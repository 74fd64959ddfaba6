/** Who may approve, and what every token of an approver has (SPEC.md section 8). */
import { type UnverifiedJws, verifyJws } from '../encoding/jws.ts';
import type { AdmittedKey } from '../keys.ts';
import { CLOCK_SKEW_SECONDS } from '../limits.ts';
import { type Denial, deny } from '../verdict.ts';

/** Who may approve, by the key that it signs with. */
export interface Approver {
  readonly principal: string;
  readonly key: AdmittedKey;
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
  { approver, principal }: ApprovalTerms,
  approvers: Approvers,
  keys: readonly string[],
): Denial | undefined => {
  if (jws.kid !== undefined && keys.includes(jws.kid)) return invalid('is by an agent of the chain itself');
  if (approver === principal) return invalid(`is by ${principal}, on whose authority this is asked`);
  const known = approvers.get(jws.kid ?? '');
  if (known === undefined) return invalid('is by a key of no approver');
  if (known.principal !== approver) return invalid(`names ${approver}, and is by a key of somebody else`);
  return verifyJws(jws, known.key.key) ? undefined : invalid('is not signed by its approver');
};

/** Its end is exact; only its beginning has skew. Refuses with `approval_invalid`. */
export const checkApprovalTime = ({ iat, exp }: ApprovalTerms, now: number): Denial | undefined => {
  if (now >= exp) return invalid(`expired at ${exp}, it is ${now}`);
  if (iat > now + CLOCK_SKEW_SECONDS) return invalid(`is from ${iat}, it is ${now}; compare both clocks`);
  return undefined;
};
