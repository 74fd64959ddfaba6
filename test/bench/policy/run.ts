/** `npm run bench -- policy`: what decisions cost, as ratios of one run. */
import { table } from '../../../src/cli/terminal.ts';
import { median } from '../world.ts';
import { timeConditions } from './conditions.ts';
import { timeContent } from './content.ts';
import { policyOf, timeDecisions, timeRemembered } from './decisions.ts';
import { measureOpa } from './opa.ts';

const quick = process.argv.includes('--quick');
const asJson = process.argv.includes('--json');
const DECISIONS = quick ? 2000 : 20_000;
const ROUNDS = quick ? 3 : 9;

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};
const round = (value: number, digits = 2): number => Number(value.toFixed(digits));
const quantile = (times: readonly number[], share: number): number =>
  [...times].sort((a, b) => a - b)[Math.floor(times.length * share)] ?? Number.NaN;

say('decisions under 10, 1,000 and 10,000 rules, in turns …');
const counts = [10, 1000, 10_000] as const;
const policies = counts.map(policyOf);
const rounds = Array.from({ length: ROUNDS }, () =>
  policies.map((policy) => quantile(timeDecisions(policy, DECISIONS / 10), 0.5)),
);
const medians = counts.map((_, at) => median(rounds.map((one) => one[at] ?? Number.NaN)));
const growth = median(rounds.map((one) => (one[2] ?? Number.NaN) / (one[0] ?? Number.NaN)));
const thousand = policies[1] as ReturnType<typeof policyOf>;
const remembered = quantile(timeRemembered(thousand, DECISIONS), 0.5);

say('decisions with OPA, over REST and in process …');
const opa = await measureOpa(quick ? 500 : 5000, (ask) => timeDecisions(thousand, DECISIONS, ask));
const times = opa?.beside ?? timeDecisions(thousand, DECISIONS);
if (opa === undefined)
  say('opa is not here (HOPGATE_OPA, PATH or GOPATH): its figures are left out, and the p99 is without it');

say('a condition …');
const conditions = timeConditions(ROUNDS);
say('content …');
const content = timeContent(ROUNDS);

const figures = {
  decision_p99_us_1000_rules: round(quantile(times, 0.99), 1),
  decision_growth_10_to_10000: round(growth),
  cel_vs_plain: round(median(conditions.map(({ cel, plain }) => cel / plain)), 1),
  opa_rest_vs_inprocess: opa === undefined ? null : round(opa.ratio, 1),
  content_mb_per_s: round(median(content), 1),
};

if (asJson) {
  const details = {
    decision_p50_us: Object.fromEntries(
      counts.map((count, at) => [count, round(medians[at] ?? Number.NaN, 1)]),
    ),
    decision_remembered_p50_us: round(remembered, 1),
    cel_ns: round(median(conditions.map(({ cel }) => cel)), 0),
    opa: opa === undefined ? null : { rest: opa.rest, inProcess: opa.inProcess },
  };
  process.stdout.write(`${JSON.stringify({ figures, details })}\n`);
} else {
  const micros = (at: number): string => `${round(medians[at] ?? Number.NaN, 1)} µs`;
  const rows = [
    [
      'decision_p99_us_1000_rules',
      String(figures.decision_p99_us_1000_rules),
      '< 1000',
      `never asked before, ten rules apply, nine with conditions${opa === undefined ? '' : '; OPA in process included'}`,
    ],
    [
      'decision_growth_10_to_10000',
      String(figures.decision_growth_10_to_10000),
      '≤ 2',
      `median ${micros(0)} with 10 rules, ${micros(1)} with 1,000, ${micros(2)} with 10,000; asked before: ${round(remembered, 1)} µs`,
    ],
    [
      'cel_vs_plain',
      String(figures.cel_vs_plain),
      '',
      `a condition takes ${round(median(conditions.map(({ cel }) => cel)), 0)} ns, plain code ${round(median(conditions.map(({ plain }) => plain)), 1)} ns`,
    ],
    [
      'opa_rest_vs_inprocess',
      figures.opa_rest_vs_inprocess === null ? 'no opa' : String(figures.opa_rest_vs_inprocess),
      '',
      opa === undefined
        ? ''
        : `REST over a unix socket ${round(opa.rest.p50, 0)} µs (p99 ${round(opa.rest.p99, 0)}), in process ${round(opa.inProcess.p50, 0)} µs (p99 ${round(opa.inProcess.p99, 0)})`,
    ],
    ['content_mb_per_s', String(figures.content_mb_per_s), '', '1 MB of JSON through all detectors'],
  ];
  process.stdout.write(`${table(['figure', 'value', 'aim', 'how'], rows)}\n`);
}
process.exit(0);
