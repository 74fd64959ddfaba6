/** A request that only a human may permit: its body is read, its token fetched and its one use counted (SPEC.md section 12). */
import { checkApprovalTime } from '../core/approval/approver.ts';
import {
  approvalUseKey,
  checkApprovable,
  type RequestFacts,
  requestApprovalId,
  verifyRequestApproval,
} from '../core/approval/request-approval.ts';
import { splitApproved } from '../core/delegation/link-approvals.ts';
import { sha256 } from '../core/encoding/jws.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import type { TrustSnapshot } from '../ports.ts';
import { checkPermit } from './check-permit.ts';
import type { HopReply, Path } from './path.ts';
import { type ForAgent, type Permit, permitOf, type Refusal, type Unapproved } from './permit.ts';

type Sought = { readonly ok: true; readonly value: Permit } | Refusal;

/** What a request has to be approved as. `body`: base64url SHA-256 of its octets. */
export const factsToApprove = (
  { delegated: { chain }, callee, method, target }: ForAgent,
  body: string,
): RequestFacts => ({
  principal: chain.principal,
  caller: chain.holder.id,
  callee,
  chain: chain.leaf.id,
  method,
  target,
  body,
});

/**
 * Makes the permit that lacked nothing but this token. Its use is not counted yet.
 * Refuses with `approval_invalid`, parse faults, and with what has changed since the request was decided.
 */
export const approve = (
  { allowed, input, unapproved, cached = false }: Unapproved,
  token: string,
  body: string,
  trust: TrustSnapshot,
  nowSeconds: number,
): Verdict<Permit> => {
  const { delegated } = input;
  const facts = factsToApprove(input, body);
  const keys = delegated.chain.links.map(({ delegateeThumbprint }) => delegateeThumbprint);
  const verified = verifyRequestApproval(token, facts, trust.bundle.approvers, keys);
  if (!verified.ok) return verified;
  const expired = checkApprovalTime(verified.value, nowSeconds);
  if (expired !== undefined) return expired;
  const scopes = allowed.demanded.approval.filter((scope) => !unapproved.includes(scope));
  const { by } = splitApproved(scopes, delegated.approvals);
  const { approver } = verified.value;
  const approvals = [...by, { approver, id: requestApprovalId(facts) }];
  const permit = permitOf(allowed, input, cached, approvals, {
    isLive: true,
    requestApproval: verified.value,
  });
  return checkPermit(permit, trust, nowSeconds, input.trust.generation) ?? grant(permit);
};

/**
 * The permit, if somebody has approved exactly this; else the request waits at the verifier under the id of the refusal.
 * Refuses with `approval_*`, what reading the body refuses with, and what has changed in the meantime.
 */
export const seekApproval = async (
  path: Pick<Path, 'approvals' | 'clock' | 'trust' | 'uses'>,
  unapproved: Unapproved,
  readBody: HopReply['body'],
): Promise<Sought> => {
  const { approvals } = path;
  if (approvals === undefined || readBody === undefined)
    return deny('approval_required', `${unapproved.detail}, and no verifier is configured to ask`);
  const body = await readBody();
  if (!body.ok) return body;
  const digest = sha256(body.value).toString('base64url');
  const facts = factsToApprove(unapproved.input, digest);
  const unfit = checkApprovable(facts);
  if (unfit !== undefined) return unfit;
  const id = requestApprovalId(facts);
  const named = (denial: Denial, approver = ''): Refusal => ({
    ...denial,
    approval: id,
    approvals: [{ approver, id }],
  });
  const token = await approvals.token(id);
  if (!token.ok) return named(token);
  if (token.value === undefined) return named(await ask(path, unapproved, facts, id));
  const trust = path.trust.current();
  if (!trust.ok) return trust;
  const now = Math.floor(path.clock.now() / 1000);
  const permit = approve(unapproved, token.value, digest, trust.value, now);
  if (!permit.ok) return named(permit);
  const used = await takeApproval(permit.value, path.uses);
  return used === undefined ? permit : named(used, permit.value.requestApproval?.approver);
};

const ask = async (
  { approvals }: Pick<Path, 'approvals'>,
  { input, unapproved, detail }: Unapproved,
  facts: RequestFacts,
  id: string,
): Promise<Denial> => {
  const { chain } = input.delegated;
  const asked = await approvals?.ask({
    ...facts,
    scopes: unapproved,
    agents: chain.links.map(({ delegatee }) => delegatee),
    purpose: chain.root.purpose,
  });
  if (asked?.ok === false) return asked;
  return deny(
    'approval_required',
    `${detail}; it waits as ${id}: send the same request again once it is approved`,
  );
};

/** The one use, durably. Refuses with `approval_used`, `audit_unavailable`. */
const takeApproval = async ({ requestApproval }: Permit, uses: Path['uses']): Promise<Denial | undefined> => {
  if (requestApproval === undefined) return deny('approval_invalid', 'there is no approval to use');
  try {
    if (await uses.take(approvalUseKey(requestApproval), 0, 1, requestApproval.exp)) return undefined;
  } catch {
    return deny('audit_unavailable', 'the use could not be counted');
  }
  const { exp } = requestApproval;
  return deny(
    'approval_used',
    `it was used before; another can be asked for from ${exp} on, when it has ended`,
  );
};
