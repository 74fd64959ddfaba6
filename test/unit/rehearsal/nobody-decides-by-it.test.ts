/** What is tried out and what is said about policies stays with the tools: no path of a request imports it. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { importsOf } from '../../testkit/source-text.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const TOOLS = /^src\/(?:rehearsal|core\/policy\/analysis)\//;

test('only the command line imports rehearsal and core/policy/analysis', () => {
  const files = globSync('src/**/*.ts', { cwd: ROOT }).filter(
    (file) => !TOOLS.test(file) && !file.startsWith('src/cli/'),
  );
  expect(files.length).toBeGreaterThan(200);
  for (const file of files)
    for (const { specifier = '' } of importsOf(readFileSync(path.join(ROOT, file), 'utf8'))) {
      const target = specifier.startsWith('.') ? path.posix.join(path.posix.dirname(file), specifier) : '';
      expect(TOOLS.test(target), `${file} imports ${target}`).toBe(false);
    }
});
