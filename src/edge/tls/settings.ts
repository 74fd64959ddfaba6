/** The TLS settings of both directions: 1.3 only, certificates on both sides, no resumption (SPEC.md section 10). */
import { constants, X509Certificate } from 'node:crypto';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import { ALPN_H1, ALPN_H2 } from '../../core/handshake/frames.ts';

export interface TlsIdentity {
  /** PEM: the leaf first. */
  readonly cert: string;
  /** PEM, PKCS#8. */
  readonly key: string;
}

const EXPORTER_BYTES = 32;
const EXPORTER_LABEL = 'EXPORTER-Channel-Binding';

const pemOf = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;

/**
 * CA certificates as PEM. Throws when one is no CA certificate: Node takes a garbage `ca` without a word and then
 * fails every handshake.
 */
export const authoritiesPem = (authorities: ReadonlyMap<string, readonly Buffer[]>): string[] =>
  [...authorities].flatMap(([domain, certificates]) =>
    certificates.map((der) => {
      const certificate = new X509Certificate(der);
      if (!certificate.ca)
        throw new Error(`an SVID CA of ${domain} in the trust bundle is no CA certificate`);
      return pemOf(certificate.raw);
    }),
  );

export const secureContextOptions = (identity: TlsIdentity, ca: readonly string[]): SecureContextOptions => ({
  cert: identity.cert,
  key: identity.key,
  ca: [...ca],
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  // A resumed session would skip the check of the SVID.
  secureOptions: constants.SSL_OP_NO_TICKET,
});

/** What is spoken behind the handshake: HTTP/1.1 or HTTP/2. */
export type PeerHttp = 'h1' | 'h2';
export const ALPN_OF: Readonly<Record<PeerHttp, string>> = { h1: ALPN_H1, h2: ALPN_H2 };

/** Both of our own protocols; a client offers the one that it wants. */
export const ALPN_PROTOCOLS = [ALPN_H1, ALPN_H2];

/** Without a handshake before it: for clients without a sidecar (SPEC.md section 12.1), who say which they speak. */
const PLAIN: Readonly<Record<string, PeerHttp>> = { h2: 'h2', 'http/1.1': 'h1' };

/** What is spoken with a client that offers these; undefined where there is nothing in common. */
export const chooseAlpn = (offered: readonly string[], admitsPlain: boolean): string | undefined =>
  [...ALPN_PROTOCOLS, ...(admitsPlain ? Object.keys(PLAIN) : [])].find((one) => offered.includes(one));

export const plainHttpOf = (alpn: string | false | null): PeerHttp | undefined =>
  typeof alpn === 'string' && Object.hasOwn(PLAIN, alpn) ? PLAIN[alpn] : undefined;

export const peerHttpOf = (alpn: string | false | null): PeerHttp | undefined =>
  alpn === ALPN_H1 ? 'h1' : alpn === ALPN_H2 ? 'h2' : undefined;

/** RFC 9266: 32 octets that both ends of this connection know and nobody else. */
export const channelExporter = (socket: TLSSocket): Buffer =>
  socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
