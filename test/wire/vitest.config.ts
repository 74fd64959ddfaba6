/**
 * What programs of other people say of what we speak, and floods that take a while: not part of `npm test`, since they need
 * tools or minutes. `npx vitest run --config test/wire/vitest.config.ts`, with a file for one of them.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/wire/**/*.test.ts'],
    // They measure: one at a time.
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 60_000,
  },
});
