/** Public keys that OpenSSL takes and that nobody should: small order, mixed order, non-canonical. */
import { createHash } from 'node:crypto';
import { Point } from '@noble/ed25519';
import { b64u, type Key, publicKey, seedOf } from './signing.ts';

const { p: P, n: L } = Point.CURVE();
const SIGN_BIT = 1n << 255n;

export const littleEndian = (number: bigint): Buffer =>
  Buffer.from(number.toString(16).padStart(64, '0'), 'hex').reverse();
const toNumber = (octets: Uint8Array): bigint =>
  BigInt(`0x${Buffer.from(octets).reverse().toString('hex') || '0'}`);

/** The eight points of order 1, 2, 4 and 8. */
export const SMALL_ORDER = [
  ['the identity point (order 1)', '01'.padEnd(64, '0')],
  ['the point of order 2', `ec${'ff'.repeat(30)}7f`],
  ['a point of order 4', '00'.repeat(32)],
  ['the other point of order 4', `${'00'.repeat(31)}80`],
  ['a point of order 8', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'],
  ['a point of order 8, negated', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa'],
  ['another point of order 8', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'],
  ['another point of order 8, negated', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85'],
] as const;

const isOnCurve = (octets: Uint8Array): boolean => {
  try {
    Point.fromBytes(octets, true);
    return true;
  } catch {
    return false;
  }
};

/** Second spellings: y + p for each y < 19 on the curve, and x = 0 with the sign bit. */
export const nonCanonical = (): readonly (readonly [string, Buffer])[] => {
  const found: [string, Buffer][] = [];
  for (let y = 0n; y < 19n; y++) {
    for (const sign of [0n, SIGN_BIT]) {
      const octets = littleEndian((y + P) | sign);
      if (isOnCurve(octets)) found.push([`y = p + ${y}, sign ${sign === 0n ? 0 : 1}`, octets]);
    }
  }
  found.push(['the identity point with the sign bit', littleEndian(1n | SIGN_BIT)]);
  found.push(['the point of order 2 with the sign bit', littleEndian((P - 1n) | SIGN_BIT)]);
  return found;
};

/** The least y that is on no point of the curve. */
export const offCurve = (): Buffer => {
  for (let y = 2n; ; y++) if (!isOnCurve(littleEndian(y))) return littleEndian(y);
};

const reduce = (...parts: readonly Uint8Array[]): bigint => {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return toNumber(hash.digest()) % L;
};

/**
 * The equation of RFC 8032 §5.1.7 without the cofactor, which is all that OpenSSL 3.0 asks; 3.5 refuses keys of small order itself.
 * The point of these vectors is that, without admission, the signature would pass.
 */
const mustVerify = (forged: Key): Key => ({
  ...forged,
  sign: (message) => {
    const signature = forged.sign(message);
    const [R, S] = [signature.subarray(0, 32), toNumber(signature.subarray(32))];
    const A = Buffer.from(forged.x, 'base64url');
    const right = Point.fromBytes(R).add(Point.fromBytes(A).multiplyUnsafe(reduce(R, A, message)));
    if (!Point.BASE.multiply(S).equals(right))
      throw new Error(`the forgery under ${forged.name} does not verify`);
    return signature;
  },
});

/** Under the identity point, R = B and S = 1 fit every message. */
export const identityKey: Key = mustVerify(
  publicKey('identity', b64u(littleEndian(1n)), () =>
    Buffer.concat([Point.BASE.toBytes(), littleEndian(1n)]),
  ),
);

/** aB + T with T of order 8: its holder can sign, and has eight keys that look alike. */
export const mixedOrderKey: Key = (() => {
  const secret = (toNumber(seedOf('mixed order')) % (L - 1n)) + 1n;
  const torsion = Point.fromBytes(Buffer.from(SMALL_ORDER[4][1], 'hex'), false);
  const encoded = Point.BASE.multiply(secret).add(torsion).toBytes();
  return mustVerify(
    publicKey('mixed order', b64u(encoded), (message) => {
      // k must be a multiple of 8, so that the torsion part falls away: one try in eight.
      for (let attempt = 1n; ; attempt++) {
        const r = reduce(seedOf('mixed order nonce'), littleEndian(attempt), message);
        const commitment = Point.BASE.multiply(r).toBytes();
        const k = reduce(commitment, encoded, message);
        if (k % 8n === 0n) return Buffer.concat([commitment, littleEndian((r + k * secret) % L)]);
      }
    }),
  );
})();

/** The same signature with S + L: the malleability that RFC 8032 §5.1.7 excludes. */
export const plusGroupOrder = (signature: Buffer): Buffer =>
  Buffer.concat([signature.subarray(0, 32), littleEndian(toNumber(signature.subarray(32)) + L)]);
