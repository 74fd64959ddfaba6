/**
 * `npm run bench`: what a hop costs (`spine.ts`). `npm run bench -- verifier`: how soon a word of the verifier holds everywhere, and
 * how large a trust domain may be. `--json` for programs, `--quick` for a look.
 */
await (process.argv.includes('verifier') ? import('./verifier/run.ts') : import('./spine.ts'));
