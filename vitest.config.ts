import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Tests start the command line some hundred times; compiled once, it is there in half the time.
const COMPILED = fileURLToPath(new URL('node_modules/.cache/hopgate-tests', import.meta.url));

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/interop/**', 'node_modules/**'],
    env: { NODE_COMPILE_CACHE: COMPILED },
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
