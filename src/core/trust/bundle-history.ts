/** Bundles as history: whose keys they were, whatever the time is now (SPEC.md sections 9 and 14). */
import { parseJws } from '../encoding/jws.ts';
import { isTime } from '../encoding/members.ts';
import { deny, type Verdict } from '../verdict.ts';
import { type Bundle, verifyBundle } from './bundle.ts';

/**
 * Verifies a bundle as of the moment when it was issued, for reading logs that are older than it lives.
 * The root's thumbprint alone decides whose bundle it is. Never for deciding about requests: a bundle may have expired
 * or been replaced. Refuses as {@link verifyBundle} does.
 */
export const verifyBundleAsHistory = (text: string, root: string): Verdict<Bundle> => {
  const parsed = parseJws(text, 'bundle+jwt');
  if (!parsed.ok) return parsed;
  const { trust_domain: trustDomain, iat } = parsed.value.payload;
  if (typeof trustDomain !== 'string' || iat === undefined || !isTime(iat))
    return deny('claim_invalid', 'the bundle lacks trust_domain or iat');
  // Both are the bundle's own claims, and under the signature that verifyBundle checks.
  return verifyBundle(text, { trustDomain, root, last: { epoch: 0, seq: 0 }, now: iat as number });
};
