/** A WebSocket that is ended by what stands between its two ends: each hears a Close frame, "going away" (RFC 6455 §7.4.1). */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { ownMemory } from '../own-memory.ts';
import type { WebSocketEdge } from './stream-edge.ts';

const GOING_AWAY = 1001;
const FINAL_CLOSE = 0x88;
const MASKED = 0x80;

/** As a server sends it; as a client does, masked (§5.3). */
const closeFrame = (isMasked: boolean): Buffer => {
  const code = Buffer.alloc(2);
  code.writeUInt16BE(GOING_AWAY);
  if (!isMasked) return Buffer.from([FINAL_CLOSE, code.length, ...code]);
  const mask = randomBytes(4);
  const masked = code.map((octet, at) => octet ^ (mask[at] as number));
  return Buffer.from([FINAL_CLOSE, MASKED | code.length, ...mask, ...masked]);
};

/** What goes one way. */
export interface OneWay {
  readonly from: Duplex;
  readonly to: Duplex;
  /** Of what has gone that way. */
  readonly edge: WebSocketEdge;
  readonly toClient: boolean;
  /** Ends what has carried it. */
  readonly stop: () => void;
}

/**
 * Lets the frame that is under way end, says goodbye behind it, and takes no more; whoever answers the goodbye has its
 * connection ended.
 */
export const sayGoodbye = ({ from, to, edge, toClient, stop }: OneWay): void => {
  stop();
  let isSaid = false;
  const say = (): void => {
    isSaid = true;
    to.write(closeFrame(!toClient));
  };
  // What comes back behind it is the answer.
  const onBack = (): void => {
    if (isSaid) to.end();
  };
  to.on('data', onBack);
  from.on('data', (chunk: Buffer) => {
    if (isSaid) return;
    const end = edge.until(chunk);
    const takesMore = to.write(ownMemory(end === undefined ? chunk : chunk.subarray(0, end)));
    if (end !== undefined) say();
    // A frame may be as long as its sender likes, and his reader as slow.
    else if (!takesMore) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  });
  if (edge.isBetween) say();
  from.resume();
};
