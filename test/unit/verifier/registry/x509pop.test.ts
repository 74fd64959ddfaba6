import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeSvidKey } from '../../../../src/edge/verifier/csr.ts';
import {
  type EvidenceSource,
  joinEvidence,
  x509popEvidence,
} from '../../../../src/edge/verifier/evidence.ts';
import { issueSvidCa, type SvidCa } from '../../../../src/verifier/authority/certificates.ts';
import { type CertificateFault, forgeCertificate, KeyUsageFlags } from '../../../testkit/certificates.ts';
import {
  addJoiner,
  agentActor,
  idOf,
  makeRegistryWorld,
  makeWorkload,
  OPERATOR,
  type RegistryWorld,
  reasonOf,
  request,
  SOURCE,
  STRANGER,
  type Workload,
  wish,
} from '../../../testkit/registry-world.ts';

const WORKLOAD = 'spiffe://spire.example/ns/prod/sa/inventory';
const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-x509pop-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let foreign: SvidCa;
let world: RegistryWorld;
beforeEach(async () => {
  const now = Math.floor(Date.now() / 1000);
  foreign = await issueSvidCa('spire.example', { now, ttlSeconds: 86_400 });
  const authorities = path.join(directory, 'spire.pem');
  writeFileSync(authorities, foreign.certificatePem);
  world = await makeRegistryWorld({ x509pop: [{ trustDomain: 'spire.example', authorities }] });
  await world.registry.entries.add(
    OPERATOR,
    { id: idOf('inventory/1'), ...wish([`x509:spiffe_id=${WORKLOAD}`]) },
    'a test',
  );
});
afterEach(() => world.close());

const certificate = async (fault: CertificateFault = {}, ca = foreign) => {
  const { svidPem, svidKeyPem } = await forgeCertificate(ca, { uris: [WORKLOAD], ...fault });
  return { pem: svidPem, key: createPrivateKey(svidKeyPem) };
};
type Svid = { readonly pem: string; readonly key: KeyObject };
const shown = (svid: Svid) => x509popEvidence(async () => svid);
const outcome = async (
  evidence: EvidenceSource<{ method: 'x509pop'; chain: string[]; signature: string }>,
  workload: Workload = makeWorkload(),
) =>
  reasonOf(
    world.registry.enrolments.enrol(
      { actor: STRANGER, source: SOURCE },
      await request(world, workload, evidence as never),
    ),
  );

describe('a certificate that is none', () => {
  test('is refused wherever it is damaged, and no fault of ours', async () => {
    const { pem, key } = await certificate();
    const der = new X509Certificate(pem).raw;
    for (let at = 0; at < der.length; at += 3) {
      const damaged = Buffer.from(der);
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      const evidence: EvidenceSource = async (context) => {
        const good = await shown({ pem, key })(context);
        return { ...good, chain: [damaged.toString('base64url')] } as never;
      };
      expect(await outcome(evidence as never), `octet ${at}`).toMatch(/^attestation_/);
    }
  }, 60_000);
});

