/** Trust bundles. */
import { type Case, NOW } from './case.ts';
import { POLICY as POLICY_JSON } from './policy-required.ts';
import { b64u, type Claims, jcs, key, sha256, withSignature } from './signing.ts';
import { identityKey, mixedOrderKey, nonCanonical, plusGroupOrder } from './torsion.ts';
import {
  ALICE,
  ANCHOR,
  APPROVER,
  bundle,
  CERTIFICATE,
  DOMAIN,
  DOMAINS,
  INVENTORY,
  ISSUER,
  PARTNER,
  PARTNER_ISSUER,
  POLICY,
  PRINCIPAL,
  ROOT,
  ROOT_ANCHOR,
  roles,
  TIMESTAMP,
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
const partner = (edit: Claims): Claims => ({ [PARTNER]: { ...DOMAINS[PARTNER], ...edit } });
const approvers = (comment: string, list: readonly unknown[], reason: string): Case =>
  bad(comment, { approvers: list }, reason);
const policy = (edit: Claims = {}): Claims => ({ ...POLICY_JSON, ...edit });
const SCORES = {
  baseline: 500,
  half_life: 86_400,
  agents: { [INVENTORY.id]: [900, NOW - 60, 40] },
};
const ATTRIBUTES = {
  agents: {
    [INVENTORY.id]: { team: 'logistics', env: 'prod' },
    'spiffe://company.com/agent/security/*': { team: 'security' },
  },
  principals: { [PRINCIPAL]: { groups: ['sre', 'oncall'] } },
};
const LISTS = { allowAgents: [], blockAgents: [INVENTORY.id], blockPrincipals: [] };

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
      { key: ROOT.jkt, lost: true },
      { agent: INVENTORY.id },
      { task: ROOT.jkt, principal: PRINCIPAL },
      { principal: PRINCIPAL, before: NOW },
    ],
  }),
  ok('a policy, and its digest', { policy: policy(), policy_digest: digestOf(jcs(policy())) }),
  ok('a policy whose members stand in another order than those of its canonical form', {
    policy: Object.fromEntries(Object.entries(policy()).reverse()),
    policy_digest: digestOf(jcs(policy())),
  }),
  ok('lists of its own', { lists: LISTS }),
  ok('scores', { scores: SCORES }),
  ok('attributes of agents and of a type, and groups of a principal', { attributes: ATTRIBUTES }),
  ok('attributes of nobody', { attributes: { agents: {}, principals: {} } }),
  ok('approvers', { approvers: [APPROVER] }),
  ok('an approver who also delegates, with the key of his own anchor', {
    approvers: [{ principal: PRINCIPAL, jwk: ALICE.jwk }],
  }),
  ok('two keys of one approver', {
    approvers: [APPROVER, { ...APPROVER, jwk: key('approver carol, another').jwk }],
  }),
  ok('no foreign trust domain', { domains: {} }),
  ok('roles without a timestamp key, issuer or root issuer', {
    roles: roles({ timestamp: [], issuers: [], root_issuers: [] }),
    anchors: [ANCHOR],
  }),
  ok('the identity point as anchor: it is admitted when a chain starts from it', {
    anchors: [{ ...ANCHOR, jwk: identityKey.jwk }],
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
    'the identity point as another policy key',
    { roles: roles({ policy: [POLICY.jwk, identityKey.jwk] }) },
    'key_small_order',
  ),
  bad(
    'the identity point as timestamp key',
    { roles: roles({ timestamp: [identityKey.jwk] }) },
    'key_small_order',
  ),
  bad('the identity point as issuer', { roles: roles({ issuers: [identityKey.jwk] }) }, 'key_small_order'),
  bad(
    'the identity point as root issuer',
    { roles: roles({ root_issuers: [identityKey.jwk] }), anchors: [ANCHOR] },
    'key_small_order',
  ),
  bad(
    'the identity point as issuer of a partner',
    { domains: partner({ issuers: [identityKey.jwk] }) },
    'key_small_order',
  ),
  bad(
    'an issuer key of mixed order',
    { domains: partner({ issuers: [PARTNER_ISSUER.jwk, mixedOrderKey.jwk] }) },
    'key_mixed_order',
  ),
  approvers(
    'an approver’s key in a second spelling',
    [{ ...APPROVER, jwk: { ...ISSUER.jwk, x: b64u(second) } }],
    'key_not_canonical',
  ),
];

