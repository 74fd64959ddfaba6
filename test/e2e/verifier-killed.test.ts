/**
 * `hopgate verifier` killed with -9 again and again in a storm of changes: whatever it has acknowledged is there when it is back,
 * no bundle number is used twice, and the sidecars, which have served all the time, go on with the next bundle.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { policyEndpoints } from '../../src/api/policy.ts';
import { principalEndpoints } from '../../src/api/principals.ts';
import { registryEndpoints } from '../../src/api/registry.ts';
import { revocationEndpoints } from '../../src/api/revocations.ts';
import { trustEndpoints } from '../../src/api/trust.ts';
import { parseJoinString } from '../../src/core/trust/join-string.ts';
import { systemClock } from '../../src/edge/clock.ts';
import { makeSigningKey } from '../../src/edge/keys/signing-key.ts';
import { VerifierClient, VerifierError } from '../../src/edge/verifier/client.ts';
import { enrol } from '../../src/edge/verifier/enrolment.ts';
import { joinEvidence } from '../../src/edge/verifier/evidence.ts';
import { runCli } from '../testkit/cli-process.ts';
import { agentIdOf } from '../testkit/domain.ts';
import { sendThrough, TEST_POLICY } from '../testkit/mesh.ts';
import { TRUST_DOMAIN } from '../testkit/running-verifier.ts';
import { VerifierProcess } from '../testkit/service-process.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const PLANNING = 'planning/1';
const INVENTORY = 'inventory/1';
const ROUNDS = process.env.HOPGATE_SOAK_SECONDS === undefined ? 3 : 25;
const why = 'a test';
const PATIENCE = { timeout: 15_000 };

let mesh: VerifiedMesh;
let members: readonly VerifiedMember[];
let configFile: string;
let running: VerifierProcess | undefined;
let operator: VerifierClient;
let agents: VerifierClient;
/** Bundles by number, as anybody was ever told of them. */
const digests = new Map<string, string>();

const noteBundle = (number: string, digest: string): void => {
  expect(digests.get(number) ?? digest, `bundle ${number}`).toBe(digest);
  digests.set(number, digest);
};

beforeEach(async () => {
  mesh = await makeVerifiedMesh();
  const inventory = await mesh.start(INVENTORY, { clock: systemClock });
  const planning = await mesh.start(PLANNING, {
    clock: systemClock,
    routes: { 'inventory.mesh': INVENTORY },
  });
  members = [inventory, planning];
  for (const { source } of members)
    source.trust.onChange(() => noteBundle(source.trust.last.bundleName, source.trust.digest ?? ''));
  const { directory, port, authorities, url } = mesh.running;
  operator = new VerifierClient({ kind: 'socket', path: mesh.running.verifier.layout.socket });
  agents = new VerifierClient({ kind: 'https', url, trustDomain: TRUST_DOMAIN, authorities });
  // From here on it is a process of its own.
  await mesh.stopVerifier();
  configFile = path.join(mesh.directory, 'verifier.yaml');
  const document = {
    apiVersion: 'hopgate.dev/v1',
    kind: 'Verifier',
    directory,
    listen: `127.0.0.1:${port}`,
    metrics: { listen: 'off' },
  };
  writeFileSync(configFile, stringify(document));
  running = await new VerifierProcess(configFile).started();
});
afterEach(async () => {
  await running?.kill('SIGKILL');
  await operator.close();
  await agents.close();
  await mesh.stop();
});