describe('an X.509-SVID of a foreign trust domain', () => {
  test('whose key has signed this very request', async () => {
    expect(await outcome(shown(await certificate()) as never)).toBe('done');
  });

  test('without its key, or with a signature for another request', async () => {
    const svid = await certificate();
    expect(await outcome(shown({ ...svid, key: makeSvidKey() }) as never)).toBe('attestation_refused');
    for (const replayed of ['nonce', 'csr', 'thumbprint'] as const) {
      const evidence: EvidenceSource = (context) =>
        shown(svid)({ ...context, [replayed]: Buffer.alloc(32, 5).toString('base64url') });
      expect(await outcome(evidence as never), replayed).toBe('attestation_refused');
    }
  });

  test('of another workload', async () => {
    const other = await certificate({ uris: ['spiffe://spire.example/ns/prod/sa/web'] });
    expect(await outcome(shown(other) as never)).toBe('entry_unmatched');
  });

  test('by a CA that is not its trust domain’s', async () => {
    const now = Math.floor(Date.now() / 1000);
    const mallory = await issueSvidCa('spire.example', { now, ttlSeconds: 3600 });
    const unknown = await certificate({}, mallory);
    expect(await outcome(shown(unknown) as never)).toBe('attestation_refused');
    // A CA that we know says nothing about names of others, ours least of all.
    for (const uri of [idOf('planning/1'), 'spiffe://other.example/ns/prod/sa/inventory'])
      expect(await outcome(shown(await certificate({ uris: [uri] })) as never)).toBe('attestation_refused');
  });

  test('that brings its own CA along, or hangs on another workload’s SVID', async () => {
    const now = Math.floor(Date.now() / 1000);
    const mallory = await issueSvidCa('spire.example', { now, ttlSeconds: 3600 });
    const own = await certificate({}, mallory);
    expect(await outcome(shown({ ...own, pem: own.pem + mallory.certificatePem }) as never)).toBe(
      'attestation_refused',
    );
    const web = await certificate({ uris: ['spiffe://spire.example/ns/prod/sa/web'] });
    const subject = new X509Certificate(web.pem).subject.replaceAll('\n', ', ');
    const forged = await certificate({}, { ...foreign, key: web.key, subject });
    expect(await outcome(shown({ ...forged, pem: forged.pem + web.pem }) as never)).toBe(
      'attestation_refused',
    );
  });

  test('through an intermediate that its CA forbids', async () => {
    const sub = await certificate({
      isCa: true,
      usage: KeyUsageFlags.keyCertSign,
      uris: ['spiffe://spire.example'],
    });
    const subject = new X509Certificate(sub.pem).subject.replaceAll('\n', ', ');
    const leaf = await certificate({}, { ...foreign, key: sub.key, subject });
    // The root of these tests has a path length of 0.
    expect(await outcome(shown({ ...leaf, pem: leaf.pem + sub.pem }) as never)).toBe('attestation_refused');
  });

  const now = Math.floor(Date.now() / 1000);
  test.each<readonly [string, CertificateFault, string]>([
    ['expired', { notBefore: now - 7200, notAfter: now - 60 }, 'attestation_expired'],
    ['not valid yet', { notBefore: now + 3600, notAfter: now + 7200 }, 'attestation_expired'],
    ['a CA certificate', { isCa: true }, 'attestation_refused'],
    ['two names', { uris: [WORKLOAD, 'spiffe://spire.example/ns/prod/sa/web'] }, 'attestation_refused'],
    ['no name', { uris: [] }, 'attestation_refused'],
    ['the trust domain as a name', { uris: ['spiffe://spire.example'] }, 'attestation_refused'],
    [
      'may sign certificates',
      { usage: KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign },
      'attestation_refused',
    ],
    ['may not sign', { usage: KeyUsageFlags.keyAgreement }, 'attestation_refused'],
    ['no key usage', { usage: null }, 'attestation_refused'],
  ])('%s', async (_name, fault, reason) => {
    expect(await outcome(shown(await certificate(fault)) as never)).toBe(reason);
  });

  test('that is garbage', async () => {
    expect(await outcome((() => ({ method: 'x509pop', chain: ['AAAA'], signature: 'AAAA' })) as never)).toBe(
      'attestation_refused',
    );
  });
});

describe('an SVID of our own', () => {
  const joined = async () => {
    const { id, token } = await addJoiner(world, 'planning/1');
    const svidKey = makeSvidKey();
    const { svid } = await world.registry.enrolments.enrol(
      { actor: STRANGER, source: SOURCE },
      await request(world, makeWorkload(), joinEvidence(token), { svidKey }),
    );
    return { id, svid: { pem: svid, key: svidKey } };
  };

  test('attests whoever an entry says it is, until it is retired', async () => {
    const { id, svid } = await joined();
    await world.registry.entries.add(
      OPERATOR,
      { id: idOf('worker/1'), ...wish([`x509:spiffe_id=${id}`]) },
      'a test',
    );
    const worker = makeWorkload();
    expect(await outcome(shown(svid) as never, worker)).toBe('done');
    await world.registry.agents.retire(OPERATOR, id, 'a test');
    expect(await outcome(shown(svid) as never)).toBe('id_retired');
    const renewal = await request(world, worker, shown(svid));
    const self = { actor: agentActor(idOf('worker/1')), source: SOURCE };
    expect(await reasonOf(world.registry.enrolments.renew(self, renewal))).toBe('id_retired');
  });
});
