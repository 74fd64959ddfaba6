/**
 * Running sidecars that show a real verifier what they are, each in its own way: at the first start, again at each renewal, and
 * after an SVID that has ended. What isn't shown any more is refused, and the SVID serves until it ends.
 */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { registryEndpoints } from '../../src/api/registry.ts';
import type { VerifierConfig } from '../../src/config/verifier-schema.ts';
import { makeSigningKey } from '../../src/edge/keys/signing-key.ts';
import { IdentityFolder } from '../../src/edge/verifier/identity-folder.ts';
import { issueSvidCa, type SvidCa } from '../../src/verifier/authority/certificates.ts';
import { type CertificateFault, forgeCertificate } from '../testkit/certificates.ts';
import { KubernetesCluster } from '../testkit/kubernetes-cluster.ts';
import { type Answer, sendThrough } from '../testkit/mesh.ts';
import { TestClock } from '../testkit/test-clock.ts';
import {
  type LogLine,
  makeVerifiedMesh,
  type VerifiedMember,
  type VerifiedMesh,
  type VerifiedStartOptions,
} from '../testkit/verified-mesh.ts';
import { WorkloadProvider } from '../testkit/workload-provider.ts';

/** The shortest life of an SVID, which begins a minute before it is issued. */
const SVID_SECONDS = 300;
/** Later than every half-life and its jitter. */
const PAST_HALF_LIFE_SECONDS = 140;
/** TLS looks at the wall clock: so far behind it, the first two SVIDs are valid there. */
const BEHIND_SECONDS = 255;
const PATIENCE = { timeout: 10_000, interval: 20 };

const PLANNING = 'planning/1';
const INVENTORY = 'inventory/1';
/** By template: the name of its pod. */
const POD = 'inventory-7c9';

let mesh: VerifiedMesh;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  await mesh.stop();
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

const behind = (): TestClock => new TestClock(Date.now() - BEHIND_SECONDS * 1000);
const makeMesh = async (clock: TestClock, attestation?: VerifierConfig['attestation']): Promise<void> => {
  mesh = await makeVerifiedMesh({
    clock,
    svidTtlSeconds: SVID_SECONDS,
    ...(attestation && { verifier: { attestation } }),
  });
};

/** A caller with a task at `callee`, and its requests there. */
const callerOf = async (
  callee: string,
  options: VerifiedStartOptions = {},
): Promise<() => Promise<Answer>> => {
  const planning = await mesh.start(PLANNING, { ...options, routes: { 'callee.mesh': callee } });
  const context = await mesh.startTask(PLANNING, mesh.mintRoot(planning));
  return () => sendThrough(planning, 'http://callee.mesh/vpcs', { context });
};

type Certificate = VerifiedMember['sidecar']['identity']['certificate'];
const certificateOf = ({ sidecar }: VerifiedMember): Certificate => sidecar.identity.certificate;
const failures = ({ said }: VerifiedMember): LogLine[] =>
  said.filter(({ msg }) => /renewal failed; the SVID serves until it ends/.test(String(msg)));
/** After the clock was stepped: resolves when the sidecar has another SVID, by itself. */
const renewed = (member: VerifiedMember, before: Certificate): Promise<void> =>
  vi.waitFor(() => expect(certificateOf(member)).not.toBe(before), PATIENCE);
const agentOf = async ({ id }: VerifiedMember) =>
  await mesh.operator.call(registryEndpoints.getAgent, { params: { id } });

