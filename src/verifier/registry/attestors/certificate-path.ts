/** The path from an X.509-SVID to a CA of its own trust domain, over certificates that were sent with it (RFC 5280 §6, X509-SVID §4). */
import { X509Certificate } from 'node:crypto';
import { BasicConstraintsExtension, X509Certificate as ParsedCertificate } from '@peculiar/x509';
import { parsePeerCertificate } from '../../../edge/tls/peer-certificate.ts';

const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)+)$/;
const MAX_ID_BYTES = 2048;

export interface SvidPath {
  readonly leaf: X509Certificate;
  readonly id: string;
  readonly trustDomain: string;
  /** Seconds. */
  readonly notAfter: number;
}

export class PathFault extends Error {
  readonly expired: boolean;
  constructor(message: string, expired = false) {
    super(message);
    this.expired = expired;
  }
}

const read = (der: Buffer): X509Certificate => {
  try {
    return new X509Certificate(der);
  } catch {
    throw new PathFault('a certificate of the chain can’t be read');
  }
};

const checkTime = (certificate: X509Certificate, now: number, what: string): void => {
  const from = certificate.validFromDate.getTime() / 1000;
  const until = certificate.validToDate.getTime() / 1000;
  if (now < from || now >= until)
    throw new PathFault(`${what} holds from ${from} to ${until}, it is ${now}; compare both clocks`, true);
};

const constraintsOf = (certificate: X509Certificate): BasicConstraintsExtension | null =>
  new ParsedCertificate(certificate.raw).getExtension(BasicConstraintsExtension);

const allows = (authority: X509Certificate, intermediatesBelow: number): boolean => {
  const constraints = constraintsOf(authority);
  const most = constraints?.pathLength;
  return constraints?.ca === true && (most === undefined || intermediatesBelow <= most);
};

const issued = (authority: X509Certificate, subject: X509Certificate, below: number): boolean =>
  authority.ca &&
  subject.checkIssued(authority) &&
  subject.verify(authority.publicKey) &&
  allows(authority, below) &&
  parsePeerCertificate(authority).keyUsage?.keyCertSign !== false;

/**
 * Verifies a chain, the leaf first. `authoritiesOf` names the CAs (DER) of a trust domain; the leaf is held against
 * those of its own alone. Throws {@link PathFault}.
 */
export const verifySvidPath = (
  chain: readonly Buffer[],
  authoritiesOf: (trustDomain: string) => readonly Buffer[],
  now: number,
): SvidPath => {
  const [leaf, ...intermediates] = chain.map(read);
  if (leaf === undefined) throw new PathFault('there is no certificate');
  const { uriSans, isCa, keyUsage } = parsePeerCertificate(leaf);
  const [id = ''] = uriSans;
  const trustDomain = SPIFFE_ID.exec(id)?.[1];
  if (
    uriSans.length !== 1 ||
    trustDomain === undefined ||
    id.length > MAX_ID_BYTES ||
    /\/\.{1,2}(?:\/|$)/.test(id)
  )
    throw new PathFault('the certificate has no SPIFFE ID, or more than one');
  // Node calls none a CA that may not sign certificates; its basic constraints may say so all the same.
  if (isCa || constraintsOf(leaf)?.ca === true) throw new PathFault('the certificate is a CA’s');
  if (keyUsage?.digitalSignature !== true || keyUsage.keyCertSign || keyUsage.cRLSign)
    throw new PathFault('the certificate’s key is not for signatures of its own');
  checkTime(leaf, now, 'the certificate');
  const authorities = authoritiesOf(trustDomain).map(read);
  if (authorities.length === 0) throw new PathFault(`no CA of ${trustDomain} is known here`);
  let subject = leaf;
  for (let below = 0; ; below++) {
    const anchor = authorities.find((authority) => issued(authority, subject, below));
    if (anchor !== undefined) {
      checkTime(anchor, now, `the CA of ${trustDomain}`);
      break;
    }
    const next = intermediates[below];
    if (next === undefined || !issued(next, subject, below))
      throw new PathFault(`the certificate does not hang on a CA of ${trustDomain}`);
    checkTime(next, now, 'an intermediate certificate');
    subject = next;
  }
  return { leaf, id, trustDomain, notAfter: leaf.validToDate.getTime() / 1000 };
};

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM file as DER. Throws {@link PathFault} when one can't be read or is no CA’s. */
export const certificatesIn = (pem: string): readonly Buffer[] =>
  (pem.match(PEM_CERTIFICATE) ?? []).map((one) => {
    const certificate = read(Buffer.from(one));
    if (!certificate.ca) throw new PathFault('a certificate that should be a CA’s is none');
    return certificate.raw;
  });
