/** Whether peers that follow the newest bundle would refuse our own credentials: their signer was dropped before they ended. */
import { X509Certificate } from 'node:crypto';
import { trustDomainOf } from '../core/spiffe-id.ts';
import type { Bundle } from '../core/trust/bundle.ts';
import { verifyWit } from '../core/trust/wit.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import { parsePeerCertificate } from '../edge/tls/peer-certificate.ts';

/** By whom nothing is believed any more: in words, for the log. Undefined while all of it stands. */
export const disownedBy = (
  { id, tls, wit }: Pick<SidecarIdentity, 'id' | 'tls' | 'wit'>,
  { authorities, issuers }: Pick<Bundle, 'authorities' | 'issuers'>,
  nowSeconds: number,
): string | undefined => {
  const own = authorities.get(trustDomainOf(id)) ?? [];
  if (!parsePeerCertificate(new X509Certificate(tls.cert)).chainsTo(own))
    return 'the CA of our SVID is no CA of the trust domain any more';
  if (!verifyWit(wit, issuers, nowSeconds, true).ok)
    return 'the issuer of our WIT is no issuer of the trust domain any more';
  return undefined;
};
