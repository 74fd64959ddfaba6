/** A trust bundle of the test mesh, signed by its root and policy keys. */
import { jwkOf } from '../../src/core/keys.ts';
import { type BundleOrder, mintBundle } from '../../src/core/trust/bundle.ts';
import { mintRoles } from '../../src/core/trust/roles.ts';
import { ALICE, DOMAIN, issuerKey, NOW, principalKey, type TestKey, testKey } from './core-world.ts';
import { FIXED_CA } from './fixed-ca.ts';

export const rootKey = testKey('root of company.com');
export const policyKey = testKey('policy signer');
export const timestampKey = testKey('timestamp signer');

export interface BundleChanges {
  readonly bundle?: Readonly<Record<string, unknown>>;
  readonly roles?: Readonly<Record<string, unknown>>;
  readonly last?: BundleOrder;
  readonly now?: number;
  /** Who signs, and which `kid` each writes into its header. */
  readonly rolesSigner?: TestKey;
  readonly rolesKid?: string;
  readonly bundleSigner?: TestKey;
  readonly bundleKid?: string;
}

export const anchorClaims = (changes: Readonly<Record<string, unknown>> = {}) => ({
  kind: 'principal',
  jwk: jwkOf(principalKey.x),
  principals: [ALICE],
  human: true,
  delegatees: [`spiffe://${DOMAIN}/agent/planner/*`],
  domains: [DOMAIN],
  scope: ['cloud:*'],
  max_ttl: 7200,
  max_depth: 5,
  ...changes,
});

/** A bundle that holds, and what a sidecar expects of it. */
export const sealedBundle = (changes: BundleChanges = {}) => {
  const { rolesSigner = rootKey, bundleSigner = policyKey } = changes;
  const roles = mintRoles(
    {
      trust_domain: DOMAIN,
      epoch: 1,
      iat: NOW - 10,
      exp: NOW + 86_400,
      root: jwkOf(rootKey.x),
      policy: [jwkOf(policyKey.x)],
      timestamp: [jwkOf(timestampKey.x)],
      issuers: [jwkOf(issuerKey.x)],
      root_issuers: [],
      x509: [FIXED_CA],
      ...changes.roles,
    },
    rolesSigner.sign,
    changes.rolesKid ?? rolesSigner.thumbprint,
  );
  const text = mintBundle(
    {
      trust_domain: DOMAIN,
      epoch: 1,
      seq: 7,
      iat: NOW - 10,
      exp: NOW + 600,
      roles,
      domains: {},
      anchors: [anchorClaims()],
      revoked: [],
      ...changes.bundle,
    },
    bundleSigner.sign,
    changes.bundleKid ?? bundleSigner.thumbprint,
  );
  const { last = { epoch: 0, seq: 0 }, now = NOW } = changes;
  return { text, expected: { trustDomain: DOMAIN, root: rootKey.thumbprint, last, now } };
};
