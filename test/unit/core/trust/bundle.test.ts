import { describe, expect, test } from 'vitest';
import { jwkOf } from '../../../../src/core/keys.ts';
import { verifyBundle } from '../../../../src/core/trust/bundle.ts';
import {
  anchorClaims,
  type BundleChanges,
  policyKey,
  rootKey,
  sealedBundle,
} from '../../../testkit/core-bundle.ts';
import {
  DOMAIN,
  issuerKey,
  NOW,
  permitted,
  principalKey,
  reasonOf,
  testKey,
} from '../../../testkit/core-world.ts';

const rootIssuerKey = testKey('root issuer');
const partnerKey = testKey('issuer of the partner');

const open = (changes: BundleChanges = {}) => {
  const { text, expected } = sealedBundle(changes);
  return verifyBundle(text, expected);
};
const smallOrder = jwkOf(Buffer.from(`01${'00'.repeat(31)}`, 'hex').toString('base64url'));

test('a bundle by the root’s policy signer opens, and ends when its first part ends', () => {
  const bundle = permitted(open());
  expect(bundle).toMatchObject({ trustDomain: DOMAIN, epoch: 1, seq: 7, exp: NOW + 600 });
  expect([...bundle.anchors.keys()]).toEqual([principalKey.thumbprint]);
  expect(bundle.issuers.get(DOMAIN)?.has(issuerKey.thumbprint)).toBe(true);
  expect(permitted(open({ roles: { exp: NOW + 60 } })).exp).toBe(NOW + 60);
});

describe('order', () => {
  test.each<readonly [string, number, number, string]>([
    ['the same again', 1, 7, 'ok'],
    ['an older one kept', 1, 6, 'ok'],
    ['a newer one kept', 1, 8, 'bundle_rollback'],
    ['a newer epoch kept, though its seq is lower', 2, 1, 'bundle_rollback'],
    ['an older epoch kept, though its seq is higher', 0, 999, 'ok'],
  ])('%s', (_, epoch, seq, reason) => expect(reasonOf(open({ last: { epoch, seq } }))).toBe(reason));
});

test('another bundle under the number of the last one is none of ours, the very same one is', () => {
  const { digest } = permitted(open());
  const last = { epoch: 1, seq: 7, digest };
  expect(reasonOf(open({ last }))).toBe('ok');
  expect(reasonOf(open({ last, bundle: { exp: NOW + 601 } }))).toBe('bundle_rollback');
  expect(reasonOf(open({ last, bundle: { exp: NOW + 601, seq: 8 } }))).toBe('ok');
});

describe('signers', () => {
  const stranger = testKey('a stranger');
  test.each<readonly [string, BundleChanges, string]>([
    ['roles by a stranger under his own name', { rolesSigner: stranger }, 'bundle_signer'],
    [
      'roles by a stranger under the root’s name',
      { rolesSigner: stranger, rolesKid: rootKey.thumbprint },
      'bundle_signature',
    ],
    ['roles that say another root', { roles: { root: jwkOf(stranger.x) } }, 'bundle_signer'],
    ['a bundle by a stranger under his own name', { bundleSigner: stranger }, 'bundle_signer'],
    [
      'a bundle by a stranger under the signer’s name',
      { bundleSigner: stranger, bundleKid: policyKey.thumbprint },
      'bundle_signature',
    ],
    ['a bundle by the root itself, which names another signer', { bundleSigner: rootKey }, 'bundle_signer'],
    ['a bundle of another epoch than its roles', { bundle: { epoch: 2 } }, 'bundle_signer'],
    [
      'a signer that the root does not name any more',
      { roles: { policy: [jwkOf(stranger.x)] } },
      'bundle_signer',
    ],
    ['one of several signers', { roles: { policy: [jwkOf(stranger.x), jwkOf(policyKey.x)] } }, 'ok'],
    [
      'a policy signer of small order',
      { roles: { policy: [smallOrder, jwkOf(policyKey.x)] } },
      'key_small_order',
    ],
    ['another trust domain', { bundle: { trust_domain: 'partner.org' } }, 'bundle_domain'],
    ['roles of another trust domain', { roles: { trust_domain: 'partner.org' } }, 'bundle_domain'],
  ])('%s', (_, changes, reason) => expect(reasonOf(open(changes))).toBe(reason));
});

