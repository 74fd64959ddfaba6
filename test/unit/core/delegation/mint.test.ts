import { describe, expect, test } from 'vitest';
import { verifyChain } from '../../../../src/core/delegation/chain.ts';
import { parseLink } from '../../../../src/core/delegation/link.ts';
import {
  type ChildLinkOptions,
  mintChildLink,
  mintRebindLink,
  mintRootLink,
  type RootLinkOptions,
} from '../../../../src/core/delegation/mint.ts';
import type { AgentId } from '../../../../src/core/spiffe-id.ts';
import {
  DOMAIN,
  jti,
  mintChain,
  NOW,
  permitted,
  principalKey,
  reasonOf,
  rootOptions,
  testAgent,
  testContext,
} from '../../../testkit/core-world.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const renewed = testAgent('planner', 2);

const root = (changes: Partial<RootLinkOptions> = {}) =>
  mintRootLink(rootOptions(planner, changes), principalKey.sign);
const leafOf = (changes: Partial<RootLinkOptions> = {}) =>
  permitted(parseLink(permitted(root(changes)), true));
const childOf = (leaf = leafOf(), changes: Partial<ChildLinkOptions> = {}, depth = 1) =>
  mintChildLink(
    leaf,
    depth,
    {
      delegatee: { id: inventory.id, x: inventory.key.x },
      kb: planner.kb,
      scope: ['cloud:read'],
      remainingDepth: 1,
      ttlSeconds: 60,
      now: NOW,
      jti: jti('child'),
      ...changes,
    },
    planner.key.sign,
  );
const read = (text: string) => permitted(parseLink(text, false));

describe('the first link', () => {
  test.each<readonly [string, Partial<RootLinkOptions>, string]>([
    ['no scope', { scope: [] }, 'scope_empty'],
    ['a scope for all', { scope: ['*'] }, 'scope_invalid'],
    ['a depth of nine', { maxDepth: 9 }, 'claim_invalid'],
    ['a life of no time', { ttlSeconds: 0 }, 'claim_invalid'],
    ['a life without number', { ttlSeconds: Number.NaN }, 'claim_invalid'],
    ['no audience', { aud: [] }, 'claim_invalid'],
    ['an audience twice', { aud: [DOMAIN, DOMAIN] }, 'claim_invalid'],
    ['an audience without its delegatee', { aud: ['partner.org'] }, 'chain_aud'],
    ['a short jti', { jti: 'abc' }, 'claim_invalid'],
    ['a principal with a space', { principal: 'mailto:a b' }, 'claim_invalid'],
    ['a purpose that could forge a line', { purpose: 'read\nall' }, 'claim_invalid'],
    ['a caveat of no known type', { caveats: [{ type: 'maybe' } as never] }, 'caveat_unknown'],
    [
      'more than a link may hold',
      { scope: Array.from({ length: 64 }, (_, i) => `cloud:${'x'.repeat(60)}${i}`) },
      'jws_size',
    ],
  ])('is not made with %s', (_, changes, reason) => expect(reasonOf(root(changes))).toBe(reason));
});

