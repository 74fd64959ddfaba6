/** What is asked of an approver: its name, and whether a token is over exactly that. */
import type { ApprovalWish, LinkApprovalWish, RequestWish } from '../../api/approvals.ts';
import { type ApprovalTerms, type Approvers, checkApprovalTime } from '../../core/approval/approver.ts';
import { linkApprovalId, parseLinkApproval, verifyLinkApproval } from '../../core/approval/link-approval.ts';
import {
  parseRequestApproval,
  requestApprovalId,
  verifyRequestApproval,
} from '../../core/approval/request-approval.ts';
import { canonicalJson } from '../../core/encoding/json.ts';
import { type Denial, deny, grant, type Verdict } from '../../core/verdict.ts';

/** How long a token may hold: a request is sent again soon; a link may be made anew all day. */
export const MAX_REQUEST_TOKEN_SECONDS = 3600;
export const MAX_LINK_TOKEN_SECONDS = 86_400;

export const idOf = (wish: ApprovalWish): string =>
  wish.kind === 'request' ? requestApprovalId(wish) : linkApprovalId(wish);

/** What one caller at one callee, or one principal, may have waiting. */
const MAX_WAITING = 32;
/** What one callee may have waiting of all its callers. */
const MAX_WAITING_OF_CALLEE = 256;

/** Somebody who has things waiting, and how many of them. */
export interface Party {
  readonly name: string;
  readonly most: number;
}

/**
 * A callee says itself who called: so what it files counts against it, and against that caller with it alone, or it could leave
 * a caller no room at any other.
 */
export const partiesOf = (wish: ApprovalWish): readonly Party[] =>
  wish.kind === 'request'
    ? [
        { name: `${wish.caller} at ${wish.callee}`, most: MAX_WAITING },
        { name: wish.callee, most: MAX_WAITING_OF_CALLEE },
      ]
    : [{ name: wish.principal, most: MAX_WAITING }];

/** Thumbprint of the key by which a token says it is. Refuses with parse faults. */
export const signerOf = (wish: ApprovalWish, token: string): Verdict<string> => {
  const parsed = wish.kind === 'request' ? parseRequestApproval(token) : parseLinkApproval(token);
  return parsed.ok ? grant(parsed.value.jws.kid ?? '') : parsed;
};

/** Whether a token is by the approver, for exactly this, and for no longer than it should. Refuses with `approval_invalid`. */
export const verifyToken = (
  wish: ApprovalWish,
  token: string,
  approvers: Approvers,
  now: number,
): Verdict<ApprovalTerms> => {
  const verified =
    wish.kind === 'request'
      ? verifyRequestApproval(token, wish, approvers, [])
      : verifyLinkToken(wish, token, approvers);
  if (!verified.ok) return verified;
  const { iat, exp } = verified.value;
  const most = wish.kind === 'request' ? MAX_REQUEST_TOKEN_SECONDS : MAX_LINK_TOKEN_SECONDS;
  const tooLong: Denial | undefined =
    exp - iat > most
      ? deny('approval_invalid', `the approval would hold for ${exp - iat} s, at most ${most}`)
      : undefined;
  return checkApprovalTime(verified.value, now) ?? tooLong ?? grant(verified.value);
};

const verifyLinkToken = (
  wish: LinkApprovalWish,
  token: string,
  approvers: Approvers,
): Verdict<ApprovalTerms> => {
  const verified = verifyLinkApproval(token, wish, approvers, []);
  if (!verified.ok) return verified;
  const same = canonicalJson([...verified.value.scope].sort()) === canonicalJson([...wish.scope].sort());
  return same ? verified : deny('approval_invalid', 'the approval is for another scope than was asked for');
};

const pathOf = ({ target }: RequestWish): string => target.split('?', 1)[0] ?? '';

/** For the ledger: no query, which may carry what must not be in a log. */
export const factsOf = (id: string, wish: ApprovalWish) =>
  wish.kind === 'request'
    ? {
        id,
        kind: wish.kind,
        principal: wish.principal,
        caller: wish.caller,
        callee: wish.callee,
        chain: wish.chain,
        method: wish.method,
        path: pathOf(wish),
        body: wish.body,
        scopes: wish.scopes,
      }
    : {
        id,
        kind: wish.kind,
        principal: wish.principal,
        delegatee: wish.delegatee,
        parent: wish.parent,
        scope: wish.scope,
      };
