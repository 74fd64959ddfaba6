/** What the issuer makes is what the verifying side and other implementations accept. */
import 'reflect-metadata';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BasicConstraintsExtension, X509Certificate as ParsedCertificate } from '@peculiar/x509';
import { describe, expect, it, onTestFinished } from 'vitest';
import { verifyBundle } from '../../../../src/core/trust/bundle.ts';
import { verifyKeyBinding, verifyWit } from '../../../../src/core/trust/wit.ts';
import {
  makeSigningKey,
  parsePrivateKey,
  privateKeyPem,
  signingKeyOf,
} from '../../../../src/edge/keys/signing-key.ts';
import { issueSvid, issueSvidCa, makeTlsKey } from '../../../../src/verifier/authority/certificates.ts';
import { agentIdOf, makeDomain, must } from '../../../testkit/domain.ts';

const NOW = 1_800_000_000;

const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe('an X.509-SVID', async () => {
  const domain = await makeDomain({ now: NOW });
  const agent = domain.agent('planning/abc123');
  const svid = new X509Certificate(agent.svidPem);
  const ca = new X509Certificate(domain.authority.certificatePem);

  it('names one agent, as a URI and nothing else', () => {
    expect(svid.subjectAltName).toBe(`URI:${agent.id}`);
    expect(ca.subjectAltName).toBe('URI:spiffe://company.com');
  });

  it('is signed by the CA of its trust domain and is none itself', () => {
    expect(svid.checkIssued(ca)).toBe(true);
    expect(svid.verify(ca.publicKey)).toBe(true);
    expect(svid.ca).toBe(false);
    expect(ca.ca).toBe(true);
    expect(ca.verify(ca.publicKey)).toBe(true);
    expect(new ParsedCertificate(ca.raw).getExtension(BasicConstraintsExtension)?.pathLength).toBe(0);
  });

  it('is for both ends of TLS', () => {
    expect(svid.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  });

  it('is backdated by a minute and ends after its time to live', () => {
    expect(Date.parse(svid.validFrom) / 1000).toBe(NOW - 60);
    expect(Date.parse(svid.validTo) / 1000).toBe(NOW + 3600);
    expect(agent.notAfter).toBe(NOW + 3600);
  });

  it('fits its private key, on P-256', () => {
    const key = createPrivateKey(agent.svidKeyPem);
    expect(key.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(svid.checkPrivateKey(key)).toBe(true);
  });

  it('has a random, positive serial number of 16 octets', () => {
    const other = new X509Certificate(domain.agent('inventory/def456').svidPem);
    expect(svid.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
    expect(other.serialNumber).not.toBe(svid.serialNumber);
  });

  it('does not outlive its CA', async () => {
    const authority = await issueSvidCa('company.com', { now: NOW, ttlSeconds: 600 });
    const id = agentIdOf('company.com', 'planning/1');
    const { notAfter } = await issueSvid(authority, { id, key: makeTlsKey(), now: NOW, ttlSeconds: 3600 });
    expect(notAfter).toBe(NOW + 600);
    await expect(
      issueSvid(authority, { id, key: makeTlsKey(), now: NOW + 600, ttlSeconds: 3600 }),
    ).rejects.toThrow('has expired');
  });

  it('is not issued for another trust domain', async () => {
    await expect(
      issueSvid(domain.authority, {
        id: agentIdOf('partner.org', 'planning/1'),
        key: makeTlsKey(),
        now: NOW,
        ttlSeconds: 60,
      }),
    ).rejects.toThrow('not of the trust domain');
  });

  it('can be issued in a trust domain of 255 characters', async () => {
    const long = `${'a'.repeat(250)}.test`;
    const authority = await issueSvidCa(long, { now: NOW, ttlSeconds: 600 });
    const id = agentIdOf(long, 'planning/1');
    const { pem } = await issueSvid(authority, { id, key: makeTlsKey(), now: NOW, ttlSeconds: 60 });
    expect(new X509Certificate(pem).checkIssued(new X509Certificate(authority.certificatePem))).toBe(true);
  });

  it.runIf(hasOpenssl)('passes OpenSSL’s strict checks for both purposes', () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-issue-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const [caFile, svidFile] = [path.join(directory, 'ca.pem'), path.join(directory, 'svid.pem')];
    writeFileSync(caFile, domain.authority.certificatePem);
    writeFileSync(svidFile, agent.svidPem);
    for (const purpose of ['sslserver', 'sslclient']) {
      const args = ['verify', '-x509_strict', '-purpose', purpose, '-attime', `${NOW}`, '-CAfile', caFile];
      expect(execFileSync('openssl', [...args, svidFile]).toString()).toContain('OK');
    }
    const text = execFileSync('openssl', ['x509', '-in', svidFile, '-noout', '-text']).toString();
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    const caText = execFileSync('openssl', ['x509', '-in', caFile, '-noout', '-text']).toString();
    expect(caText).toMatch(/Key Usage: critical\s+Certificate Sign\n/);
  });
});

describe('tokens and bundles', async () => {
  const domain = await makeDomain({ now: NOW, svidTtlSeconds: 900 });
  const agent = domain.agent('planning/abc123');
  const bundle = domain.verifiedBundle();

  it('a WIT binds name, agent key and audit key, as long as the SVID lives', () => {
    const wit = must(verifyWit(agent.wit, bundle.issuers, NOW));
    expect(wit).toMatchObject({ sub: agent.id, iat: NOW, exp: NOW + 900, auditX: agent.audit.x });
    expect(wit.agentKey.x).toBe(agent.x);
  });

  it('a key binding ends with the WIT', () => {
    expect(agent.keyBinding.exp).toBe(NOW + 900);
    expect(verifyKeyBinding(agent.keyBinding, agent.id, agent.x, NOW, bundle.issuers).ok).toBe(true);
    const other = domain.agent('inventory/def456');
    expect(verifyKeyBinding(agent.keyBinding, agent.id, other.x, NOW, bundle.issuers)).toMatchObject({
      reason: 'kb_signature',
    });
  });

  it('a bundle holds under its root and no other', () => {
    const expected = { trustDomain: 'company.com', last: { epoch: 0, seq: 0 }, now: NOW };
    const text = domain.bundle({ seq: 7, ttlSeconds: 600 });
    expect(verifyBundle(text, { ...expected, root: domain.root.thumbprint })).toMatchObject({
      ok: true,
      value: { epoch: 1, seq: 7, exp: NOW + 600 },
    });
    expect(verifyBundle(text, { ...expected, root: makeSigningKey().thumbprint })).toMatchObject({
      reason: 'bundle_signer',
    });
  });

  it('its chains verify', () => {
    const chain = domain.mintChain(['planning/abc123', 'inventory/def456']);
    expect(domain.verify(chain, domain.agent('inventory/def456')).depth).toBe(2);
  });
});

describe('private keys', () => {
  it('survive PKCS#8 PEM', () => {
    const key = makeSigningKey();
    const pem = privateKeyPem(key.key);
    expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    const again = parsePrivateKey(pem);
    expect(again && signingKeyOf(again)?.thumbprint).toBe(key.thumbprint);
  });

  it('of another kind, or none, are no signing keys', () => {
    expect(signingKeyOf(makeTlsKey())).toBeUndefined();
    expect(parsePrivateKey('nonsense')).toBeUndefined();
  });
});
