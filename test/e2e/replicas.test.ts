/**
 * Two replicas of one agent type behind one address, with keys in memory alone. One of them is restarted and has another key: who
 * calls them goes on, what was granted to the key that is gone ends with its own reason, and the other replica is untouched.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { KubernetesCluster } from '../testkit/kubernetes-cluster.ts';
import { LoadBalancer } from '../testkit/load-balancer.ts';
import { type Answer, DEFAULT_DELEGATE, sendThrough } from '../testkit/mesh.ts';
import { TRUST_DOMAIN } from '../testkit/running-verifier.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const REPLICAS = ['inventory/1', 'inventory/2'] as const;
const PATIENCE = { timeout: 10_000 };

let mesh: VerifiedMesh;
let cluster: KubernetesCluster;
let balancer: LoadBalancer;
let security: VerifiedMember;
let planning: VerifiedMember;
let context: string;
/** Handles that security was given, by the replica that called it. */
const granted = new Map<string, string>();

const startReplica = async (name: string, again: boolean): Promise<VerifiedMember> => {
  const pod = name.replace('/', '-');
  const tokenFile = path.join(mesh.directory, `${pod}.token`);
  writeFileSync(tokenFile, await cluster.token('inventory', pod, mesh.clock.seconds));
  if (!again) await mesh.addEntry(name, cluster.selectors('inventory', pod));
  const member: VerifiedMember = await mesh.start(name, {
    joins: false,
    config: { identity: { attestation: { method: 'kubernetes', tokenFile } }, keys: { store: 'memory' } },
    routes: { 'security.mesh': 'security/1' },
    handler: (request, response) => {
      const handle = String(request.headers['hopgate-context']);
      request.resume();
      sendThrough(member, 'http://security.mesh/groups', { context: handle }).then(
        ({ status }) => response.end(`${name} ${status}`),
        () => response.destroy(),
      );
    },
  });
  return member;
};

const portOf = ({ addresses }: VerifiedMember): number => addresses.inbound?.port ?? 0;
const ask = (): Promise<Answer> => sendThrough(planning, 'http://inventory.mesh/vpcs', { context });
/** At once, so that more than one connection is needed. */
const askAll = async (count: number): Promise<ReadonlySet<string>> => {
  const answers = await Promise.all(Array.from({ length: count }, ask));
  return new Set(answers.map(({ status, body }) => `${status} ${body}`));
};
/** As security does, in a task that came through this replica. */
const onward = (handle: string | undefined): Promise<Answer> =>
  sendThrough(security, 'http://cost.mesh/bills', { context: handle ?? '' });

beforeEach(async () => {
  cluster = new KubernetesCluster();
  mesh = await makeVerifiedMesh({ verifier: { attestation: cluster.attestation } });
  await mesh.start('cost/1');
  security = await mesh.start('security/1', {
    routes: { 'cost.mesh': 'cost/1' },
    handler: (request, response) => {
      granted.set(String(request.headers['hopgate-caller']), String(request.headers['hopgate-context']));
      request.resume().on('end', () => response.end('groups'));
    },
  });
  const replicas = [];
  for (const name of REPLICAS) replicas.push(await startReplica(name, false));
  balancer = await LoadBalancer.start(replicas.map(portOf));
  const peer = `spiffe://${TRUST_DOMAIN}/agent/inventory/*`;
  const route = { host: 'inventory.mesh', peer, address: balancer.address, delegate: DEFAULT_DELEGATE };
  planning = await mesh.start('planning/1', { config: { outbound: { routes: [route] } } });
  context = await mesh.startTask('planning/1', mesh.mintRoot(planning));
});
afterEach(async () => {
  await balancer.stop();
  await mesh.stop();
});

it('one is restarted: callers go on, its grants end with agent_key_lost, the other keeps its own', async () => {
  expect(await askAll(8)).toEqual(new Set(['200 inventory/1 200', '200 inventory/2 200']));
  const [one, two] = REPLICAS.map((name) => mesh.member(name)) as [VerifiedMember, VerifiedMember];
  const [viaOne, viaTwo] = [granted.get(one.id), granted.get(two.id)];
  expect((await onward(viaOne)).status).toBe(200);
  expect((await onward(viaTwo)).status).toBe(200);

  const answers: string[] = [];
  let running = true;
  const load = Array.from({ length: 4 }, async () => {
    while (running) {
      const { status, code, body } = await ask();
      answers.push(status === 200 ? body : `${status} ${code}`);
    }
  });
  await vi.waitFor(() => expect(answers.length).toBeGreaterThan(20), PATIENCE);
  const saidBefore = one.said.length;
  const oldKey = two.sidecar.identity.key;
  await two.sidecar.drain('a restart');
  const alone = answers.length;
  await vi.waitFor(() => expect(answers.length).toBeGreaterThan(alone + 20), PATIENCE);
  const again = await startReplica('inventory/2', true);
  balancer.backends = [portOf(one), portOf(again)];
  const { key } = again.sidecar.identity;
  expect(key.x).not.toBe(oldKey.x);
  await vi.waitFor(() => {
    for (const { source } of [security, planning, one])
      expect(source.trust.last.bundle.revocations.checkHolder(again.id, oldKey.thumbprint)?.reason).toBe(
        'agent_key_lost',
      );
  }, PATIENCE);
  // A busy caller keeps the connections that it has: more of them at once find both.
  await vi.waitFor(async () => expect((await askAll(12)).size).toBe(2), PATIENCE);
  running = false;
  await Promise.all(load);
  expect(new Set(answers)).toEqual(new Set(['inventory/1 200', 'inventory/2 200']));

  expect((await onward(viaTwo)).code).toBe('agent_key_lost');
  expect((await onward(viaOne)).status).toBe(200);
  expect(granted.get(again.id)).not.toBe(viaTwo);
  expect((await onward(granted.get(again.id))).status).toBe(200);
  // The other replica noticed nothing.
  expect(one.said.slice(saidBefore).filter(({ level }) => Number(level) > 30)).toEqual([]);
});

it('a replica of another type behind that address is nobody whom the pin knows', async () => {
  balancer.backends = [portOf(security)];
  const seen = security.seen.length;
  expect((await ask()).code).toBe('peer_not_pinned');
  expect(security.seen).toHaveLength(seen);
});
