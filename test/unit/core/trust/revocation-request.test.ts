/** A principal's signed request to revoke: whom it is for, when, and by whose key. */
import { describe, expect, test } from 'vitest';
import { signJws } from '../../../../src/core/encoding/jws.ts';
import {
  mintRevocationRequest,
  parseRevocationRequest,
  type RevocationRequest,
  verifyRevocationRequest,
} from '../../../../src/core/trust/revocation-request.ts';
import {
  ALICE,
  DOMAIN,
  jti,
  NOW,
  permitted,
  principalKey,
  reasonOf,
  testKey,
} from '../../../testkit/core-world.ts';

const LINK = 'A'.repeat(43);
const REQUEST: RevocationRequest = {
  aud: `spiffe://${DOMAIN}/verifier`,
  principal: ALICE,
  target: { link: LINK },
  iat: NOW,
  jti: jti('one'),
};
const mint = (changes: Partial<RevocationRequest> = {}, key = principalKey) =>
  mintRevocationRequest({ ...REQUEST, ...changes }, key.x, key.sign);
const verify = (text: string, now = NOW, key = principalKey) =>
  verifyRevocationRequest(permitted(parseRevocationRequest(text)), {
    trustDomain: DOMAIN,
    key: key.admitted,
    now,
  });
const forged = (claims: Readonly<Record<string, unknown>>) =>
  signJws('revoke+jwt', claims, principalKey.sign, principalKey.thumbprint);
const CLAIMS = { aud: REQUEST.aud, sub: ALICE, target: { link: LINK }, iat: NOW, jti: REQUEST.jti };

describe('a revocation request', () => {
  test.each([{ link: LINK }, { key: LINK }, { task: LINK }, { before: NOW }])('holds: %j', (target) => {
    expect(permitted(verify(mint({ target })))).toEqual({ ...REQUEST, target });
  });

  test.each([
    ['for another verifier', { aud: 'spiffe://partner.org/verifier' }, NOW],
    ['61 s old', {}, NOW + 61],
    ['61 s ahead', {}, NOW - 61],
  ])('%s is refused', (_what, changes, now) => {
    expect(reasonOf(verify(mint(changes), now))).toBe('api_forbidden');
  });

  test('is taken up to a minute off', () => {
    expect([verify(mint(), NOW + 60), verify(mint(), NOW - 60)].map(reasonOf)).toEqual(['ok', 'ok']);
  });

  test('signed by another key is refused, under its own name and under the right one', () => {
    const mallory = testKey('mallory');
    expect(reasonOf(verify(mint({}, mallory)))).toBe('api_forbidden');
    const borrowed = signJws('revoke+jwt', CLAIMS, mallory.sign, principalKey.thumbprint);
    expect(reasonOf(verify(borrowed))).toBe('api_forbidden');
  });

  test.each([
    ['two targets', { ...CLAIMS, target: { link: LINK, task: LINK } }, 'claim_invalid'],
    ['no target', { ...CLAIMS, target: {} }, 'claim_invalid'],
    [
      'an agent as target: not a principal’s to revoke',
      { ...CLAIMS, target: { agent: 'a' } },
      'claim_invalid',
    ],
    ['another member', { ...CLAIMS, exp: NOW }, 'claim_unknown'],
    ['no jti', { ...CLAIMS, jti: undefined }, 'claim_missing'],
    ['a link that is no digest', { ...CLAIMS, target: { link: 'x' } }, 'claim_invalid'],
  ])('%s', (_what, claims, reason) => {
    expect(reasonOf(parseRevocationRequest(forged(claims)))).toBe(reason);
  });

  test('of another type is none', () => {
    const approval = signJws('approval+jwt', CLAIMS, principalKey.sign, principalKey.thumbprint);
    expect(reasonOf(parseRevocationRequest(approval))).toBe('jws_header');
  });
});
