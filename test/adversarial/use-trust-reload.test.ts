/** Bundles and policies that an attacker, or a slip, puts in the place of good ones while the sidecar runs. */
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeDomain } from '../testkit/domain.ts';
import {
  type Answer,
  type Mesh,
  type MeshAgent,
  makeMesh,
  sendThrough,
  TEST_SCOPE,
} from '../testkit/mesh.ts';
import { TestClock } from '../testkit/test-clock.ts';

const PLANNING = 'planning/abc123';
const INVENTORY = 'inventory/def456';

describe('trust that changes while a sidecar runs', () => {
  let mesh: Mesh;
  let clock: TestClock;
  let planning: MeshAgent;
  let inventory: MeshAgent;
  let chain: string;
  let context: string;

  beforeEach(async () => {
    clock = new TestClock();
    mesh = await makeMesh({
      clock,
      domain: { now: clock.seconds, anchor: { scope: TEST_SCOPE } },
      bundle: { epoch: 2, seq: 5 },
    });
    inventory = await mesh.start(INVENTORY);
    planning = await mesh.start(PLANNING, { routes: { 'inventory.mesh': INVENTORY } });
    chain = mesh.domain.mintChain([PLANNING], { scope: TEST_SCOPE });
    context = await mesh.startTask(PLANNING, chain);
  });
  afterEach(() => mesh.stop());

  const ask = (target = '/vpcs'): Promise<Answer> =>
    sendThrough(planning, `http://inventory.mesh${target}`, { context });
  const reload = (...agents: readonly MeshAgent[]): void => {
    for (const { sidecar } of agents) sidecar.reload();
  };
  const bundleInUse = (agent: MeshAgent): unknown =>
    agent.log().findLast(({ kind }) => kind === 'decision')?.bundle;
  const leafOf = (text: string): string => mesh.domain.verify(text, mesh.domain.agent(PLANNING)).leaf.id;

  describe('revocation', () => {
    it('of the principal’s link: refused on the caller’s side before anything is sent', async () => {
      expect((await ask()).status).toBe(200);
      mesh.writeBundle({ epoch: 2, seq: 6, revoked: [{ link: leafOf(chain) }] });
      reload(planning);
      const seen = inventory.log().length;
      expect((await ask()).code).toBe('revoked_link');
      expect(inventory.log().length).toBe(seen);
      expect(inventory.seen).toHaveLength(1);
    });

    it('known to the callee alone: refused there, the cached permit notwithstanding', async () => {
      expect((await ask()).status).toBe(200);
      expect((await ask()).status).toBe(200);
      mesh.writeBundle({ epoch: 2, seq: 6, revoked: [{ link: leafOf(chain) }] });
      reload(inventory);
      expect((await ask()).code).toBe('revoked_link');
      expect(inventory.seen).toHaveLength(2);
      expect(inventory.log().at(-1)).toMatchObject({
        kind: 'decision',
        verdict: 'deny',
        reason: 'revoked_link',
        bundle: '2.6',
      });
    });

    it('of a grant bars its minter from making a new one for the same callee', async () => {
      expect((await ask()).status).toBe(200);
      const handle = String(inventory.seen[0]?.headers['hopgate-context']);
      expect(handle).toMatch(/^[\w-]{32}$/);
      // The grant's own id is only known to the two sidecars; what bars re-minting names parent and delegatee.
      mesh.writeBundle({
        epoch: 2,
        seq: 6,
        revoked: [{ link: 'A'.repeat(43), parent: leafOf(chain), delegatee: inventory.agent.id }],
      });
      reload(inventory);
      for (let round = 0; round < 3; round++)
        expect((await ask(`/round/${round}`)).code).toBe('revoked_link');
      reload(planning);
      expect((await ask()).code).toBe('revoked_link');
      // Less scope or less time makes another link of it, but not one that is allowed.
      const less = await sendThrough(planning, 'http://inventory.mesh/vpcs', {
        context,
        headers: { 'hopgate-delegate': 'scope=cloud:read; ttl=60' },
      });
      expect(less.code).toBe('revoked_link');
      expect(inventory.seen).toHaveLength(1);
      // Without a grant the request itself is still planning's own.
      const without = await sendThrough(planning, 'http://inventory.mesh/vpcs', {
        context,
        headers: { 'hopgate-delegate': 'none' },
      });
      expect(without.status).toBe(200);
      expect(inventory.seen.at(-1)?.headers).not.toHaveProperty('hopgate-context');
    });

    it.each([
      ['agent', () => ({ agent: mesh.domain.agent(PLANNING).id }), ['revoked_agent', 'peer_failed']],
      ['key', () => ({ key: mesh.domain.agent(PLANNING).thumbprint }), ['revoked_key', 'peer_failed']],
    ] as const)('of the calling %s ends its sessions and refuses new ones', async (_name, entry, codes) => {
      expect((await ask()).status).toBe(200);
      mesh.writeBundle({ epoch: 2, seq: 6, revoked: [entry()] });
      reload(inventory);
      expect((await ask()).code).toBeOneOf(['hs_refused', ...codes]);
      expect((await ask()).code).toBe('hs_refused');
      reload(planning);
      expect((await ask()).code).toBeOneOf([codes[0], 'hs_refused']);
      expect(inventory.seen).toHaveLength(1);
    });

    it('of the callee’s key: the caller ends the session and sends nothing', async () => {
      expect((await ask()).status).toBe(200);
      mesh.writeBundle({ epoch: 2, seq: 6, revoked: [{ key: inventory.agent.thumbprint }] });
      reload(planning);
      expect((await ask()).code).toBe('revoked_key');
      expect(inventory.seen).toHaveLength(1);
    });

    it('of task and principal', async () => {
      const { task, principal } = mesh.domain.verify(chain, mesh.domain.agent(PLANNING));
      mesh.writeBundle({ epoch: 2, seq: 6, revoked: [{ task, principal }] });
      reload(inventory);
      expect((await ask()).code).toBe('revoked_task');
      mesh.writeBundle({ epoch: 2, seq: 7, revoked: [{ principal, before: clock.seconds + 10 }] });
      reload(inventory);
      expect((await ask()).code).toBe('revoked_principal');
      expect(inventory.seen).toEqual([]);
    });
  });

  describe('a bundle that is not to be taken', () => {
    const expectKept = async (): Promise<void> => {
      reload(inventory);
      const answer = await ask();
      // The revocation that is in force stays in force.
      expect(answer.code).toBe('revoked_link');
      expect(bundleInUse(inventory)).toBe('2.6');
      expect(inventory.seen).toEqual([]);
    };
    beforeEach(() => {
      mesh.writeBundle({ epoch: 2, seq: 6, revoked: [{ link: leafOf(chain) }] });
      reload(inventory);
    });

    it('a rollback by seq', async () => {
      mesh.writeBundle({ epoch: 2, seq: 5 });
      await expectKept();
    });
    it('a rollback by epoch', async () => {
      mesh.writeBundle({ epoch: 1, seq: 900 });
      await expectKept();
    });
    it('one by another root', async () => {
      const other = await makeDomain();
      writeFileSync(mesh.bundleFile, other.bundle({ epoch: 3, seq: 7 }));
      await expectKept();
    });
    it('one of another trust domain', async () => {
      const other = await makeDomain({ trustDomain: 'partner.example' });
      writeFileSync(mesh.bundleFile, other.bundle({ epoch: 3, seq: 7 }));
      await expectKept();
    });
    it('one signed by a policy key that the root does not name', async () => {
      const other = await makeDomain();
      Object.assign(other, { root: mesh.domain.root });
      // Its roles are by our root all the same: what is forged is the bundle around them.
      const parts = mesh.domain.bundle({ epoch: 2, seq: 7 }).split('.');
      const forged = other.bundle({ epoch: 2, seq: 7 }).split('.');
      writeFileSync(mesh.bundleFile, [forged[0], parts[1], forged[2]].join('.'));
      await expectKept();
    });
    it('one that was changed after it was signed', async () => {
      const [head, body = '', signature] = mesh.domain.bundle({ epoch: 2, seq: 7 }).split('.');
      const changed = Buffer.from(body, 'base64url').toString().replace('"revoked":[]', '"revoked": []');
      writeFileSync(mesh.bundleFile, [head, Buffer.from(changed).toString('base64url'), signature].join('.'));
      await expectKept();
    });
    it('one that has expired, or is from the future', async () => {
      mesh.writeBundle({ epoch: 2, seq: 7, now: clock.seconds - 7200, ttlSeconds: 3600 });
      await expectKept();
      mesh.writeBundle({ epoch: 2, seq: 8, now: clock.seconds + 3600 });
      await expectKept();
    });
    it.each([
      ['nothing', ''],
      ['garbage', 'not.a.bundle'],
      ['half of one', undefined],
    ])('%s', async (_name, text) => {
      const whole = mesh.domain.bundle({ epoch: 2, seq: 7 });
      writeFileSync(mesh.bundleFile, text ?? whole.slice(0, whole.length / 2));
      await expectKept();
    });
    it('a rollback across a restart', async () => {
      mesh.writeBundle({ epoch: 2, seq: 5 });
      inventory.sidecar.stop('restart');
      await expect(mesh.start(INVENTORY)).rejects.toThrow(/bundle_rollback/);
      mesh.writeBundle({ epoch: 2, seq: 6, revoked: [{ link: leafOf(chain) }] });
      await expect(mesh.start(INVENTORY)).resolves.toBeDefined();
    });
  });

  it('a stale bundle: past its end nothing is permitted, on either side, until a fresh one comes', async () => {
    expect((await ask()).status).toBe(200);
    const { exp } = mesh.domain.verifiedBundle({ epoch: 2, seq: 5 });
    // An hour's SVID would end first; the bundle of today is made short.
    mesh.writeBundle({ epoch: 2, seq: 6, ttlSeconds: 600 });
    reload(planning, inventory);
    expect((await ask()).status).toBe(200);
    clock.advanceSeconds(600 + 30);
    expect(clock.seconds).toBeLessThan(exp);
    expect((await ask()).code).toBe('bundle_expired');
    expect(inventory.seen).toHaveLength(2);
    mesh.writeBundle({ epoch: 2, seq: 7, now: clock.seconds });
    reload(planning);
    // The caller is up to date, the callee is not: it lets nobody in.
    const answer = await ask();
    expect(answer.code).toBe('hs_refused');
    expect(JSON.parse(answer.body)).toMatchObject({ detail: expect.stringContaining('bundle_expired') });
    expect(inventory.seen).toHaveLength(2);
    reload(inventory);
    expect((await ask()).status).toBe(200);
    expect(inventory.seen).toHaveLength(3);
  });

  describe('a policy', () => {
    const deny = { rules: [{ name: 'nobody', effect: 'deny' }] };

    it('takes effect at the next request, what was cached and what is connected notwithstanding', async () => {
      expect((await ask()).status).toBe(200);
      expect((await ask()).status).toBe(200);
      mesh.writePolicy({ revision: 'test-2', ...deny });
      reload(inventory);
      expect((await ask()).status).toBe(403);
      expect(inventory.log().at(-1)).toMatchObject({
        verdict: 'deny',
        reason: 'rule_denied',
        policy: 'test-2',
        rule: 'nobody',
        cached: false,
      });
      expect(inventory.seen).toHaveLength(2);
      mesh.writePolicy({ revision: 'test-3' });
      reload(inventory);
      expect((await ask()).status).toBe(200);
    });

    it.each([
      ['no YAML', 'rules: ['],
      ['another kind', 'apiVersion: hopgate.dev/v1\nkind: Sidecar\n'],
      [
        'an unknown key',
        'apiVersion: hopgate.dev/v1\nkind: Policy\nrevision: x\nroutes: []\nrules: []\nallowAll: true\n',
      ],
      ['nothing', ''],
    ])('that is bad (%s) leaves the last good one', async (_name, text) => {
      mesh.writePolicy({ revision: 'test-2', ...deny });
      reload(inventory);
      writeFileSync(`${mesh.directory}/policy.yaml`, text);
      reload(inventory);
      expect((await ask()).status).toBe(403);
      expect(inventory.log().at(-1)).toMatchObject({ reason: 'rule_denied', policy: 'test-2' });
      expect(inventory.seen).toEqual([]);
    });
  });
});