describe('a child', () => {
  test('gets what it was given, within its parent', () => {
    const link = read(permitted(childOf()));
    expect(link).toMatchObject({
      iat: NOW,
      exp: NOW + 60,
      scope: ['cloud:read'],
      maxDepth: 3,
      aud: [DOMAIN],
    });
  });

  test('ends no later than its parent, however long was asked', () => {
    expect(read(permitted(childOf(leafOf({ ttlSeconds: 100 }), { ttlSeconds: 9999 }))).exp).toBe(NOW + 100);
  });

  test('is no older than its parent when our clock is behind', () => {
    const link = read(permitted(childOf(leafOf({ now: NOW + 3 }), { now: NOW })));
    expect(link.iat).toBe(NOW + 3);
  });

  test('keeps the parent’s caveats in front of its own', () => {
    const before = { type: 'before', time: NOW + 50 } as const;
    const tool = { type: 'tool', names: ['read'] } as const;
    const link = read(permitted(childOf(leafOf({ caveats: [before] }), { caveats: [tool] })));
    expect(JSON.parse(JSON.stringify(link.caveats))).toEqual([before, tool]);
  });

  test('has no more depth than is left', () => {
    expect(read(permitted(childOf(leafOf({ maxDepth: 2 }), { remainingDepth: 8 }))).maxDepth).toBe(2);
    expect(read(permitted(childOf(leafOf({ maxDepth: 8 }), { remainingDepth: 0 }))).maxDepth).toBe(2);
  });

  test.each<readonly [string, Partial<RootLinkOptions>, Partial<ChildLinkOptions>, string]>([
    ['a scope beside the chain’s', {}, { scope: ['db:read'] }, 'link_scope_widened'],
    ['a wider scope', { scope: ['cloud:re*'] }, { scope: ['cloud:*'] }, 'link_scope_widened'],
    ['no scope', {}, { scope: [] }, 'scope_empty'],
    ['another trust domain', {}, { aud: [DOMAIN, 'evil.org'] }, 'link_aud_widened'],
    ['no trust domain', {}, { aud: [] }, 'claim_invalid'],
    [
      'a delegatee of a trust domain that the chain is not for',
      {},
      { delegatee: { id: 'spiffe://partner.org/agent/auditor/a1' as AgentId, x: inventory.key.x } },
      'chain_aud',
    ],
    [
      'an audience that leaves its delegatee out',
      { aud: [DOMAIN, 'partner.org'] },
      { aud: ['partner.org'] },
      'chain_aud',
    ],
    ['the name of its own maker', {}, { delegatee: { id: planner.id, x: renewed.key.x } }, 'link_rebind'],
    [
      'the key of its own maker',
      {},
      { delegatee: { id: inventory.id, x: planner.key.x } },
      'chain_key_twice',
    ],
    ['no depth left', { maxDepth: 1 }, {}, 'chain_max_depth'],
    ['a depth below itself', {}, { remainingDepth: -1 }, 'chain_max_depth'],
    ['a depth that is no number', {}, { remainingDepth: Number.NaN }, 'claim_invalid'],
    ['no time', {}, { ttlSeconds: 0 }, 'link_expired'],
    ['a parent that has ended', { ttlSeconds: 10 }, { now: NOW + 10 }, 'link_expired'],
    ['a key binding that has ended', {}, { kb: { ...planner.kb, exp: NOW } }, 'kb_expired'],
  ])('is not made with %s', (_, parent, changes, reason) =>
    expect(reasonOf(childOf(leafOf(parent), changes))).toBe(reason),
  );
});

describe('a rebind', () => {
  const rebind = (leaf = leafOf(), changes: Partial<Parameters<typeof mintRebindLink>[1]> = {}) =>
    mintRebindLink(
      leaf,
      { newX: renewed.key.x, kb: planner.kb, now: NOW + 5, jti: jti('rebind'), ...changes },
      planner.key.sign,
    );

  test('hands the chain to the new key of the same agent, at no cost in depth', () => {
    const chain = mintChain(planner);
    const text = `${chain}~${permitted(rebind(permitted(parseLink(chain, true))))}`;
    const verified = permitted(verifyChain(text, renewed.holder, testContext({ now: NOW + 5 })));
    expect(verified).toMatchObject({ depth: 1, exp: NOW + 3600 });
    expect(reasonOf(verifyChain(text, planner.holder, testContext({ now: NOW + 5 })))).toBe('chain_leaf_key');
  });

  test('and the new key delegates on', () => {
    const chain = mintChain(planner);
    const rebound = permitted(rebind(permitted(parseLink(chain, true))));
    const child = permitted(
      mintChildLink(
        read(rebound),
        1,
        {
          delegatee: { id: inventory.id, x: inventory.key.x },
          kb: renewed.kb,
          scope: ['cloud:read'],
          remainingDepth: 0,
          ttlSeconds: 60,
          now: NOW + 6,
          jti: jti('on'),
        },
        renewed.key.sign,
      ),
    );
    const verified = verifyChain(
      `${chain}~${rebound}~${child}`,
      inventory.holder,
      testContext({ now: NOW + 6 }),
    );
    expect(permitted(verified).depth).toBe(2);
  });

  test('is not made to the same key, upon a rebind, after the end, or under an ended binding', () => {
    expect(reasonOf(rebind(leafOf(), { newX: planner.key.x }))).toBe('link_rebind');
    expect(reasonOf(rebind(read(permitted(rebind())), { newX: inventory.key.x }))).toBe('link_rebind');
    expect(reasonOf(rebind(leafOf({ ttlSeconds: 5 })))).toBe('link_expired');
    expect(reasonOf(rebind(leafOf(), { kb: { ...planner.kb, exp: NOW + 5 } }))).toBe('kb_expired');
  });
});
