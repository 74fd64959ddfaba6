/** A bundle on its way from the verifier to a sidecar: base64 of gzip, since a JWS is text that shrinks well. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { MAX_BUNDLE_BYTES } from '../../core/limits.ts';
import { inflateWhole } from './inflate.ts';

const deflate = promisify(gzip);

export const packBundle = async (text: string): Promise<string> =>
  (await deflate(Buffer.from(text, 'latin1'))).toString('base64');

/** The JWS; `undefined` for what is no gzip, or more than a bundle can be. Nothing in it is believed yet. */
export const unpackBundle = async (packed: string): Promise<string | undefined> => {
  try {
    const octets = await inflateWhole(Buffer.from(packed, 'base64'), MAX_BUNDLE_BYTES);
    return octets.toString('latin1');
  } catch {
    return undefined;
  }
};
