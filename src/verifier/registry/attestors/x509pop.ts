/** Attestation by an X.509-SVID that the workload has already, of ours or of a trust domain that is configured. */
import { verify, type X509Certificate } from 'node:crypto';
import { decodeBase64url } from '../../../core/encoding/base64url.ts';
import { parseAgentId } from '../../../core/spiffe-id.ts';
import { popInput } from '../../../core/trust/enrolment.ts';
import { BACKDATED_SECONDS } from '../../authority/certificates.ts';
import { Refusal } from '../../refusal.ts';
import type { Agents } from '../agents.ts';
import type { Attestor } from './attestor.ts';
import { PathFault, type SvidPath, verifySvidPath } from './certificate-path.ts';

const MIN_RSA_BITS = 2048;

const refused = (detail: string): Refusal => new Refusal('attestation_refused', detail);

const pathOf = (
  chain: readonly string[],
  authoritiesOf: (trustDomain: string) => readonly Buffer[],
  now: number,
): SvidPath => {
  try {
    return verifySvidPath(
      chain.map((der) => decodeBase64url(der) ?? Buffer.alloc(0)),
      authoritiesOf,
      now,
    );
  } catch (error) {
    if (error instanceof PathFault)
      throw new Refusal(error.expired ? 'attestation_expired' : 'attestation_refused', error.message);
    // OpenSSL reads what an ASN.1 parser does not, and the other way round; either may throw wherever it is looked at.
    throw refused('a certificate of the chain can’t be read');
  }
};

/** ECDSA as r ‖ s (IEEE P1363), Ed25519, or RSASSA-PKCS1-v1_5; each with SHA-256 but Ed25519. */
const hasSigned = ({ publicKey }: X509Certificate, input: Buffer, signature: Buffer): boolean => {
  switch (publicKey.asymmetricKeyType) {
    case 'ec':
      return verify('sha256', input, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
    case 'ed25519':
      return verify(null, input, publicKey, signature);
    case 'rsa':
      return (
        (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_RSA_BITS &&
        verify('sha256', input, publicKey, signature)
      );
    default:
      return false;
  }
};

/** `authoritiesOf`: the CAs (DER) of a trust domain, our own too; none for one that is not known. */
export const x509popAttestor = (
  authoritiesOf: (trustDomain: string) => readonly Buffer[],
  agents: Pick<Agents, 'isBarred'>,
): Attestor<'x509pop'> => ({
  method: 'x509pop',
  attest: async ({ chain, signature }, { nonce, csr, thumbprint, now }) => {
    const { leaf, id, trustDomain } = pathOf(chain, authoritiesOf, now);
    const octets = decodeBase64url(signature);
    if (octets === undefined || !hasSigned(leaf, popInput(nonce, csr, thumbprint), octets))
      throw refused(`nothing proves that the workload holds the key of the certificate of ${id}`);
    const own = parseAgentId(id);
    const issuedAt = leaf.validFromDate.getTime() / 1000 + BACKDATED_SECONDS;
    if (own !== undefined && (await agents.isBarred(own, issuedAt)))
      throw new Refusal('id_retired', `${id} was retired or revoked`);
    return {
      method: 'x509pop',
      facts: [`x509:spiffe_id=${id}`, `x509:trust_domain=${trustDomain}`],
      values: {},
    };
  },
});
