/** What a sidecar takes from its verifier and what it doesn't: the last good bundle stays, and a full disk stops no revocation. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256Base64url } from '../../../../src/core/encoding/jws.ts';
import { jwkOf } from '../../../../src/core/keys.ts';
import { policyDigest } from '../../../../src/core/trust/bundle-contents.ts';
import { mintTimestamp } from '../../../../src/core/trust/timestamp.ts';
import { VerifiedTrust } from '../../../../src/edge/verifier/verified-trust.ts';
import { issueSvidCa } from '../../../../src/verifier/authority/certificates.ts';
import {
  type BundleChanges,
  policyKey,
  rootKey,
  sealedBundle,
  timestampKey,
} from '../../../testkit/core-bundle.ts';
import { DOMAIN, NOW, testKey } from '../../../testkit/core-world.ts';

const otherKey = testKey('somebody else');

let directory: string;
let now: number;
let diskFaults: (Error | undefined)[];
let x509: readonly string[];
beforeAll(async () => {
  const { certificateDer } = await issueSvidCa(DOMAIN, { now: NOW, ttlSeconds: 3600 });
  x509 = [certificateDer.toString('base64url')];
});
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-trust-'));
  now = NOW;
  diskFaults = [];
});
afterEach(() => {
  chmodSync(directory, 0o700);
  rmSync(directory, { recursive: true, force: true });
});

const bundle = ({ roles, ...changes }: BundleChanges = {}): string =>
  sealedBundle({ ...changes, roles: { x509, ...roles } }).text;
const open = (seed?: string): VerifiedTrust =>
  new VerifiedTrust({
    trust: { trustDomain: DOMAIN, root: rootKey.thumbprint },
    clock: { now: () => now * 1000, monotonic: () => 0 },
    directory,
    seed,
    onDiskFault: (error) => diskFaults.push(error),
  });
const stamp = (text: string, iat: number, key = timestampKey, exp = iat + 300): string =>
  mintTimestamp(
    { trustDomain: DOMAIN, epoch: 1, seq: 7, digest: sha256Base64url(text), iat, exp },
    key.sign,
    key.thumbprint,
  );
const reasonOf = (trust: VerifiedTrust): string => {
  const current = trust.current();
  return current.ok ? 'ok' : current.reason;
};

describe('a bundle that is not taken leaves the last good one in force', () => {
  const cases: readonly [string, string, () => string][] = [
    ['an older one', 'bundle_rollback', () => bundle({ bundle: { seq: 6 } })],
    ['another one under its number', 'bundle_rollback', () => bundle({ bundle: { exp: NOW + 601 } })],
    ['one of an earlier epoch', 'bundle_rollback', () => bundle({ bundle: { epoch: 1, seq: 99 } })],
    [
      'one by a signer that the root doesn’t name',
      'bundle_signer',
      () => bundle({ bundle: { seq: 8 }, bundleSigner: otherKey }),
    ],
    [
      'one that somebody else has signed in the name of the policy key',
      'bundle_signature',
      () => bundle({ bundle: { seq: 8 }, bundleSigner: otherKey, bundleKid: policyKey.thumbprint }),
    ],
    [
      'one of another root',
      'bundle_signer',
      () => bundle({ bundle: { seq: 8 }, roles: { root: jwkOf(otherKey.x) }, rolesSigner: otherKey }),
    ],
    [
      'one that has expired',
      'bundle_expired',
      () => bundle({ bundle: { seq: 8, exp: NOW - 31, iat: NOW - 900 } }),
    ],
    [
      'one from the future',
      'bundle_expired',
      () => bundle({ bundle: { seq: 8, iat: NOW + 31, exp: NOW + 900 } }),
    ],
    ['half of one', 'jws_structure', () => bundle({ bundle: { seq: 8 } }).slice(0, 300)],
    [
      'one with CAs that are none',
      'claim_invalid',
      () => bundle({ bundle: { seq: 8 }, roles: { x509: ['AAEC'] } }),
    ],
    [
      'one of another trust domain',
      'bundle_domain',
      () => bundle({ bundle: { seq: 8, trust_domain: 'partner.example' } }),
    ],
  ];
  test.each(cases)('%s', (name, reason, make) => {
    const trust = open();
    // For the earlier epoch the one in force is of the second.
    const inForce =
      name === 'one of an earlier epoch'
        ? bundle({ bundle: { epoch: 2, seq: 1 }, roles: { epoch: 2 } })
        : bundle();
    expect(trust.takeBundle(inForce)).toBeUndefined();
    let heard = 0;
    trust.onChange(() => heard++);
    expect(trust.takeBundle(make())).toMatchObject({ reason });
    expect(trust.digest).toBe(sha256Base64url(inForce));
    expect(heard).toBe(0);
  });
});

test('a new bundle is in force and heard of before it is on disk, and a restart without the verifier takes it up', async () => {
  const trust = open();
  expect(reasonOf(trust)).toBe('policy_unavailable');
  const text = bundle();
  let generation = 0;
  trust.onChange(() => {
    generation = trust.last.generation;
  });
  trust.takeBundle(text);
  expect(generation).toBe(1);
  await trust.settled();
  const again = open();
  expect(again.digest).toBe(sha256Base64url(text));
  // And no older one afterwards.
  expect(again.takeBundle(bundle({ bundle: { seq: 6 } }))).toMatchObject({ reason: 'bundle_rollback' });
});

test('what is on disk is verified anew: changed or expired, it is not taken, and its order still counts', async () => {
  const trust = open();
  trust.takeBundle(bundle());
  await trust.settled();
  writeFileSync(path.join(directory, 'bundle.jws'), bundle({ bundle: { seq: 7, exp: NOW + 700 } }));
  expect(open().keptFault).toMatchObject({ reason: 'bundle_rollback' });
  writeFileSync(path.join(directory, 'bundle.jws'), bundle());
  now = NOW + 700;
  const late = open();
  expect(late.keptFault).toMatchObject({ reason: 'bundle_expired' });
  expect(late.known).toBeUndefined();
  expect(late.takeBundle(bundle({ bundle: { seq: 6, iat: NOW + 690, exp: NOW + 1300 } }))).toMatchObject({
    reason: 'bundle_rollback',
  });
});

test('the first start takes the bundle that hopgate join left', () => {
  const seed = mkdtempSync(path.join(directory, 'joined-'));
  const text = bundle();
  writeFileSync(path.join(seed, 'bundle.jws'), `${text}\n`);
  writeFileSync(path.join(seed, 'timestamp.jws'), `${stamp(text, NOW - 5)}\n`);
  const trust = open(seed);
  expect(trust.digest).toBe(sha256Base64url(text));
  expect(trust.last.freshAt).toBe(NOW - 5);
});

test('a disk that doesn’t take it keeps no bundle from taking effect, and is tried again', async () => {
  const trust = open();
  // Root may write anywhere: what stands where the temporary file would go is a folder that is not there.
  rmSync(directory, { recursive: true });
  expect(trust.takeBundle(bundle())).toBeUndefined();
  expect(trust.last.bundle.seq).toBe(7);
  await trust.settled();
  expect(diskFaults).toEqual([expect.any(Error)]);
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-trust-'));
});

describe('freshness', () => {
  test('a bundle is as fresh as it is old, then as its last timestamp; nothing is derived anew for that', () => {
    const trust = open();
    const text = bundle();
    trust.takeBundle(text);
    expect(trust.last).toMatchObject({ freshAt: NOW - 10, maxStalenessSeconds: 3600, generation: 1 });
    expect(trust.takeTimestamp(stamp(text, NOW))).toBeUndefined();
    expect(trust.last).toMatchObject({ freshAt: NOW, generation: 1 });
  });

  test.each([
    ['one that is older than the last', 'bundle_rollback', (text: string) => stamp(text, NOW - 1)],
    ['one over another bundle', 'bundle_rollback', () => stamp('another', NOW + 1)],
    ['one that has expired', 'bundle_stale', (text: string) => stamp(text, NOW, timestampKey, NOW - 60)],
    ['one from the future', 'bundle_stale', (text: string) => stamp(text, NOW + 60)],
    ['one by the policy key', 'bundle_signer', (text: string) => stamp(text, NOW + 1, policyKey)],
    [
      'one that is cut',
      'jws_structure',
      (text: string) =>
        stamp(text, NOW + 1)
          .split('.')
          .slice(0, 2)
          .join('.'),
    ],
  ])('%s is not taken', (_name, reason, make) => {
    const trust = open();
    const text = bundle();
    trust.takeBundle(text);
    trust.takeTimestamp(stamp(text, NOW));
    expect(trust.takeTimestamp(make(text))).toMatchObject({ reason });
    expect(trust.last.freshAt).toBe(NOW);
  });

  test('a restart remembers how fresh it was, though nobody would be given that timestamp any more', async () => {
    const trust = open();
    const text = bundle();
    trust.takeBundle(text);
    trust.takeTimestamp(stamp(text, NOW));
    await trust.settled();
    now = NOW + 590;
    expect(open().last.freshAt).toBe(NOW);
  });

  test('the policy in the bundle says how long it may be gone on without a word', () => {
    const trust = open();
    const policy = {
      revision: 'r1',
      limits: {
        maxDepth: 3,
        linkTtlSeconds: 7200,
        callbacks: false,
        humanRoot: true,
        sessionSeconds: 600,
        maxStalenessSeconds: 120,
      },
      scopeSets: {},
      lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
      routes: [],
      rules: [],
      demands: [],
    };
    expect(
      trust.takeBundle(bundle({ bundle: { policy, policy_digest: policyDigest(policy) } })),
    ).toBeUndefined();
    expect(trust.last.maxStalenessSeconds).toBe(120);
    expect(reasonOf(trust)).toBe('ok');
  });
});

test('a bundle without a policy permits nothing', () => {
  const trust = open();
  trust.takeBundle(bundle());
  expect(reasonOf(trust)).toBe('policy_unavailable');
});

test('who is barred permits nothing, until the verifier speaks to it again', () => {
  const trust = open();
  trust.takeBundle(bundle());
  let heard = 0;
  trust.onChange(() => heard++);
  trust.bar(true);
  trust.bar(true);
  expect(reasonOf(trust)).toBe('revoked_agent');
  expect(heard).toBe(1);
  trust.bar(false);
  expect(reasonOf(trust)).toBe('policy_unavailable');
});
