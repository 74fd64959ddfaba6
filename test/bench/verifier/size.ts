/** What very many agents and revocations cost: the verifier's start, the bundle, and a sidecar that has it. */

import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { stringify } from 'yaml';
import { policyEndpoints } from '../../../src/api/policy.ts';
import { revocationEndpoints } from '../../../src/api/revocations.ts';
import { freePort } from '../../testkit/free-port.ts';
import { TEST_POLICY } from '../../testkit/mesh.ts';
import { residentMiB } from '../world.ts';
import { type Distribution, distributionOf, machineMs } from './distribution.ts';
import type { Processes, Running } from './processes.ts';
import { fillStore } from './registered.ts';
import { TRUST_DOMAIN, TrustDomain } from './trust-domain.ts';

export interface Size {
  readonly agents: number;
  readonly revocations: number;
  /** From starting the process to the first 200 of /readyz, milliseconds. */
  readonly startMs: Distribution;
  /** gzip, megabytes of 10^6 octets. */
  readonly bundleMb: number;
  /** The verifier from beginning a bundle to having it pushed: read, made, signed, verified, packed, its number on disk. Milliseconds. */
  readonly build: Distribution;
  /** Of that, until it was made, signed and verified. */
  readonly compose: Distribution;
  /** A whole call of `revoke`, milliseconds: commit, bundle, answer. */
  readonly call: Distribution;
  /** From the return of that call until a sidecar had fetched, verified and enforced the bundle, milliseconds. */
  readonly enforced: Distribution;
  /** Resident memory of a sidecar, MiB: with an empty bundle, and after these bundles. */
  readonly sidecarBefore: number;
  readonly sidecarAfter: number;
  /** Of the verifier, with all of it. */
  readonly verifierMb: number;
}

const STARTS = 3;
const MORE_REVOCATIONS = 15;
/** A process is left alone until its collector has given back what it will. */
const SETTLE_MS = 15_000;

const settled = async ({ pid }: Running): Promise<number> => {
  await wait(SETTLE_MS);
  return residentMiB(pid);
};

export const measureSize = async (processes: Processes, agents: number): Promise<Size> => {
  const port = await freePort();
  const first = await TrustDomain.start(processes, 'large', port);
  await first.operator.call(policyEndpoints.publishPolicy, {
    body: { source: stringify(TEST_POLICY), why: 'bench' },
  });
  // Nobody calls its agent.
  const sidecar = (await first.sidecar('planning/1', await freePort(), [])).running;
  const sidecarBefore = await settled(sidecar);
  await first.stop();
  const population = {
    trustDomain: TRUST_DOMAIN,
    agents,
    links: 8000,
    keys: 1000,
    tasks: 500,
    revokedAgents: 500,
  };
  process.stderr.write('filling the store …\n');
  await fillStore(path.join(first.directory, 'state'), population);
  const starts: number[] = [];
  for (let start = 1; start < STARTS; start++) {
    const domain = await TrustDomain.start(processes, 'large', port);
    starts.push(domain.startMs);
    await domain.stop();
  }
  // Its stream is live again by itself; what it would poll meanwhile is another measurement.
  const followed = sidecar.says('following the verifier');
  const domain = await TrustDomain.start(processes, 'large', port);
  starts.push(domain.startMs);
  await followed;
  process.stderr.write('revoking …\n');
  const measured = await measureBundles(domain, sidecar);
  const sidecarAfter = await settled(sidecar);
  const verifierMb = residentMiB(domain.running.pid);
  await domain.stop();
  return {
    agents,
    revocations: population.links + population.keys + population.tasks + population.revokedAgents,
    startMs: distributionOf(starts),
    ...measured,
    sidecarBefore,
    sidecarAfter,
    verifierMb,
  };
};

const measureBundles = async (domain: TrustDomain, sidecar: Running) => {
  const build: number[] = [];
  const compose: number[] = [];
  const call: number[] = [];
  const enforced: number[] = [];
  let octets = 0;
  domain.running.hear((line) => {
    if (line.msg !== 'bundle published') return;
    build.push(line.publishMs as number);
    compose.push(line.composeMs as number);
    octets = line.octets as number;
  });
  // The first one after the start reads all revocations anew.
  await revokeOne(domain, sidecar);
  build.length = 0;
  compose.length = 0;
  for (let round = 0; round < MORE_REVOCATIONS; round++) {
    const times = await revokeOne(domain, sidecar);
    call.push(times.call);
    enforced.push(times.enforced);
  }
  return {
    bundleMb: octets / 1e6,
    build: distributionOf(build),
    compose: distributionOf(compose),
    call: distributionOf(call),
    enforced: distributionOf(enforced),
  };
};

/** One more, and how long it took until it was told and until a sidecar enforced it. */
const revokeOne = async (
  { operator }: TrustDomain,
  sidecar: Running,
): Promise<{ readonly call: number; readonly enforced: number }> => {
  const inForce = new Map<string, number>();
  const stop = sidecar.hear((line) => {
    if (line.msg === 'trust bundle in force') inForce.set(String(line.bundle), machineMs());
  });
  const began = machineMs();
  const link = randomBytes(32).toString('base64url');
  const { bundle } = await operator.call(revocationEndpoints.revoke, {
    body: { target: { link }, why: 'bench' },
  });
  const returned = machineMs();
  const name = `${bundle.epoch}.${bundle.seq}`;
  if (!inForce.has(name)) await sidecar.says('trust bundle in force', (line) => line.bundle === name);
  stop();
  return { call: returned - began, enforced: (inForce.get(name) ?? machineMs()) - returned };
};
