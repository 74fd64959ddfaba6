/**
 * `node test/fuzz/responses/run.ts --responses 200000 --seed 1`: bent responses against Node's client. Prints where we are stricter,
 * with an example each. Exits 1 on any difference in what we accept.
 */
import { runResponses } from './campaign.ts';

const option = (name: string, otherwise: number): number => {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
};

const started = performance.now();
const { examples, stricter, ...counts } = await runResponses(
  option('--responses', 20_000),
  option('--seed', 1),
);
console.table([{ ...counts, seconds: Math.round((performance.now() - started) / 1000) }]);
console.table(
  Object.entries(stricter)
    .sort(([, a], [, b]) => b.count - a.count)
    .map(([why, { count, example }]) => ({ why, count, example: JSON.stringify(example).slice(0, 120) })),
);
for (const one of examples) process.stdout.write(`${JSON.stringify(one)}\n`);
process.exitCode = counts.differences > 0 ? 1 : 0;
