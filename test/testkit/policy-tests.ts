/** Policy tests, run as `hopgate policy test` runs them. */
import { parsePolicy } from '../../src/config/policy.ts';
import { parsePolicyTest } from '../../src/config/policy-test.ts';
import { compilePolicy } from '../../src/core/policy/evaluate.ts';
import { CoverageCount } from '../../src/rehearsal/coverage.ts';
import { Rehearsal } from '../../src/rehearsal/rehearse.ts';
import { caseFaults, runCases } from '../../src/rehearsal/run-tests.ts';
import { NOW } from './core-world.ts';

const rehearsal = new Rehearsal();

export const runPolicyTests = async (policyText: string, testText: string) => {
  const compiled = compilePolicy(parsePolicy(policyText, 'policy.yaml'));
  const source = parsePolicyTest(testText, 'tests.yaml');
  const faults = caseFaults(source, compiled, NOW);
  if (faults.length > 0) return { faults, cases: [], coverage: undefined };
  const count = new CoverageCount(compiled.policy);
  const cases = await runCases(source, compiled, rehearsal, count, NOW);
  return { faults, cases, coverage: count.count() };
};
