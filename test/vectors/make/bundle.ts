/** Trust bundles. */
import { type Case, NOW } from './case.ts';
import { b64u, type Claims, key, sha256, withSignature } from './signing.ts';
import { identityKey, mixedOrderKey, nonCanonical, plusGroupOrder } from './torsion.ts';
import {
  ANCHOR,
  bundle,
  DOMAIN,
  DOMAINS,
  INVENTORY,
  ISSUER,
  PARTNER,
  POLICY,
  PRINCIPAL,
  ROOT,
  ROOT_ANCHOR,
  roles,
} from './world.ts';

interface Options {
  readonly now?: number;
  readonly last?: { readonly epoch: number; readonly seq: number; readonly digest?: string };
  readonly root?: string;
  readonly trustDomain?: string;
}

const verify = (comment: string, text: string, expect: Case['expect'], options: Options = {}): Case => ({
  comment,
  source: '9',
  now: options.now ?? NOW,
  input: {
    bundle: text,
    trustDomain: options.trustDomain ?? DOMAIN,
    root: options.root ?? ROOT.jkt,
    last: options.last ?? { epoch: 2, seq: 6 },
  },
  expect,
});
const ok = (comment: string, edit: Claims = {}, options: Options = {}): Case =>
  verify(
    comment,
    bundle(edit),
    { reason: 'ok', epoch: Number(edit.epoch ?? 2), seq: Number(edit.seq ?? 7) },
    options,
  );
const bad = (comment: string, edit: Claims | string, reason: string, options: Options = {}): Case =>
  verify(comment, typeof edit === 'string' ? edit : bundle(edit), { reason }, options);
const anchor = (comment: string, edit: Claims, reason: string): Case =>
  bad(
    comment,
    {
      anchors: [
        Object.fromEntries(Object.entries({ ...ANCHOR, ...edit }).filter(([, value]) => value !== undefined)),
      ],
    },
    reason,
  );
const revoked = (comment: string, entry: unknown, reason: string): Case =>
  bad(comment, { revoked: [entry] }, reason);

const digestOf = (text: string): string => b64u(sha256(text));
const EVIL = key('policy evil');
const EXP = NOW + 900;
const second = nonCanonical()[0]?.[1] ?? Buffer.alloc(0);
const domains = (edit: Claims): Claims => ({ ...DOMAINS, [DOMAIN]: { ...DOMAINS[DOMAIN], ...edit } });

const accepted = (): Case[] => [
  ok('a good bundle'),
  ok('the same bundle again', {}, { last: { epoch: 2, seq: 7, digest: digestOf(bundle()) } }),
  ok('a bundle of the last one’s number, whose digest was not kept', {}, { last: { epoch: 2, seq: 7 } }),
  ok(
    'another bundle, of a higher number',
    { seq: 8 },
    { last: { epoch: 2, seq: 7, digest: digestOf(bundle()) } },
  ),
  ok('the first bundle', { epoch: 1, seq: 1, roles: roles({ epoch: 1 }) }, { last: { epoch: 0, seq: 0 } }),
  ok(
    'a new epoch begins its sequence anew',
    { epoch: 3, seq: 1, roles: roles({ epoch: 3 }) },
    { last: { epoch: 2, seq: 900 } },
  ),
  ok('four policy keys, of which the last has signed', {
    roles: roles({ policy: [key('p1').jwk, key('p2').jwk, key('p3').jwk, POLICY.jwk] }),
  }),
  ok('no anchors', { anchors: [] }),
  ok('every form of revocation', {
    revoked: [
      { link: ROOT.jkt },
      { link: ROOT.jkt, parent: POLICY.jkt, delegatee: INVENTORY.id },
      { key: ROOT.jkt },
      { agent: INVENTORY.id },
      { task: ROOT.jkt, principal: PRINCIPAL },
      { principal: PRINCIPAL, before: NOW },
    ],
  }),
  ok('the last second of the skew behind exp', {}, { now: EXP + 29 }),
  ok('30 s before iat', {}, { now: NOW - 40 }),
];

