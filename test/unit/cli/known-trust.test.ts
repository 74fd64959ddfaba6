/** What a command verifies with: the policy that the bundle carries where no file is named, and the bundle's lists besides. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkStanding, readTrust } from '../../../src/cli/known-trust.ts';
import { canonicalJson } from '../../../src/core/encoding/json.ts';
import { sha256Base64url } from '../../../src/core/encoding/jws.ts';
import { rootKey, sealedBundle } from '../../testkit/core-bundle.ts';
import { ALICE, mintChain, NOW, permitted, testAgent, verifiedChain } from '../../testkit/core-world.ts';

const POLICY = {
  revision: 'bundled',
  limits: { maxDepth: 2, linkTtlSeconds: 60, callbacks: false, humanRoot: true, sessionSeconds: 60 },
  scopeSets: {},
  lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
  routes: [],
  rules: [],
};
const FILE = 'apiVersion: hopgate.dev/v1\nkind: Policy\nrevision: filed\nlimits: {}\nroutes: []\nrules: []\n';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hopgate-known-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const known = (contents: Readonly<Record<string, unknown>>, policyFile?: string) => {
  const bundle = join(directory, 'bundle.jws');
  const policy = join(directory, 'policy.yaml');
  writeFileSync(bundle, sealedBundle({ bundle: contents }).text);
  if (policyFile !== undefined) writeFileSync(policy, policyFile);
  return readTrust(
    {
      dir: undefined,
      bundle,
      root: rootKey.thumbprint,
      policy: policyFile === undefined ? undefined : policy,
    },
    NOW,
  );
};
const bundled = { policy: POLICY, policy_digest: sha256Base64url(canonicalJson(POLICY)) };

test('the policy of the bundle counts where no file is named', () => {
  expect(known(bundled).policy?.revision).toBe('bundled');
  expect(known({}).policy).toBeUndefined();
});

test('a file that is named counts in its place', () => {
  expect(known(bundled, FILE).policy?.revision).toBe('filed');
});

test('a chain has to pass the lists of the bundle too, with a policy or without', () => {
  const planner = testAgent('planner');
  const chain = verifiedChain(mintChain(planner), planner);
  const lists = { allowAgents: [], blockAgents: [], blockPrincipals: [] };
  const standing = (contents: Readonly<Record<string, unknown>>): string => {
    const { bundle, policy } = known(contents);
    if (bundle === undefined) throw new Error('no bundle');
    return checkStanding(chain, permitted(bundle), policy)?.reason ?? 'ok';
  };
  expect(standing({ ...bundled, lists })).toBe('ok');
  expect(standing({ ...bundled, lists: { ...lists, blockPrincipals: [ALICE] } })).toBe('list_blocked');
  expect(standing({ lists: { ...lists, blockAgents: [planner.id] } })).toBe('list_blocked');
  expect(standing({ lists: { ...lists, allowAgents: ['spiffe://company.com/agent/other/*'] } })).toBe(
    'list_not_allowed',
  );
});
