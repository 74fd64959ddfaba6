/** Who starts a checkout before its packages are there hears what to do, in one line. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';

const ROOT = path.join(import.meta.dirname, '../../..');
let checkout = '';
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

it('names the command that brings them', () => {
  checkout = mkdtempSync(path.join(tmpdir(), 'hopgate-checkout-'));
  for (const part of ['bin', 'src', 'package.json'])
    cpSync(path.join(ROOT, part), path.join(checkout, part), { recursive: true });
  const { status, stderr } = spawnSync(
    process.execPath,
    [path.join(checkout, 'bin/hopgate.js'), '--version'],
    {
      encoding: 'utf8',
    },
  );
  expect(stderr).toBe('hopgate: this checkout has no packages yet; run "npm ci" in it\n');
  expect(status).toBe(2);
});
