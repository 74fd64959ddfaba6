import { describe, expect, test } from 'vitest';
import { verifyChain } from '../../../../src/core/delegation/chain.ts';
import { parseLink } from '../../../../src/core/delegation/link.ts';
import { Revocations } from '../../../../src/core/trust/revocation.ts';
import {
  ALICE,
  childClaims,
  jti,
  NOW,
  permitted,
  principalKey,
  reasonOf,
  rootClaims,
  signLink,
  type TestAgent,
  testAgent,
  testContext,
} from '../../../testkit/core-world.ts';

const planner = testAgent('planner');
const renewed = testAgent('planner', 2);
const inventory = testAgent('inventory');
const security = testAgent('security');

const root = signLink(rootClaims(planner), principalKey);
const child = signLink(childClaims(root, planner, inventory), planner.key);
const leaf = signLink(childClaims(child, inventory, security), inventory.key);
const idOf = (link: string) => permitted(parseLink(link, link === root)).id;

const verified = (links: readonly string[], holder: TestAgent) =>
  permitted(verifyChain(links.join('~'), holder.holder, testContext()));
const chain = verified([root, child, leaf], security);
const revoked = (...entries: readonly Readonly<Record<string, unknown>>[]) =>
  permitted(Revocations.parse(entries));
const struck = (entry: Readonly<Record<string, unknown>>, of = chain) =>
  reasonOf(revoked(entry).checkChain(of));

describe('a chain falls', () => {
  test.each([
    ['its root', { link: idOf(root) }, 'revoked_link'],
    ['a link in its middle', { link: idOf(child) }, 'revoked_link'],
    ['its leaf', { link: idOf(leaf) }, 'revoked_link'],
    ['the key of its anchor', { key: principalKey.thumbprint }, 'revoked_key'],
    ['a key in its middle', { key: inventory.key.thumbprint }, 'revoked_key'],
    ['the key of its leaf', { key: security.key.thumbprint }, 'revoked_key'],
    [
      'a key in its middle that its agent has lost',
      { key: inventory.key.thumbprint, lost: true },
      'agent_key_lost',
    ],
    ['the key of its leaf, lost', { key: security.key.thumbprint, lost: true }, 'agent_key_lost'],
    // Said of a person's key it must not mean nothing.
    ['the key of its anchor, lost', { key: principalKey.thumbprint, lost: true }, 'revoked_key'],
    ['the agent at its top', { agent: planner.id }, 'revoked_agent'],
    ['the agent at its end', { agent: security.id }, 'revoked_agent'],
    ['its task', { task: idOf(root), principal: ALICE }, 'revoked_task'],
    [
      'what its principal granted before a later time',
      { principal: ALICE, before: NOW + 1 },
      'revoked_principal',
    ],
  ])('with %s', (_, entry, reason) => expect(struck(entry)).toBe(reason));

  test.each([
    ['another link', { link: 'A'.repeat(43) }],
    ['another key', { key: testAgent('other').key.thumbprint }],
    ['a sibling of an agent', { agent: `${planner.id}x` }],
    [
      'a task of the same id and another principal',
      { task: idOf(root), principal: 'mailto:bob@company.com' },
    ],
    ['a task named by another link of it', { task: idOf(child), principal: ALICE }],
    ['what its principal granted before that very second', { principal: ALICE, before: NOW }],
    ['what another principal granted', { principal: 'mailto:bob@company.com', before: NOW + 1 }],
  ])('but not with %s', (_, entry) => expect(struck(entry)).toBe('ok'));

  test('and the later of two times for one principal counts', () => {
    for (const times of [
      [NOW + 1, NOW - 9],
      [NOW - 9, NOW + 1],
    ])
      expect(
        reasonOf(revoked(...times.map((before) => ({ principal: ALICE, before }))).checkChain(chain)),
      ).toBe('revoked_principal');
  });

  test('a chain cut above what was revoked stands', () => {
    expect(struck({ link: idOf(leaf) }, verified([root, child], inventory))).toBe('ok');
  });
});

describe('revoking what its minter can make again', () => {
  const again = signLink(childClaims(root, planner, inventory, { jti: jti('again') }), planner.key);
  const barred = { link: idOf(child), parent: idOf(root), delegatee: inventory.id };

  test('by link id alone, a new link of the same minter to the same delegatee stands', () => {
    expect(struck({ link: idOf(child) }, verified([root, again], inventory))).toBe('ok');
  });

  test('with the bar on re-minting it falls as well', () => {
    expect(struck(barred)).toBe('revoked_link');
    expect(struck(barred, verified([root, again], inventory))).toBe('revoked_link');
  });

  test('and still falls when its minter has changed its key in between', () => {
    const rebind = signLink(childClaims(root, planner, renewed, { rebind: true }), planner.key);
    const below = signLink(childClaims(rebind, renewed, inventory), renewed.key);
    expect(struck(barred, verified([root, rebind, below], inventory))).toBe('revoked_link');
  });

  test('and when the delegatee got another key', () => {
    const other = testAgent('inventory', 2);
    const fresh = signLink(childClaims(root, planner, other), planner.key);
    expect(struck(barred, verified([root, fresh], other))).toBe('revoked_link');
  });

  test('the minter may go on delegating to others, and others to the delegatee', () => {
    const sibling = signLink(childClaims(root, planner, security), planner.key);
    const around = signLink(childClaims(sibling, security, inventory), security.key);
    expect(struck(barred, verified([root, sibling], security))).toBe('ok');
    expect(struck(barred, verified([root, sibling, around], inventory))).toBe('ok');
  });
});

describe('a peer', () => {
  test('falls by name or key, without a chain', () => {
    const check = (entry: Readonly<Record<string, unknown>>) =>
      reasonOf(revoked(entry).checkHolder(planner.id, planner.key.thumbprint));
    expect(check({ agent: planner.id })).toBe('revoked_agent');
    expect(check({ key: planner.key.thumbprint })).toBe('revoked_key');
    expect(check({ key: planner.key.thumbprint, lost: true })).toBe('agent_key_lost');
    expect(check({ key: renewed.key.thumbprint })).toBe('ok');
    expect(reasonOf(Revocations.none.checkHolder(planner.id, planner.key.thumbprint))).toBe('ok');
  });
});

describe('an entry that is not understood', () => {
  test.each([
    ['nothing', {}],
    ['a mixture', { link: idOf(root), agent: planner.id }],
    ['half of a form', { task: idOf(root) }],
    ['a key that is not lost', { key: planner.key.thumbprint, lost: false }],
    ['a bar without its link', { parent: idOf(root), delegatee: inventory.id }],
    ['another member', { agent: planner.id, since: NOW }],
    ['no digest', { link: 'x' }],
    ['a pattern', { agent: 'spiffe://company.com/agent/planner/*' }],
    ['names in one member', { 'delegatee,link,parent': 'x' }],
    ['no object', [] as never],
  ])('refuses the whole list: %s', (_, entry) =>
    expect(Revocations.parse([{ agent: planner.id }, entry]).ok).toBe(false),
  );
});
