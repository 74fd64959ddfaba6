/** A gzip at once and in one piece, within bounds. */
import { promisify } from 'node:util';
import { gunzip, gunzipSync } from 'node:zlib';

const expand = promisify(gunzip);
const ISIZE_OCTETS = 4;
const LEAST_CHUNK_BYTES = 65_536;
/** What is inflated in less time than another thread takes to hear of it. */
const MOST_AT_ONCE_BYTES = 262_144;

/**
 * Rejects for what is no gzip, or more than `maxBytes`. The end of a gzip says how much comes out (RFC 1952 §2.3.1): taken at its
 * word, up to the bound, nothing is put together from hundreds of small pieces, which would leave the process with holes in its
 * memory for as long as it lives.
 */
export const inflateWhole = async (octets: Buffer, maxBytes: number): Promise<Buffer> => {
  const said = octets.length < ISIZE_OCTETS ? 0 : octets.readUInt32LE(octets.length - ISIZE_OCTETS);
  // Held to its word: a gzip that says less than comes out is none.
  if (said > 0 && said <= Math.min(MOST_AT_ONCE_BYTES, maxBytes))
    return gunzipSync(octets, {
      maxOutputLength: said,
      chunkSize: Math.max(said + 1, LEAST_CHUNK_BYTES / 4),
    });
  // One more, so that the end is seen without another piece.
  const chunkSize = Math.min(Math.max(said + 1, LEAST_CHUNK_BYTES), Math.max(maxBytes, LEAST_CHUNK_BYTES));
  return expand(octets, { maxOutputLength: maxBytes, chunkSize });
};