/** Changes of each kind, and how one finds that a change is there. */
const storm = (root: string) => {
  let count = 0;
  const name = (): string => `${++count}`;
  const kept: (() => Promise<void>)[] = [];
  const changes: (() => Promise<void>)[] = [
    async () => {
      const { thumbprint } = makeSigningKey();
      await operator.call(revocationEndpoints.revoke, { body: { target: { key: thumbprint }, why } });
      kept.push(async () => {
        for (const { id, source } of members)
          expect(source.trust.last.bundle.revocations.checkHolder(id, thumbprint)?.reason).toBe(
            'revoked_key',
          );
      });
    },
    async () => {
      const uri = `mailto:p${name()}@company.com`;
      const { x } = makeSigningKey();
      await operator.call(principalEndpoints.addPrincipal, {
        body: { uri, keys: [{ x, name: 'laptop' }], why },
      });
      kept.push(async () => {
        const { keys } = await operator.call(principalEndpoints.getPrincipal, { params: { uri } });
        expect(keys.map((key) => key.x)).toEqual([x]);
      });
    },
    async () => {
      const revision = `storm-${name()}`;
      const source = stringify({ ...TEST_POLICY, revision });
      const answer = await operator.call(policyEndpoints.publishPolicy, { body: { source, why } });
      kept.push(async () => {
        const params = { n: answer.revision.n };
        const found = await operator.call(policyEndpoints.getPolicyRevision, { params });
        expect(found.revision).toBe(revision);
      });
    },
    async () => {
      const id = agentIdOf(TRUST_DOMAIN, `cost/${name()}`);
      const entry = await operator.call(registryEndpoints.addEntry, {
        body: { id, selectors: [`join:id=${id}`], why },
      });
      const { joinString } = await operator.call(registryEndpoints.addJoinToken, {
        params: { name: entry.name },
        body: { why },
      });
      const join = parseJoinString(joinString);
      if (!join.ok) throw new Error(join.detail);
      const keys = { agent: makeSigningKey(), audit: makeSigningKey() };
      const trust = { trustDomain: TRUST_DOMAIN, root };
      const now = (): number => Math.floor(Date.now() / 1000);
      await enrol(agents, { trust, keys, id, evidence: joinEvidence(join.value.token), now });
      kept.push(async () => {
        const agent = await operator.call(registryEndpoints.getAgent, { params: { id } });
        expect(agent).toMatchObject({ state: 'live', thumbprint: keys.agent.thumbprint });
      });
    },
  ];
  return { kept, changes };
};

/** Changes until the verifier dies; `onDone` hears of each that was acknowledged. */
const change = async (work: () => Promise<void>, onDone: () => void): Promise<void> => {
  for (;;) {
    try {
      await work();
    } catch (error) {
      if (error instanceof VerifierError && error.reason === 'verifier_unreachable') return;
      throw error;
    }
    onDone();
  }
};

/** What every listener is told, until the verifier dies. */
const listen = async (): Promise<void> => {
  try {
    for await (const event of operator.stream(trustEndpoints.streamTrust, {}))
      if (event.event === 'bundle') noteBundle(`${event.epoch}.${event.seq}`, event.digest);
  } catch (error) {
    expect(error).toMatchObject({ reason: 'verifier_unreachable' });
  }
};

it('keeps all that it acknowledged, and its sidecars serve throughout', {
  timeout: 30_000 * ROUNDS,
}, async () => {
  const root = mesh.root;
  const { kept, changes } = storm(root);
  const [, planning] = members as readonly [VerifiedMember, VerifiedMember];
  const context = await mesh.startTask(PLANNING, mesh.mintRoot(planning));
  let serving = true;
  const statuses: number[] = [];
  const load = (async () => {
    while (serving)
      statuses.push((await sendThrough(planning, 'http://inventory.mesh/', { context })).status);
  })();
  for (let round = 0; round < ROUNDS; round++) {
    let done = 0;
    const workers = [listen(), ...changes.map((work) => change(work, () => done++))];
    await vi.waitFor(() => expect(done).toBeGreaterThanOrEqual(3 + 5 * (round % 4)), {
      ...PATIENCE,
      interval: 1,
    });
    // Another moment each time: between any two of its writes.
    for (let turn = 0; turn < 53 * round; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(await running?.kill('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
    await Promise.all(workers);
    running = await new VerifierProcess(configFile).started();
    await vi.waitFor(async () => {
      const newest = await operator.callTagged(trustEndpoints.getBundle, {});
      for (const { source } of members) expect(source.trust.digest).toBe(newest?.answer.digest);
    }, PATIENCE);
    for (const look of kept) await look();
  }
  serving = false;
  await load;
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(digests.size).toBeGreaterThan(ROUNDS * 3);
  expect(kept.length).toBeGreaterThan(ROUNDS * 3);
  // Nobody saw a rollback, or a signature that was wrong.
  for (const { said } of members) expect(said.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  const checked = await runCli(
    'verifier',
    'events',
    '--verifier',
    mesh.running.directory,
    '--verify',
    '--json',
  );
  expect(JSON.parse(checked.stdout)).toMatchObject({ ok: true });
});
