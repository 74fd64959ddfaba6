/** Where everything of a verifier is, in its directory. */
import path from 'node:path';

export interface Layout {
  readonly directory: string;
  /** Where relative names in the configuration begin. */
  readonly base: string;
  /** `kek` and `root.key`. */
  readonly keys: string;
  readonly socket: string;
  /** A file that the configuration names. */
  readonly resolve: (file: string) => string;
}

/** What a unix socket's path may have on Linux, less its final NUL (sun_path, unix(7)). */
export const MAX_SOCKET_PATH_BYTES = 107;

export const SOCKET_NAME = 'api.sock';

export const KEYS_FOLDER = 'keys';

/** Of a verifier that is started without a word about where. */
export const DEFAULT_VERIFIER_DIRECTORY = 'verifier';

export const layoutOf = (directory: string, base: string): Layout => ({
  directory,
  base,
  keys: path.join(directory, KEYS_FOLDER),
  socket: path.join(directory, SOCKET_NAME),
  resolve: (file) => path.resolve(base, file),
});
