/** The approvals that a chain carries: each held against the link that brought it in (SPEC.md section 8). */
import { type Approvers, checkApprovalTime } from '../approval/approver.ts';
import { type LinkApproval, linkApprovalId, verifyLinkApproval } from '../approval/link-approval.ts';
import type { ApprovalNote } from '../audit/record.ts';
import type { Denial, Verdict } from '../verdict.ts';
import type { UnverifiedLink } from './link.ts';
import type { VerifiedChain } from './model.ts';
import { isCovered, type ScopeLiteral } from './scope.ts';

/** By the place of the caveat among the leaf's. */
export type LinkApprovals = ReadonlyMap<number, Verdict<LinkApproval>>;

const NONE: LinkApprovals = new Map();

/** Verifies every approval of a chain, but for its time: what this yields holds as long as chain and approvers are the same. */
export const linkApprovalsOf = (
  { links, leaf, principal }: VerifiedChain,
  approvers: Approvers,
): LinkApprovals => {
  if (!leaf.caveats.some(({ type }) => type === 'approval')) return NONE;
  const keys = links.map(({ delegateeThumbprint }) => delegateeThumbprint);
  const found = new Map<number, Verdict<LinkApproval>>();
  for (const [index, caveat] of leaf.caveats.entries()) {
    if (caveat.type !== 'approval') continue;
    const source: UnverifiedLink = links.find((link) => link.caveats.length > index) ?? leaf;
    const parent = source.root ? source.anchor : source.parent;
    found.set(
      index,
      verifyLinkApproval(caveat.token, { principal, delegatee: source.delegatee, parent }, approvers, keys),
    );
  }
  return found;
};

/** Refuses with `approval_invalid` when time has ended one of them: as a caveat, it then denies all. */
export const checkLinkApprovalTimes = (approvals: LinkApprovals, now: number): Denial | undefined => {
  if (approvals.size === 0) return undefined;
  for (const approval of approvals.values()) {
    const ended = approval.ok ? checkApprovalTime(approval.value, now) : approval;
    if (ended !== undefined) return ended;
  }
  return undefined;
};

interface Split {
  readonly missing: readonly ScopeLiteral[];
  readonly by: readonly ApprovalNote[];
}
/** The answer of nearly every request. */
const NOTHING_ASKED: Split = { missing: [], by: [] };

/** Which of the scopes nobody has approved, and who did the others. */
export const splitApproved = (scopes: readonly ScopeLiteral[], approvals: LinkApprovals): Split => {
  if (scopes.length === 0) return NOTHING_ASKED;
  const missing: ScopeLiteral[] = [];
  const by = new Map<string, ApprovalNote>();
  for (const scope of scopes) {
    const approval = [...approvals.values()].find((one) => one.ok && isCovered(one.value.scope, scope));
    if (approval?.ok !== true) missing.push(scope);
    else {
      const id = linkApprovalId(approval.value);
      by.set(id, { approver: approval.value.approver, id });
    }
  }
  return { missing, by: [...by.values()] };
};
