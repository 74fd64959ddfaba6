/** Attacks on publication: whoever keeps the next bundle from coming about keeps every revocation from being heard. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { principalEndpoints } from '../../src/api/principals.ts';
import { revocationEndpoints } from '../../src/api/revocations.ts';
import { taskEndpoints } from '../../src/api/tasks.ts';
import { sha256Base64url } from '../../src/core/encoding/jws.ts';
import { mintRevocationRequest, verifierIdOf } from '../../src/core/trust/revocation-request.ts';
import { roleKeys } from '../../src/core/trust/roles.ts';
import { makeSigningKey } from '../../src/edge/keys/signing-key.ts';
import { VerifierError } from '../../src/edge/verifier/client.ts';
import { makeJti } from '../testkit/approval-desk.ts';
import { RunningVerifier, TRUST_DOMAIN } from '../testkit/running-verifier.ts';

let running: RunningVerifier;
beforeEach(async () => {
  running = await RunningVerifier.start();
});
afterEach(() => running.stop());

const why = 'a test';
const ALICE = 'mailto:alice@company.com';
const CEILING = { scope: ['cloud:read'], delegatees: [`spiffe://${TRUST_DOMAIN}/agent/planning/*`] };

const reasonOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (error instanceof VerifierError) return error.reason;
    throw error;
  }
};
/** What every sidecar waits for: a revocation is on record and in a bundle. */
const revokes = (name: string): Promise<string> =>
  reasonOf(
    running.local().call(revocationEndpoints.revoke, {
      body: { target: { agent: `spiffe://${TRUST_DOMAIN}/agent/${name}` }, why },
    }),
  );

describe('a principal with a key that has a role already', () => {
  it('is refused, and no bundle fails for it', async () => {
    const { authority } = running.verifier.rooms;
    for (const [index, x] of roleKeys(authority.roles).entries()) {
      const add = running.local().call(principalEndpoints.addPrincipal, {
        body: {
          uri: `mailto:p${index}@company.com`,
          keys: [{ x, name: 'k' }],
          ceiling: CEILING,
          approver: true,
          why,
        },
      });
      expect(await reasonOf(add)).toBe('api_conflict');
      expect(await revokes(`planning/${index}`)).toBe('done');
    }
  });
});

describe('a person who ends tasks that nobody has begun', () => {
  it('fills no bundle with them', async () => {
    const key = makeSigningKey();
    await running.local().call(principalEndpoints.addPrincipal, {
      body: { uri: ALICE, keys: [{ x: key.x, name: 'k' }], ceiling: CEILING, why },
    });
    const client = running.client();
    const end = (n: number) => {
      const task = sha256Base64url(`task ${n}`);
      const proof = mintRevocationRequest(
        {
          principal: ALICE,
          aud: verifierIdOf(TRUST_DOMAIN),
          target: { task },
          iat: running.clock.seconds,
          jti: makeJti(),
        },
        key.x,
        key.sign,
      );
      return reasonOf(
        client.call(taskEndpoints.endTask, { params: { task }, body: { principal: ALICE, proof, why } }),
      );
    };
    const reasons = new Set<string>();
    for (let n = 0; n < 230; n++) reasons.add(await end(n));
    expect([...reasons]).toEqual(['done', 'api_busy']);
    // An operator still may.
    expect(await revokes('planning/1')).toBe('done');
  }, 60_000);
});
