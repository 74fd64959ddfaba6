/** Stage 1: the SVID of a TLS peer becomes an agent ID of a trust domain that we know (SPEC.md section 10). */
import { type AgentId, parseAgentId, trustDomainOf } from '../core/spiffe-id.ts';
import type { Bundle } from '../core/trust/bundle.ts';
import { deny, grant, type Verdict } from '../core/verdict.ts';
import type { PeerCertificate } from '../ports.ts';

declare const identified: unique symbol;
/** Only {@link identify} makes one. */
export interface Identified {
  readonly [identified]: true;
  readonly id: AgentId;
  readonly certificate: PeerCertificate;
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** Refuses with `svid_*`. */
export const identify = (
  certificate: PeerCertificate,
  bundle: Bundle,
  nowSeconds: number,
): Verdict<Identified> => {
  const { uriSans, keyUsage, extKeyUsage } = certificate;
  if (nowSeconds < certificate.notBefore || nowSeconds >= certificate.notAfter)
    return deny(
      'svid_expired',
      `the SVID is valid from ${certificate.notBefore} to ${certificate.notAfter}, it is ${nowSeconds}`,
    );
  if (uriSans.length !== 1) return deny('svid_uri_san', `the SVID has ${uriSans.length} URI SANs, not one`);
  const id = parseAgentId(uriSans[0] ?? '');
  if (id === undefined) return deny('svid_id', 'the URI SAN of the SVID is not an agent ID');
  const authorities = bundle.authorities.get(trustDomainOf(id));
  if (authorities === undefined)
    return deny('svid_trust_domain', `trust domain ${trustDomainOf(id)} is not in the bundle`);
  // TLS accepts any CA of any domain in the bundle: a federated domain could assert our names.
  if (!certificate.chainsTo(authorities))
    return deny('svid_untrusted', `the SVID of ${id} is by no CA of its own trust domain`);
  if (certificate.isCa) return deny('svid_is_ca', `the SVID of ${id} is a CA certificate`);
  if (keyUsage === undefined || !keyUsage.digitalSignature || keyUsage.keyCertSign || keyUsage.cRLSign)
    return deny(
      'svid_key_usage',
      `keyUsage of the SVID of ${id} must have digitalSignature and no signing of certificates`,
    );
  if (extKeyUsage !== undefined && !(extKeyUsage.includes(SERVER_AUTH) && extKeyUsage.includes(CLIENT_AUTH)))
    return deny(
      'svid_ext_key_usage',
      `extendedKeyUsage of the SVID of ${id} must have serverAuth and clientAuth`,
    );
  return grant({ id, certificate } as Identified);
};
