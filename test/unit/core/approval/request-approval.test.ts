/** Tokens for one request: each thing that they are over, who may sign them, and when they hold. */
import { describe, expect, it } from 'vitest';
import { checkApprovalTime } from '../../../../src/core/approval/approver.ts';
import {
  approvalUseKey,
  checkApprovable,
  mintRequestApproval,
  parseRequestApproval,
  type RequestApproval,
  type RequestFacts,
  requestApprovalId,
  verifyRequestApproval,
} from '../../../../src/core/approval/request-approval.ts';
import { type Sign, sha256Base64url, signJws } from '../../../../src/core/encoding/jws.ts';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import { ALICE, jti, NOW, permitted, reasonOf, testAgent, testKey } from '../../../testkit/core-world.ts';

const BOB = 'mailto:bob@company.com';
const bobKey = testKey('key of bob');
const eveKey = testKey('key of eve');
const approvers = new Map([[bobKey.thumbprint, { principal: BOB, key: bobKey.admitted }]]);
const planner = testAgent('planner');
const inventory = testAgent('inventory');

const facts: RequestFacts = {
  principal: ALICE,
  caller: planner.id,
  callee: inventory.id,
  chain: sha256Base64url('a leaf'),
  method: 'POST',
  target: '/vpcs?dry=0',
  body: sha256Base64url('{}'),
};
const claims: RequestApproval = { ...facts, approver: BOB, iat: NOW, exp: NOW + 600, jti: jti('approval') };
const mint = (changes: Partial<RequestApproval> = {}, sign: Sign = bobKey.sign, kid = bobKey.thumbprint) =>
  mintRequestApproval({ ...claims, ...changes }, sign, kid);
const verify = (token: string, asked: RequestFacts = facts, keys: readonly string[] = []) =>
  reasonOf(verifyRequestApproval(token, asked, approvers, keys));

describe('the token of one request', () => {
  it('holds for exactly that, by an approver', () => {
    expect(permitted(verifyRequestApproval(mint(), facts, approvers, []))).toEqual({
      ...claims,
      key: bobKey.thumbprint,
    });
  });

  it.each<[keyof RequestFacts, string]>([
    ['principal', 'mailto:carol@company.com'],
    ['caller', testAgent('security').id],
    ['callee', testAgent('inventory', 1, 'a2').id],
    ['chain', sha256Base64url('another leaf')],
    ['method', 'PUT'],
    ['target', '/vpcs?dry=1'],
    ['body', sha256Base64url('{ }')],
  ])('is for no other %s, and says which differs', (name, value) => {
    const other = { ...facts, [name]: value } as RequestFacts;
    expect(verify(mint(), other)).toBe('approval_invalid');
    expect(verifyRequestApproval(mint(), other, approvers, [])).toMatchObject({
      detail: `the approval is for another ${name}`,
    });
    expect(verify(mint({ [name]: value }))).toBe('approval_invalid');
  });

  it('is by an approver, under the approver’s own name, who is not who asks', () => {
    expect(verify(mint({}, eveKey.sign, eveKey.thumbprint))).toBe('approval_invalid');
    expect(verify(mint({}, eveKey.sign))).toBe('approval_invalid');
    expect(verify(mint({ approver: 'mailto:carol@company.com' }))).toBe('approval_invalid');
    const bobAsks = { ...facts, principal: BOB };
    expect(verify(mint({ principal: BOB }), bobAsks)).toBe('approval_invalid');
    expect(verify(mint(), facts, [bobKey.thumbprint])).toBe('approval_invalid');
  });

  it('holds from its beginning to the second of its end', () => {
    const at = (now: number) => reasonOf(checkApprovalTime(claims, now));
    expect(at(NOW + 599)).toBe('ok');
    expect(at(NOW + 600)).toBe('approval_invalid');
    expect(at(NOW - 30)).toBe('ok');
    expect(at(NOW - 31)).toBe('approval_invalid');
  });

  it('is closed, and of its own type', () => {
    const forged = (payload: object, type: 'approval+jwt' | 'link-approval+jwt' = 'approval+jwt') =>
      reasonOf(parseRequestApproval(signJws(type, payload, bobKey.sign, bobKey.thumbprint)));
    expect(forged(claims)).toBe('ok');
    expect(forged(claims, 'link-approval+jwt')).toBe('jws_header');
    expect(forged({ ...claims, note: '' })).toBe('claim_unknown');
    const { exp: _, ...endless } = claims;
    expect(forged(endless)).toBe('claim_missing');
    for (const change of [
      { target: '/a/../b' },
      { target: `/${'a'.repeat(1536)}` },
      { method: 'post' },
      { callee: 'spiffe://company.com/agent/inventory/*' },
      { chain: 'leaf' },
      { jti: 'short' },
    ])
      expect(forged({ ...claims, ...change })).toBe('claim_invalid');
  });

  it('has one id for every retry, and another for anything else', () => {
    const id = requestApprovalId(facts);
    expect(requestApprovalId({ ...facts })).toBe(id);
    for (const change of [
      { callee: planner.id as AgentId },
      { chain: sha256Base64url('x') },
      { method: 'PUT' },
      { target: '/vpcs' },
      { body: sha256Base64url('') },
    ])
      expect(requestApprovalId({ ...facts, ...change })).not.toBe(id);
  });

  it('has one use for each approver and jti, however often it is signed', () => {
    const again = { ...claims, exp: NOW + 700 };
    expect(approvalUseKey(again)).toBe(approvalUseKey(claims));
    expect(approvalUseKey({ ...claims, jti: jti('another') })).not.toBe(approvalUseKey(claims));
    expect(approvalUseKey({ ...claims, approver: 'mailto:carol@company.com' })).not.toBe(
      approvalUseKey(claims),
    );
  });

  it('can be given only for what a token has room for', () => {
    expect(checkApprovable(facts)).toBeUndefined();
    expect(reasonOf(checkApprovable({ ...facts, target: `/${'a'.repeat(1536)}` }))).toBe('approval_invalid');
    expect(reasonOf(checkApprovable({ ...facts, method: 'M-SEARCH' }))).toBe('approval_invalid');
    const longest = mint({ target: `/${'a'.repeat(1535)}` });
    expect(verify(longest, { ...facts, target: `/${'a'.repeat(1535)}` })).toBe('ok');
  });
});
