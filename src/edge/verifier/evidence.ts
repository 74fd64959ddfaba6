/** What a workload shows when it enrols or renews, made for the one request that it is for. */
import { type KeyObject, sign, X509Certificate } from 'node:crypto';
import type { Evidence } from '../../api/enrolment.ts';
import { popInput } from '../../core/trust/enrolment.ts';

/** The request that evidence is shown with. */
export interface EvidenceContext {
  readonly nonce: string;
  /** base64url SHA-256 of the CSR. */
  readonly csr: string;
  /** Of the agent key. */
  readonly thumbprint: string;
}

export type EvidenceSource<E extends Evidence = Evidence> = (context: EvidenceContext) => E | Promise<E>;
type Of<Method extends Evidence['method']> = EvidenceSource<Extract<Evidence, { readonly method: Method }>>;

export const joinEvidence =
  (token: string): Of<'join'> =>
  () => ({ method: 'join', token });

/** For the renewal of who joined with a token. */
export const svidEvidence: Of<'svid'> = () => ({ method: 'svid' });

/** `token` reads the projected token anew each time: the kubelet replaces it. */
export const kubernetesEvidence =
  (token: () => Promise<string>): Of<'kubernetes'> =>
  async () => ({ method: 'kubernetes', token: await token() });

/** `token` gets an access token by the client-credentials grant. */
export const oidcEvidence =
  (token: () => Promise<string>): Of<'oidc'> =>
  async () => ({ method: 'oidc', token: await token() });

const signPop = (key: KeyObject, input: Buffer): Buffer => {
  if (key.asymmetricKeyType === 'ec') return sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' });
  return sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', input, key);
};

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM text, DER; none in one that has none. Throws for what is no certificate between the lines that say so. */
export const certificatesIn = (pem: string): Buffer[] =>
  (pem.match(PEM_CERTIFICATE) ?? []).map((one) => new X509Certificate(one).raw);

/** An X.509-SVID that is there already, PEM with the leaf first, and its key. Read anew each time. */
export const x509popEvidence =
  (svid: () => Promise<{ readonly pem: string; readonly key: KeyObject }>): Of<'x509pop'> =>
  async ({ nonce, csr, thumbprint }) => {
    const { pem, key } = await svid();
    return {
      method: 'x509pop',
      chain: certificatesIn(pem).map((der) => der.toString('base64url')),
      signature: signPop(key, popInput(nonce, csr, thumbprint)).toString('base64url'),
    };
  };
