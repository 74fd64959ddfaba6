/** Whatever people write of a policy, a sidecar reads the same out of the bundle; and whatever a bundle holds, reading it is a verdict. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parsePolicy } from '../../src/config/policy.ts';
import {
  canonicalJson,
  type Json,
  type JsonObject,
  parseStrictObjectText,
} from '../../src/core/encoding/json.ts';
import { compilePolicy } from '../../src/core/policy/evaluate.ts';
import {
  CONTENT_RULE,
  DECISION_POINT,
  DELEGATION,
  DEMAND,
  EDGE,
  EGRESS,
  OPERATION,
  POLICY,
  ROUTE,
  RULE,
  TOOLS,
  WITHOUT_SIDECAR,
} from '../../src/core/policy/forms.ts';
import { readPolicy } from '../../src/core/policy/read.ts';
import { policyDigest } from '../../src/core/trust/bundle-contents.ts';
import { permitted } from '../testkit/core-world.ts';
import { writtenPolicies } from '../testkit/policies.ts';

const yamlOf = (written: object): string => stringify(written, { aliasDuplicateObjects: false });

test('YAML to policy to JSON and back: the same policy, with the same digest', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(writtenPolicies, (written) => {
      const policy = parsePolicy(yamlOf(written), 'policy.yaml');
      const json = permitted(parseStrictObjectText(canonicalJson(policy)));
      const read = permitted(readPolicy(json));
      expect(read).toEqual(policy);
      expect(policyDigest(read)).toBe(policyDigest(policy));
      expect(policyDigest(json as never)).toBe(policyDigest(policy));
      compilePolicy(read);
      collect(json, seen);
    }),
    { numRuns: 150, seed: 4 },
  );
  // What no policy had was not tried.
  const members = [
    ROUTE,
    OPERATION,
    TOOLS,
    RULE,
    DEMAND,
    EDGE,
    EGRESS,
    CONTENT_RULE,
    DECISION_POINT,
    WITHOUT_SIDECAR,
    DELEGATION,
    POLICY,
  ];
  for (const name of members.flatMap((form) => Object.keys(form))) expect(seen).toContain(name);
});

const collect = (value: Json, seen: Set<string>): void => {
  if (Array.isArray(value)) for (const one of value) collect(one, seen);
  else if (typeof value === 'object' && value !== null)
    for (const [name, one] of Object.entries(value)) {
      seen.add(name);
      collect(one as Json, seen);
    }
};

/** One place of a JSON value changed, moved or lost. */
const mutated = (value: Json, at: number, change: Json, turns: number): Json => {
  const places: { readonly holder: Json[] | Record<string, Json>; readonly key: string }[] = [];
  const walk = (one: Json): void => {
    if (typeof one !== 'object' || one === null) return;
    for (const [key, inner] of Object.entries(one)) {
      places.push({ holder: one as Record<string, Json>, key });
      walk(inner as Json);
    }
  };
  const copy = JSON.parse(JSON.stringify(value)) as Json;
  walk(copy);
  const place = places[at % places.length];
  if (place === undefined) return copy;
  const holder = place.holder as Record<string, Json>;
  if (turns === 0) holder[place.key] = change;
  else if (turns === 1) delete holder[place.key];
  else if (turns === 2) holder[`${place.key}x`] = holder[place.key] as Json;
  else holder[place.key] = [holder[place.key] as Json];
  // JSON has no holes.
  return JSON.parse(JSON.stringify(copy)) as Json;
};

test('a policy with anything wrong in it is read or refused with policy_invalid; what is read compiles', () => {
  const outcomes = { ok: 0, refused: 0 };
  const changes = fc.oneof(
    fc.constantFrom<Json>(
      null,
      true,
      false,
      0,
      -1,
      1,
      1.5,
      2 ** 53,
      '',
      'x',
      '*',
      '__proto__',
      [],
      {},
      [[]],
      [{}],
      'caller.score',
    ),
    fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>,
  );
  fc.assert(
    fc.property(
      writtenPolicies,
      fc.array(fc.tuple(fc.nat(), changes, fc.nat(3)), { minLength: 20, maxLength: 20 }),
      (written, edits) => {
        const policy = JSON.parse(JSON.stringify(parsePolicy(yamlOf(written), 'policy.yaml'))) as JsonObject;
        for (const [at, change, turns] of edits) {
          const read = readPolicy(mutated(policy, at, change, turns) as JsonObject);
          if (read.ok) compilePolicy(read.value);
          else expect(read.reason).toBe('policy_invalid');
          outcomes[read.ok ? 'ok' : 'refused']++;
        }
      },
    ),
    { numRuns: 100, seed: 4 },
  );
  expect(outcomes.ok).toBeGreaterThan(100);
  expect(outcomes.refused).toBeGreaterThan(1000);
});
