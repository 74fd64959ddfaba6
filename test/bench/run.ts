/**
 * `npm run bench`: what a hop costs (`spine.ts`). `npm run bench -- verifier`: how soon a word of the verifier holds everywhere, and
 * how large a trust domain may be. `npm run bench -- policy`: what decisions cost. `npm run bench -- dataplane`: a sidecar beside nginx, haproxy and
 * Envoy. `npm run bench -- telemetry`: what figures and traces cost. `--json` for programs, `--quick` for a look.
 */
const which = ['verifier', 'policy', 'dataplane', 'telemetry'].find((name) => process.argv.includes(name));
await (which === 'verifier'
  ? import('./verifier/run.ts')
  : which === 'policy'
    ? import('./policy/run.ts')
    : which === 'dataplane'
      ? import('./dataplane/run.ts')
      : which === 'telemetry'
        ? import('./telemetry/run.ts')
        : import('./spine.ts'));
