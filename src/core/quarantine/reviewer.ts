/** A reviewer's word about one request that was kept aside: that it is looked at, or released once (SPEC.md section 6.2). */
import { parseJws, type Sign, sha256Base64url, signJws, verifyJws } from '../encoding/jws.ts';
import { checkMembers, isDigest, isJti, isTime } from '../encoding/members.ts';
import type { AdmittedKey } from '../keys.ts';
import { CLOCK_SKEW_SECONDS } from '../limits.ts';
import { type AgentId, isAgentId } from '../spiffe-id.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';

export type ReviewerTokenType = 'quarantine-inspect+jwt' | 'quarantine-release+jwt';

/** The longest that one is good for, in seconds. */
export const MAX_REVIEWER_TOKEN_SECONDS: Readonly<Record<ReviewerTokenType, number>> = {
  'quarantine-inspect+jwt': 300,
  'quarantine-release+jwt': 3600,
};

export interface ReviewerClaims {
  /** The sidecar that keeps it. */
  readonly aud: AgentId;
  readonly exp: number;
  readonly iat: number;
  readonly id: string;
  readonly jti: string;
  /** For the log. */
  readonly why: string;
}

/** One that has verified. */
export interface ReviewerToken extends ReviewerClaims {
  readonly reviewer: string;
  /** Thumbprint of the reviewer's key. */
  readonly key: string;
}

/** Who may review, by thumbprint. */
export type Reviewers = ReadonlyMap<string, { readonly name: string; readonly key: AdmittedKey }>;

/** One line for the log, 200 characters (code points) at most. */
export const isWhy = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length <= 400 &&
  [...value].length <= 200 &&
  !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(value);

const MEMBERS = {
  aud: isAgentId,
  exp: isTime,
  iat: isTime,
  id: isDigest,
  jti: isJti,
  why: isWhy,
} as const;

const invalid = (detail: string): Denial => deny('approval_invalid', `the reviewer’s word ${detail}`);

/**
 * Whether a reviewer of this sidecar has said this of this very request, and it holds now; its one use is the caller's to
 * count. Refuses with `approval_invalid` and parse faults.
 */
export const verifyReviewerToken = (
  type: ReviewerTokenType,
  text: string,
  wanted: { readonly id: string; readonly sidecar: AgentId },
  reviewers: Reviewers,
  now: number,
): Verdict<ReviewerToken> => {
  const jws = parseJws(text, type);
  if (!jws.ok) return jws;
  const closed = checkMembers(jws.value.payload, MEMBERS, 'the reviewer’s word');
  if (!closed.ok) return closed;
  const claims = closed.value as unknown as ReviewerClaims;
  const { kid: key = '' } = jws.value;
  if (claims.id !== wanted.id) return invalid('is for another request');
  if (claims.aud !== wanted.sidecar) return invalid('is for another sidecar');
  const known = reviewers.get(key);
  if (known === undefined) return invalid('is by a key of no reviewer of this sidecar');
  if (!verifyJws(jws.value, known.key.key)) return invalid('is not signed by its reviewer');
  return checkTime(type, claims, now) ?? grant({ ...claims, reviewer: known.name, key });
};

/** Its end is exact; only its beginning has skew. */
const checkTime = (
  type: ReviewerTokenType,
  { iat, exp }: ReviewerClaims,
  now: number,
): Denial | undefined => {
  const most = MAX_REVIEWER_TOKEN_SECONDS[type];
  if (exp - iat > most) return invalid(`is good for ${exp - iat} s, at most ${most}`);
  if (now >= exp) return invalid(`expired at ${exp}, it is ${now}`);
  if (iat > now + CLOCK_SKEW_SECONDS) return invalid(`is from ${iat}, it is ${now}; compare both clocks`);
  return undefined;
};

/** Under which its one use is counted: two words of one reviewer with one `jti` are one. */
export const reviewerUseKey = ({ key, jti }: Pick<ReviewerToken, 'key' | 'jti'>): string =>
  sha256Base64url(`quarantine ${key} ${jti}`);

export const mintReviewerToken = (
  type: ReviewerTokenType,
  { aud, exp, iat, id, jti, why }: ReviewerClaims,
  sign: Sign,
  kid: string,
): string => signJws(type, { aud, exp, iat, id, jti, why }, sign, kid);
