/** A certificate authority of the web: certificates for host names. */
import { issueSvidCa } from '../../src/verifier/authority/certificates.ts';
import { type CertificateFault, forgeCertificate } from './certificates.ts';

export interface WebCa {
  /** PEM. */
  readonly certificate: string;
  issue(host: string, fault?: CertificateFault): Promise<{ readonly cert: string; readonly key: string }>;
}

export const makeWebCa = async (): Promise<WebCa> => {
  const ca = await issueSvidCa('web.example', { now: Math.floor(Date.now() / 1000), ttlSeconds: 3600 });
  return {
    certificate: ca.certificatePem,
    async issue(host, fault = {}) {
      const { svidPem, svidKeyPem } = await forgeCertificate(ca, { uris: [], dns: [host], ...fault });
      return { cert: svidPem, key: svidKeyPem };
    },
  };
};
