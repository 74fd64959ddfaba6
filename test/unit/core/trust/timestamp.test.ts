/** A timestamp says of one bundle that it is the newest, for minutes, and of no other. */
import { describe, expect, test } from 'vitest';
import { jwkOf } from '../../../../src/core/keys.ts';
import { type Bundle, freshnessOf, verifyBundle } from '../../../../src/core/trust/bundle.ts';
import { mintTimestamp, type Timestamp, verifyTimestamp } from '../../../../src/core/trust/timestamp.ts';
import {
  type BundleChanges,
  policyKey,
  rootKey,
  sealedBundle,
  timestampKey,
} from '../../../testkit/core-bundle.ts';
import { DOMAIN, NOW, permitted, reasonOf, type TestKey, testKey } from '../../../testkit/core-world.ts';

const bundleWith = (changes: BundleChanges = {}): Bundle => {
  const { text, expected } = sealedBundle(changes);
  return permitted(verifyBundle(text, expected));
};
const bundle = bundleWith();
const stamp = (
  changes: Partial<Timestamp & { trustDomain: string }> = {},
  over = bundle,
): Timestamp & { trustDomain: string } => ({
  trustDomain: DOMAIN,
  epoch: over.epoch,
  seq: over.seq,
  digest: over.digest,
  iat: NOW - 5,
  exp: NOW + 295,
  ...changes,
});
const mint = (
  changes: Parameters<typeof stamp>[0] = {},
  key: TestKey = timestampKey,
  kid = key.thumbprint,
): string => mintTimestamp(stamp(changes), key.sign, kid);
const verify = (text: string, since = 0, now = NOW, over = bundle) =>
  reasonOf(verifyTimestamp(text, over, since, now));

test('it holds for its bundle, and says until when that was the newest', () => {
  expect(permitted(verifyTimestamp(mint(), bundle, 0, NOW))).toMatchObject({ iat: NOW - 5, exp: NOW + 295 });
});

test('cut anywhere it is none', () => {
  const text = mint();
  for (let length = 0; length < text.length; length += 7)
    expect(verify(text.slice(0, length))).not.toBe('ok');
});

test('with any bit of it changed it is none', () => {
  const text = mint();
  for (let at = 0; at < text.length; at += 5) {
    const other = text[at] === 'A' ? 'B' : 'A';
    expect(verify(`${text.slice(0, at)}${other}${text.slice(at + 1)}`)).not.toBe('ok');
  }
});

describe('re-signed', () => {
  test.each<readonly [string, TestKey, string | undefined, string]>([
    ['by a stranger', testKey('a stranger'), undefined, 'bundle_signer'],
    ['by a stranger under its kid', testKey('a stranger'), timestampKey.thumbprint, 'bundle_signature'],
    ['by the policy key', policyKey, undefined, 'bundle_signer'],
    ['by the root', rootKey, undefined, 'bundle_signer'],
  ])('%s', (_, key, kid, reason) => expect(verify(mint({}, key, kid))).toBe(reason));

  test('by a key that the next roles forgot', () => {
    const later = bundleWith({ roles: { timestamp: [jwkOf(testKey('next timestamp').x)] } });
    const text = mintTimestamp(stamp({}, later), timestampKey.sign, timestampKey.thumbprint);
    expect(verify(text, 0, NOW, later)).toBe('bundle_signer');
  });
});

describe('over another bundle', () => {
  const other = bundleWith({ bundle: { exp: NOW + 601 } });
  test.each<readonly [string, Partial<Timestamp>]>([
    ['of the same number', { digest: other.digest }],
    ['before it', { seq: 6 }],
    ['after it', { seq: 8 }],
    ['of another epoch', { epoch: 2 }],
  ])('%s', (_, changes) => expect(verify(mint(changes))).toBe('bundle_rollback'));
  test('of another trust domain', () =>
    expect(verify(mint({ trustDomain: 'partner.org' }))).toBe('bundle_domain'));
});

describe('time', () => {
  test('older than the last one is refused, the same again is not', () => {
    expect(verify(mint(), NOW - 5)).toBe('ok');
    expect(verify(mint(), NOW - 4)).toBe('bundle_rollback');
  });

  test('it ends with its exp, skew included', () => {
    expect(verify(mint(), 0, NOW + 324)).toBe('ok');
    expect(verify(mint(), 0, NOW + 325)).toBe('bundle_stale');
  });

  test('from the future it is refused, but for a little', () => {
    expect(verify(mint(), 0, NOW - 35)).toBe('ok');
    expect(verify(mint(), 0, NOW - 36)).toBe('bundle_stale');
  });
});

describe('a bundle by itself is fresh', () => {
  test('as of its making, and for as long as policy allows', () => {
    expect(freshnessOf(bundle, { maxStalenessSeconds: 60 })).toEqual({
      freshAt: NOW - 10,
      maxStalenessSeconds: 60,
    });
    expect(freshnessOf(bundle, {})).toEqual({ freshAt: NOW - 10, maxStalenessSeconds: 3600 });
  });

  test('until its end, where nobody makes timestamps', () => {
    const files = bundleWith({ roles: { timestamp: [] } });
    expect(freshnessOf(files, { maxStalenessSeconds: 60 }).maxStalenessSeconds).toBe(
      Number.POSITIVE_INFINITY,
    );
  });
});
