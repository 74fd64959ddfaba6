/** Hopgate as it ships: bundled, without the type stripper that a checkout runs through. */
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '../..');

/** Builds into a directory; the file to run. */
export const compileInto = (directory: string): string => {
  const out = path.join(directory, 'dist');
  execFileSync(process.execPath, [path.join(ROOT, 'build/bundle.ts'), out]);
  copyFileSync(path.join(ROOT, 'package.json'), path.join(directory, 'package.json'));
  return path.join(out, 'main.js');
};
