/**
 * The verifier is down for longer and longer: what is still served at each stage, with which reason each thing ends, and that all
 * of it is served again when the verifier is back.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { registryEndpoints } from '../../src/api/registry.ts';
import { type Answer, send, sendThrough } from '../testkit/mesh.ts';
import { TestClock } from '../testkit/test-clock.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

/** The shortest life of an SVID. */
const SVID_SECONDS = 300;
/** TLS looks at the wall clock: so far behind it, all SVIDs of this test are valid there. */
const BEHIND_SECONDS = 255;
const POLL_SECONDS = 30;
const SHORT_SECONDS = 60;
const PATIENCE = { timeout: 15_000 };

let mesh: VerifiedMesh;
let planning: VerifiedMember;
let inventory: VerifiedMember;
let context: string;

const start = async (limits: Readonly<Record<string, string>>): Promise<void> => {
  mesh = await makeVerifiedMesh({
    clock: new TestClock(Date.now() - BEHIND_SECONDS * 1000),
    svidTtlSeconds: SVID_SECONDS,
    policy: { limits, demands: [{ scopes: ['ec2:*'], maxStaleness: `${SHORT_SECONDS}s` }] },
  });
  inventory = await mesh.start('inventory/1');
  planning = await mesh.start('planning/1', { routes: { 'inventory.mesh': 'inventory/1' } });
  context = await mesh.startTask('planning/1', mesh.mintRoot(planning));
  await Promise.all([planning.source.trust.settled(), inventory.source.trust.settled()]);
};
afterEach(() => mesh.stop());

const ask = (target = '/vpcs'): Promise<Answer> =>
  sendThrough(planning, `http://inventory.mesh${target}`, { context });
const codes = async (): Promise<(string | number | undefined)[]> =>
  (await Promise.all([ask(), ask('/ec2/DescribeVpcs')])).map(({ status, code }) => code ?? status);
const readiness = async (): Promise<string> => {
  const { host, port } = planning.addresses.health;
  return (await send({ host, port, path: '/readyz' })).body;
};

it('short-lived scopes end first, then all, each by its age; and all of it is back with the verifier', async () => {
  await start({ maxStaleness: '2m' });
  expect(await codes()).toEqual([200, 200]);
  await mesh.stopVerifier();
  mesh.clock.advanceSeconds(POLL_SECONDS + 15);
  expect(await codes()).toEqual([200, 200]);
  expect(await readiness()).toBe('ok\n');
  mesh.clock.advanceSeconds(SHORT_SECONDS - POLL_SECONDS);
  expect(await codes()).toEqual([200, 'bundle_stale']);
  // One scope less is no reason to be restarted.
  expect(await readiness()).toBe('ok\n');
  mesh.clock.advanceSeconds(120 - SHORT_SECONDS - 20);
  expect(await codes()).toEqual([200, 'bundle_stale']);
  mesh.clock.advanceSeconds(10);
  const seen = inventory.seen.length;
  expect(await codes()).toEqual(['bundle_stale', 'bundle_stale']);
  expect(inventory.seen).toHaveLength(seen);
  expect(await readiness()).toMatch(/nothing was heard of the verifier since \d+, it is \d+/);
  await mesh.restartVerifier();
  await vi.waitFor(async () => expect(await codes()).toEqual([200, 200]), PATIENCE);
  expect(await readiness()).toBe('ok\n');
});

it('when freshness is no limit the SVID is: no session outlives it, nobody shows it, and who vouches anew gets a new one', async () => {
  await start({ maxStaleness: '1h', session: '10m' });
  expect((await ask()).status).toBe(200);
  const [{ session, deadline } = { session: '', deadline: 0 }] = await peersOf(planning);
  const { svidNotAfter } = planning.sidecar.identity;
  expect(deadline).toBeLessThanOrEqual(svidNotAfter);
  await mesh.stopVerifier();
  mesh.clock.advanceSeconds(SVID_SECONDS / 2 + 20);
  // Past half-life: renewal fails, and says how long there is.
  await vi.waitFor(() => {
    const line = planning.said.find(({ msg }) => /renewal failed; the SVID serves/.test(String(msg)));
    expect(line).toMatchObject({ notAfter: svidNotAfter, now: mesh.clock.seconds });
  }, PATIENCE);
  expect((await ask()).status).toBe(200);
  mesh.clock.advanceSeconds(SVID_SECONDS / 2 - 21);
  expect(svidNotAfter - mesh.clock.seconds).toBeOneOf([0, 1, 2, 3]);
  mesh.clock.advanceSeconds(4);
  const seen = inventory.seen.length;
  const ended = await ask();
  expect(ended.status).toBeGreaterThanOrEqual(400);
  expect(ended.code).toBeOneOf(['svid_expired', 'session_expired']);
  expect(inventory.seen).toHaveLength(seen);
  expect((await peersOf(planning)).map((peer) => peer.session)).not.toContain(session);
  expect(await readiness()).toContain(`the SVID expired at ${svidNotAfter}, it is ${mesh.clock.seconds}`);
  await mesh.restartVerifier();
  // A join token is good for one enrolment, and this one was used: somebody must vouch for the agents anew.
  await vi.waitFor(() => {
    const line = planning.said.findLast(({ msg }) => /renewal failed/.test(String(msg)));
    expect(line).toMatchObject({ reason: 'attestation_refused', detail: expect.stringContaining('token') });
  }, PATIENCE);
  for (const { id, directory } of [planning, inventory]) {
    const { entries } = await mesh.operator.call(registryEndpoints.listEntries, { query: { id } });
    const { joinString } = await mesh.operator.call(registryEndpoints.addJoinToken, {
      params: { name: entries[0]?.name ?? '' },
      body: { why: 'its SVID has ended' },
    });
    writeFileSync(path.join(directory, 'join.txt'), joinString);
  }
  await Promise.all([planning.source.renew(), inventory.source.renew()]);
  await vi.waitFor(async () => expect((await ask()).status).toBe(200), PATIENCE);
});

/** As the admin socket shows them. */
const peersOf = async ({
  addresses,
}: VerifiedMember): Promise<readonly { readonly session: string; readonly deadline: number }[]> => {
  const { body } = await send({ socketPath: addresses.admin, path: '/peers' });
  return (JSON.parse(body) as { outbound: { session: string; deadline: number }[] }).outbound;
};
