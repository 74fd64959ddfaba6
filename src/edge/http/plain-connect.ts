/** Connections without TLS whose octets are read into one buffer of the whole process. */
import { connect, type NetConnectOpts, type Socket } from 'node:net';

/** As much as libuv reads at once. */
const READ_BYTES = 65_536;
let shared: Buffer | undefined;

/**
 * What `net.connect` returns, for a server that answers briefly. Node's own way of reading takes slices of one 64 KiB slab for all sockets, and a
 * plain one asks for a whole slab where TLS is content with the rest of one: beside TLS connections every read of a small answer
 * costs a new slab, which V8 counts and collects the old generation for. Here a chunk is a copy of its own size; a large one costs the copy.
 *
 * INVARIANT: nobody holds the shared buffer beyond the call that it is read in. Windows reads ahead into it, and goes without.
 */
export const connectPlain = (options: NetConnectOpts): Socket => {
  if (process.platform === 'win32') return connect(options);
  shared ??= Buffer.allocUnsafeSlow(READ_BYTES);
  const socket: Socket = connect({
    ...options,
    onread: {
      buffer: shared,
      // What Node does itself with what it reads: false stops it until somebody wants more.
      callback: (octets: number, buffer: Uint8Array): boolean => {
        const chunk = Buffer.allocUnsafeSlow(octets);
        chunk.set(octets === buffer.length ? buffer : buffer.subarray(0, octets));
        return socket.push(chunk);
      },
    },
  });
  return socket;
};
