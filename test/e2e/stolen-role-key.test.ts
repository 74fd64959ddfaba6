/** A key of the verifier was stolen and is dropped at once: what it signed is believed no more, and who was certified by it gets anew what it needs. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SYSTEM } from '../../src/verifier/actor.ts';
import { type Answer, sendThrough } from '../testkit/mesh.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const PATIENCE = { timeout: 10_000 };

let mesh: VerifiedMesh;
let planning: VerifiedMember;
let inventory: VerifiedMember;
beforeEach(async () => {
  mesh = await makeVerifiedMesh();
  inventory = await mesh.start('inventory/1');
  planning = await mesh.start('planning/1', { routes: { 'inventory.mesh': 'inventory/1' } });
});
afterEach(() => mesh.stop());

const ask = (context: string): Promise<Answer> =>
  sendThrough(planning, 'http://inventory.mesh/vpcs', { context });

it.each(['wit-issuer', 'policy', 'timestamp'] as const)(
  'the %s key: the mesh recovers by itself',
  async (role) => {
    const context = await mesh.startTask('planning/1', mesh.mintRoot(planning));
    expect((await ask(context)).status).toBe(200);
    const { authority, publication } = mesh.running.verifier.rooms;
    const before = [planning, inventory].map(({ sidecar }) => sidecar.identity.certificate);
    await authority.rotate({ role, compromised: true }, SYSTEM, 'stolen');
    await publication.whenRolesPublished();
    await vi.waitFor(() => {
      for (const { source } of [planning, inventory])
        expect(source.trust.digest).toBe(publication.current.digest);
    }, PATIENCE);
    const isOurs = role === 'wit-issuer';
    expect((await ask(context)).status === 200).toBe(!isOurs);
    // Not all sidecars at one moment.
    mesh.clock.advanceSeconds(3);
    await vi.waitFor(async () => expect((await ask(context)).status).toBe(200), PATIENCE);
    for (const [index, { sidecar }] of [planning, inventory].entries())
      expect(sidecar.identity.certificate !== before[index]).toBe(isOurs);
  },
);
