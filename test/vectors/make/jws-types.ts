import type { Case } from './case.ts';
import { proofClaims } from './handshake-world.ts';
import { parse } from './jws-case.ts';
import { b64u, headerOf, jcs, jws, rawJws } from './signing.ts';
import { bundle, bundleClaims, CLIENT, INVENTORY, POLICY, ROOT, roles, wit } from './world.ts';

export const otherTypeCases = (): Case[] => [
  parse('a good WIT', wit(INVENTORY), 'ok', 'wit'),
  parse(
    'a WIT with a private key',
    wit(INVENTORY, { cnf: { jwk: { ...INVENTORY.key.jwk, d: 'AA' } } }),
    'claim_unknown',
    'wit',
  ),
  parse(
    'a WIT with a private audit key',
    wit(INVENTORY, { audit_jwk: { ...INVENTORY.key.jwk, d: 'AA' } }),
    'claim_unknown',
    'wit',
  ),
  parse('a WIT with aud', wit(INVENTORY, { aud: 'x' }), 'claim_unknown', 'wit'),
  parse('a WIT without exp', wit(INVENTORY, { exp: undefined }), 'claim_missing', 'wit'),
  parse('a WIT for no agent', wit(INVENTORY, { sub: 'spiffe://company.com/' }), 'claim_invalid', 'wit'),
  parse(
    'attested facts that are no text',
    wit(INVENTORY, { attested: { uid: 1000 } }),
    'claim_invalid',
    'wit',
  ),
  parse(
    'a WIT of more than 4096 octets',
    wit(INVENTORY, { attested: { image: 'a'.repeat(4000) } }),
    'jws_size',
    'wit',
  ),
  parse(
    'a good proof of the initiator',
    jws('hs-i+jwt', proofClaims('initiator'), CLIENT.key),
    'ok',
    'proof-i',
    '11',
  ),
  parse(
    'a good proof of the responder',
    jws('hs-r+jwt', proofClaims('responder'), CLIENT.key),
    'ok',
    'proof-r',
    '11',
  ),
  parse(
    'a proof without exporter',
    jws('hs-i+jwt', proofClaims('initiator', { exporter: undefined }), CLIENT.key),
    'claim_missing',
    'proof-i',
    '11',
  ),
  parse(
    'a proof with a nonce',
    jws('hs-i+jwt', { ...proofClaims('initiator'), nonce: 'x' }, CLIENT.key),
    'claim_unknown',
    'proof-i',
    '11',
  ),
  parse(
    'a proof whose exporter has 31 octets',
    jws('hs-i+jwt', proofClaims('initiator', { exporter: b64u(Buffer.alloc(31)) }), CLIENT.key),
    'claim_invalid',
    'proof-i',
    '11',
  ),
  parse('a good bundle', bundle(), 'ok', 'bundle', '9'),
  parse(
    'a bundle that is canonical JSON',
    rawJws(headerOf('bundle+jwt', POLICY.jkt), jcs(bundleClaims()), POLICY),
    'ok',
    'bundle',
    '9',
  ),
  parse('roles without root', roles({ root: undefined }), 'claim_missing', 'roles', '9'),
  parse(
    'roles over 32768 octets',
    roles({ policy: Array.from({ length: 400 }, () => ROOT.jwk) }),
    'jws_size',
    'roles',
    '9',
  ),
];
