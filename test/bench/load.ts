/** A load generator that writes prepared octets and counts responses: it must not be the limit. */
import type { TLSSocket } from 'node:tls';

const BODY = Buffer.from('\r\n\r\nhello');

/** Keeps one request under way on each socket for `milliseconds`; resolves to the number of responses. */
export const runLoad = async (
  sockets: readonly TLSSocket[],
  request: Buffer,
  milliseconds: number,
): Promise<number> => {
  let responses = 0;
  let stop = false;
  const ends = sockets.map(
    (socket) =>
      new Promise<void>((resolve, reject) => {
        let tail: Buffer = Buffer.alloc(0);
        const onData = (chunk: Buffer): void => {
          const octets = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
          const at = octets.indexOf(BODY);
          if (at === -1) {
            tail = octets;
            if (octets.length > 65_536 || octets.includes('problem+json'))
              reject(new Error(octets.toString().slice(0, 2000)));
            return;
          }
          tail = Buffer.alloc(0);
          responses++;
          if (stop) {
            socket.off('data', onData);
            socket.pause();
            resolve();
          } else socket.write(request);
        };
        socket.on('data', onData);
        socket.once('close', () => reject(new Error('a connection was closed under load')));
        socket.resume();
        socket.write(request);
      }),
  );
  const timer = setTimeout(() => {
    stop = true;
  }, milliseconds);
  await Promise.all(ends);
  clearTimeout(timer);
  for (const socket of sockets) socket.removeAllListeners('close');
  return responses;
};
