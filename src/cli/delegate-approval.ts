/** `hopgate delegate --approval`: what policy wants a human for is asked of the verifier, and comes back as a caveat. */
import { approvalEndpoints } from '../api/approvals.ts';
import { type LinkPlace, linkApprovalId } from '../core/approval/link-approval.ts';
import { type Caveat, parseCaveats } from '../core/delegation/caveats.ts';
import { meetScope, parseScope, type ScopePattern } from '../core/delegation/scope.ts';
import type { Policy } from '../core/policy/model.ts';
import { deny, grant, type Verdict } from '../core/verdict.ts';
import type { VerifierClient } from '../edge/verifier/client.ts';

/** For `--approval`: each request waits for an approver of its own. */
export const EACH_REQUEST = 'each';

export const APPROVAL_OPTION = {
  approval: {
    type: 'string',
    requiresArg: true,
    describe:
      'Id of the approval that policy asks for, once it is given; or "each": every request waits for one of its own',
  },
} as const;

/** What of a scope policy wants a human for. */
export const scopeToApprove = (
  scope: readonly ScopePattern[],
  { demands }: Pick<Policy, 'demands'>,
): readonly ScopePattern[] =>
  meetScope(
    scope,
    demands.filter(({ approval }) => approval === true).flatMap(({ scopes = [] }) => scopes),
  );

export interface WantedLink extends LinkPlace {
  readonly scope: readonly string[];
  readonly purpose?: string;
}

/**
 * The caveats that a link needs by policy: none, or the approval that was given for it.
 * Refuses with `approval_required` after it has asked for one, `approval_denied`, `approval_invalid`.
 */
export const approvalCaveats = async (
  client: VerifierClient,
  policy: Policy | undefined,
  { scope, purpose, ...place }: WantedLink,
  wanted: string | undefined,
): Promise<Verdict<readonly Caveat[]>> => {
  const parsed = parseScope(scope);
  if (!parsed.ok) return parsed;
  const asked = policy === undefined ? [] : scopeToApprove(parsed.value, policy);
  if (asked.length === 0 || wanted === EACH_REQUEST) return grant([]);
  const id = linkApprovalId({ ...place, scope: asked });
  if (wanted === undefined) {
    const body = {
      kind: 'link' as const,
      ...place,
      scope: [...asked],
      ...(purpose !== undefined && { purpose }),
    };
    await client.call(approvalEndpoints.askApproval, { body });
    return deny(
      'approval_required',
      `policy wants a human’s approval for ${asked.join(' ')}; it waits as ${id}`,
    );
  }
  if (wanted !== id)
    return deny(
      'approval_invalid',
      `the approval ${wanted} is of another delegation; this one would be ${id}`,
    );
  const { state, token, why } = await client.call(approvalEndpoints.fetchApprovalToken, { params: { id } });
  if (state === 'denied') return deny('approval_denied', `it was refused: ${why}`);
  if (token === undefined)
    return deny('approval_required', `the approval ${id} is ${state}; nobody has approved it yet`);
  return parseCaveats([{ type: 'approval', token }]);
};
