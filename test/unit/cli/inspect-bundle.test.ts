/** A person who inspects a bundle reads who has which role, and what sidecars decide with. */
import { expect, it } from 'vitest';
import { inspectBundle } from '../../../src/cli/inspect-bundle.ts';
import type { KnownTrust } from '../../../src/cli/known-trust.ts';
import { canonicalJson } from '../../../src/core/encoding/json.ts';
import { sha256Base64url } from '../../../src/core/encoding/jws.ts';
import { jwkOf } from '../../../src/core/keys.ts';
import { policyKey, rootKey, sealedBundle, timestampKey } from '../../testkit/core-bundle.ts';
import { ALICE, issuerKey, NOW, principalKey, testKey } from '../../testkit/core-world.ts';

const carol = testKey('carol');
const POLICY = {
  revision: 'r7',
  limits: { maxDepth: 3, linkTtlSeconds: 60, callbacks: false, humanRoot: true, sessionSeconds: 60 },
  scopeSets: {},
  lists: { allowAgents: [], blockAgents: ['spiffe://company.com/agent/a/1'], blockPrincipals: [] },
  routes: [],
  rules: [],
};
const digest = sha256Base64url(canonicalJson(POLICY));
const trust: KnownTrust = {
  dir: undefined,
  state: undefined,
  bundle: undefined,
  root: rootKey.thumbprint,
  policy: undefined,
};
const inspected = (
  bundle: Readonly<Record<string, unknown>>,
  roles: Readonly<Record<string, unknown>> = {},
) => inspectBundle(sealedBundle({ bundle, roles }).text, trust, NOW);
const full = inspected({
  policy: POLICY,
  policy_digest: digest,
  lists: { allowAgents: ['spiffe://company.com/agent/a/*'], blockAgents: [], blockPrincipals: [ALICE] },
  approvers: [{ principal: 'mailto:carol@company.com', jwk: jwkOf(carol.x) }],
  attributes: {
    agents: {
      'spiffe://company.com/agent/a/*': { env: 'prod', team: 'x' },
      'spiffe://company.com/agent/a/1': {},
    },
    principals: { [ALICE]: { groups: ['sre', 'oncall'] } },
  },
  scores: { baseline: 500, half_life: 3600, agents: { 'spiffe://company.com/agent/a/1': [900, NOW, 3] } },
});
const section = (inspection: typeof full, heading: string) =>
  inspection.sections
    .find((each) => each.heading === heading)
    ?.rows.map(([label, value]) => `${label}: ${value}`);

it('says who has which role, and until when', () => {
  expect(full.result).toMatchObject({ ok: true, value: { verified: true } });
  expect(section(full, 'roles of epoch 1')).toEqual([
    `root: ${rootKey.thumbprint}`,
    'issued: 10 s ago (2027-01-15T07:59:50Z)',
    'expires: in 24 h (2027-01-16T08:00:00Z)',
    `policy: key ${policyKey.thumbprint}`,
    `timestamp: key ${timestampKey.thumbprint}`,
    `WIT issuer: key ${issuerKey.thumbprint}`,
    expect.stringMatching(/^SVID CA: ends .*2126/),
  ]);
  expect(section(inspected({}, { timestamp: [] }), 'roles of epoch 1')).toContain(
    'timestamp: no key: a bundle is as fresh as it is old',
  );
});

it('names the policy by revision and digest, and the lists besides', () => {
  expect(section(full, 'policy r7')).toEqual([
    `digest: ${digest}`,
    'holds: 0 routes, 0 rules, 0 demands',
    'its lists: no allowlist, 1 agents and 0 principals blocked',
    'lists besides: 1 allowed, 0 agents and 1 principals blocked',
  ]);
  expect(inspected({}).sections.map(({ heading }) => heading)).not.toContain('no policy');
});

it('names approvers, counts scores, and shows whom an anchor speaks for', () => {
  expect(section(full, 'approvers')).toEqual([`mailto:carol@company.com: key ${carol.thumbprint}`]);
  expect(section(full, 'bundle 1.7 of company.com')).toContain(
    'scores: 1 listed; of others 500; half-life 60 min',
  );
  expect(section(full, `human anchor ${ALICE}`)).toContain(`key: ${principalKey.thumbprint}`);
});

it('lists attributes and groups, and nothing where there are none', () => {
  const heading = 'attributes of 2 agents and types, groups of 1 principals';
  expect(section(full, heading)).toEqual([
    'spiffe://company.com/agent/a/*: env=prod  team=x',
    'spiffe://company.com/agent/a/1: none, whatever stands at its type',
    `${ALICE}: sre  oncall`,
  ]);
  expect(JSON.stringify(inspected({}).sections)).not.toContain('attributes');
});

it('gives programs the same', () => {
  expect(full.data).toMatchObject({
    roles: {
      epoch: 1,
      policy: [policyKey.thumbprint],
      timestamp: [timestampKey.thumbprint],
      rootIssuers: [],
    },
    policy: { revision: 'r7', digest },
    lists: { allowAgents: 1, blockAgents: 0, blockPrincipals: 1 },
    scores: { agents: 1, baseline: 500, halfLife: 3600 },
    attributes: {
      agents: {
        'spiffe://company.com/agent/a/*': { env: 'prod', team: 'x' },
        'spiffe://company.com/agent/a/1': {},
      },
      principals: { [ALICE]: { groups: ['sre', 'oncall'] } },
    },
    approvers: [{ thumbprint: carol.thumbprint, principal: 'mailto:carol@company.com' }],
  });
  expect(JSON.stringify(full)).not.toContain(carol.x);
});