describe('a pod, by its projected token', () => {
  const cluster = new KubernetesCluster();
  const at = (name: string): string => path.join(mesh.directory, name);
  const project = async (pod: string, namespace?: string): Promise<void> =>
    writeFileSync(at('token'), await cluster.token('inventory', pod, mesh.clock.seconds, namespace));
  const attestedBy = (tokenFile: string): VerifiedStartOptions => ({
    joins: false,
    config: { identity: { attestation: { method: 'kubernetes', tokenFile } } },
  });

  const startPod = async (): Promise<VerifiedMember> => {
    await makeMesh(behind(), cluster.attestation);
    await mesh.addEntry('inventory/{pod}', ['k8s:ns=prod', 'k8s:sa=inventory']);
    await project(POD);
    return mesh.start(`inventory/${POD}`, attestedBy(at('token')));
  };

  it('enrols without any credential, renews by the token of now, and serves out its SVID under one of another namespace', async () => {
    const pod = await startPod();
    expect(pod.sidecar.identity.id).toBe(`spiffe://company.com/agent/inventory/${POD}`);
    const ask = await callerOf(`inventory/${POD}`);
    expect((await ask()).status).toBe(200);
    const { key, svidNotAfter: first } = pod.sidecar.identity;

    const before = certificateOf(pod);
    // The kubelet has replaced it, and what the last one said would not do any more.
    rmSync(at('token'));
    await project(POD);
    mesh.clock.advanceSeconds(PAST_HALF_LIFE_SECONDS);
    await renewed(pod, before);
    const { svidNotAfter } = pod.sidecar.identity;
    expect(svidNotAfter - first).toBe(PAST_HALF_LIFE_SECONDS);
    expect(pod.sidecar.identity.key.x).toBe(key.x);
    expect(failures(pod)).toEqual([]);

    await project(POD, 'test');
    mesh.clock.advanceSeconds(PAST_HALF_LIFE_SECONDS);
    await vi.waitFor(
      () =>
        expect(failures(pod).at(-1)).toMatchObject({
          level: 40,
          reason: 'entry_unmatched',
          now: mesh.clock.seconds,
          notAfter: svidNotAfter,
        }),
      PATIENCE,
    );
    expect((await ask()).status).toBe(200);
    // The caller has renewed: what ends now is the pod's alone.
    const { sidecar: caller } = mesh.member(PLANNING);
    await vi.waitFor(() => expect(caller.identity.svidNotAfter).toBeGreaterThan(svidNotAfter), PATIENCE);
    mesh.clock.advanceSeconds(svidNotAfter - mesh.clock.seconds);
    const seen = pod.seen.length;
    expect((await ask()).code).toBeOneOf(['svid_expired', 'session_expired']);
    expect(pod.seen).toHaveLength(seen);
    expect(pod.sidecar.identity.svidNotAfter).toBe(svidNotAfter);
  });

  it('a token that is not there is a warning that names the file, and nothing of its content is ever logged', async () => {
    const pod = await startPod();
    rmSync(at('token'));
    expect(await pod.source.renew()).toBe(false);
    expect(failures(pod).at(-1)).toMatchObject({
      level: 40,
      detail: `${at('token')}: the service-account token can’t be read (ENOENT)`,
    });
    await project('another-pod');
    expect(await pod.source.renew()).toBe(false);
    expect(failures(pod).at(-1)).toMatchObject({ level: 40, reason: 'attestation_refused' });
    expect(JSON.stringify(pod.said)).not.toContain('eyJ');
    await project(POD);
    expect(await pod.source.renew()).toBe(true);
  });

  /** When the SVID ends: while the sidecar runs, or before it starts again. */
  it.each([
    ['and the verifier knew the new key, is finished by the running sidecar', true, true],
    ['and the verifier knew the new key, is finished at the next start', true, false],
    ['and the verifier knew nothing of it, is finished at the next start', false, false],
  ])('a rotation that was cut short until the SVID had ended, %s', async (_name, isKnown, isRunning) => {
    const pod = await startPod();
    const name = `inventory/${POD}`;
    const options = attestedBy(at('token'));
    const { svidNotAfter } = pod.sidecar.identity;
    const next = makeSigningKey();
    const folder = path.join(pod.directory, 'identity');
    pod.sidecar.stop('test');
    new IdentityFolder(folder).keepNextKey(next);
    cpSync(folder, at('cut short'), { recursive: true });
    if (isKnown) {
      const heard = await mesh.restart(name, options);
      expect(await heard.source.renew()).toBe(true);
      heard.sidecar.stop('test');
      rmSync(folder, { recursive: true });
      cpSync(at('cut short'), folder, { recursive: true });
    }
    await mesh.stopVerifier();
    if (isRunning) await mesh.start(name, options);
    mesh.clock.advanceSeconds(svidNotAfter - mesh.clock.seconds + 1);
    await mesh.restartVerifier();
    const again = isRunning ? mesh.member(name) : await mesh.start(name, options);
    await vi.waitFor(
      () => expect(again.sidecar.identity.svidNotAfter).toBeGreaterThan(svidNotAfter),
      PATIENCE,
    );
    expect(again.sidecar.identity.key.x).toBe(next.x);
    // Nothing that rests on the key before was ended as lost.
    await vi.waitFor(() => expect(again.source.trust.last.bundle.revocations.size).toBe(0), PATIENCE);
  });

  it('whose SVID has ended while the verifier was down is there again with it, under the same key, and its tasks go on', async () => {
    const pod = await startPod();
    await mesh.addEntry(PLANNING, cluster.selectors('planning', 'planning-1'));
    writeFileSync(at('caller'), await cluster.token('planning', 'planning-1', mesh.clock.seconds));
    const ask = await callerOf(`inventory/${POD}`, attestedBy(at('caller')));
    expect((await ask()).status).toBe(200);
    const { key, svidNotAfter } = pod.sidecar.identity;
    await mesh.stopVerifier();
    mesh.clock.advanceSeconds(svidNotAfter - mesh.clock.seconds + 1);
    expect((await ask()).status).toBeGreaterThanOrEqual(400);
    await mesh.restartVerifier();
    await vi.waitFor(() => expect(pod.sidecar.identity.svidNotAfter).toBeGreaterThan(svidNotAfter), PATIENCE);
    expect(pod.sidecar.identity.key.x).toBe(key.x);
    expect(await agentOf(pod)).toMatchObject({ state: 'live', attestor: 'kubernetes' });
    await vi.waitFor(async () => expect((await ask()).status).toBe(200), PATIENCE);
  });
});

