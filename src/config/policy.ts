/** A policy file to the core's policy, with the checks that need more than one field. */

import { expandScope } from '../core/delegation/scope.ts';
import { canonicalJson, parseStrictObjectText } from '../core/encoding/json.ts';
import { MAX_POLICY_BYTES } from '../core/limits.ts';
import type { PolicyFault } from '../core/policy/fault.ts';
import { policyFaults } from '../core/policy/faults.ts';
import type { Policy } from '../core/policy/model.ts';
import { readPolicy } from '../core/policy/read.ts';
import type { Path } from './fault.ts';
import { ConfigError, type ConfigFault, parseConfig, type Source } from './load.ts';
import { nearest } from './nearest.ts';
import { type PolicyConfig, policySchema } from './policy-schema.ts';
import { toPolicy } from './to-policy.ts';

/** A policy that can still say where each of its parts stands in the file. */
export interface PlacedPolicy {
  readonly policy: Policy;
  /** Of a part, by its path in the core's policy. */
  place(path: PolicyFault['path'], message: string): ConfigFault;
}

/** Throws {@link ConfigError} with every fault found. */
export const parsePolicy = (text: string, file: string): Policy => parsePlacedPolicy(text, file).policy;

/** As {@link parsePolicy}. */
export const parsePlacedPolicy = (text: string, file: string): PlacedPolicy => {
  const source = parseConfig(text, file, policySchema, MAX_POLICY_BYTES);
  const policy = toPolicy(source.value);
  const faults = [...scopeSetFaults(source), ...setInsteadFaults(source), ...coreFaults(source, policy)];
  if (faults.length > 0) throw new ConfigError(faults.sort((a, b) => a.line - b.line || a.column - b.column));
  // Sidecars read it out of the bundle with their own, narrower reader: what they would refuse must not be published.
  const json = parseStrictObjectText(canonicalJson(policy));
  const read = json.ok ? readPolicy(json.value) : json;
  if (!read.ok) throw new ConfigError([source.fault([], read.detail)]);
  return { policy, place: (path, message) => source.fault(writtenPath(path), message) };
};

const scopeSetFaults = (source: Source<PolicyConfig>): ConfigFault[] => {
  const sets = source.value.scopeSets;
  return Object.keys(sets).flatMap((name) => {
    const expanded = expandScope([name], sets);
    return 'fault' in expanded ? [source.fault(['scopeSets', name], expanded.fault)] : [];
  });
};

/** Lists of scopes in which names are never expanded. */
const scopeLists = function* (config: PolicyConfig): Iterable<[Path, readonly string[]]> {
  const { rules, demands } = config;
  for (const list of ['routes', 'egress'] as const)
    for (const [index, { scopes = [], operations = [] }] of config[list].entries()) {
      yield [[list, index, 'scopes'], scopes];
      for (const [at, operation] of operations.entries())
        yield [[list, index, 'operations', at, 'scopes'], operation.scopes];
    }
  for (const [index, { scopes = [] }] of rules.entries()) yield [['rules', index, 'scopes'], scopes];
  for (const [index, { scopes = [] }] of demands.entries()) yield [['demands', index, 'scopes'], scopes];
};

/** A name where a pattern belongs: an allow would allow nothing, and a deny would deny nothing. */
const setInsteadFaults = (source: Source<PolicyConfig>): ConfigFault[] => {
  const { scopeSets } = source.value;
  const faults: ConfigFault[] = [];
  for (const [path, scopes] of scopeLists(source.value))
    for (const [at, scope] of scopes.entries())
      if (Object.hasOwn(scopeSets, scope))
        faults.push(source.fault([...path, at], `"${scope}" is a scope set; name its patterns here`));
  return faults;
};

/** Members of a policy that people write under another name. */
const WRITTEN: Readonly<Record<string, string>> = { maxMessageBytes: 'maxMessage' };

const writtenPath = (path: PolicyFault['path']): Path =>
  path.map((step) =>
    typeof step === 'string' && Object.hasOwn(WRITTEN, step) ? (WRITTEN[step] ?? step) : step,
  );

/** What sidecars would refuse it for, each at its place. */
const coreFaults = (source: Source<PolicyConfig>, policy: Policy): ConfigFault[] =>
  [...policyFaults(policy)].map(({ path, message, offset, unknown }) => {
    const meant = unknown && nearest(unknown.name, [...unknown.known]);
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    return source.fault(writtenPath(path), `${message}${hint}`, offset);
  });
