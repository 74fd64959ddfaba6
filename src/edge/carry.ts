/** What goes one way between two sockets of which nobody looks at what they say. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { readCompactly } from './compact-reading.ts';
import { ownMemory } from './own-memory.ts';

/** That wait to be written: each costs some 300 octets besides its own, and a mark of octets alone would let in one for each. */
const MOST_PIECES = 256;
/** Milliseconds that the last octets have. */
const LINGER_MS = 10_000;

/** All that one side says goes to the other, whose slowness is the first one's, and its end too. Returns what ends that. */
export const carry = (from: Duplex, to: Duplex): (() => void) => {
  readCompactly(from, false);
  let pieces = 0;
  let isPaused = false;
  let isOver = false;
  const onWritten = (): void => {
    pieces--;
    if (!isPaused || pieces > 0 || isOver) return;
    isPaused = false;
    from.resume();
  };
  const onData = (chunk: Buffer): void => {
    if (!to.writable) return;
    pieces++;
    // It may wait there for as long as the other side likes.
    if (to.write(ownMemory(chunk), onWritten) && pieces < MOST_PIECES) return;
    isPaused = true;
    from.pause();
  };
  const onEnd = (): void => {
    to.end();
  };
  from.on('data', onData).on('end', onEnd);
  // Whoever handed it over has paused it.
  from.resume();
  return () => {
    isOver = true;
    from.off('data', onData).off('end', onEnd);
  };
};

/** Ends it behind what it was given. Whoever doesn't take that would else keep it, and nobody counts it any more. */
export const endSoon = (socket: Pick<Socket, keyof Duplex | 'destroySoon'>, lingerMs = LINGER_MS): void => {
  socket.destroySoon();
  if (socket.destroyed) return;
  const late = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once('close', () => clearTimeout(late));
};