/** What the root gives, the policy key must not take. */
const taken = (): Case[] => [
  ...SEVERAL.map(([one, other, edit]) =>
    bad(`the ${one} key as ${other} key`, { roles: roles(edit) }, 'bundle_role'),
  ),
  bad(
    'the trust domain’s own CA and issuers',
    { domains: { ...DOMAINS, [DOMAIN]: { x509: [CERTIFICATE], issuers: [ISSUER.jwk] } } },
    'bundle_role',
  ),
  bad(
    'the trust domain itself, with nothing',
    { domains: { [DOMAIN]: { x509: [], issuers: [] } } },
    'bundle_role',
  ),
  bad('our issuer as a partner’s', { domains: partner({ issuers: [ISSUER.jwk] }) }, 'bundle_role'),
  bad(
    'our timestamp key as a partner’s issuer',
    { domains: partner({ issuers: [TIMESTAMP.jwk] }) },
    'bundle_role',
  ),
  bad('our CA as a partner’s', { domains: partner({ x509: [CERTIFICATE] }) }, 'bundle_role'),
  bad(
    'a root issuer that the roles do not name',
    { anchors: [{ ...ROOT_ANCHOR, jwk: EVIL.jwk }] },
    'bundle_role',
  ),
  bad('a root issuer after the root has forgotten it', { roles: roles({ root_issuers: [] }) }, 'bundle_role'),
  anchor('a principal with the root issuer’s key', { jwk: ROOT_ANCHOR.jwk }, 'bundle_role'),
  anchor('a principal with the policy key', { jwk: POLICY.jwk }, 'bundle_role'),
  anchor('a principal with the root key', { jwk: ROOT.jwk }, 'bundle_role'),
  approvers('an approver with the policy key', [{ ...APPROVER, jwk: POLICY.jwk }], 'bundle_role'),
  approvers('an approver with the root issuer’s key', [{ ...APPROVER, jwk: ROOT_ANCHOR.jwk }], 'bundle_role'),
  approvers('an approver with the key of Alice’s anchor', [{ ...APPROVER, jwk: ALICE.jwk }], 'bundle_role'),
  bad(
    'an approver with the key of an anchor that speaks for others too',
    {
      anchors: [{ ...ANCHOR, principals: [PRINCIPAL, APPROVER.principal] }],
      approvers: [{ principal: PRINCIPAL, jwk: ALICE.jwk }],
    },
    'bundle_role',
  ),
];

const SEVERAL: readonly (readonly [string, string, Claims])[] = [
  ['root', 'policy', { policy: [POLICY.jwk, ROOT.jwk] }],
  ['root', 'timestamp', { timestamp: [ROOT.jwk] }],
  ['root', 'issuer', { issuers: [ISSUER.jwk, ROOT.jwk] }],
  ['root', 'root issuer', { root_issuers: [ROOT_ANCHOR.jwk, ROOT.jwk] }],
  ['policy', 'timestamp', { timestamp: [POLICY.jwk] }],
  ['policy', 'issuer', { issuers: [ISSUER.jwk, POLICY.jwk] }],
  ['policy', 'root issuer', { root_issuers: [ROOT_ANCHOR.jwk, POLICY.jwk] }],
  ['timestamp', 'issuer', { issuers: [ISSUER.jwk, TIMESTAMP.jwk] }],
  ['timestamp', 'root issuer', { root_issuers: [ROOT_ANCHOR.jwk, TIMESTAMP.jwk] }],
  ['issuer', 'root issuer', { root_issuers: [ROOT_ANCHOR.jwk, ISSUER.jwk] }],
];