const refused = (): Case[] => [
  bad('of another trust domain', {}, 'bundle_domain', { trustDomain: PARTNER }),
  bad('the roles are of another trust domain', { roles: roles({ trust_domain: PARTNER }) }, 'bundle_domain'),
  bad('the bundle is of another trust domain', { trust_domain: PARTNER }, 'bundle_domain'),
  bad('another root than the configured one', {}, 'bundle_signer', { root: EVIL.jkt }),
  bad('roles by another root', { roles: roles({ root: EVIL.jwk }, EVIL) }, 'bundle_signer'),
  bad('roles that name the root, signed by another key', { roles: roles({}, EVIL) }, 'bundle_signer'),
  bad(
    'roles under the root’s kid that hold another root',
    { roles: roles({ root: EVIL.jwk }, EVIL, ROOT.jkt) },
    'bundle_signer',
  ),
  bad('a signer that the roles do not name', bundle({}, EVIL), 'bundle_signer'),
  bad(
    'signed by the root itself, which the roles do not name as policy key',
    bundle({}, ROOT),
    'bundle_signer',
  ),
  bad('an epoch that is not that of the roles', { epoch: 3 }, 'bundle_signer'),
  bad('roles that nobody signed', { roles: roles({}, EVIL, ROOT.jkt) }, 'bundle_signature'),
  bad(
    'a bundle under the policy key’s kid, signed by another',
    bundle({}, EVIL, POLICY.jkt),
    'bundle_signature',
  ),
  bad('S + L in the bundle', withSignature(bundle(), plusGroupOrder), 'bundle_signature'),
  bad('S + L in the roles', { roles: withSignature(roles(), plusGroupOrder) }, 'bundle_signature'),
  bad('30 s past exp', {}, 'bundle_expired', { now: EXP + 30 }),
  bad('31 s before iat', {}, 'bundle_expired', { now: NOW - 41 }),
  bad('expired roles', { roles: roles({ exp: NOW - 30 }) }, 'bundle_expired'),
  bad('roles from the future', { roles: roles({ iat: NOW + 31 }) }, 'bundle_expired'),
  bad('another bundle under the number of the last one: a revocation left out', {}, 'bundle_rollback', {
    last: { epoch: 2, seq: 7, digest: digestOf(bundle({ revoked: [{ agent: INVENTORY.id }] })) },
  }),
  bad('a lower sequence, though the very bundle was accepted', {}, 'bundle_rollback', {
    last: { epoch: 2, seq: 8, digest: digestOf(bundle()) },
  }),
  bad('a lower sequence', {}, 'bundle_rollback', { last: { epoch: 2, seq: 8 } }),
  bad(
    'an older epoch with a higher sequence',
    { epoch: 1, seq: 900, roles: roles({ epoch: 1 }) },
    'bundle_rollback',
    { last: { epoch: 2, seq: 7 } },
  ),
  bad(
    'the identity point as policy key',
    bundle({ roles: roles({ policy: [identityKey.jwk] }) }, identityKey),
    'key_small_order',
  ),
  bad(
    'the identity point as issuer',
    { domains: domains({ issuers: [identityKey.jwk] }) },
    'key_small_order',
  ),
  bad(
    'an issuer key of mixed order',
    { domains: domains({ issuers: [ISSUER.jwk, mixedOrderKey.jwk] }) },
    'key_mixed_order',
  ),
  anchor(
    'an anchor key in a second spelling',
    { jwk: { ...ISSUER.jwk, x: b64u(second) } },
    'key_not_canonical',
  ),
  anchor('the identity point as anchor', { jwk: identityKey.jwk }, 'key_small_order'),
];

const malformed = (): Case[] => [
  bad('no bundle', '', 'jws_structure'),
  bad('no roles', { roles: undefined }, 'claim_missing'),
  bad('roles that are no JWS', { roles: 'roles' }, 'jws_structure'),
  bad('a member too many', { note: 'hello' }, 'claim_unknown'),
  bad('epoch zero', { epoch: 0, roles: roles({ epoch: 0 }) }, 'claim_invalid'),
  bad('seq zero', { seq: 0 }, 'claim_invalid'),
  bad('no policy key', { roles: roles({ policy: [] }) }, 'claim_invalid'),
  bad(
    'five policy keys',
    { roles: roles({ policy: [POLICY.jwk, key('p1').jwk, key('p2').jwk, key('p3').jwk, key('p4').jwk] }) },
    'claim_invalid',
  ),
  bad('a private policy key', { roles: roles({ policy: [{ ...POLICY.jwk, d: 'AA' }] }) }, 'claim_unknown'),
  bad('a domain without issuers', { domains: { [DOMAIN]: { x509: [] } } }, 'claim_missing'),
  bad(
    'a domain that is no trust domain',
    { domains: { 'spiffe://company.com': DOMAINS[DOMAIN] } },
    'claim_invalid',
  ),
  bad(
    'a CA certificate that is not base64url',
    { domains: domains({ x509: ['MIIB+/=='] }) },
    'claim_invalid',
  ),
  anchor('an anchor of another kind', { kind: 'robot' }, 'claim_invalid'),
  anchor('an anchor without ceiling', { scope: undefined }, 'claim_missing'),
  anchor('an anchor with an empty ceiling', { scope: [] }, 'scope_empty'),
  anchor('an anchor with a ceiling of everything', { scope: ['*'] }, 'scope_invalid'),
  anchor('an anchor with every delegatee', { delegatees: ['*'] }, 'claim_invalid'),
  anchor('an anchor with no delegatee', { delegatees: [] }, 'claim_invalid'),
  anchor('a principal’s anchor that speaks for everyone', { principals: ['*'] }, 'claim_invalid'),
  bad(
    'a root issuer for everyone and one more',
    { anchors: [{ ...ROOT_ANCHOR, principals: ['*', PRINCIPAL] }] },
    'claim_invalid',
  ),
  anchor('an anchor of depth nine', { max_depth: 9 }, 'claim_invalid'),
  anchor('an anchor without time', { max_ttl: 0 }, 'claim_invalid'),
  anchor('human as text', { human: 'true' }, 'claim_invalid'),
  bad(
    'two anchors with one key: which ceiling would hold?',
    { anchors: [ANCHOR, { ...ANCHOR, scope: ['s3:*'] }] },
    'claim_invalid',
  ),
  revoked('a revocation of no form', {}, 'claim_invalid'),
  revoked('a revocation of two forms', { key: ROOT.jkt, agent: INVENTORY.id }, 'claim_invalid'),
  revoked('a task without its principal', { task: ROOT.jkt }, 'claim_invalid'),
  revoked('a principal without time', { principal: PRINCIPAL }, 'claim_invalid'),
  revoked('an agent pattern', { agent: 'spiffe://company.com/agent/inventory/*' }, 'claim_invalid'),
  revoked('a revocation as text', INVENTORY.id, 'claim_invalid'),
];

export const bundleCases = (): Case[] => [...accepted(), ...refused(), ...malformed()];
