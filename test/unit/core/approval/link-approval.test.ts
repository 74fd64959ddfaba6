/** Tokens for a link: the place that they are for, who may sign them, and what they are called. */
import { describe, expect, it } from 'vitest';
import {
  type LinkApproval,
  linkApprovalId,
  mintLinkApproval,
  parseLinkApproval,
  verifyLinkApproval,
} from '../../../../src/core/approval/link-approval.ts';
import type { Caveat } from '../../../../src/core/delegation/caveats.ts';
import { linkApprovalsOf, splitApproved } from '../../../../src/core/delegation/link-approvals.ts';
import type { ScopeLiteral, ScopePattern } from '../../../../src/core/delegation/scope.ts';
import { type Sign, sha256Base64url, signJws } from '../../../../src/core/encoding/jws.ts';
import {
  ALICE,
  jti,
  mintChain,
  NOW,
  permitted,
  principalKey,
  reasonOf,
  testAgent,
  testKey,
  verifiedChain,
} from '../../../testkit/core-world.ts';

const BOB = 'mailto:bob@company.com';
const bobKey = testKey('key of bob');
const approvers = new Map([[bobKey.thumbprint, { principal: BOB, key: bobKey.admitted }]]);
const planner = testAgent('planner');
const inventory = testAgent('inventory');
const place = { principal: ALICE, delegatee: planner.id, parent: principalKey.thumbprint };
const claims: LinkApproval = {
  ...place,
  approver: BOB,
  scope: ['cloud:write' as ScopePattern],
  iat: NOW,
  exp: NOW + 600,
  jti: jti('approval'),
};
const mint = (changes: Partial<LinkApproval> = {}, sign: Sign = bobKey.sign, kid = bobKey.thumbprint) =>
  mintLinkApproval({ ...claims, ...changes }, sign, kid);
const caveat = (token: string): Caveat => ({ type: 'approval', token });

describe('the token of a link', () => {
  it('holds for its place alone, by an approver alone', () => {
    expect(permitted(verifyLinkApproval(mint(), place, approvers, []))).toEqual(claims);
    for (const other of [
      { ...place, principal: 'mailto:carol@company.com' },
      { ...place, delegatee: inventory.id },
      { ...place, parent: sha256Base64url('another') },
    ])
      expect(reasonOf(verifyLinkApproval(mint(), other, approvers, []))).toBe('approval_invalid');
    expect(reasonOf(verifyLinkApproval(mint({}, principalKey.sign), place, approvers, []))).toBe(
      'approval_invalid',
    );
    expect(reasonOf(verifyLinkApproval(mint(), place, new Map(), []))).toBe('approval_invalid');
  });

  it('is closed in form', () => {
    const form = (payload: object) =>
      reasonOf(parseLinkApproval(signJws('link-approval+jwt', payload, bobKey.sign, bobKey.thumbprint)));
    expect(form(claims)).toBe('ok');
    expect(form({ ...claims, depth: 1 })).toBe('claim_unknown');
    expect(form({ ...claims, scope: [] })).toBe('claim_invalid');
    expect(form({ ...claims, scope: ['*'] })).toBe('claim_invalid');
  });

  it('has one id for one wish, whatever the order of its scope', () => {
    const id = linkApprovalId({ ...place, scope: ['a:b', 'c:d'] });
    expect(linkApprovalId({ ...place, scope: ['c:d', 'a:b'] })).toBe(id);
    expect(linkApprovalId({ ...place, scope: ['a:b'] })).not.toBe(id);
  });
});

describe('the approvals of a chain', () => {
  const of = (text: string, holder = inventory) => {
    const approvals = linkApprovalsOf(verifiedChain(text, holder), approvers);
    return [...approvals].map(([place, approval]) => `${place} ${reasonOf(approval)}`);
  };

  it('are held against the link that brought each in', () => {
    const rooted = mintChain(planner, [{ to: inventory }], { caveats: [caveat(mint())] });
    expect(of(rooted)).toEqual(['0 ok']);
    expect(of(mintChain(planner, [{ to: inventory }]))).toEqual([]);
    const foreign = mint({ delegatee: inventory.id });
    const both = { caveats: [caveat(mint()), caveat(foreign)] };
    expect(of(mintChain(planner, [{ to: inventory }], both))).toEqual(['0 ok', '1 approval_invalid']);
  });

  it('are by no key of an agent in the chain, whoever’s it is said to be', () => {
    const token = mint({}, inventory.key.sign, inventory.key.thumbprint);
    const withApproval = { caveats: [caveat(token)] };
    const known = new Map([
      ...approvers,
      [inventory.key.thumbprint, { principal: BOB, key: inventory.key.admitted }],
    ]);
    const of = (text: string, holder: typeof planner) =>
      reasonOf(linkApprovalsOf(verifiedChain(text, holder), known).get(0));
    expect(of(mintChain(planner, [], withApproval), planner)).toBe('ok');
    expect(of(mintChain(planner, [{ to: inventory }], withApproval), inventory)).toBe('approval_invalid');
  });

  it('approve what they cover, and name who did', () => {
    const chain = verifiedChain(mintChain(planner, [], { caveats: [caveat(mint())] }), planner);
    const approvals = linkApprovalsOf(chain, approvers);
    const scopes = ['cloud:write', 'cloud:read'] as ScopeLiteral[];
    expect(splitApproved(scopes, approvals)).toEqual({
      missing: ['cloud:read'],
      by: [{ approver: BOB, id: linkApprovalId(claims) }],
    });
  });
});
