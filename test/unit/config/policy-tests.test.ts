/** Every example policy has its tests beside it; they pass, and leave next to nothing of it untried. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runPolicyTests } from '../../testkit/policy-tests.ts';

const CONFIG = fileURLToPath(new URL('../../../config', import.meta.url));
const examples = globSync('**/*.yaml', { cwd: CONFIG })
  .map((file) => ({ file, text: readFileSync(path.join(CONFIG, file), 'utf8') }))
  .filter(({ text }) => /^kind: Policy$/m.test(text));

test('there are examples', () => {
  expect(examples.map(({ file }) => file)).toContain('policy.yaml');
});

describe.each(examples)('$file', ({ file, text }) => {
  const tests = path.join(CONFIG, file.replace(/\.yaml$/, '.test.yaml'));

  test('has tests, which pass and cover it', async () => {
    expect(existsSync(tests), tests).toBe(true);
    const { faults, cases, coverage } = await runPolicyTests(text, readFileSync(tests, 'utf8'));
    expect(faults).toEqual([]);
    expect(cases.filter(({ ok }) => !ok)).toEqual([]);
    expect(coverage?.uncovered).toEqual([]);
  });
});