describe('time', () => {
  test.each<readonly [string, BundleChanges, string]>([
    ['just before its end, skew included', { now: NOW + 629 }, 'ok'],
    ['at its end, skew included', { now: NOW + 630 }, 'bundle_expired'],
    ['roles that ended', { roles: { exp: NOW - 30 } }, 'bundle_expired'],
    ['from the future', { bundle: { iat: NOW + 31 } }, 'bundle_expired'],
    ['a little ahead of our clock', { bundle: { iat: NOW + 30 } }, 'ok'],
  ])('%s', (_, changes, reason) => expect(reasonOf(open(changes))).toBe(reason));
});

/** A certificate that is none: what is in the DER shows when a trust store is made of it. */
const OTHER_CA = 'AAEC';

describe('contents', () => {
  const domains = (entry: unknown, name = 'partner.org') => ({ bundle: { domains: { [name]: entry } } });
  test.each<readonly [string, BundleChanges, string]>([
    ['an issuer of small order', domains({ x509: [], issuers: [smallOrder] }), 'key_small_order'],
    // Anchors may be thousands; each is admitted when a chain starts from it.
    ['an anchor of small order', { bundle: { anchors: [anchorClaims({ jwk: smallOrder })] } }, 'ok'],
    [
      'an approver of small order',
      { bundle: { approvers: [{ principal: 'mailto:bob@company.com', jwk: smallOrder }] } },
      'key_small_order',
    ],
    [
      'an issuer twice',
      domains({ x509: [], issuers: [jwkOf(partnerKey.x), jwkOf(partnerKey.x)] }),
      'claim_invalid',
    ],
    ['a certificate twice', domains({ x509: [OTHER_CA, OTHER_CA], issuers: [] }), 'claim_invalid'],
    ['a certificate of no octets', domains({ x509: [''], issuers: [] }), 'claim_invalid'],
    [
      'a private key',
      domains({ x509: [], issuers: [{ ...jwkOf(partnerKey.x), d: partnerKey.x }] }),
      'claim_unknown',
    ],
    ['a certificate that is not base64url', domains({ x509: ['a b'], issuers: [] }), 'claim_invalid'],
    ['a domain that is none', domains({ x509: [], issuers: [] }, 'Company.com'), 'claim_invalid'],
    ['an unknown member', { bundle: { more: 1 } }, 'claim_unknown'],
    ['an anchor without scope', { bundle: { anchors: [anchorClaims({ scope: [] })] } }, 'scope_empty'],
    [
      '"*" of a principal’s key',
      { bundle: { anchors: [anchorClaims({ principals: ['*'] })] } },
      'claim_invalid',
    ],
    [
      '"*" beside others',
      { bundle: { anchors: [anchorClaims({ kind: 'root-issuer', principals: ['*', 'a:b'] })] } },
      'claim_invalid',
    ],
    [
      '"*" of a root issuer',
      {
        roles: { root_issuers: [jwkOf(rootIssuerKey.x)] },
        bundle: {
          anchors: [anchorClaims({ kind: 'root-issuer', jwk: jwkOf(rootIssuerKey.x), principals: ['*'] })],
        },
      },
      'ok',
    ],
    [
      'an anchor for everyone’s agents',
      { bundle: { anchors: [anchorClaims({ delegatees: ['*'] })] } },
      'claim_invalid',
    ],
    ['a revocation not understood', { bundle: { revoked: [{ everything: true }] } }, 'claim_invalid'],
  ])('%s', (_, changes, reason) => {
    const seen = reasonOf(open(changes));
    // A form that nobody knows may be told as unknown or as invalid; it is refused.
    if (reason === 'claim_invalid') expect(seen).toMatch(/^claim_(invalid|unknown)$/);
    else expect(seen).toBe(reason);
  });

  test('revocations are read with it', () => {
    const bundle = permitted(open({ bundle: { revoked: [{ key: principalKey.thumbprint }] } }));
    expect(bundle.revocations.size).toBe(1);
  });
});
