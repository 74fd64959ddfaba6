/** The facts of an X.509 certificate that the path asks for. Node shows neither basic keyUsage nor SANs reliably: DER is read. */
import { createHash, X509Certificate } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { PeerCertificate } from '../../ports.ts';
import { readExtensions } from './certificate-extensions.ts';

const MAX_INTERMEDIATES = 4;

const secondsOf = (date: Date): number => Math.floor(date.getTime() / 1000);

/** Whether `leaf` hangs on one of the authorities, through CA certificates that the peer sent. */
const chainsTo = (leaf: X509Certificate, authorities: readonly Buffer[]): boolean => {
  let current: X509Certificate | undefined = leaf;
  for (let step = 0; current !== undefined && step <= MAX_INTERMEDIATES; step++) {
    const subject: X509Certificate = current;
    for (const der of authorities) {
      const authority = new X509Certificate(der);
      if (authority.ca && subject.checkIssued(authority) && subject.verify(authority.publicKey)) return true;
    }
    const issuer: X509Certificate | undefined = subject.issuerCertificate;
    if (issuer === undefined || issuer.fingerprint256 === subject.fingerprint256) return false;
    if (!issuer.ca || !subject.checkIssued(issuer) || !subject.verify(issuer.publicKey)) return false;
    current = issuer;
  }
  return false;
};

const parse = (leaf: X509Certificate): PeerCertificate => {
  const { uriSans, isCa, keyUsage } = readExtensions(leaf.raw);
  const digest = createHash('sha256').update(leaf.raw).digest();
  // One answer for one set of authorities: the same certificate comes back with every connection.
  const chained = new LRUCache<readonly Buffer[], { readonly answer: boolean }>({ max: 2 });
  return {
    digest: digest.toString('base64url'),
    digestHex: digest.toString('hex'),
    uriSans,
    // OpenSSL says no CA of one whose keyUsage lets it sign nothing; X509-SVID §4.1 asks for the flag alone.
    isCa: leaf.ca || isCa,
    keyUsage,
    extKeyUsage: leaf.keyUsage,
    notBefore: secondsOf(leaf.validFromDate),
    notAfter: secondsOf(leaf.validToDate),
    chainsTo: (authorities) => {
      const known = chained.get(authorities);
      if (known !== undefined) return known.answer;
      const answer = chainsTo(leaf, authorities);
      chained.set(authorities, { answer });
      return answer;
    },
  };
};

const parsed = new LRUCache<string, PeerCertificate>({ max: 1024 });

/** Parses a peer's certificate, once. Throws on DER that is none. */
export const parsePeerCertificate = (leaf: X509Certificate): PeerCertificate => {
  const known = parsed.get(leaf.fingerprint256);
  if (known !== undefined) return known;
  const certificate = parse(leaf);
  parsed.set(leaf.fingerprint256, certificate);
  return certificate;
};
