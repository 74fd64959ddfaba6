/** A human's word that one request may be made, once, at one callee (SPEC.md section 12). */
import { canonicalJson } from '../encoding/json.ts';
import { parseJws, type Sign, sha256Base64url, signJws, type UnverifiedJws } from '../encoding/jws.ts';
import { checkMembers, isDigest, isJti, isTime } from '../encoding/members.ts';
import { parseTarget } from '../policy/target.ts';
import { type AgentId, isAgentId, isPrincipal } from '../spiffe-id.ts';
import { type Denial, grant, type Verdict } from '../verdict.ts';
import { type ApprovalTerms, type Approvers, checkApprover, invalid } from './approver.ts';

/** What is approved: the whole of it, but for its headers. */
export interface RequestFacts {
  readonly principal: string;
  readonly caller: AgentId;
  /** One exact name: the uses are counted there. */
  readonly callee: AgentId;
  /** Link id of the leaf, which commits to the whole chain. */
  readonly chain: string;
  readonly method: string;
  /** Canonical, with its query. */
  readonly target: string;
  /** base64url SHA-256 of the octets of the body. */
  readonly body: string;
}

export interface RequestApproval extends ApprovalTerms, RequestFacts {}

/** One that has verified. */
export interface VerifiedRequestApproval extends RequestApproval {
  /** Thumbprint of the key that the approver signed with: the approval holds as long as it is the approver's. */
  readonly key: string;
}

/** A longer target would not fit into a token that people have to read. */
export const MAX_APPROVED_TARGET = 1536;

const METHOD = /^[A-Z]{1,20}$/;
const isUri = (value: unknown): boolean => typeof value === 'string' && isPrincipal(value);
export const isApprovableMethod = (value: unknown): boolean =>
  typeof value === 'string' && METHOD.test(value);
export const isApprovableTarget = (value: unknown): boolean =>
  typeof value === 'string' && value.length <= MAX_APPROVED_TARGET && parseTarget(value).ok;

const MEMBERS = {
  approver: isUri,
  principal: isUri,
  caller: isAgentId,
  callee: isAgentId,
  chain: isDigest,
  method: isApprovableMethod,
  target: isApprovableTarget,
  body: isDigest,
  iat: isTime,
  exp: isTime,
  jti: isJti,
} as const;

/** Reads the form. Refuses with parse faults. */
export const parseRequestApproval = (
  text: string,
): Verdict<{ readonly jws: UnverifiedJws; readonly claims: RequestApproval }> => {
  const jws = parseJws(text, 'approval+jwt');
  if (!jws.ok) return jws;
  const closed = checkMembers(jws.value.payload, MEMBERS, 'the approval');
  return closed.ok ? grant({ jws: jws.value, claims: closed.value as unknown as RequestApproval }) : closed;
};

const FACTS = ['callee', 'caller', 'principal', 'chain', 'method', 'target', 'body'] as const;

/** The first fact in which two requests differ. */
export const otherFact = (one: RequestFacts, other: RequestFacts): (typeof FACTS)[number] | undefined =>
  FACTS.find((name) => one[name] !== other[name]);

/** Whether such a request can be approved at all. Refuses with `approval_invalid`. */
export const checkApprovable = ({ method, target }: RequestFacts): Denial | undefined => {
  if (!isApprovableMethod(method)) return invalid('would be for a method that isn’t in capitals');
  return isApprovableTarget(target)
    ? undefined
    : invalid(`would be for a target of ${target.length} characters, at most ${MAX_APPROVED_TARGET}`);
};

/**
 * Whether it is an approver's, for this very request; its time and its one use are the caller's to look at.
 * `keys`: the agent keys of the chain, none of which may approve. Refuses with `approval_invalid` and parse faults.
 */
export const verifyRequestApproval = (
  text: string,
  facts: RequestFacts,
  approvers: Approvers,
  keys: readonly string[],
): Verdict<VerifiedRequestApproval> => {
  const parsed = parseRequestApproval(text);
  if (!parsed.ok) return parsed;
  const { jws, claims } = parsed.value;
  const other = otherFact(claims, facts);
  if (other !== undefined) return invalid(`is for another ${other}`);
  return checkApprover(jws, claims, approvers, keys) ?? grant({ ...claims, key: jws.kid ?? '' });
};

/** The same for every retry of a request: no two requests that differ in anything approved have one name. */
export const requestApprovalId = ({
  callee,
  chain,
  method,
  target,
  body,
}: Pick<RequestFacts, 'callee' | 'chain' | 'method' | 'target' | 'body'>): string =>
  sha256Base64url(canonicalJson({ body, callee, chain, method, target }));

/** Under which the callee counts the one use: two tokens of one approver with one `jti` are one. */
export const approvalUseKey = ({ approver, jti }: ApprovalTerms): string =>
  sha256Base64url(`approval ${approver} ${jti}`);

export const mintRequestApproval = (
  { approver, principal, caller, callee, chain, method, target, body, iat, exp, jti }: RequestApproval,
  sign: Sign,
  kid: string,
): string =>
  signJws(
    'approval+jwt',
    { approver, principal, caller, callee, chain, method, target, body, iat, exp, jti },
    sign,
    kid,
  );
