/** What has been read and waits for somebody to take it, in about as much memory as it has octets, whatever pieces it came in. */
import { Readable } from 'node:stream';
import { copyOf, ownMemory } from './own-memory.ts';

/** Octets: a piece of less is joined to others, since each costs some 300 besides. */
const SMALL = 256;
/** Octets that small pieces are joined to. */
const JOINED = 2048;

const compacted = new WeakSet<Readable>();

/**
 * From here on what waits in the stream waits in memory of its own, and small pieces of it as few. A stream that is paused goes on
 * being filled up to its mark, 64 KiB or a window of HTTP/2: single octets would be a slab each ({@link ownMemory}), and 300 octets
 * each even without. Call it when the stream begins to wait, and not for what never does: it costs each read something, a sixth of a whole
 * request on two sockets. What somebody takes at once is passed on as it came; of a body, which may wait where it goes, in memory of its own.
 */
export const readCompactly = (stream: Readable, isBody: boolean): void => {
  if (compacted.has(stream)) return;
  compacted.add(stream);
  const push = stream.push.bind(stream);
  const read = stream.read.bind(stream);
  let joined: Buffer | undefined;
  let length = 0;
  // Who asked for more than there is has to hear of the next piece.
  let isAwaited = false;
  const flush = (): void => {
    if (joined === undefined) return;
    const octets = joined.subarray(0, length);
    joined = undefined;
    length = 0;
    push(octets.length < JOINED / 2 ? copyOf(octets) : octets);
  };
  let isCounted = false;
  const begin = (): Buffer => {
    // Most streams never come here.
    if (!isCounted)
      Object.defineProperty(stream, 'readableLength', {
        get: () => Reflect.get(Readable.prototype, 'readableLength', stream) + length,
      });
    isCounted = true;
    return Buffer.allocUnsafeSlow(JOINED);
  };
  stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (!Buffer.isBuffer(chunk)) {
      flush();
      return push(chunk, encoding);
    }
    if (stream.readableFlowing === true && stream.readableLength === 0)
      return push(isBody ? ownMemory(chunk) : chunk);
    // INVARIANT: what is joined stands behind something that waits: whoever takes that comes by here.
    if (chunk.length < SMALL && stream.readableLength > 0 && !isAwaited) {
      if (length + chunk.length > JOINED) flush();
      joined ??= begin();
      joined.set(chunk, length);
      length += chunk.length;
      return stream.readableLength < stream.readableHighWaterMark;
    }
    flush();
    isAwaited = false;
    return push(ownMemory(chunk));
  };
  stream.read = (octets?: number): unknown => {
    flush();
    const taken: unknown = read(octets);
    isAwaited = taken === null && octets !== undefined && octets > 0;
    return taken;
  };
};