describe('a client of the company’s identity provider, by access tokens that it fetches itself', () => {
  const CLIENT = { id: 'inventory-agent', secret: 'a secret of the test, long enough for every check' };
  let provider: WorkloadProvider;

  const startClient = async (): Promise<VerifiedMember> => {
    const clock = behind();
    provider = await WorkloadProvider.start([CLIENT], clock);
    cleanups.push(() => provider.stop());
    await makeMesh(clock, provider.attestation);
    await mesh.addEntry('inventory/{client_id}', provider.selectors(CLIENT.id));
    writeFileSync(path.join(mesh.directory, 'secret'), `${CLIENT.secret}\n`, { mode: 0o600 });
    const clientSecretFile = path.join(mesh.directory, 'secret');
    const attestation = { method: 'oidc', issuer: provider.issuer, clientId: CLIENT.id, clientSecretFile };
    return mesh.start(`inventory/${CLIENT.id}`, { joins: false, config: { identity: { attestation } } });
  };

  it('enrols, renews by a new token, serves on while the provider is down, and asks it less and less often', async () => {
    const client = await startClient();
    expect(client.sidecar.identity.id).toBe(`spiffe://company.com/agent/inventory/${CLIENT.id}`);
    expect(await agentOf(client)).toMatchObject({ state: 'live', attestor: 'oidc' });
    expect(provider.given).toEqual([CLIENT.id]);
    const ask = await callerOf(`inventory/${CLIENT.id}`);
    expect((await ask()).status).toBe(200);
    const first = certificateOf(client);
    expect(await client.source.renew()).toBe(true);
    expect(certificateOf(client)).not.toBe(first);
    expect(provider.given).toHaveLength(2);

    await provider.stop();
    const { svidNotAfter } = client.sidecar.identity;
    mesh.clock.advanceSeconds(PAST_HALF_LIFE_SECONDS);
    await vi.waitFor(() => expect(failures(client).length).toBeGreaterThanOrEqual(3), PATIENCE);
    const [one, two, three] = failures(client).map(({ time }) => Number(time));
    // A second and two, each more or less by a quarter.
    expect((two ?? 0) - (one ?? 0)).toBeGreaterThanOrEqual(750);
    expect((three ?? 0) - (two ?? 0)).toBeGreaterThanOrEqual(1500);
    expect(failures(client).at(-1)).toMatchObject({
      level: 40,
      now: mesh.clock.seconds,
      notAfter: svidNotAfter,
      detail: `${provider.issuer}: gives no access token (it can’t be reached)`,
    });
    expect((await ask()).status).toBe(200);

    await provider.resume();
    // A minute, the longest wait, is over.
    mesh.clock.advanceSeconds(75);
    await vi.waitFor(
      () => expect(client.sidecar.identity.svidNotAfter).toBeGreaterThan(svidNotAfter),
      PATIENCE,
    );
    expect(provider.given).toHaveLength(3);
    expect((await ask()).status).toBe(200);
    const words = JSON.stringify(client.said);
    expect(words).not.toContain('eyJ');
    expect(words).not.toContain(CLIENT.secret);
  });

  it('whose secret is another by now is told so by the provider, and goes on when the file has the new one', async () => {
    const client = await startClient();
    const secret = path.join(mesh.directory, 'secret');
    writeFileSync(secret, 'the one before');
    expect(await client.source.renew()).toBe(false);
    expect(failures(client).at(-1)).toMatchObject({
      level: 40,
      detail: `${provider.issuer}: gives no access token (invalid_client)`,
    });
    writeFileSync(secret, CLIENT.secret);
    expect(await client.source.renew()).toBe(true);
  });

  it('whose SVID has ended while the verifier was down is there again with it, under the same key', async () => {
    const client = await startClient();
    const { key, svidNotAfter } = client.sidecar.identity;
    // A stream that is only just opened would be waited for.
    await vi.waitFor(() => expect(client.said.map(({ msg }) => msg)).toContain('following the verifier'));
    await mesh.stopVerifier();
    mesh.clock.advanceSeconds(svidNotAfter - mesh.clock.seconds + 1);
    await mesh.restartVerifier();
    await vi.waitFor(
      () => expect(client.sidecar.identity.svidNotAfter).toBeGreaterThan(svidNotAfter),
      PATIENCE,
    );
    expect(client.sidecar.identity.key.x).toBe(key.x);
    expect(await agentOf(client)).toMatchObject({ state: 'live', attestor: 'oidc' });
  });
});