const carried = (): Case[] => [
  bad('a policy without its digest', { policy: policy() }, 'claim_invalid'),
  bad('a digest without its policy', { policy_digest: digestOf(jcs(policy())) }, 'claim_invalid'),
  bad(
    'the digest of another policy',
    { policy: policy(), policy_digest: digestOf(jcs(policy({ revision: 'other' }))) },
    'claim_invalid',
  ),
  bad(
    'the digest of the policy as it is sent, which is not canonical',
    {
      policy: Object.fromEntries(Object.entries(policy()).reverse()),
      policy_digest: digestOf(JSON.stringify(Object.fromEntries(Object.entries(policy()).reverse()))),
    },
    'claim_invalid',
  ),
  bad('a policy of null', { policy: null, policy_digest: digestOf('null') }, 'claim_invalid'),
  bad(
    'a policy that nobody could decide with',
    { policy: policy({ rules: undefined }), policy_digest: digestOf(jcs(policy({ rules: undefined }))) },
    'policy_invalid',
  ),
  bad('lists of another form', { lists: { blockAgents: [INVENTORY.id] } }, 'policy_invalid'),
  bad('lists with an agent that is none', { lists: { ...LISTS, blockAgents: ['*'] } }, 'policy_invalid'),
  bad('scores of another form', { scores: { ...SCORES, baseline: 1001 } }, 'claim_invalid'),
  bad('attributes of null', { attributes: null }, 'claim_invalid'),
  bad('attributes without principals', { attributes: { agents: {} } }, 'claim_missing'),
  bad('attributes of something besides', { attributes: { ...ATTRIBUTES, domains: {} } }, 'claim_unknown'),
  bad(
    'an attribute that is no text',
    { attributes: { ...ATTRIBUTES, agents: { [INVENTORY.id]: { env: true } } } },
    'claim_invalid',
  ),
  bad(
    'attributes that anybody in a trust domain has',
    { attributes: { ...ATTRIBUTES, agents: { 'spiffe://company.com/*': { env: 'prod' } } } },
    'claim_invalid',
  ),
  bad(
    'a group twice',
    { attributes: { ...ATTRIBUTES, principals: { [PRINCIPAL]: { groups: ['sre', 'sre'] } } } },
    'claim_invalid',
  ),
  bad(
    'faults of attributes are looked for after those of scores, and before the use of keys',
    { attributes: { ...ATTRIBUTES, agents: [] }, domains: { ...DOMAINS, [DOMAIN]: DOMAINS[PARTNER] } },
    'claim_invalid',
  ),
  approvers('an approver without key', [{ principal: APPROVER.principal }], 'claim_missing'),
  approvers('an approver who is no principal', [{ ...APPROVER, principal: 'carol' }], 'claim_invalid'),
  approvers(
    'an approver with a private key',
    [{ ...APPROVER, jwk: { ...APPROVER.jwk, d: 'AA' } }],
    'claim_unknown',
  ),
  approvers('an approver as text', [APPROVER.principal], 'claim_invalid'),
  approvers(
    'one key of two approvers: whose word would it be?',
    [APPROVER, { ...APPROVER, principal: 'mailto:dave@company.com' }],
    'claim_invalid',
  ),
  approvers('one approver twice', [APPROVER, APPROVER], 'claim_invalid'),
  revoked('a lost key that is not lost', { key: ROOT.jkt, lost: false }, 'claim_invalid'),
  revoked('an agent that is lost', { agent: INVENTORY.id, lost: true }, 'claim_invalid'),
  bad(
    'an issuer of a partner twice',
    { domains: partner({ issuers: [PARTNER_ISSUER.jwk, PARTNER_ISSUER.jwk] }) },
    'claim_invalid',
  ),
  bad(
    'a CA of a partner twice',
    { domains: partner({ x509: [CERTIFICATE_2, CERTIFICATE_2] }) },
    'claim_invalid',
  ),
  bad('a CA certificate of no octets', { domains: partner({ x509: [''] }) }, 'claim_invalid'),
  bad(
    'nine issuers of a partner',
    { domains: partner({ issuers: [...'123456789'].map((name) => key(`p${name}`).jwk) }) },
    'claim_invalid',
  ),
];
const CERTIFICATE_2 = b64u('octets of the partner');

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
  bad('a domain without issuers', { domains: { [PARTNER]: { x509: [] } } }, 'claim_missing'),
  bad(
    'a domain that is no trust domain',
    { domains: { 'spiffe://partner.com': DOMAINS[PARTNER] } },
    'claim_invalid',
  ),
  bad(
    'a CA certificate that is not base64url',
    { domains: partner({ x509: ['MIIB+/=='] }) },
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

export const bundleCases = (): Case[] => [
  ...accepted(),
  ...refused(),
  ...taken(),
  ...malformed(),
  ...carried(),
];
