/** Runs a file of policy tests against a policy: what each case expects, and what came of it. */
import type { ConfigFault } from '../config/fault.ts';
import type { Source } from '../config/load.ts';
import type { ExpectationConfig, PolicyTestConfig } from '../config/policy-test-schema.ts';
import type { CompiledPolicy } from '../core/policy/evaluate.ts';
import type { CoverageCount } from './coverage.ts';
import { isFault, requestFrom } from './from-config.ts';
import type { Rehearsal, Rehearsed } from './rehearse.ts';

/** One thing that is not as expected. */
export interface Difference {
  readonly what: keyof ExpectationConfig;
  readonly expected: string;
  readonly got: string;
}

export interface CaseResult {
  readonly name: string;
  readonly ok: boolean;
  readonly differences: readonly Difference[];
  /** Why it was decided so; '' for a permit. */
  readonly detail: string;
  readonly verdict: Rehearsed['verdict'];
  readonly reason: string;
  /** Of the case. */
  readonly line: number;
}

const sorted = (list: readonly string[]): string => [...new Set(list)].sort().join(' ') || '(none)';

/** In the words of an expectation. */
const saidOf = (result: Rehearsed): Readonly<Record<keyof ExpectationConfig, string>> => ({
  verdict: result.verdict,
  reason: result.reason,
  rule: result.rule || '(none)',
  route: result.route?.name ?? '(none)',
  required: sorted(result.required),
  flags: sorted(result.flags),
  shadow: sorted(result.shadow.map(({ rule }) => rule)),
  labels: sorted(result.labels),
  content: sorted(result.content.map(({ rule }) => rule)),
  observed: result.observed ?? '(none)',
});

const wordOf = (expected: string | readonly string[]): string =>
  typeof expected === 'string' ? expected || '(none)' : sorted(expected);

const differencesOf = (expected: ExpectationConfig, result: Rehearsed): readonly Difference[] => {
  const said = saidOf(result);
  return Object.entries(expected).flatMap(([member, value]) => {
    if (value === undefined) return [];
    const what = member as keyof ExpectationConfig;
    const wanted = wordOf(value);
    return wanted === said[what] ? [] : [{ what, expected: wanted, got: said[what] }];
  });
};

/** Requests that can't be made of what the cases say. */
export const caseFaults = (
  source: Source<PolicyTestConfig>,
  { policy }: CompiledPolicy,
  nowSeconds: number,
): readonly ConfigFault[] =>
  source.value.cases.flatMap(({ request }, at) => {
    const made = requestFrom(source.value.given, request, policy.scopeSets, nowSeconds);
    return isFault(made) ? [source.fault(['cases', at, 'request', made.member], made.fault)] : [];
  });

/** Of cases without {@link caseFaults}. */
export const runCases = async (
  source: Source<PolicyTestConfig>,
  compiled: CompiledPolicy,
  rehearsal: Rehearsal,
  coverage: CoverageCount,
  nowSeconds: number,
): Promise<readonly CaseResult[]> => {
  const { given, cases } = source.value;
  const results: CaseResult[] = [];
  for (const [at, { name, request, expect }] of cases.entries()) {
    const made = requestFrom(given, request, compiled.policy.scopeSets, nowSeconds);
    if (isFault(made)) throw new RangeError(`${name}: ${made.member} ${made.fault}`);
    const result = await rehearsal.decide(compiled, made);
    coverage.take(result);
    const differences = differencesOf(expect, result);
    const { detail, verdict, reason } = result;
    const { line } = source.fault(['cases', at], '');
    results.push({ name, ok: differences.length === 0, differences, detail, verdict, reason, line });
  }
  return results;
};
