/** `node:http2`, loaded when the first connection speaks it: 2 MiB that most sidecars never use. */
import type { Http2Stream } from 'node:http2';

type Http2 = typeof import('node:http2');

let loaded: Http2 | undefined;
export const http2 = (): Http2 => {
  loaded ??= process.getBuiltinModule('node:http2');
  return loaded;
};

/** RFC 9113 §6.9.2 has 64 KiB: too little for a fast peer, and memory that each stream may take. Octets. */
const STREAM_WINDOW = 262_144;
/** Octets: of all streams of one connection together. */
export const CONNECTION_WINDOW = 1_048_576;
/** Octets: room for a chain of ordinary length, so that it crosses a connection once. */
const HEADER_TABLE = 16_384;

/** Octets of headers in one request (SPEC.md section 15). */
export const MAX_HEADER_BYTES = 32_768;
export const MAX_HEADERS = 200;
const PSEUDO_HEADERS = 8;

/** What both ends of a connection have in common. `streams`: how many the other side may have open. */
export const sessionOptions = (streams: number) => ({
  maxHeaderListPairs: MAX_HEADERS + PSEUDO_HEADERS,
  maxDeflateDynamicTableSize: HEADER_TABLE,
  maxSendHeaderBlockLength: 2 * MAX_HEADER_BYTES,
  // Node would throw where HTTP/1.1 has let two of a name pass; older versions do all the same.
  strictSingleValueFields: false,
  settings: {
    enablePush: false,
    headerTableSize: HEADER_TABLE,
    initialWindowSize: STREAM_WINDOW,
    maxConcurrentStreams: streams,
    maxHeaderListSize: MAX_HEADER_BYTES,
  },
});

/** Name to value or values, as `node:http2` wants them; one name's values keep their order. */
export const headerObject = (flat: readonly string[]): Record<string, string | string[]> => {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let at = 0; at < flat.length; at += 2) {
    const name = (flat[at] ?? '').toLowerCase();
    const value = flat[at + 1] ?? '';
    const before = headers[name];
    headers[name] =
      before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
  }
  return headers;
};

/**
 * Node ends what can be read of a stream where the other side has ended it (END_STREAM), but also where it was reset with NO_ERROR,
 * or destroyed here: half a body would look like a whole one. From here on such a stream closes without having ended. That Node
 * ends streams by `push(null)`, before it marks them closed, is held by tests.
 */
export const endOnlyWhole = (stream: Http2Stream): void => {
  const push = stream.push.bind(stream);
  let isWhole = false;
  stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (chunk === null) {
      isWhole ||= !stream.closed && !stream.destroyed;
      if (!isWhole) {
        // Node is in the middle of closing it.
        process.nextTick(() => stream.destroy());
        return false;
      }
    }
    return push(chunk, encoding);
  };
};
