/** The roles on their own, as one who joins gets them. */
import { type Case, NOW } from './case.ts';
import { b64u, type Claims, key, withSignature } from './signing.ts';
import { identityKey, plusGroupOrder } from './torsion.ts';
import {
  bundle,
  CERTIFICATE,
  DOMAIN,
  ISSUER,
  PARTNER,
  POLICY,
  ROOT,
  ROOT_ISSUER,
  roles,
  TIMESTAMP,
} from './world.ts';

interface Options {
  readonly now?: number;
  readonly root?: string;
  readonly trustDomain?: string;
}

const verify = (comment: string, text: string, expect: Case['expect'], options: Options = {}): Case => ({
  comment,
  source: '9',
  now: options.now ?? NOW,
  input: { roles: text, trustDomain: options.trustDomain ?? DOMAIN, root: options.root ?? ROOT.jkt },
  expect,
});
const ok = (comment: string, edit: Claims = {}, options: Options = {}): Case =>
  verify(comment, roles(edit), { reason: 'ok', epoch: Number(edit.epoch ?? 2) }, options);
const bad = (comment: string, edit: Claims | string, reason: string, options: Options = {}): Case =>
  verify(comment, typeof edit === 'string' ? edit : roles(edit), { reason }, options);

const EVIL = key('root evil');
const EXP = NOW + 86_400;
const many = (name: string, count: number) =>
  Array.from({ length: count }, (_, at) => key(`${name} ${at}`).jwk);
const certificates = (count: number) => Array.from({ length: count }, (_, at) => b64u(`certificate ${at}`));

const accepted = (): Case[] => [
  ok('good roles'),
  ok('another epoch', { epoch: 3 }),
  ok('as many keys as there may be', {
    policy: many('policy', 4),
    timestamp: many('timestamp', 4),
    issuers: many('issuer', 8),
    root_issuers: many('root issuer', 4),
    x509: certificates(8),
  }),
  ok('no timestamp key, issuer or root issuer', { timestamp: [], issuers: [], root_issuers: [] }),
  ok('the last second of the skew behind exp', {}, { now: EXP + 29 }),
  ok('30 s before iat', {}, { now: NOW - 630 }),
];

const refused = (): Case[] => [
  bad('of another trust domain', {}, 'bundle_domain', { trustDomain: PARTNER }),
  bad('another root than the configured one', {}, 'bundle_signer', { root: EVIL.jkt }),
  bad('by another root, which they name', roles({ root: EVIL.jwk }, EVIL), 'bundle_signer'),
  bad(
    'under the root’s kid, with another root in them',
    roles({ root: EVIL.jwk }, EVIL, ROOT.jkt),
    'bundle_signer',
  ),
  bad('signed by a policy key', roles({}, POLICY), 'bundle_signer'),
  bad('signed by another under the root’s kid', roles({}, EVIL, ROOT.jkt), 'bundle_signature'),
  bad('S + L', withSignature(roles(), plusGroupOrder), 'bundle_signature'),
  bad('the identity point as root', roles({ root: identityKey.jwk }, identityKey), 'key_small_order', {
    root: identityKey.jkt,
  }),
  bad('the root as policy key', { policy: [ROOT.jwk] }, 'bundle_role'),
  bad('the policy key as timestamp key', { timestamp: [POLICY.jwk] }, 'bundle_role'),
  bad('the timestamp key as issuer', { issuers: [TIMESTAMP.jwk] }, 'bundle_role'),
  bad('the issuer as root issuer', { root_issuers: [ISSUER.jwk] }, 'bundle_role'),
  bad('the root issuer as policy key', { policy: [POLICY.jwk, ROOT_ISSUER.jwk] }, 'bundle_role'),
  bad('30 s past exp', {}, 'bundle_expired', { now: EXP + 30 }),
  bad('31 s before iat', {}, 'bundle_expired', { now: NOW - 631 }),
];

const malformed = (): Case[] => [
  bad('no roles', '', 'jws_structure'),
  bad('a bundle', bundle(), 'jws_header'),
  ...['trust_domain', 'epoch', 'root', 'policy', 'timestamp', 'issuers', 'root_issuers', 'x509'].map((name) =>
    bad(`no ${name}`, { [name]: undefined }, 'claim_missing'),
  ),
  bad('a member too many', { audit: [] }, 'claim_unknown'),
  bad('epoch zero', { epoch: 0 }, 'claim_invalid'),
  bad('a root that is a list', { root: [ROOT.jwk] }, 'claim_invalid'),
  bad('a private root', { root: { ...ROOT.jwk, d: 'AA' } }, 'claim_unknown'),
  bad('no policy key', { policy: [] }, 'claim_invalid'),
  bad('five policy keys', { policy: many('policy', 5) }, 'claim_invalid'),
  bad('five timestamp keys', { timestamp: many('timestamp', 5) }, 'claim_invalid'),
  bad('nine issuers', { issuers: many('issuer', 9) }, 'claim_invalid'),
  bad('five root issuers', { root_issuers: many('root issuer', 5) }, 'claim_invalid'),
  bad('no SVID CA', { x509: [] }, 'claim_invalid'),
  bad('nine SVID CAs', { x509: certificates(9) }, 'claim_invalid'),
  bad('an SVID CA twice', { x509: [CERTIFICATE, CERTIFICATE] }, 'claim_invalid'),
  bad('an SVID CA of no octets', { x509: [''] }, 'claim_invalid'),
  bad('an SVID CA that is padded', { x509: ['AA=='] }, 'claim_invalid'),
  bad('one issuer twice', { issuers: [ISSUER.jwk, ISSUER.jwk] }, 'claim_invalid'),
  bad('an issuer as thumbprint', { issuers: [ISSUER.jkt] }, 'claim_invalid'),
];

export const rolesCases = (): Case[] => [...accepted(), ...refused(), ...malformed()];