describe('a workload with an X.509-SVID of another trust domain', () => {
  const WORKLOAD = 'spiffe://spire.example/ns/prod/sa/inventory';
  let foreign: SvidCa;
  let folder: string;

  const show = async (fault: CertificateFault = {}): Promise<void> => {
    const { seconds } = mesh.clock;
    const { svidPem, svidKeyPem } = await forgeCertificate(foreign, {
      uris: [WORKLOAD],
      notBefore: seconds - 60,
      notAfter: seconds + 3600,
      ...fault,
    });
    writeFileSync(path.join(folder, 'svid.pem'), svidPem);
    writeFileSync(path.join(folder, 'svid.key'), svidKeyPem, { mode: 0o600 });
  };

  it('is the agent of its entry and nobody else’s; when it shows an ended one or another’s, its SVID serves until it ends', async () => {
    const clock = behind();
    foreign = await issueSvidCa('spire.example', { now: clock.seconds, ttlSeconds: 86_400 });
    folder = mkdtempSync(path.join(tmpdir(), 'hopgate-x509pop-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const authorities = path.join(folder, 'spire.pem');
    writeFileSync(authorities, foreign.certificatePem);
    await makeMesh(clock, {
      kubernetes: [],
      oidc: [],
      x509pop: [{ trustDomain: 'spire.example', authorities }],
      allowLongSvid: false,
    });
    await mesh.addEntry(INVENTORY, [`x509:spiffe_id=${WORKLOAD}`]);
    await show({ uris: ['spiffe://spire.example/ns/prod/sa/web'] });
    const said: LogLine[] = [];
    const attestation = {
      method: 'x509pop',
      svid: path.join(folder, 'svid.pem'),
      svidKey: path.join(folder, 'svid.key'),
    };
    const starting = mesh.start(INVENTORY, { joins: false, said, config: { identity: { attestation } } });
    await vi.waitFor(
      () =>
        expect(said.find(({ msg }) => msg === 'enrolment failed')).toMatchObject({
          level: 40,
          reason: 'entry_unmatched',
        }),
      PATIENCE,
    );
    await show();
    const inventory = await starting;
    expect(inventory.sidecar.identity.id).toBe(`spiffe://company.com/agent/${INVENTORY}`);
    expect(await agentOf(inventory)).toMatchObject({ state: 'live', attestor: 'x509pop' });
    const ask = await callerOf(INVENTORY);
    expect((await ask()).status).toBe(200);

    const { svidNotAfter } = inventory.sidecar.identity;
    await show({ notAfter: clock.seconds });
    clock.advanceSeconds(PAST_HALF_LIFE_SECONDS);
    await vi.waitFor(
      () =>
        expect(failures(inventory).at(-1)).toMatchObject({
          level: 40,
          reason: 'attestation_expired',
          now: clock.seconds,
          notAfter: svidNotAfter,
        }),
      PATIENCE,
    );
    expect((await ask()).status).toBe(200);
    await show({ uris: ['spiffe://spire.example/ns/prod/sa/web'] });
    expect(await inventory.source.renew()).toBe(false);
    expect(failures(inventory).at(-1)).toMatchObject({ level: 40, reason: 'entry_unmatched' });
    // Half a file, while somebody writes it.
    writeFileSync(
      path.join(folder, 'svid.pem'),
      '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
    );
    expect(await inventory.source.renew()).toBe(false);
    expect(failures(inventory).at(-1)).toMatchObject({
      level: 40,
      detail: `${attestation.svid}: is no certificate in PEM`,
    });
    await show();
    expect(await inventory.source.renew()).toBe(true);
    expect((await ask()).status).toBe(200);
    expect(inventory.sidecar.identity.svidNotAfter).toBeGreaterThan(svidNotAfter);
  });
});

describe('the agent key', () => {
  const ROTATE_AFTER = '60s';
  const TASK_SECONDS = 300;

  it('is replaced by itself at its age, under a live task; not again while that rests on it, and then again', async () => {
    await makeMesh(behind());
    const inventory = await mesh.start(INVENTORY);
    const planning = await mesh.start(PLANNING, {
      routes: { 'callee.mesh': INVENTORY },
      config: { keys: { rotateAfter: ROTATE_AFTER } },
    });
    const context = await mesh.startTask(PLANNING, mesh.mintRoot(planning, { ttlSeconds: TASK_SECONDS }));
    const ask = (): Promise<Answer> => sendThrough(planning, 'http://callee.mesh/vpcs', { context });
    const lastTask = () => inventory.seen.at(-1)?.headers['hopgate-task'];
    expect((await ask()).status).toBe(200);
    const task = lastTask();
    expect(task).toBeDefined();
    const { key: first, certificate } = planning.sidecar.identity;

    mesh.clock.advanceSeconds(PAST_HALF_LIFE_SECONDS);
    await renewed(planning, certificate);
    const { key: second, certificate: next } = planning.sidecar.identity;
    expect(second.x).not.toBe(first.x);
    expect((await ask()).status).toBe(200);
    expect(lastTask()).toBe(task);
    expect(inventory.source.trust.last.bundle.revocations.size).toBe(0);

    mesh.clock.advanceSeconds(PAST_HALF_LIFE_SECONDS);
    await renewed(planning, next);
    expect(planning.sidecar.identity.key.x).toBe(second.x);
    expect((await ask()).status).toBe(200);
    expect(lastTask()).toBe(task);

    const last = certificateOf(planning);
    mesh.clock.advanceSeconds(PAST_HALF_LIFE_SECONDS);
    await renewed(planning, last);
    expect(planning.sidecar.identity.key.x).not.toBe(second.x);
    expect(failures(planning)).toEqual([]);
  });
});
