/** The facts of an X.509 certificate that the path asks for. Node shows neither basic keyUsage nor SANs reliably: DER is read. */
import { createHash, X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  BasicConstraints,
  Certificate,
  id_ce_basicConstraints,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  KeyUsage,
  KeyUsageFlags,
  SubjectAlternativeName,
} from '@peculiar/asn1-x509';
import { LRUCache } from 'lru-cache';
import type { PeerCertificate } from '../../ports.ts';

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
  const certificate = AsnConvert.parse(leaf.raw, Certificate);
  const extensions = certificate.tbsCertificate.extensions ?? [];
  const find = (oid: string) => extensions.find(({ extnID }) => extnID === oid)?.extnValue;
  const names = find(id_ce_subjectAltName);
  const usage = find(id_ce_keyUsage);
  const constraints = find(id_ce_basicConstraints);
  const flags = usage === undefined ? undefined : AsnConvert.parse(usage, KeyUsage).toNumber();
  const uriSans =
    names === undefined
      ? []
      : AsnConvert.parse(names, SubjectAlternativeName).flatMap(({ uniformResourceIdentifier: uri }) =>
          uri === undefined ? [] : [uri],
        );
  const digest = createHash('sha256').update(leaf.raw).digest();
  // One answer for one set of authorities: the same certificate comes back with every connection.
  const chained = new LRUCache<readonly Buffer[], { readonly answer: boolean }>({ max: 2 });
  return {
    digest: digest.toString('base64url'),
    digestHex: digest.toString('hex'),
    uriSans,
    // OpenSSL says no CA of one whose keyUsage lets it sign nothing; X509-SVID §4.1 asks for the flag alone.
    isCa: leaf.ca || (constraints !== undefined && AsnConvert.parse(constraints, BasicConstraints).cA),
    keyUsage:
      flags === undefined
        ? undefined
        : {
            digitalSignature: (flags & KeyUsageFlags.digitalSignature) !== 0,
            keyCertSign: (flags & KeyUsageFlags.keyCertSign) !== 0,
            cRLSign: (flags & KeyUsageFlags.cRLSign) !== 0,
          },
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
