/** Timestamps: the verifier's word, good for minutes, that a bundle is its newest (SPEC.md section 9). */
import { parseJws, type Sign, signJws, verifyJws } from '../encoding/jws.ts';
import { checkMembers, isDigest, isInteger, isString, isTime } from '../encoding/members.ts';
import { admitKey, thumbprintOf } from '../keys.ts';
import { CLOCK_SKEW_SECONDS } from '../limits.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import type { Bundle } from './bundle.ts';

export interface Timestamp {
  readonly epoch: number;
  readonly seq: number;
  /** SHA-256 of the bundle's octets, base64url. */
  readonly digest: string;
  /** Seconds: until then this bundle was the newest. */
  readonly iat: number;
  readonly exp: number;
}

const isPositive = isInteger(1, Number.MAX_SAFE_INTEGER);
const MEMBERS = {
  trust_domain: isString,
  epoch: isPositive,
  seq: isPositive,
  digest: isDigest,
  iat: isTime,
  exp: isTime,
} as const;

/**
 * Verifies a timestamp over the bundle in force. `since` is the `iat` of the last one taken, 0 without.
 * Refuses with parse faults, `bundle_domain`, `bundle_signer`, `bundle_signature`, `bundle_rollback` (over another bundle,
 * or older than the last), `bundle_stale` (it has expired, or is from the future).
 */
export const verifyTimestamp = (
  text: string,
  bundle: Bundle,
  since: number,
  now: number,
): Verdict<Timestamp> => {
  const jws = parseJws(text, 'timestamp+jwt');
  if (!jws.ok) return jws;
  const closed = checkMembers(jws.value.payload, MEMBERS, 'the timestamp');
  if (!closed.ok) return closed;
  const claims = closed.value as unknown as Timestamp & { readonly trust_domain: string };
  if (claims.trust_domain !== bundle.trustDomain)
    return deny('bundle_domain', `the timestamp is not of ${bundle.trustDomain}`);
  const x = bundle.roles.timestamp.find((key) => thumbprintOf(key) === jws.value.kid);
  if (x === undefined) return deny('bundle_signer', 'the timestamp is by a key that the root does not name');
  const key = admitKey(x);
  if (!key.ok) return key;
  if (!verifyJws(jws.value, key.value.key))
    return deny('bundle_signature', 'the signature of the timestamp is wrong');
  const { epoch, seq, digest, iat, exp } = claims;
  if (epoch !== bundle.epoch || seq !== bundle.seq || digest !== bundle.digest)
    return deny(
      'bundle_rollback',
      `the timestamp is over ${epoch}.${seq}, in force is ${bundle.epoch}.${bundle.seq}`,
    );
  if (iat < since)
    return deny('bundle_rollback', `the timestamp is from ${iat}, one from ${since} was accepted`);
  if (now >= exp + CLOCK_SKEW_SECONDS)
    return deny('bundle_stale', `the timestamp expired at ${exp}, it is ${now}; compare both clocks`);
  if (iat > now + CLOCK_SKEW_SECONDS)
    return deny('bundle_stale', `the timestamp is from ${iat}, it is ${now}; compare both clocks`);
  return grant({ epoch, seq, digest, iat, exp });
};

/** Signs a timestamp with a timestamp key. */
export const mintTimestamp = (
  timestamp: Timestamp & { readonly trustDomain: string },
  sign: Sign,
  kid: string,
): string => {
  const { trustDomain, epoch, seq, digest, iat, exp } = timestamp;
  return signJws('timestamp+jwt', { trust_domain: trustDomain, epoch, seq, digest, iat, exp }, sign, kid);
};
