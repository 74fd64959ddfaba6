/** A human's word that somebody may be given a scope: travels as the caveat `approval` of the link (SPEC.md section 8). */
import { isScopePattern, type ScopePattern } from '../delegation/scope.ts';
import { canonicalJson } from '../encoding/json.ts';
import { parseJws, type Sign, sha256Base64url, signJws, type UnverifiedJws } from '../encoding/jws.ts';
import { checkMembers, isDigest, isJti, isListOf, isTime } from '../encoding/members.ts';
import { MAX_SCOPE_PATTERNS } from '../limits.ts';
import { type AgentId, isAgentId, isPrincipal } from '../spiffe-id.ts';
import { grant, type Verdict } from '../verdict.ts';
import { type ApprovalTerms, type Approvers, checkApprover, invalid } from './approver.ts';

/** The place in a chain for which an approval is. */
export interface LinkPlace {
  readonly principal: string;
  readonly delegatee: AgentId;
  /** Link id of the parent; of L0 the anchor's thumbprint. */
  readonly parent: string;
}

export interface LinkApproval extends ApprovalTerms, LinkPlace {
  readonly scope: readonly ScopePattern[];
}

const isUri = (value: unknown): boolean => typeof value === 'string' && isPrincipal(value);

const MEMBERS = {
  approver: isUri,
  principal: isUri,
  delegatee: isAgentId,
  parent: isDigest,
  scope: isListOf((pattern) => isScopePattern(pattern as string), 1, MAX_SCOPE_PATTERNS),
  iat: isTime,
  exp: isTime,
  jti: isJti,
} as const;

/** Reads the form. Refuses with parse faults. */
export const parseLinkApproval = (
  text: string,
): Verdict<{ readonly jws: UnverifiedJws; readonly claims: LinkApproval }> => {
  const jws = parseJws(text, 'link-approval+jwt');
  if (!jws.ok) return jws;
  const closed = checkMembers(jws.value.payload, MEMBERS, 'the approval');
  return closed.ok ? grant({ jws: jws.value, claims: closed.value as unknown as LinkApproval }) : closed;
};

/**
 * Whether it is an approver's, for this very place; its time is looked at on every request.
 * `keys`: the agent keys of the chain, none of which may approve. Refuses with `approval_invalid` and parse faults.
 */
export const verifyLinkApproval = (
  text: string,
  place: LinkPlace,
  approvers: Approvers,
  keys: readonly string[],
): Verdict<LinkApproval> => {
  const parsed = parseLinkApproval(text);
  if (!parsed.ok) return parsed;
  const { jws, claims } = parsed.value;
  for (const name of ['principal', 'delegatee', 'parent'] as const) {
    if (claims[name] !== place[name]) return invalid(`is for another ${name}`);
  }
  return checkApprover(jws, claims, approvers, keys) ?? grant(claims);
};

/** Names what is asked: who asks again for the same asks under the same name. */
export const linkApprovalId = ({
  principal,
  delegatee,
  parent,
  scope,
}: LinkPlace & { readonly scope: readonly string[] }): string =>
  sha256Base64url(canonicalJson({ delegatee, parent, principal, scope: [...scope].sort() }));

export const mintLinkApproval = (
  {
    approver,
    principal,
    delegatee,
    parent,
    scope,
    iat,
    exp,
    jti,
  }: Omit<LinkApproval, 'scope'> & { readonly scope: readonly string[] },
  sign: Sign,
  kid: string,
): string =>
  signJws('link-approval+jwt', { approver, principal, delegatee, parent, scope, iat, exp, jti }, sign, kid);
