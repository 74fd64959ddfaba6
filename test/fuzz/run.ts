/**
 * `node test/fuzz/run.ts --bodies 1000000 --json`: how many requests, of which seed (`--seed`), also against readers in Go
 * and Python (`--languages`). What each mutation came to is printed. Exits 1 on any difference between our reading and
 * another’s of what we let through.
 */
import { runCampaign } from './campaign.ts';

const option = (name: string, otherwise: number): number => {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
};

const bodies = option('--bodies', 20_000);
const seed = option('--seed', 1);
const started = performance.now();
const seconds = () => Math.round((performance.now() - started) / 1000);
const report = await runCampaign({
  bodies,
  seed,
  languages: process.argv.includes('--languages'),
  onDifference: (difference) => process.stderr.write(`${JSON.stringify(difference)}\n`),
  progress: ({ bodies: done, differences }) => {
    if (done % 50_000 === 0)
      process.stderr.write(`${done} of ${bodies}, ${differences} differences, ${seconds()} s\n`);
  },
});
const failed = report.differences > 0 || report.validRefused.length > 0;
if (process.argv.includes('--json'))
  process.stdout.write(`${JSON.stringify({ ...report, seconds: seconds() })}\n`);
else {
  process.stdout.write(`${report.bodies} bodies of seed ${seed}, ${seconds()} s\n`);
  console.table([report.made]);
  console.table([report.permitted]);
  console.table(report.oracles);
  console.table(report.verdicts);
  process.stdout.write(
    `${report.differences} differences let through, ${report.validRefused.length} valid ones refused\n`,
  );
  for (const one of [...report.examples, ...report.validRefused])
    process.stdout.write(`${JSON.stringify(one)}\n`);
}
process.exitCode = failed ? 1 : 0;
