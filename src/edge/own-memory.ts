/** Octets that may be held for a while, apart from what they were read into. */

/** A slice of less than this part of its memory is copied. */
const SHARE = 1 / 8;

/**
 * The same octets, in memory of about their own size. Node reads TLS into slabs of 64 KiB that all connections share, and the
 * smallest slice keeps its slab: who sends single octets between the requests of others, to somebody who doesn't read, would have a slab held
 * for each of them, whatever bound there is on octets.
 */
export const ownMemory = (chunk: Buffer): Buffer =>
  chunk.length >= SHARE * chunk.buffer.byteLength ? chunk : copyOf(chunk);

/** Not from Node's pool, which is such a slab too. */
export const copyOf = (chunk: Buffer): Buffer => {
  const own = Buffer.allocUnsafeSlow(chunk.length);
  own.set(chunk);
  return own;
};
