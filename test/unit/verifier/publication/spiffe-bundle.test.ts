/** The SPIFFE form of the keys, as another implementation reads it. */
import { X509Certificate } from 'node:crypto';
import { importJWK } from 'jose';
import { expect, it, onTestFinished } from 'vitest';
import { trustEndpoints } from '../../../../src/api/trust.ts';
import { SYSTEM } from '../../../../src/verifier/actor.ts';
import { spiffeBundleOf } from '../../../../src/verifier/publication/spiffe-bundle.ts';
import { makeStage } from '../../../testkit/authority.ts';

it('names every CA and WIT issuer, and nothing else that signs', async () => {
  const authority = await makeStage(onTestFinished).open();
  await authority.rotate({ role: 'svid-ca' }, SYSTEM, 'a drill');
  const bundle = trustEndpoints.getSpiffeBundle.answer.parse(spiffeBundleOf(authority.roles));
  expect(bundle.keys.map(({ use }) => use)).toEqual(['x509-svid', 'x509-svid', 'wit-svid']);
  expect(bundle.spiffe_sequence).toBe(2);
  for (const key of bundle.keys) {
    await importJWK(JSON.parse(JSON.stringify(key)), key.kty === 'EC' ? 'ES256' : 'Ed25519');
    if (key.x5c === undefined) continue;
    // Section 4.2.2: one certificate, whose key is that of the JWK.
    expect(key.x5c).toHaveLength(1);
    const { publicKey } = new X509Certificate(Buffer.from(key.x5c[0] ?? '', 'base64'));
    expect(publicKey.export({ format: 'jwk' })).toMatchObject({ x: key.x, y: key.y });
  }
  const text = JSON.stringify(bundle);
  for (const role of ['policy', 'timestamp', 'root-issuer'] as const)
    expect(text).not.toContain(authority.signer(role).x);
  expect(text).not.toContain(authority.roles.root);
});
