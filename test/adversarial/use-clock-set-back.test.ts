/** Clocks of sidecars that are set back: news is from the future then and refused, so what is in force must not go on as fresh. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { send, sendThrough } from '../testkit/mesh.ts';
import { TestClock } from '../testkit/test-clock.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const PLANNING = 'planning/1';
const INVENTORY = 'inventory/1';
const AHEAD = 1500;
const BACK = 1400;

describe('sidecars whose clocks are set back', () => {
  let mesh: VerifiedMesh;
  let clock: TestClock;
  let inventory: VerifiedMember;
  let planning: VerifiedMember;
  let chain: string;
  let ask: (context?: string) => ReturnType<typeof sendThrough>;
  beforeEach(async () => {
    // TLS goes by the clock of the machine: certificates begin before it.
    mesh = await makeVerifiedMesh({ clock: new TestClock(Date.now() - AHEAD * 1000) });
    clock = new TestClock(mesh.clock.now());
    inventory = await mesh.start(INVENTORY, { clock });
    planning = await mesh.start(PLANNING, { clock, delegate: null, routes: { 'inventory.mesh': INVENTORY } });
    chain = mesh.mintRoot(planning);
    for (const one of [clock, mesh.clock]) one.advanceSeconds(AHEAD);
    await mesh.publishPolicy({ revision: 'test-2' });
    await vi.waitFor(() => {
      for (const { source } of [planning, inventory])
        expect(source.trust.last.bundle.policy?.revision).toBe('test-2');
    }, 5000);
    const first = await mesh.startTask(PLANNING, chain);
    ask = (context = first) => sendThrough(planning, 'http://inventory.mesh/vpcs', { context });
    expect((await ask()).status).toBe(200);
    clock.advanceSeconds(-BACK);
  });
  afterEach(() => mesh.stop());

  it('permit nothing, since no revocation can reach them, and say why', async () => {
    await mesh.revoke({ chain });
    await vi.waitFor(
      () => expect(planning.said.map(({ msg }) => String(msg)).join('\n')).toMatch(/bundle refused/),
      5000,
    );
    const { code, body } = await ask();
    expect(code).toBe('bundle_stale');
    expect(body).toMatch(/compare both clocks/);
    expect(inventory.seen).toHaveLength(1);
    const { body: status } = await send({ socketPath: planning.addresses.admin, path: '/status' });
    expect((JSON.parse(status) as { faults: string[] }).faults.join('\n')).toMatch(/compare both clocks/);
  });

  it('go on when they are right again', async () => {
    expect((await ask()).code).toBe('bundle_stale');
    clock.advanceSeconds(BACK);
    const context = await mesh.startTask(PLANNING, chain);
    expect((await ask(context)).status).toBe(200);
  });
});
