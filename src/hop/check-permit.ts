/** Whether what was permitted earlier still is: streams outlive the moment of their decision (SPEC.md section 13). */
import { isStanding } from '../core/approval/approver.ts';
import { verifyChain } from '../core/delegation/chain.ts';
import { type LinkApprovals, linkApprovalsOf, splitApproved } from '../core/delegation/link-approvals.ts';
import type { Allowed } from '../core/policy/evaluate.ts';
import { type Denial, deny } from '../core/verdict.ts';
import { chainContext, type TrustSnapshot } from '../ports.ts';
import { approvalRequired, calleeDenial, decideAnew, demandDenial, timeDenial } from './decide.ts';
import { type DecisionInput, isUnapproved, isUndecided, type Permit } from './permit.ts';

/**
 * Whether a permit that was given earlier still holds: streams outlive the moment of their decision. `seen` is the
 * generation of trust that it was last held against; under another one all is asked anew.
 */
export const checkPermit = (
  permit: Permit,
  trust: TrustSnapshot,
  nowSeconds: number,
  seen: number,
): Denial | undefined => {
  const { delegated } = permit.input;
  const { chain, chainText } = delegated;
  const isSame = trust.generation === seen;
  let approvals = delegated.approvals;
  if (!isSame) {
    const verified = verifyChain(chainText, chain.holder, chainContext(trust, nowSeconds));
    if (!verified.ok) return verified;
    approvals = linkApprovalsOf(verified.value, trust.bundle.approvers);
  }
  const input: DecisionInput = { ...permit.input, trust, nowSeconds };
  // What nothing but time, trust and policy can change needs no second look while these are the same.
  if (isSame && !permit.isLive)
    return timeDenial(input, approvals, nowSeconds) ?? demandDenial(delegated, permit, trust, nowSeconds);
  const again = decideAnew(input, approvals);
  if (again.ok) return isSame ? undefined : calleeDenial(input, trust);
  if (isUndecided(again))
    return deny(again.reason, 'policy now wants to know what was not asked when this began');
  if (!isUnapproved(again)) return again;
  return calleeDenial(input, trust) ?? checkApproved(permit, again.allowed, approvals, trust);
};

/** Another policy may ask for approval where the last one did not, and another bundle no longer know an approver. */
const checkApproved = (
  { input, requestApproval }: Permit,
  { demanded }: Allowed,
  approvals: LinkApprovals,
  { bundle }: TrustSnapshot,
): Denial | undefined => {
  if (input.direction === 'outbound') return undefined;
  const { missing } = splitApproved(demanded.approval, approvals);
  if (missing.length === 0) return undefined;
  // By the key that signed: one that was taken from an approver ends what it approved, whatever other keys there are.
  return requestApproval !== undefined &&
    isStanding(bundle.approvers.get(requestApproval.key), requestApproval)
    ? undefined
    : approvalRequired(missing);
};
