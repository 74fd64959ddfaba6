/** The sample manifests' own configuration, on another disk and port: a pod becomes its agent by its token. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ConfigMap } from 'kubernetes-types/core/v1.d.ts';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { verifierSchema } from '../../src/config/verifier-schema.ts';
import { runCli } from '../testkit/cli-process.ts';
import { makeForeignKey, signForeign } from '../testkit/foreign-tokens.ts';
import { AGENTS, byName, VERIFIER } from '../testkit/manifests.ts';
import { type MeshMember, merge, startMember } from '../testkit/mesh-member.ts';
import { RunningVerifier } from '../testkit/running-verifier.ts';
import { TestClock } from '../testkit/test-clock.ts';

const textOf = (namespace: string, name: string, key: string): string =>
  byName<ConfigMap>('ConfigMap', namespace).get(name)?.data?.[key] ?? '';
const config = parseConfig(
  textOf(VERIFIER, 'verifier', 'verifier.yaml'),
  'verifier.yaml',
  verifierSchema,
).value;
const [cluster] = config.attestation.kubernetes;

let folder: string;
let running: RunningVerifier;
const key = makeForeignKey('cluster');
const closing: (() => void)[] = [];
const at = (name: string): string => path.join(folder, name);

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'hopgate-kubernetes-'));
  writeFileSync(at('jwks.json'), JSON.stringify({ keys: [key.jwk] }));
  writeFileSync(at('passphrase'), 'a passphrase of the test');
  running = await RunningVerifier.start({
    clock: new TestClock(Date.now()),
    config: {
      ...config,
      listen: { host: '127.0.0.1', port: 0 },
      metrics: { listen: 'off' },
      addresses: [],
      keys: { ...config.keys, passphraseFile: at('passphrase') },
      attestation: {
        ...config.attestation,
        kubernetes: [{ name: 'prod', issuer: cluster?.issuer ?? '', jwksFile: at('jwks.json') }],
      },
    },
  });
});
afterEach(async () => {
  for (const close of closing.splice(0)) close();
  await running.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** What the kubelet writes for a pod of this service account. */
const writeToken = async (serviceAccount: string): Promise<void> => {
  const now = running.clock.seconds;
  const token = await signForeign(key, {
    iss: cluster?.issuer,
    sub: `system:serviceaccount:${AGENTS}:${serviceAccount}`,
    aud: [`spiffe://${config.trustDomain}/verifier`],
    iat: now,
    nbf: now,
    exp: now + 600,
    'kubernetes.io': {
      namespace: AGENTS,
      serviceaccount: { name: serviceAccount, uid: 'u1' },
      pod: { name: `${serviceAccount}-7d9c`, uid: 'u2' },
    },
  });
  writeFileSync(at('token'), token);
};

const startInventory = async (): Promise<MeshMember> => {
  const document = parse(textOf(AGENTS, 'inventory-sidecar', 'sidecar.yaml')) as Record<string, unknown>;
  const { member, server } = await startMember({
    name: 'inventory/1',
    directory: folder,
    routes: [],
    document: merge(document, {
      identity: { directory: at('identity'), attestation: { tokenFile: at('token') } },
      trust: {
        root: running.verifier.rooms.authority.rootThumbprint,
        verifier: { addresses: [...running.verifier.addresses] },
      },
      stateDirectory: at('state'),
      inbound: { listen: '127.0.0.1:0', agent: '127.0.0.1:1' },
      health: { listen: '127.0.0.1:0' },
      admin: { socket: at('admin.sock') },
    }),
    handler: undefined,
    agentPort: 1,
    clock: running.clock,
  });
  closing.push(() => {
    member.sidecar.stop('test over');
    server.close();
  });
  return member;
};

it('a pod of the service account becomes the agent of its entry', async () => {
  const added = await runCli(
    'agents',
    'add',
    'inventory/1',
    '--selector',
    'k8s:ns=agents',
    '--selector',
    'k8s:sa=inventory',
    '--verifier',
    running.directory,
  );
  expect(added.code).toBe(0);
  await writeToken('inventory');
  const { sidecar } = await startInventory();
  expect(sidecar.identity.id).toBe('spiffe://company.com/agent/inventory/1');
  const listed = await runCli('agents', 'show', 'inventory/1', '--verifier', running.directory, '--json');
  expect(JSON.parse(listed.stdout).agent).toMatchObject({ attestor: 'kubernetes', state: 'live' });
});
