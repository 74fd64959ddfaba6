/** Our reading of a certificate against another library's, over certificates with every fault and with octets changed at will. */
import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
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
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type CertificateExtensions,
  readExtensions,
} from '../../../../src/edge/tls/certificate-extensions.ts';
import { contentOf, DER, valuesIn } from '../../../../src/edge/tls/der.ts';
import { type CertificateFault, forgeCertificate } from '../../../testkit/certificates.ts';
import { makeDomain } from '../../../testkit/domain.ts';

const FAULTS: readonly CertificateFault[] = [
  {},
  { isCa: true },
  { usage: null },
  { usage: 0 },
  { usage: KeyUsageFlags.keyCertSign },
  { usage: KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature },
  { usage: KeyUsageFlags.decipherOnly | KeyUsageFlags.digitalSignature },
  { uris: [] },
  { uris: ['spiffe://a.example/x', 'https://b.example/?y=1,2'], dns: ['c.example'] },
  { uris: [`spiffe://a.example/${'x'.repeat(300)}`] },
];

/** As @peculiar/asn1-x509 reads it. */
const readByOthers = (der: Buffer): CertificateExtensions => {
  const extensions = AsnConvert.parse(der, Certificate).tbsCertificate.extensions ?? [];
  const find = (oid: string) => extensions.find(({ extnID }) => extnID === oid)?.extnValue;
  const [names, usage, constraints] = [id_ce_subjectAltName, id_ce_keyUsage, id_ce_basicConstraints].map(
    find,
  );
  const flags = usage && AsnConvert.parse(usage, KeyUsage).toNumber();
  return {
    uriSans: names
      ? AsnConvert.parse(names, SubjectAlternativeName).flatMap(
          ({ uniformResourceIdentifier: uri }) => uri ?? [],
        )
      : [],
    isCa: constraints !== undefined && AsnConvert.parse(constraints, BasicConstraints).cA,
    keyUsage:
      flags === undefined
        ? undefined
        : {
            digitalSignature: (flags & KeyUsageFlags.digitalSignature) !== 0,
            keyCertSign: (flags & KeyUsageFlags.keyCertSign) !== 0,
            cRLSign: (flags & KeyUsageFlags.cRLSign) !== 0,
          },
  };
};

const attempt = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch {
    return undefined;
  }
};

describe('the extensions of a certificate', () => {
  let certificates: readonly Buffer[];
  beforeAll(async () => {
    const { authority } = await makeDomain({ agents: [] });
    certificates = await Promise.all(
      FAULTS.map(
        async (fault) => new X509Certificate((await forgeCertificate(authority, fault)).svidPem).raw,
      ),
    );
  });

  it('are what another library reads', () => {
    for (const der of certificates) expect(readExtensions(der)).toEqual(readByOthers(der));
    expect(new Set(certificates.map((der) => JSON.stringify(readExtensions(der)))).size).toBeGreaterThan(7);
  });

  it('are the same to both, or nothing to one of them, whatever octets are changed', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: FAULTS.length - 1 }),
        fc.array(fc.tuple(fc.nat({ max: 2047 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 3 }),
        (which, changes) => {
          const der = Buffer.from(certificates[which] ?? '');
          for (const [at, octet] of changes) der[at % der.length] = octet;
          // Nobody gets here whom OpenSSL can't read.
          const ours = attempt(() => new X509Certificate(der)) && attempt(() => readExtensions(der));
          const theirs = ours && attempt(() => readByOthers(der));
          if (ours !== undefined && theirs !== undefined) expect(ours).toEqual(theirs);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('are refused when one stands there twice', () => {
    const [der = Buffer.alloc(0)] = certificates;
    // The id of the key's usage becomes that of the CA flag.
    const usage = der.indexOf(Buffer.from('0603551d0f', 'hex'));
    const twice = Buffer.from(der);
    twice[usage + 4] = 0x13;
    expect(() => readExtensions(twice)).toThrow('the same extension twice');
  });
});

describe('DER', () => {
  const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
  it.each([
    ['a length of several octets that fits into one', '04 81 01 00'],
    ['a length with a zero before it', `04 82 00 80${'00'.repeat(128)}`],
    ['an indefinite length', '30 80 04 00 00 00'],
    ['a length of four octets', '04 84 00 00 00 01 00'],
    ['a value that is cut off', '04 02 00'],
    ['a tag without a length', '04'],
    ['a tag of several octets', '1f 81 01 00'],
  ])('is not %s', (_name, octets) => {
    expect(() => valuesIn(hex(octets))).toThrow('not DER');
  });

  it('has nothing behind its one value', () => {
    expect(() => contentOf(hex('04 00 00'), DER.octetString)).toThrow('not DER');
    expect(contentOf(hex('04 01 07'), DER.octetString)).toEqual(hex('07'));
  });
});
