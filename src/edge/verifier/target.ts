/** Where a verifier is, and what proves that it is the one. */
import { X509Certificate } from 'node:crypto';
import type { PeerCertificate } from 'node:tls';
import { parsePeerCertificate } from '../tls/peer-certificate.ts';
import { authoritiesPem, secureContextOptions, type TlsIdentity } from '../tls/settings.ts';

export type VerifierTarget =
  /** Its own unix socket: whoever may open it is the operator of this machine. */
  | { readonly kind: 'socket'; readonly path: string }
  | {
      readonly kind: 'https';
      /** `https://host:port` */
      readonly url: string;
      readonly trustDomain: string;
      /** SVID CA certificates (DER) of the trust domain. */
      readonly authorities: readonly Buffer[];
      /** Our SVID and its key; without one, only what is open to anyone. */
      readonly identity?: TlsIdentity | undefined;
    }
  /** Whoever answers: only for what is signed and checked afterwards, such as the bundle before one has any. Never for a secret. */
  | { readonly kind: 'unproven'; readonly url: string };

/** Somebody else answers where the verifier should. */
export class UntrustedVerifier extends Error {}

export const whereIs = (target: VerifierTarget): string =>
  target.kind === 'socket' ? target.path : target.url;

/** Whether a certificate is that of the verifier; TLS has checked by whom it is and when it is valid. */
const checkName = (certificate: PeerCertificate, trustDomain: string): Error | undefined => {
  const wanted = `spiffe://${trustDomain}/verifier`;
  let facts: ReturnType<typeof parsePeerCertificate>;
  try {
    facts = parsePeerCertificate(new X509Certificate(certificate.raw));
  } catch {
    return new UntrustedVerifier('its certificate can’t be read');
  }
  const { uriSans, isCa } = facts;
  if (uriSans.length === 1 && uriSans[0] === wanted && !isCa) return undefined;
  // An agent's SVID is by the same CA.
  return new UntrustedVerifier(`who answers is ${uriSans[0] ?? 'nameless'}, not ${wanted}`);
};

const originOf = (url: string): string => {
  const { protocol, origin, pathname, search } = new URL(url);
  if (protocol !== 'https:' || pathname !== '/' || search !== '')
    throw new TypeError(`"${url}" is no address of a verifier: https://host:port`);
  return origin;
};

/** For undici's connector. A resumed session would skip the check of the name. */
export const connectOptionsOf = (target: VerifierTarget, timeoutMs: number) => {
  if (target.kind === 'socket')
    return { origin: 'http://localhost', connect: { socketPath: target.path, timeout: timeoutMs } };
  const origin = originOf(target.url);
  const common = { timeout: timeoutMs, maxCachedSessions: 0, allowH2: false, minVersion: 'TLSv1.3' } as const;
  if (target.kind === 'unproven') return { origin, connect: { ...common, rejectUnauthorized: false } };
  const { trustDomain, authorities, identity } = target;
  // Without any, TLS would take those of the system.
  if (authorities.length === 0)
    throw new TypeError(`there is no SVID CA of ${trustDomain} to know the verifier by`);
  const ca = authoritiesPem(new Map([[trustDomain, authorities]]));
  return {
    origin,
    connect: {
      ...common,
      ca,
      ...(identity !== undefined && secureContextOptions(identity, ca)),
      rejectUnauthorized: true,
      checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
        checkName(certificate, trustDomain),
    },
  };
};
