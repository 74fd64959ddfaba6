/** Workload Identity Tokens. */
import { type Case, NOW } from './case.ts';
import { b64u, type Claims, key, withSignature } from './signing.ts';
import { identityKey, mixedOrderKey, nonCanonical, plusGroupOrder } from './torsion.ts';
import { AUDITOR, INVENTORY, ISSUER, issuersOf, PARTNER, PARTNER_ISSUER, wit } from './world.ts';

const verify = (comment: string, text: string, expect: Case['expect'], now = NOW): Case => ({
  comment,
  source: '6',
  now,
  input: { wit: text, issuers: issuersOf() },
  expect,
});
const bad = (comment: string, text: string, reason: string, now = NOW): Case =>
  verify(comment, text, { reason }, now);
const edited = (comment: string, edit: Claims, reason: string): Case =>
  bad(comment, wit(INVENTORY, edit), reason);

const OK = { reason: 'ok', sub: INVENTORY.id, jkt: INVENTORY.key.jkt };
const good = wit(INVENTORY);
const [, second = Buffer.alloc(0)] = nonCanonical()[0] ?? [];
const EXP = NOW + 3000;
const IAT = NOW - 600;

export const witCases = (): Case[] => [
  verify('a good WIT', good, OK),
  verify('of a partner, by its own issuer', wit(AUDITOR), {
    reason: 'ok',
    sub: AUDITOR.id,
    jkt: AUDITOR.key.jkt,
  }),
  verify('with attested facts', wit(INVENTORY, { attested: { pod: 'inventory-0' } }), OK),
  verify('without audit key', wit(INVENTORY, { audit_jwk: undefined }), OK),
  verify('the last second of the skew behind exp', good, OK, EXP + 29),
  bad('30 s past exp', good, 'wit_expired', EXP + 30),
  verify('30 s before iat', good, OK, IAT - 30),
  bad('31 s before iat', good, 'wit_not_yet_valid', IAT - 31),
  bad('by an unknown issuer', wit(INVENTORY, {}, key('issuer evil')), 'wit_issuer_unknown'),
  bad('by the issuer of another trust domain', wit(INVENTORY, {}, PARTNER_ISSUER), 'wit_issuer_unknown'),
  edited(
    'iss is another trust domain than that of sub',
    { iss: `spiffe://${PARTNER}` },
    'wit_issuer_unknown',
  ),
  bad(
    'the partner’s issuer asserts a name of ours',
    wit(INVENTORY, { iss: `spiffe://${PARTNER}` }, PARTNER_ISSUER),
    'wit_issuer_unknown',
  ),
  edited(
    'a trust domain that nobody knows',
    { iss: 'spiffe://evil.com', sub: 'spiffe://evil.com/agent/inventory/i1' },
    'wit_issuer_unknown',
  ),
  bad(
    'the issuer’s kid over another’s signature',
    wit(INVENTORY, {}, key('issuer evil'), ISSUER.jkt),
    'wit_signature',
  ),
  bad('signed by the agent itself', wit(INVENTORY, {}, INVENTORY.key, ISSUER.jkt), 'wit_signature'),
  bad(
    'a flipped bit in the signature',
    withSignature(good, (s) => Buffer.from(s.map((octet, at) => (at === 0 ? octet ^ 1 : octet)))),
    'wit_signature',
  ),
  bad('S + L', withSignature(good, plusGroupOrder), 'wit_signature'),
  bad(
    'the signature of another WIT',
    `${good.slice(0, good.lastIndexOf('.'))}${wit(AUDITOR).slice(wit(AUDITOR).lastIndexOf('.'))}`,
    'wit_signature',
  ),
  edited('a private key', { cnf: { jwk: { ...INVENTORY.key.jwk, d: 'AA' } } }, 'claim_unknown'),
  edited('no jti', { jti: undefined }, 'claim_missing'),
  edited('a name that is no agent', { sub: 'spiffe://company.com/ns/x' }, 'claim_invalid'),
  edited('the identity point as agent key', { cnf: { jwk: identityKey.jwk } }, 'key_small_order'),
  edited('an agent key of mixed order', { cnf: { jwk: mixedOrderKey.jwk } }, 'key_mixed_order'),
  edited(
    'an agent key in a second spelling',
    { cnf: { jwk: { ...INVENTORY.key.jwk, x: b64u(second) } } },
    'key_not_canonical',
  ),
];
