/** Which public keys may verify anything at all. */
import { createPublicKey, verify as opensslVerify } from 'node:crypto';
import { Point, verifyAsync } from '@noble/ed25519';
import { calculateJwkThumbprint, calculateJwkThumbprintUri } from 'jose';
import { describe, expect, test } from 'vitest';
import {
  admitKey,
  jwkFault,
  jwkOf,
  parseThumbprintUrn,
  thumbprintOf,
  thumbprintUrn,
} from '../../../src/core/keys.ts';
import { permitted, reasonOf, testKey } from '../../testkit/core-world.ts';

const x = (hex: string) => Buffer.from(hex, 'hex').toString('base64url');
const IDENTITY = `01${'00'.repeat(31)}`;
const key = testKey('a key');

describe('keys under which a signature means nothing', () => {
  test('one signature made without a secret holds for every message under the identity point; we never admit it', async ({
    annotate,
  }) => {
    // R = the base point, S = 1.
    const forged = Buffer.concat([
      Buffer.from(`58${'66'.repeat(31)}`, 'hex'),
      Buffer.of(1),
      Buffer.alloc(31),
    ]);
    const identity = createPublicKey({ key: { ...jwkOf(x(IDENTITY)) }, format: 'jwk' });
    for (const message of ['pay mallory', 'and again', ''].map((text) => Buffer.from(text)))
      expect(await verifyAsync(forged, message, Buffer.from(IDENTITY, 'hex'), { zip215: true })).toBe(true);
    expect(reasonOf(admitKey(x(IDENTITY)))).toBe('key_small_order');
    // OpenSSL 3.0 takes it, 3.5.8 doesn’t: nothing here may depend on which one a machine has.
    const taken = opensslVerify(null, Buffer.from('pay mallory'), identity, forged);
    await annotate(`OpenSSL ${process.versions.openssl} ${taken ? 'takes' : 'refuses'} it`);
  });

  test.each([
    ['order 2', `ec${'ff'.repeat(30)}7f`],
    ['order 4', '00'.repeat(32)],
    ['order 4, negative', `${'00'.repeat(31)}80`],
    ['order 8', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'],
    ['order 8, negative', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa'],
    ['order 8, the other', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'],
    ['order 8, the other, negative', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85'],
  ])('a key of small order: %s', (_, hex) => expect(reasonOf(admitKey(x(hex)))).toBe('key_small_order'));

  test('a good key with a small-order part added', () => {
    const small = Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05');
    const mixed = Point.fromBytes(Buffer.from(key.x, 'base64url')).add(small);
    expect(reasonOf(admitKey(Buffer.from(mixed.toBytes()).toString('base64url')))).toBe('key_mixed_order');
  });

  test.each([
    ['y = p, which is 0 again', `ed${'ff'.repeat(30)}7f`],
    ['y = p + 1, which is 1 again', `ee${'ff'.repeat(30)}7f`],
    ['y of all ones', 'ff'.repeat(32)],
    ['x = 0 with its sign set', `01${'00'.repeat(30)}80`],
    ['y = −1 and x = 0 with its sign set', `ec${'ff'.repeat(31)}`],
    ['no point of the curve', `02${'00'.repeat(31)}`],
  ])('not the one encoding of a point: %s', (_, hex) =>
    expect(reasonOf(admitKey(x(hex)))).toBe('key_not_canonical'),
  );

  test.each([
    ['31 octets', '11'.repeat(31)],
    ['33 octets', '11'.repeat(33)],
    ['none', ''],
  ])('a key of %s', (_, hex) => expect(reasonOf(admitKey(x(hex)))).toBe('key_length'));

  test('an answer is remembered, and stays the same', () => {
    expect(admitKey(x(IDENTITY))).toBe(admitKey(x(IDENTITY)));
    expect(permitted(admitKey(key.x)).key.equals(createPublicKey(key.secret))).toBe(true);
  });
});

describe('signatures', () => {
  test('@noble/ed25519 agrees with what OpenSSL signs and verifies', async () => {
    const message = Buffer.from('a message');
    const signature = key.sign(message);
    const octets = Buffer.from(key.x, 'base64url');
    expect(await verifyAsync(signature, message, octets, { zip215: false })).toBe(true);
    expect(opensslVerify(null, message, key.admitted.key, signature)).toBe(true);
    expect(await verifyAsync(signature, Buffer.from('another'), octets, { zip215: false })).toBe(false);
    expect(opensslVerify(null, Buffer.from('another'), key.admitted.key, signature)).toBe(false);
  });

  test('S + L is no second signature of the same message', async () => {
    const message = Buffer.from('a message');
    const signature = key.sign(message);
    const L = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;
    const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`) + L;
    const malleated = Buffer.concat([
      signature.subarray(0, 32),
      Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse(),
    ]);
    expect(malleated).toHaveLength(64);
    expect(opensslVerify(null, message, key.admitted.key, malleated)).toBe(false);
    expect(await verifyAsync(malleated, message, Buffer.from(key.x, 'base64url')).catch(() => false)).toBe(
      false,
    );
  });
});

describe('names of keys', () => {
  test('thumbprint and URN are those of RFC 7638 and RFC 9278, as jose computes them', async () => {
    const jwk = { ...jwkOf(key.x) };
    expect(thumbprintOf(key.x)).toBe(await calculateJwkThumbprint(jwk));
    expect(thumbprintUrn(key.thumbprint)).toBe(await calculateJwkThumbprintUri(jwk));
    expect(parseThumbprintUrn(thumbprintUrn(key.thumbprint))).toBe(key.thumbprint);
  });

  test('a URN of another hash, or of no thumbprint, is none', () => {
    expect(parseThumbprintUrn(thumbprintUrn(key.thumbprint).replace('sha-256', 'sha-512'))).toBeUndefined();
    expect(parseThumbprintUrn(thumbprintUrn('short'))).toBeUndefined();
    expect(parseThumbprintUrn(key.thumbprint)).toBeUndefined();
  });

  test('a JWK is exactly kty, crv and x; a private key is refused by form', () => {
    const fault = (jwk: unknown) => jwkFault(jwk as never)?.reason;
    const good = { ...jwkOf(key.x) };
    expect(fault(good)).toBeUndefined();
    expect(fault({ ...good, d: key.x })).toBe('claim_unknown');
    expect(fault({ ...good, kid: 'k' })).toBe('claim_unknown');
    expect(fault({ kty: 'OKP', crv: 'Ed25519' })).toBe('claim_missing');
    expect(fault({ ...good, crv: 'X25519' })).toBe('claim_invalid');
    expect(fault({ ...good, x: `${key.x}=` })).toBe('claim_invalid');
    expect(fault([good])).toBe('claim_invalid');
  });
});
