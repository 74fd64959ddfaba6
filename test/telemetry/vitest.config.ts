/**
 * With a real OpenTelemetry Collector and Prometheus' own linter, which `npm test` does without:
 * `npx vitest run --config test/telemetry/vitest.config.ts`.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/telemetry/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
