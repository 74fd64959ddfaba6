/** One key, one role; and what the root gives, the policy key can't take. */
import { describe, expect, test } from 'vitest';
import { jwkOf } from '../../../../src/core/keys.ts';
import { verifyBundle } from '../../../../src/core/trust/bundle.ts';
import { roleKeys, verifyRoles } from '../../../../src/core/trust/roles.ts';
import {
  anchorClaims,
  type BundleChanges,
  policyKey,
  rootKey,
  sealedBundle,
  timestampKey,
} from '../../../testkit/core-bundle.ts';
import {
  ALICE,
  DOMAIN,
  issuerKey,
  NOW,
  permitted,
  principalKey,
  reasonOf,
  type TestKey,
  testKey,
} from '../../../testkit/core-world.ts';
import { FIXED_CA } from '../../../testkit/fixed-ca.ts';

const rootIssuerKey = testKey('root issuer');
const carolKey = testKey('carol');
const open = (changes: BundleChanges = {}) => {
  const { text, expected } = sealedBundle(changes);
  return reasonOf(verifyBundle(text, expected));
};
const jwks = (...keys: readonly TestKey[]) => keys.map(({ x }) => jwkOf(x));

/** One key for each role, before any of them is exchanged. */
const KEYS = { policy: policyKey, timestamp: timestampKey, issuers: issuerKey, root_issuers: rootIssuerKey };
type Role = keyof typeof KEYS;
const NAMES = Object.keys(KEYS) as Role[];
const rolesWith = (role: Role, ...keys: readonly TestKey[]) => ({
  ...Object.fromEntries(NAMES.map((name) => [name, jwks(KEYS[name])])),
  [role]: jwks(KEYS[role], ...keys),
});

const PAIRS = NAMES.flatMap((role) =>
  NAMES.filter((other) => other !== role).map((other) => [role, other] as const),
);

test('roles with a key for each hold, and name them all', () => {
  const { text, expected } = sealedBundle({ roles: rolesWith('policy') });
  const { roles } = permitted(verifyBundle(text, expected));
  expect(roleKeys(roles)).toEqual(
    [rootKey, policyKey, timestampKey, issuerKey, rootIssuerKey].map(({ x }) => x),
  );
});

test.each(PAIRS)('the key of %s may not be among %s as well', (role, other) => {
  expect(open({ roles: rolesWith(other, KEYS[role]) })).toBe('bundle_role');
});

test.each(NAMES)('the root may not be among %s', (role) => {
  expect(open({ roles: rolesWith(role, rootKey) })).toBe('bundle_role');
});

describe('the policy key can’t', () => {
  const partner = (entry: object) => ({
    bundle: { domains: { 'partner.org': { x509: [], issuers: [], ...entry } } },
  });
  const approver = (key: TestKey, principal = 'mailto:carol@company.com') => ({
    principal,
    jwk: jwkOf(key.x),
  });

  test.each<readonly [string, BundleChanges]>([
    [
      'name CA and issuers of its own trust domain',
      { bundle: { domains: { [DOMAIN]: { x509: [], issuers: [] } } } },
    ],
    ['make an issuer of ours one of a partner', partner({ issuers: jwks(issuerKey) })],
    ['make itself an issuer of a partner', partner({ issuers: jwks(policyKey) })],
    ['make our CA that of a partner', partner({ x509: [FIXED_CA] })],
    [
      'name a root issuer',
      {
        bundle: {
          anchors: [anchorClaims({ kind: 'root-issuer', principals: ['*'], jwk: jwkOf(policyKey.x) })],
        },
      },
    ],
    [
      'keep a root issuer that the root has forgotten',
      { bundle: { anchors: [anchorClaims({ kind: 'root-issuer', jwk: jwkOf(rootIssuerKey.x) })] } },
    ],
    ['be a principal', { bundle: { anchors: [anchorClaims({ jwk: jwkOf(policyKey.x) })] } }],
    [
      'make the timestamp key a principal',
      { bundle: { anchors: [anchorClaims({ jwk: jwkOf(timestampKey.x) })] } },
    ],
    ['be an approver', { bundle: { approvers: [approver(policyKey)] } }],
    ['let the issuer approve', { bundle: { approvers: [approver(issuerKey)] } }],
    ['let Alice approve under another’s name', { bundle: { approvers: [approver(principalKey)] } }],
    [
      'let one of several whom an anchor speaks for approve with its key',
      {
        bundle: {
          anchors: [anchorClaims({ principals: [ALICE, 'mailto:carol@company.com'] })],
          approvers: [approver(principalKey, ALICE)],
        },
      },
    ],
  ])('%s', (_, changes) => expect(open(changes)).toBe('bundle_role'));

  test('but it can name who approves: strangers to every role, and principals by their own key', () => {
    expect(open({ bundle: { approvers: [approver(carolKey)] } })).toBe('ok');
    expect(open({ bundle: { approvers: [approver(principalKey, ALICE)] } })).toBe('ok');
  });

  test('and no key is that of two approvers', () => {
    const two = [approver(carolKey), approver(carolKey, 'mailto:dave@company.com')];
    expect(open({ bundle: { approvers: two } })).toBe('claim_invalid');
  });
});

test('what a bundle carries is not read before its signatures hold', () => {
  const scores = { baseline: 500, half_life: 60, agents: { 'spiffe://company.com/agent/a/1': null } };
  expect(open({ bundle: { scores } })).toBe('claim_invalid');
  expect(open({ bundle: { scores }, bundleSigner: testKey('stranger') })).toBe('bundle_signer');
  const forged = { bundleSigner: testKey('stranger'), bundleKid: policyKey.thumbprint };
  expect(open({ bundle: { scores }, ...forged })).toBe('bundle_signature');
});

describe('roles alone, as one who joins gets them', () => {
  const rolesText = (changes: BundleChanges = {}): string => {
    const payload = sealedBundle(changes).text.split('.')[1] ?? '';
    return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { roles: string }).roles;
  };
  const verify = (changes: BundleChanges = {}, now = NOW, root = rootKey.thumbprint, trustDomain = DOMAIN) =>
    reasonOf(verifyRoles(rolesText(changes), { trustDomain, root, now }));

  test('hold under the root alone', () => {
    expect(verify()).toBe('ok');
    expect(verify({}, NOW, policyKey.thumbprint)).toBe('bundle_signer');
    expect(verify({}, NOW, rootKey.thumbprint, 'partner.org')).toBe('bundle_domain');
    expect(verify({ rolesSigner: policyKey })).toBe('bundle_signer');
    expect(verify({ rolesSigner: policyKey, rolesKid: rootKey.thumbprint })).toBe('bundle_signature');
    expect(verify({ roles: { timestamp: jwks(policyKey) } })).toBe('bundle_role');
    expect(verify({}, NOW + 86_429)).toBe('ok');
    expect(verify({}, NOW + 86_430)).toBe('bundle_expired');
    expect(verify({}, NOW - 41)).toBe('bundle_expired');
  });
});
