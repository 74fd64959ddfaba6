/** A principal who was removed, or lost a key, and is added again with the same key: what was granted before stays ended. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { principalEndpoints } from '../../src/api/principals.ts';
import { TEST_SCOPE } from '../testkit/mesh.ts';
import { makeVerifiedMesh, type VerifiedMember, type VerifiedMesh } from '../testkit/verified-mesh.ts';

const ALICE = 'mailto:alice@company.com';
const why = 'a test';

let mesh: VerifiedMesh;
let planning: VerifiedMember;
beforeAll(async () => {
  mesh = await makeVerifiedMesh();
  planning = await mesh.start('planning/1');
}, 60_000);
afterAll(() => mesh?.stop());

/** `open`, or why no task can be opened with this chain. */
const opened = async (chain: string): Promise<string> => {
  try {
    await mesh.startTask('planning/1', chain);
    return 'open';
  } catch (error) {
    return /"code":"([a-z_]+)"/.exec((error as Error).message)?.[1] ?? (error as Error).message;
  }
};

it.each<[string, () => Promise<void>]>([
  [
    'principal',
    async () => {
      const { operator, alice } = mesh;
      await operator.call(principalEndpoints.removePrincipal, { params: { uri: ALICE }, body: { why } });
      await operator.call(principalEndpoints.addPrincipal, {
        body: {
          uri: ALICE,
          human: true,
          ceiling: { scope: TEST_SCOPE, delegatees: ['*'] },
          keys: [{ x: alice.x, name: 'laptop' }],
          why,
        },
      });
    },
  ],
  [
    'key',
    async () => {
      const { operator, alice } = mesh;
      const params = { uri: ALICE, thumbprint: alice.thumbprint };
      await operator.call(principalEndpoints.removePrincipalKey, { params, body: { why } });
      const body = { x: alice.x, name: 'laptop', why };
      await operator.call(principalEndpoints.addPrincipalKey, { params: { uri: ALICE }, body });
    },
  ],
])('a %s that comes back brings nothing back', async (_, removeAndAdd) => {
  const before = mesh.mintRoot(planning);
  expect(await opened(before)).toBe('open');
  await removeAndAdd();
  await expect.poll(() => opened(before), { timeout: 10_000 }).toBe('revoked_principal');
  mesh.clock.advanceSeconds(2);
  await expect.poll(() => opened(mesh.mintRoot(planning)), { timeout: 10_000 }).toBe('open');
  expect(await opened(before)).toBe('revoked_principal');
});
