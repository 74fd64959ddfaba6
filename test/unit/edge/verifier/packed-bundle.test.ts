/** A bundle comes out of its packing as it went in, or not at all. */
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MAX_BUNDLE_BYTES } from '../../../../src/core/limits.ts';
import { packBundle, unpackBundle } from '../../../../src/edge/verifier/packed-bundle.ts';

describe('a packed bundle', () => {
  it.each([0, 1, 65_535, 65_536, 2_000_000, MAX_BUNDLE_BYTES])('of %i octets is unpacked', async (size) => {
    const text = 'eyJ.'.repeat(size / 4 + 1).slice(0, size);
    expect((await unpackBundle(await packBundle(text))) === text).toBe(true);
  });

  it('is refused when it is none, is cut, or is more than a bundle can be', async () => {
    const whole = gzipSync('x'.repeat(100_000));
    expect(await unpackBundle('')).toBeUndefined();
    expect(await unpackBundle('bm8gZ3ppcA==')).toBeUndefined();
    expect(await unpackBundle(whole.subarray(0, -6).toString('base64'))).toBeUndefined();
    const bomb = gzipSync(Buffer.alloc(MAX_BUNDLE_BYTES + 1));
    expect(await unpackBundle(bomb.toString('base64'))).toBeUndefined();
  });

  it('is refused when it lies about its size, and costs no more than a bundle', async () => {
    const lying = gzipSync('x'.repeat(100_000));
    for (const size of [0, 1, 99_999, 100_001, 0xffff_ffff]) {
      lying.writeUInt32LE(size, lying.length - 4);
      expect(await unpackBundle(lying.toString('base64'))).toBeUndefined();
    }
  });
});
