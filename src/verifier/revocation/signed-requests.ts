/** A principal's signed request: by a key of its own, fresh, and once. */
import { sha256Base64url } from '../../core/encoding/jws.ts';
import { admitKey } from '../../core/keys.ts';
import {
  parseRevocationRequest,
  REVOCATION_REQUEST_SECONDS,
  type RevocationRequest,
  verifyRevocationRequest,
} from '../../core/trust/revocation-request.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';
import type { Edit, Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import type { ChainTrust } from './presented-chain.ts';
import { TAKEN_REQUEST } from './revocation-records.ts';

export interface SignedRequest {
  readonly request: RevocationRequest;
  /** Names it: the same for every spelling of its signature. */
  readonly digest: string;
}

/** Whether a key is an anchor of this principal's own. */
export const speaksFor = ({ anchors }: ChainTrust, thumbprint: string, principal: string): boolean => {
  const anchor = anchors.get(thumbprint);
  return anchor?.kind === 'principal' && anchor.principals.includes(principal);
};

/** Refuses with parse faults, `key_*`, `api_forbidden`. */
export const verifySigned = (text: string, trust: ChainTrust, now: number): Verdict<SignedRequest> => {
  const parsed = parseRevocationRequest(text);
  if (!parsed.ok) return parsed;
  const { kid, request, jws } = parsed.value;
  const anchor = trust.anchors.get(kid);
  if (anchor === undefined || !speaksFor(trust, kid, request.principal))
    return deny('api_forbidden', `the request is not by a key of ${request.principal}`);
  const key = admitKey(anchor.x);
  if (!key.ok) return key;
  const verified = verifyRevocationRequest(parsed.value, {
    trustDomain: trust.trustDomain,
    key: key.value,
    now,
  });
  return verified.ok
    ? grant({ request: verified.value, digest: sha256Base64url(jws.signingInput) })
    : verified;
};

/**
 * Returns what puts the request into the commit that it leads to: a second one finds it there, also when both come at once.
 * Those that are too old to be shown again go. Throws a `Refusal` `api_forbidden` for one that was taken before.
 */
export const takeOnce = async (
  records: Records,
  { request: { iat }, digest }: SignedRequest,
  now: number,
): Promise<(edit: Edit) => void> => {
  const exp = iat + REVOCATION_REQUEST_SECONDS;
  const name = `${String(exp).padStart(12, '0')}/${digest}`;
  if ((await records.get(TAKEN_REQUEST, name)) !== undefined)
    throw new Refusal('api_forbidden', 'this request was taken before');
  const old = (await records.list(TAKEN_REQUEST, { limit: 100 })).filter(({ value }) => value.exp < now);
  return (edit) => {
    edit.set(TAKEN_REQUEST, name, { exp }, null);
    for (const one of old) edit.remove(TAKEN_REQUEST, one);
  };
};
