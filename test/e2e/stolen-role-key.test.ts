/** A key of the verifier was stolen and is dropped at once: what it signed is believed no more, and who was certified by it gets anew what it needs. */
import { createPublicKey } from 'node:crypto';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { revocationEndpoints } from '../../src/api/revocations.ts';
import { trustEndpoints } from '../../src/api/trust.ts';
import { makeSigningKey, privateKeyPem } from '../../src/edge/keys/signing-key.ts';
import { renew } from '../../src/edge/verifier/enrolment.ts';
import { svidEvidence } from '../../src/edge/verifier/evidence.ts';
import { SYSTEM } from '../../src/verifier/actor.ts';
import { issueSvid, makeTlsKey } from '../../src/verifier/authority/certificates.ts';
import { type Answer, sendThrough } from '../testkit/mesh.ts';
import { TRUST_DOMAIN } from '../testkit/running-verifier.ts';
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

it.each(['svid-ca', 'wit-issuer', 'policy', 'timestamp'] as const)(
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
    const isOurs = role === 'svid-ca' || role === 'wit-issuer';
    expect((await ask(context)).status === 200).toBe(!isOurs);
    // Not all sidecars at one moment.
    mesh.clock.advanceSeconds(3);
    await vi.waitFor(async () => expect((await ask(context)).status).toBe(200), PATIENCE);
    for (const [index, { sidecar }] of [planning, inventory].entries())
      expect(sidecar.identity.certificate !== before[index]).toBe(isOurs);
  },
);

it('the thief of a CA that was dropped renews nobody, and asks for nothing else', async () => {
  const ca = await mesh.running.svidCa();
  const { authority } = mesh.running.verifier.rooms;
  await authority.rotate({ role: 'svid-ca', compromised: true }, SYSTEM, 'stolen');
  const key = makeTlsKey();
  const now = mesh.clock.seconds;
  const { pem } = await issueSvid(ca, {
    id: planning.id,
    key: createPublicKey(key),
    now,
    ttlSeconds: 3600,
  });
  const thief = mesh.running.client({ cert: pem, key: privateKeyPem(key) });
  await vi.waitFor(async () => {
    await expect(thief.callTagged(trustEndpoints.getBundle, {})).rejects.toMatchObject({
      reason: 'svid_untrusted',
    });
  }, PATIENCE);
  await expect(
    thief.call(revocationEndpoints.revoke, { body: { target: { agent: inventory.id }, why: 'mine' } }),
  ).rejects.toMatchObject({ reason: 'svid_untrusted' });
  const keys = { agent: makeSigningKey(), audit: makeSigningKey() };
  const trust = { trustDomain: TRUST_DOMAIN, root: mesh.root };
  await expect(
    renew(thief, { trust, keys, evidence: svidEvidence, id: planning.id, now: () => now }),
  ).rejects.toMatchObject({ reason: 'enrolment_proof' });
  // Nor with its own key's word for the other's.
  await expect(
    renew(thief, {
      trust,
      keys,
      evidence: svidEvidence,
      id: planning.id,
      previous: makeSigningKey(),
      now: () => now,
    }),
  ).rejects.toMatchObject({ reason: 'enrolment_proof' });
});
