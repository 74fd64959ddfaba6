/** Hopgate as it ships: compiled, without the type stripper that a checkout runs through. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '../..');

/** Compiles into a directory; the file to run. */
export const compileInto = (directory: string): string => {
  const out = path.join(directory, 'dist');
  execFileSync(process.execPath, [
    path.join(ROOT, 'node_modules/typescript/bin/tsc'),
    '-p',
    path.join(ROOT, 'tsconfig.build.json'),
    '--noCheck',
    '--outDir',
    out,
  ]);
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(directory, 'node_modules'));
  copyFileSync(path.join(ROOT, 'package.json'), path.join(directory, 'package.json'));
  return path.join(out, 'main.js');
};
