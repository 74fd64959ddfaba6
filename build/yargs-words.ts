/** yargs reads its words, in twenty languages, from where it lies. In the bundle they lie in a folder beside it. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'rolldown';

export const WORDS_DIRECTORY = 'locales';

const SHIM = /[\\/]yargs[\\/]lib[\\/]platform-shims[\\/]esm\.mjs$/;
const WHERE_IT_LIES = "resolve(__dirname, '../../../locales')";

export const yargsWords = (): Plugin => ({
  name: 'yargs-words',
  transform: {
    filter: { id: SHIM },
    handler(code) {
      if (!code.includes(WHERE_IT_LIES)) throw new Error('yargs finds its words in another way by now');
      return code.replace(WHERE_IT_LIES, `resolve(import.meta.dirname, '${WORDS_DIRECTORY}')`);
    },
  },
});

/** Name and content of each file. */
export const wordsOfYargs = (): readonly (readonly [string, string])[] => {
  const from = path.join(path.dirname(fileURLToPath(import.meta.resolve('yargs'))), 'locales');
  return readdirSync(from).map((name) => [name, readFileSync(path.join(from, name), 'utf8')]);
};
