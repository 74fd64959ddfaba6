import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Tests start the command line some hundred times; compiled once, it is there in half the time.
const COMPILED = fileURLToPath(new URL('node_modules/.cache/hopgate-tests', import.meta.url));

/** For what hangs: a machine that others use as well may be four times as slow as it was. */
const TIME_LIMITS = { testTimeout: 90_000, hookTimeout: 90_000 };

export default defineConfig({
  test: {
    env: { NODE_COMPILE_CACHE: COMPILED },
    globalSetup: 'test/testkit/built.ts',
    // Many wait for processes and sockets: on two cores, one at a time leaves both idle half of the time.
    maxWorkers: 3,
    projects: [
      {
        extends: true,
        test: {
          name: 'inside',
          include: ['test/{unit,property,vectors,adversarial}/**/*.test.ts'],
          // What a file leaves behind in its process is no other file's business: modules are read once.
          isolate: false,
          ...TIME_LIMITS,
        },
      },
      { extends: true, test: { name: 'whole', include: ['test/e2e/**/*.test.ts'], ...TIME_LIMITS } },
    ],
  },
});
