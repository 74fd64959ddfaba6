/** A root key that is kept elsewhere: what it is asked, what it answers, and what is not taken for its answer. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { RolesRequest } from '../../../../src/api/keys.ts';
import { KeyEncryption } from '../../../../src/edge/keys/key-encryption.ts';
import { makeSigningKey, type SigningKey } from '../../../../src/edge/keys/signing-key.ts';
import { SYSTEM } from '../../../../src/verifier/actor.ts';
import type { Authority } from '../../../../src/verifier/authority/authority.ts';
import { signRoles } from '../../../../src/verifier/authority/roles-document.ts';
import {
  exportRootKey,
  importRootKey,
  keyFilesIn,
  readRootKey,
} from '../../../../src/verifier/authority/root-key.ts';
import { makeStage, type Stage } from '../../../testkit/authority.ts';

const PASSPHRASE = 'correct horse battery staple';

/** An authority whose root was exported and taken away. */
const withoutRoot = async (): Promise<
  Stage & { readonly authority: Authority; readonly root: SigningKey }
> => {
  const stage = makeStage(onTestFinished);
  const authority = await stage.open();
  const files = keyFilesIn(stage.directory);
  const encryption = await KeyEncryption.open({ file: files.kek });
  const root = readRootKey(files.root, 'company.com', encryption);
  if (root === undefined) throw new Error('no root key');
  const elsewhere = importRootKey(exportRootKey(root, PASSPHRASE), PASSPHRASE);
  rmSync(path.join(stage.directory, 'root.key'));
  return { ...stage, authority, root: elsewhere };
};

const sign = ({ payload }: RolesRequest, root: SigningKey): string => signRoles(payload, root);

it('an exported root key opens with its passphrase alone', () => {
  const root = makeSigningKey();
  const pem = exportRootKey(root, PASSPHRASE);
  expect(pem).toContain('ENCRYPTED PRIVATE KEY');
  expect(importRootKey(pem, PASSPHRASE).thumbprint).toBe(root.thumbprint);
  expect(() => importRootKey(pem, `${PASSPHRASE}!`)).toThrow('another passphrase');
  expect(() => importRootKey(pem, undefined)).toThrow('another passphrase');
});

it('goes on issuing, and asks for what is due', async () => {
  const { authority, clock } = await withoutRoot();
  expect([authority.isRootHere, authority.isRootAwaited]).toEqual([false, false]);
  clock.advanceSeconds(authority.timing.rotateAfter['svid-ca']);
  await authority.tick();
  expect(authority.isRootAwaited).toBe(true);
  expect(authority.roles.epoch).toBe(1);
  expect(
    authority
      .keys()
      .filter(({ state }) => state === 'next')
      .map(({ role }) => role),
  ).toEqual(['svid-ca', 'wit-issuer', 'timestamp']);
  expect(authority.request().payload.x509).toHaveLength(2);
});

it('a next key waits for the root, then for the overlap', async () => {
  const { authority, clock, root, open } = await withoutRoot();
  await authority.rotate({ role: 'policy' }, SYSTEM, 'a drill');
  const [old, next] = authority.keys().filter(({ role }) => role === 'policy');
  clock.advanceSeconds(30 * authority.timing.overlap);
  await authority.tick();
  expect(authority.signer('policy').x).toBe(old?.public);
  await authority.install(sign(authority.request(), root), SYSTEM, 'signed in the vault');
  expect([authority.roles.epoch, authority.isRootAwaited]).toEqual([2, false]);
  expect(authority.signer('policy').x).toBe(old?.public);
  clock.advanceSeconds(authority.timing.overlap);
  const restarted = await open();
  expect(restarted.signer('policy').x).toBe(next?.public);
});

it('a dropped key signs nothing from now on, and its successor from the moment the root has named it', async () => {
  const { authority, root } = await withoutRoot();
  await authority.rotate({ role: 'policy', compromised: true }, SYSTEM, 'stolen');
  expect(() => authority.signer('policy')).toThrow('no policy key is active');
  await authority.install(sign(authority.request(), root), SYSTEM, '');
  expect(authority.roles.policy).toEqual([authority.signer('policy').x]);
});

it('an answer from before a key was dropped does not bring it back', async () => {
  const { authority, root } = await withoutRoot();
  await authority.rotate({ role: 'policy' }, SYSTEM, 'a drill');
  const early = sign(authority.request(), root);
  await authority.rotate({ role: 'policy', compromised: true }, SYSTEM, 'stolen');
  await expect(authority.install(early, SYSTEM, '')).rejects.toThrow('was dropped; make a new request');
});

it.each<[string, (request: RolesRequest) => RolesRequest['payload'], string]>([
  ['an epoch that was', ({ payload }) => ({ ...payload, epoch: 1 }), 'api_conflict'],
  [
    'a key of nobody here',
    ({ payload }) => ({ ...payload, policy: [...payload.policy, jwkOfNobody()] }),
    'api_conflict',
  ],
  [
    'a key in another role',
    ({ payload }) => ({ ...payload, issuers: [...payload.issuers, ...payload.policy] }),
    'bundle_role',
  ],
  [
    'a key moved to another role',
    ({ payload }) => ({ ...payload, issuers: payload.policy, policy: payload.issuers }),
    'api_conflict',
  ],
  ['a key left out that is relied on', ({ payload }) => ({ ...payload, timestamp: [] }), 'api_conflict'],
  ['another trust domain', ({ payload }) => ({ ...payload, trust_domain: 'partner.org' }), 'bundle_domain'],
  [
    'its end behind it',
    ({ payload }) => ({ ...payload, iat: payload.iat - 999, exp: payload.iat - 99 }),
    'bundle_expired',
  ],
])('roles with %s are not installed', async (_, change, reason) => {
  const { authority, root } = await withoutRoot();
  const text = signRoles(change(authority.request()), root);
  await expect(authority.install(text, SYSTEM, '')).rejects.toMatchObject({ reason });
  expect(authority.roles.epoch).toBe(1);
});

const jwkOfNobody = () => ({ crv: 'Ed25519' as const, kty: 'OKP' as const, x: makeSigningKey().x });

it('roles by another root are not installed', async () => {
  const { authority } = await withoutRoot();
  const request = authority.request();
  const thief = makeSigningKey();
  const own = { ...request.payload, root: { ...request.payload.root, x: thief.x } };
  await expect(authority.install(signRoles(own, thief), SYSTEM, '')).rejects.toMatchObject({
    reason: 'bundle_signer',
  });
  await expect(authority.install('nonsense', SYSTEM, '')).rejects.toMatchObject({ reason: 'jws_structure' });
});

it('a new epoch is begun where the root is', async () => {
  const { authority, clock, root } = await withoutRoot();
  await expect(authority.beginEpoch(SYSTEM, 'restored')).rejects.toMatchObject({ reason: 'api_conflict' });
  const request = authority.request({ newEpoch: true });
  expect(request.payload.epoch).toBe(Math.floor(clock.seconds / 60));
  await authority.install(sign(request, root), SYSTEM, 'restored');
  expect(authority.roles.epoch).toBe(request.payload.epoch);
  expect(authority.request().payload.epoch).toBe(request.payload.epoch + 1);
});
