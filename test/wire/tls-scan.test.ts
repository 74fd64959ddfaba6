/** The door in, as scanners of TLS see it: TLS 1.3 alone, nothing to find. With sslscan, and with testssl.sh where it is there. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Mesh, makeMesh } from '../testkit/mesh.ts';

const run = promisify(execFile);
const SSLSCAN = process.env.HOPGATE_SSLSCAN ?? 'sslscan';
const TESTSSL = process.env.HOPGATE_TESTSSL;

let mesh: Mesh;
let address: string;
let client: readonly [certificate: string, key: string];
const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-tls-'));

beforeAll(async () => {
  // The rate of handshakes is what scanners run into first: it is switched off here, and nothing else.
  mesh = await makeMesh({ config: { limits: { handshakesPerSecond: 1_000_000 } } });
  const target = await mesh.start('inventory/def456');
  address = `127.0.0.1:${target.addresses.inbound?.port}`;
  const { svidPem, svidKeyPem } = mesh.domain.agent('planning/abc123');
  client = [path.join(directory, 'svid.pem'), path.join(directory, 'svid.key')];
  writeFileSync(client[0], svidPem);
  writeFileSync(client[1], svidKeyPem);
});
afterAll(() => {
  mesh.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe('sslscan', () => {
  const attribute = (element: string, name: string): string | undefined =>
    new RegExp(`\\b${name}="([^"]*)"`).exec(element)?.[1];
  const elements = (xml: string, name: string): string[] => [
    ...(xml.match(new RegExp(`<${name} [^>]*>`, 'g')) ?? []),
  ];

  it('finds TLS 1.3 and no other version, its three suites, and no compression, renegotiation or leak', async () => {
    const { stdout } = await run(SSLSCAN, [
      '--xml=-',
      '--show-client-cas',
      `--certs=${client[0]}`,
      `--pk=${client[1]}`,
      address,
    ]);
    const enabled = elements(stdout, 'protocol')
      .filter((element) => attribute(element, 'enabled') === '1')
      .map((element) => `${attribute(element, 'type')} ${attribute(element, 'version')}`);
    expect(enabled).toEqual(['tls 1.3']);
    const ciphers = elements(stdout, 'cipher');
    expect(new Set(ciphers.map((element) => attribute(element, 'sslversion')))).toEqual(new Set(['TLSv1.3']));
    expect(ciphers.map((element) => attribute(element, 'cipher')).sort()).toEqual([
      'TLS_AES_128_GCM_SHA256',
      'TLS_AES_256_GCM_SHA384',
      'TLS_CHACHA20_POLY1305_SHA256',
    ]);
    for (const element of elements(stdout, 'renegotiation'))
      expect(attribute(element, 'supported') === '1' && attribute(element, 'secure') !== '1').toBe(false);
    for (const element of elements(stdout, 'compression'))
      expect(attribute(element, 'supported')).not.toBe('1');
    for (const element of elements(stdout, 'heartbleed'))
      expect(attribute(element, 'vulnerable')).not.toBe('1');
  });
});

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** What testssl.sh, made for the web, finds fault with and a mesh means. */
const MEANT: Readonly<Record<string, string>> = {
  engine_problem: 'of the scanner’s own OpenSSL',
  cert_trust: 'an SVID names a SPIFFE ID, and no host',
  cert_chain_of_trust: 'its CA is the trust domain’s own',
  cert_expirationStatus: 'an SVID lives for an hour',
  cert_notAfter: 'likewise',
  cert_revocation: 'revocations are in the trust bundle',
  DNS_CAArecord: 'likewise no host',
};

describe.skipIf(TESTSSL === undefined || TESTSSL === '')('testssl.sh', () => {
  it('has no finding', async () => {
    const report = path.join(directory, 'report.json');
    const said = await run(TESTSSL ?? '', [
      '--quiet',
      '--color',
      '0',
      '--warnings',
      'off',
      '--ip=one',
      '-p',
      '-S',
      '-U',
      '-f',
      '--jsonfile',
      report,
      address,
    ]).catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? '' }));
    const findings = JSON.parse(readFileSync(report, 'utf8')) as readonly Finding[];
    expect(findings.length, said.stdout).toBeGreaterThan(20);
    const versions = new Map(findings.map(({ id, finding }) => [id, finding]));
    for (const old of ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1', 'TLS1_2'])
      expect(versions.get(old), old).toMatch(/not offered/);
    expect(versions.get('TLS1_3')).toMatch(/^offered/);
    expect(
      findings.filter(
        ({ id, severity }) =>
          !['OK', 'INFO', 'DEBUG'].includes(severity) && MEANT[id.split(' ')[0] ?? ''] === undefined,
      ),
    ).toEqual([]);
  });
});
