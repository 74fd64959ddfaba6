/** A file of policy tests, with the place of each of its parts. */

import { ConfigError } from './fault.ts';
import { parseConfig, type Source } from './load.ts';
import { type PolicyTestConfig, policyTestSchema } from './policy-test-schema.ts';

/** Throws {@link ConfigError} with every fault found. */
export const parsePolicyTest = (text: string, file: string): Source<PolicyTestConfig> => {
  const source = parseConfig(text, file, policyTestSchema);
  const names = new Set<string>();
  const twice = source.value.cases.flatMap(({ name }, at) => {
    const isKnown = names.has(name);
    names.add(name);
    return isKnown ? [source.fault(['cases', at, 'name'], 'another case has this name')] : [];
  });
  if (twice.length > 0) throw new ConfigError(twice);
  return source;
};
