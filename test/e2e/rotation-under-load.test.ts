/**
 * Everything that a sidecar proves itself with is replaced while requests go on: SVIDs, agent keys, the CA and the WIT issuer of
 * the verifier. Four sidecars, each request two hops deep, and none of them fails. HOPGATE_SOAK_SECONDS makes it longer.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { defaultVerifierConfig } from '../../src/config/verifier-schema.ts';
import { SYSTEM } from '../../src/verifier/actor.ts';
import type { KeyRole } from '../../src/verifier/authority/key-records.ts';
import { type Answer, sendThrough } from '../testkit/mesh.ts';
import { TestClock } from '../testkit/test-clock.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const SOAK_SECONDS = Number(process.env.HOPGATE_SOAK_SECONDS ?? 0);
/** Less than a challenge lives: what is under way when the clock steps goes on. */
const OVERLAP_SECONDS = 20;
/** So far behind the wall clock, at which TLS looks, that all steps end before it. */
const BEHIND_SECONDS = 1200;
const WORKERS = 6;
const PATIENCE = { timeout: 10_000 };

let mesh: VerifiedMesh;
let members: readonly VerifiedMember[];
let answers: Answer[];
let stopLoad: () => Promise<void>;

beforeEach(async () => {
  mesh = await makeVerifiedMesh({
    clock: new TestClock(Date.now() - BEHIND_SECONDS * 1000),
    verifier: { keys: { ...defaultVerifierConfig().keys, overlap: OVERLAP_SECONDS } },
  });
  const security = await mesh.start('security/1');
  const cost = await mesh.start('cost/1');
  /** Each asks the two behind it, with what it was granted. */
  const inventory: VerifiedMember = await mesh.start('inventory/1', {
    routes: { 'security.mesh': 'security/1', 'cost.mesh': 'cost/1' },
    handler: (request, response) => {
      const context = String(request.headers['hopgate-context']);
      request.resume();
      Promise.all(
        ['security.mesh', 'cost.mesh'].map((host) =>
          sendThrough(inventory, `http://${host}${request.url}`, { context }),
        ),
      ).then(
        (onward) => {
          answers.push(...onward);
          response.end('done');
        },
        () => response.destroy(),
      );
    },
  });
  const planning = await mesh.start('planning/1', {
    routes: { 'inventory.mesh': 'inventory/1', 'security.mesh': 'security/1' },
  });
  members = [security, cost, inventory, planning];
  answers = [];
  const context = await mesh.startTask('planning/1', mesh.mintRoot(planning));
  let running = true;
  const load = Array.from({ length: WORKERS }, async (_, worker) => {
    const host = worker % 3 === 0 ? 'security.mesh' : 'inventory.mesh';
    while (running)
      answers.push(
        await sendThrough(planning, `http://${host}/load`, { context, method: 'POST', body: 'x' }),
      );
  });
  stopLoad = async () => {
    running = false;
    await Promise.all(load);
  };
});
afterEach(async () => {
  await stopLoad();
  await mesh.stop();
});

/** Resolves when so many more requests were answered. */
const more = (count: number): Promise<void> => {
  const enough = answers.length + count;
  return vi.waitFor(() => expect(answers.length).toBeGreaterThanOrEqual(enough), PATIENCE);
};

const bundlesAgree = (): Promise<void> =>
  vi.waitFor(() => {
    const { digest } = mesh.running.verifier.rooms.publication.current;
    for (const { source } of members) expect(source.trust.digest).toBe(digest);
  }, PATIENCE);

/** One after the other, so that old and new meet in every combination. */
const renewAll = async (): Promise<void> => {
  for (const { source } of members) {
    expect(await source.renew()).toBe(true);
    await more(20);
  }
};

const rotateAgentKeys = async (): Promise<void> => {
  for (const { source, sidecar } of members) {
    const before = sidecar.identity.key.x;
    await source.rotateKey();
    expect(sidecar.identity.key.x).not.toBe(before);
    await more(20);
  }
};

const activeKey = (role: KeyRole): string | undefined =>
  mesh.running.verifier.rooms.authority.keys().find((key) => key.role === role && key.state === 'active')
    ?.thumbprint;

/** The next key is named, takes over, signs for each sidecar. */
const rotateRoleKey = async (role: KeyRole): Promise<void> => {
  const { authority, publication } = mesh.running.verifier.rooms;
  const before = activeKey(role);
  await authority.rotate({ role }, SYSTEM, 'a test');
  await publication.whenRolesPublished();
  await bundlesAgree();
  await more(20);
  mesh.clock.advanceSeconds(OVERLAP_SECONDS);
  await authority.tick();
  expect(activeKey(role)).not.toBe(before);
  await more(20);
  await renewAll();
};

const expectNoFailure = async (): Promise<void> => {
  await more(50);
  await stopLoad();
  const failures = answers.filter(({ status }) => status !== 200);
  expect(failures.map(({ status, body }) => `${status} ${body}`).slice(0, 5)).toEqual([]);
  expect(answers.length).toBeGreaterThan(100);
  for (const { said } of members) expect(said.filter(({ level }) => Number(level) >= 50)).toEqual([]);
};

describe('under load, no request fails while', () => {
  it('every SVID is renewed', async () => {
    const before = members.map(({ sidecar }) => sidecar.identity.certificate);
    await renewAll();
    await expectNoFailure();
    const after = new Set(members.map(({ sidecar }) => sidecar.identity.certificate));
    expect(before.filter((one) => after.has(one))).toEqual([]);
  });

  it('every agent key is replaced', async () => {
    await rotateAgentKeys();
    await expectNoFailure();
  });

  it.each([
    'svid-ca',
    'wit-issuer',
    ...(SOAK_SECONDS > 0 ? (['policy', 'timestamp'] as const) : []),
  ] as const)('the %s key is replaced', async (role) => {
    await rotateRoleKey(role);
    await expectNoFailure();
  });

  it('all of that happens at once', async () => {
    const { authority, publication } = mesh.running.verifier.rooms;
    await Promise.all(
      (['svid-ca', 'wit-issuer', 'policy', 'timestamp', 'root-issuer'] as const).map((role) =>
        authority.rotate({ role }, SYSTEM, 'a test'),
      ),
    );
    const keys = rotateAgentKeys();
    await publication.whenRolesPublished();
    await bundlesAgree();
    mesh.clock.advanceSeconds(OVERLAP_SECONDS);
    await authority.tick();
    await Promise.all([keys, renewAll()]);
    await renewAll();
    await expectNoFailure();
  });

  if (SOAK_SECONDS > 0)
    it(
      'it goes on for as long as somebody wants to wait',
      async () => {
        const until = performance.now() + SOAK_SECONDS * 1000;
        await rotateAgentKeys();
        const roles = (
          ['svid-ca', 'wit-issuer', 'svid-ca', 'wit-issuer', 'policy', 'timestamp'] as const
        ).values();
        while (performance.now() < until) {
          const next = roles.next();
          if (next.done !== true) await rotateRoleKey(next.value);
          await renewAll();
          // The verifier lets a member change, and connect, so much in so much time: nobody renews twenty times a second.
          mesh.clock.advanceSeconds(2);
          await more(300);
        }
        await expectNoFailure();
      },
      SOAK_SECONDS * 1000 + 60_000,
    );
});
