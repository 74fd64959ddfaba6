/** The files of a bundle (tar.gz), read whole and within bounds before anything is believed of them. */
import { extract } from 'tar-stream';
import { inflateWhole } from '../verifier/inflate.ts';
import { BundleFault } from './bundle-fault.ts';

const MAX_ENTRIES = 4096;
const MAX_NAME = 512;

/** By path without a slash in front, as signatures name them. */
export type BundleFiles = ReadonlyMap<string, Buffer>;

/** `/policy.wasm` and `./policy.wasm` are `policy.wasm`; what would leave the bundle is refused, and not made to fit. */
const canonicalName = (name: string): string => {
  const bare = name.replace(/^(?:\.?\/)+/, '');
  const isPlain =
    bare.length > 0 &&
    bare.length <= MAX_NAME &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    !/[\\\x00-\x1f\x7f]/.test(bare) &&
    bare.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  if (!isPlain) throw new BundleFault('it has a file with a name that leads elsewhere');
  return bare;
};

/** `maxBytes` is for what comes out of the gzip. Throws {@link BundleFault}. */
export const readArchive = async (octets: Buffer, maxBytes: number): Promise<BundleFiles> => {
  let tar: Buffer;
  try {
    tar = await inflateWhole(octets, maxBytes);
  } catch (error) {
    throw new BundleFault(
      (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'
        ? `it is larger than ${maxBytes} octets when unpacked`
        : 'it is no gzip',
    );
  }
  const files = new Map<string, Buffer>();
  const reader = extract();
  reader.end(tar);
  try {
    let entries = 0;
    for await (const entry of reader) {
      const { name, type } = entry.header;
      if (++entries > MAX_ENTRIES) throw new BundleFault(`it has more than ${MAX_ENTRIES} entries`);
      const chunks: Buffer[] = [];
      for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
      if (type === 'directory') continue;
      if (type !== 'file') throw new BundleFault('it has links or devices');
      const path = canonicalName(name);
      if (files.has(path)) throw new BundleFault('it has a file twice');
      files.set(path, Buffer.concat(chunks));
    }
  } catch (error) {
    throw error instanceof BundleFault ? error : new BundleFault('it is no tar archive');
  }
  return files;
};
