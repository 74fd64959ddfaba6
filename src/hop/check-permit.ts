/** Whether what was permitted earlier still is: streams outlive the moment of their decision (SPEC.md section 13). */
import { isStanding } from '../core/approval/approver.ts';
import { verifyChain } from '../core/delegation/chain.ts';
import { type LinkApprovals, linkApprovalsOf, splitApproved } from '../core/delegation/link-approvals.ts';
import type { Allowed } from '../core/policy/evaluate.ts';
import { type Denial, deny } from '../core/verdict.ts';
import { chainContext, type TrustSnapshot } from '../ports.ts';
import { approvalRequired, calleeDenial, decide, decideAnew, demandDenial, timeDenial } from './decide.ts';
import {
  type Decision,
  type DecisionInput,
  hasLastWord,
  isUnapproved,
  isUndecided,
  type Permit,
} from './permit.ts';

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
  const { chain, chainText, generation } = delegated;
  const isSame = trust.generation === seen;
  // What nothing but time, trust and policy can change needs no second look while these are the same.
  if (isSame && !permit.isLive)
    return (
      timeDenial({ ...permit.input, nowSeconds }, delegated.approvals, nowSeconds) ??
      demandDenial(delegated, permit, trust, nowSeconds)
    );
  const input: DecisionInput = { ...permit.input, trust, nowSeconds };
  // What is remembered of the chain is of the trust that it was verified under, which may be long gone.
  if (trust.generation === generation) return refusalOf(permit, decide(input), delegated.approvals, trust);
  if (!isSame) {
    const verified = verifyChain(chainText, chain.holder, chainContext(trust, nowSeconds));
    if (!verified.ok) return verified;
  }
  const approvals = linkApprovalsOf(chain, trust.bundle.approvers);
  return refusalOf(permit, decideAnew(input, approvals), approvals, trust) ?? calleeDenial(input, trust);
};

const refusalOf = (
  permit: Permit,
  again: Decision,
  approvals: LinkApprovals,
  trust: TrustSnapshot,
): Denial | undefined => {
  if (again.ok) return undefined;
  if (isUndecided(again))
    return deny(again.reason, 'policy now wants to know what was not asked when this began');
  return isUnapproved(again) ? checkApproved(permit, again.allowed, approvals, trust) : again;
};

/** Another policy may ask for approval where the last one did not, and another bundle no longer know an approver. */
const checkApproved = (
  { input, requestApproval }: Permit,
  { demanded }: Allowed,
  approvals: LinkApprovals,
  { bundle }: TrustSnapshot,
): Denial | undefined => {
  if (!hasLastWord(input)) return undefined;
  const { missing } = splitApproved(demanded.approval, approvals);
  if (missing.length === 0) return undefined;
  // By the key that signed: one that was taken from an approver ends what it approved, whatever other keys there are.
  return requestApproval !== undefined &&
    isStanding(bundle.approvers.get(requestApproval.key), requestApproval)
    ? undefined
    : approvalRequired(missing);
};
