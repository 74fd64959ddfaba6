/** A principal's own word that one of its tasks is over, signed with a key that the verifier knows as its. */
import { parseJws, type Sign, signJws, verifyJws } from '../../core/encoding/jws.ts';
import { checkMembers, isDigest, isString, isTime } from '../../core/encoding/members.ts';
import { admitKey, thumbprintOf } from '../../core/keys.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';

/** Sent a second time it ends what has ended; so its time is only there to show a clock that is wrong. */
const FRESH_SECONDS = 300;

export interface TaskEnd {
  readonly trust_domain: string;
  readonly principal: string;
  /** Link id. */
  readonly task: string;
  /** Seconds. */
  readonly iat: number;
}

const MEMBERS = { trust_domain: isString, principal: isString, task: isDigest, iat: isTime } as const;

export const mintTaskEnd = (end: TaskEnd, x: string, sign: Sign): string =>
  signJws('revoke+jwt', end, sign, thumbprintOf(x));

/** `keys`: public keys of the principal, base64url of 32 octets. Refuses with parse faults, `api_forbidden`. */
export const verifyTaskEnd = (
  text: string,
  expected: Omit<TaskEnd, 'iat'>,
  keys: readonly string[],
  now: number,
): Verdict<true> => {
  const jws = parseJws(text, 'revoke+jwt');
  if (!jws.ok) return jws;
  const closed = checkMembers(jws.value.payload, MEMBERS, 'the proof');
  if (!closed.ok) return closed;
  const { trust_domain: domain, principal, task, iat } = closed.value;
  if (domain !== expected.trust_domain || principal !== expected.principal || task !== expected.task)
    return deny('api_forbidden', 'the proof is for another task, principal or trust domain');
  if (Math.abs(now - (iat as number)) > FRESH_SECONDS)
    return deny('api_forbidden', `the proof is of ${iat as number}, it is ${now}; compare both clocks`);
  const x = keys.find((one) => thumbprintOf(one) === jws.value.kid);
  const key = x === undefined ? undefined : admitKey(x);
  if (key === undefined || !key.ok || !verifyJws(jws.value, key.value.key))
    return deny('api_forbidden', `the proof is not by a key of ${expected.principal}`);
  return grant(true);
};
