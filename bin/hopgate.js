#!/usr/bin/env node
// Plain JavaScript that any Node since 14 can parse: a Node that is too old must hear so in one line,
// and not in a stack trace about syntax it doesn't know.
import { existsSync } from 'node:fs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `hopgate: needs Node.js >= 22.19, this is ${process.versions.node}; install a current Node.js (https://nodejs.org) or, in a checkout, use "npx hopgate" after "npm ci"\n`,
  );
  process.exit(2);
}
// A checkout runs its sources (Node strips the types); the published package carries dist only.
const source = new URL('../src/main.ts', import.meta.url);
const main = existsSync(source) ? source : new URL('../dist/main.js', import.meta.url);
try {
  await import(main.href);
} catch (error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || !error.message.startsWith('Cannot find package')) throw error;
  process.stderr.write('hopgate: this checkout has no packages yet; run "npm ci" in it\n');
  process.exit(2);
}
