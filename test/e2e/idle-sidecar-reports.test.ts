/** A sidecar that has nothing to tell says so: silence is what the verifier takes for absence. */
import { afterEach, expect, test, vi } from 'vitest';
import { policyEndpoints } from '../../src/api/policy.ts';
import { LIVE_SECONDS } from '../../src/verifier/policy/enforcement.ts';
import { makeVerifiedMesh, type VerifiedMesh } from '../testkit/verified-mesh.ts';

let mesh: VerifiedMesh;
afterEach(() => mesh.stop());

test('an idle sidecar is known to enforce the policy for as long as it runs', async () => {
  mesh = await makeVerifiedMesh();
  const { id } = await mesh.start('planning/1');
  const enforcing = async () =>
    (await mesh.operator.call(policyEndpoints.getEnforcement, {})).sidecars.map(({ sidecar, at }) => [
      sidecar,
      at,
    ]);
  await vi.waitFor(async () => expect(await enforcing()).toHaveLength(1), 5000);
  mesh.clock.advanceSeconds(LIVE_SECONDS / 2 + 1);
  await vi.waitFor(async () => expect(await enforcing()).toEqual([[id, mesh.clock.seconds]]), 20_000);
}, 40_000);
