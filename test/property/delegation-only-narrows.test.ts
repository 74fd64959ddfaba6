/** No sequence of delegations, honest or hostile, ends in more authority than its root gave. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Caveat } from '../../src/core/delegation/caveats.ts';
import { verifyChain } from '../../src/core/delegation/chain.ts';
import { parseLink, type UnverifiedLink } from '../../src/core/delegation/link.ts';
import { mintChildLink, mintRebindLink, mintRootLink } from '../../src/core/delegation/mint.ts';
import { canonicalJson } from '../../src/core/encoding/json.ts';
import {
  ALICE,
  childClaims,
  DOMAIN,
  jti,
  NOW,
  permitted,
  principalKey,
  reasonOf,
  rootClaims,
  rootOptions,
  signLink,
  type TestAgent,
  testAgent,
  testContext,
} from '../testkit/core-world.ts';

const TYPES = ['planner', 'inventory', 'security', 'reporter', 'billing', 'mailer'];
/** Two keys each: before and after a rotation. */
const AGENTS: readonly (readonly [TestAgent, TestAgent])[] = TYPES.map((type) => [
  testAgent(type, 1),
  testAgent(type, 2),
]);
const agent = (index: number, generation: 0 | 1 = 0): TestAgent => {
  const pair = AGENTS[index % AGENTS.length];
  if (pair === undefined) throw new RangeError('no such agent');
  return pair[generation];
};

const POOL = [
  'cloud:*',
  'cloud:re*',
  'cloud:read',
  'cloud:read:*',
  'cloud:read:a',
  'cloud:write',
  'cloud:r*',
  'ec2:*',
  'ec2:Describe*',
  'ec2:DescribeX',
  'db:read',
  'db:write',
  'mail:send',
];
const JUNK = [
  '*',
  'cloud*',
  '',
  ':',
  'cloud:',
  'cloud:*:read',
  'cloud:..',
  'cloud:re**',
  'CLOUD:read',
  'cloud:read\n',
  'cloud:read ',
];
/** Every literal that the pool could speak of, and its neighbours. */
const UNIVERSE = [
  'cloud',
  'cloud:read',
  'cloud:readx',
  'cloud:read:a',
  'cloud:read:b',
  'cloud:read:a:b',
  'cloud:rex',
  'cloud:write',
  'cloud:write:a',
  'ec2:Describe',
  'ec2:DescribeX',
  'ec2:DescribeY',
  'ec2:Run',
  'db:read',
  'db:write',
  'mail:send',
];

/** What a pattern stands for, said again without the code under test. */
const holds = (patterns: readonly string[], literal: string): boolean =>
  patterns.some((pattern) => {
    if (!pattern.endsWith('*')) return pattern === literal;
    const prefix = pattern.slice(0, -1);
    if (!literal.startsWith(prefix)) return false;
    return prefix.endsWith(':') || literal.split(':').length === prefix.split(':').length;
  });

const scope = fc.array(
  fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...POOL) }, fc.constantFrom(...JUNK)),
  { maxLength: 3 },
);
const caveat: fc.Arbitrary<Caveat> = fc.constantFrom<Caveat>(
  { type: 'before', time: NOW + 100 },
  { type: 'tool', names: ['read'] },
  { type: 'resource', paths: ['/a'] },
);
const seconds = fc.oneof(
  fc.integer({ min: 1, max: 8000 }),
  fc.constantFrom(0, -1, -8000, 1e12, Number.NaN, Number.POSITIVE_INFINITY, 0.5),
);
const step = fc.record({
  rebind: fc.nat({ max: 4 }).map((n) => n === 0),
  to: fc.nat({ max: AGENTS.length - 1 }),
  generation: fc.constantFrom<0 | 1>(0, 0, 0, 1),
  scope: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, scope),
  ttlSeconds: seconds,
  remainingDepth: fc.oneof(
    fc.integer({ min: -2, max: 9 }),
    fc.constantFrom(Number.NaN, 1.5, Number.POSITIVE_INFINITY),
  ),
  later: fc.integer({ min: -100, max: 100 }),
  aud: fc.constantFrom<readonly string[] | undefined>(
    undefined,
    undefined,
    [DOMAIN],
    ['partner.org'],
    [DOMAIN, 'evil.org'],
    [],
  ),
  caveats: fc.array(caveat, { maxLength: 2 }),
  /** Whose key binding the minter shows and whose key it signs with. */
  impostor: fc.nat({ max: 12 }).map((n) => n === 0),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Grown {
  readonly text: string;
  readonly links: readonly UnverifiedLink[];
  readonly holder: TestAgent;
}

/** Runs the minter over the steps; a step that it refuses changes nothing. */
const grow = (rootScope: readonly string[], maxDepth: number, steps: readonly Step[]): Grown | undefined => {
  const first = agent(0);
  const root = mintRootLink(
    rootOptions(first, { scope: rootScope, maxDepth, aud: [DOMAIN, 'partner.org'] }),
    principalKey.sign,
  );
  if (!root.ok) return undefined;
  let chain: Grown = { text: root.value, links: [permitted(parseLink(root.value, true))], holder: first };
  for (const [index, one] of steps.entries()) {
    const leaf = chain.links.at(-1) as UnverifiedLink;
    const depth = chain.links.filter((link) => link.root || !link.rebind).length;
    const from = one.impostor ? agent(one.to + 1, 1) : chain.holder;
    const common = { kb: from.kb, now: NOW + one.later, jti: jti(`step ${index}`) };
    const renewed = AGENTS.find(([old]) => old.id === chain.holder.id)?.[1] ?? chain.holder;
    const to = one.rebind ? renewed : agent(one.to, one.generation);
    const minted = one.rebind
      ? mintRebindLink(leaf, { ...common, newX: to.key.x }, from.key.sign)
      : mintChildLink(
          leaf,
          depth,
          {
            ...common,
            delegatee: { id: to.id, x: to.key.x },
            scope: one.scope ?? leaf.scope,
            remainingDepth: one.remainingDepth,
            ttlSeconds: one.ttlSeconds,
            ...(one.aud === undefined ? {} : { aud: one.aud }),
            caveats: one.caveats,
          },
          from.key.sign,
        );
    if (!minted.ok) continue;
    const link = permitted(parseLink(minted.value, false));
    chain = { text: `${chain.text}~${minted.value}`, links: [...chain.links, link], holder: to };
  }
  return chain;
};

const CONTEXT = testContext({
  now: NOW + 100,
  limits: { maxDepth: 8, linkTtlSeconds: 14_400 },
  anchor: { maxDepth: 8, scope: POOL as never },
});

/** The whole promise of delegation, link by link. */
const expectNarrowing = (links: readonly UnverifiedLink[]): void => {
  let depth = 0;
  for (const [index, link] of links.entries()) {
    if (link.root || !link.rebind) depth++;
    for (const above of links.slice(0, index)) {
      const gained = UNIVERSE.filter((literal) => holds(link.scope, literal) && !holds(above.scope, literal));
      expect(gained).toEqual([]);
      expect(link.exp).toBeLessThanOrEqual(above.exp);
      expect(link.iat).toBeGreaterThanOrEqual(above.iat);
      expect(link.maxDepth).toBeLessThanOrEqual(above.maxDepth);
      expect(depth).toBeLessThanOrEqual(above.maxDepth);
      expect(above.aud).toEqual(expect.arrayContaining([...link.aud]));
      expect(canonicalJson(link.caveats.slice(0, above.caveats.length))).toBe(canonicalJson(above.caveats));
      expect(link.delegateeX).not.toBe(above.delegateeX);
      if (link.root || !link.rebind) expect(link.delegatee).not.toBe(above.delegatee);
    }
    expect(depth).toBeLessThanOrEqual(link.maxDepth);
  }
};

const seen = { verified: 0, refused: 0, long: 0 };

describe('chains that the minter made', () => {
  test('a chain that verifies has narrowed at every link, whatever was asked of the minter', () => {
    fc.assert(
      fc.property(
        fc.subarray(['cloud:*', 'ec2:*', 'db:read'], { minLength: 1 }),
        fc.integer({ min: 1, max: 8 }),
        fc.array(step, { minLength: 1, maxLength: 8 }),
        (rootScope, maxDepth, steps) => {
          const chain = grow(rootScope, maxDepth, steps);
          if (chain === undefined) return;
          const verdict = verifyChain(chain.text, chain.holder.holder, CONTEXT);
          if (!verdict.ok) {
            seen.refused++;
            return;
          }
          seen.verified++;
          if (verdict.value.links.length > 2) seen.long++;
          expectNarrowing(verdict.value.links);
          expect(verdict.value.exp).toBe(Math.min(...verdict.value.links.map((link) => link.exp)));
        },
      ),
      { numRuns: 500 },
    );
    // The property says something only if all three happen.
    expect(Math.min(seen.verified, seen.refused, seen.long)).toBeGreaterThan(20);
  });

  test('what an honest minter makes verifies: it refuses all that a verifier would', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(step, { maxLength: 5 }),
        fc.shuffledSubarray([1, 2, 3, 4, 5], { minLength: 5 }),
        (maxDepth, steps, order) => {
          const honest = steps.map((one, index) => ({
            ...one,
            impostor: false,
            // Longer than the clock of the verifier is ahead.
            ttlSeconds: Math.max(300, one.ttlSeconds || 300),
            generation: 0 as const,
            to: order[index] ?? 1,
            aud: one.aud?.includes('partner.org') ? [DOMAIN] : one.aud,
          }));
          const chain = grow(['cloud:*', 'ec2:*'], maxDepth, honest);
          if (chain === undefined) return;
          expect(reasonOf(verifyChain(chain.text, chain.holder.holder, CONTEXT))).toBe('ok');
        },
      ),
      { numRuns: 300 },
    );
  });
});

type Claims = Record<string, unknown>;
/** A hand that signs anything: each change widens one link beyond its parent, and the reason that must follow. */
const WIDENINGS: readonly (readonly [string, (own: Claims, parent: Claims) => Claims, string])[] = [
  ['a wider scope', () => ({ scope: ['cloud:*', 'ec2:*'] }), 'link_scope_widened'],
  ['a scope beside the parent’s', () => ({ scope: ['mail:send'] }), 'link_scope_widened'],
  ['a prefix for a literal', () => ({ scope: ['cloud:re*'] }), 'link_scope_widened'],
  ['a later end', (_, parent) => ({ exp: (parent.exp as number) + 1 }), 'link_outlives_parent'],
  ['an earlier beginning', (_, parent) => ({ iat: (parent.iat as number) - 1 }), 'link_older_than_parent'],
  ['more depth', (_, parent) => ({ max_depth: (parent.max_depth as number) + 1 }), 'link_max_depth_raised'],
  ['another trust domain', () => ({ aud: [DOMAIN, 'evil.org'] }), 'link_aud_widened'],
  ['no caveats', () => ({ caveats: undefined }), 'link_caveats'],
  ['a caveat loosened', () => ({ caveats: [{ type: 'tool', names: ['read', 'write'] }] }), 'link_caveats'],
  [
    'a caveat put before',
    (own) => ({ caveats: [{ type: 'before', time: NOW + 9000 }, ...(own.caveats as [])] }),
    'link_caveats',
  ],
  ['another parent', () => ({ par_hash: 'A'.repeat(43) }), 'link_parent'],
  ['a binding of another name', () => ({ kb: agent(5).kb }), 'kb_signature'],
  [
    'a binding of its key before',
    (own) => ({ kb: { ...(own.kb as Claims), exp: NOW + 999_999 } }),
    'kb_signature',
  ],
  ['a mark of rebinding', () => ({ rebind: true }), 'link_rebind'],
];

/** Signs a chain of `length` with one link changed; the links below follow it, as an accomplice would. */
const widened = (length: number, at: number, change: (own: Claims, parent: Claims) => Claims): string => {
  const caveats = [{ type: 'tool', names: ['read'] }];
  const base = { scope: ['cloud:read'], max_depth: 6, caveats };
  const links: string[] = [signLink(rootClaims(agent(0), base), principalKey)];
  let carried: Claims = base;
  let parent: Claims = rootClaims(agent(0), base);
  for (let index = 1; index < length; index++) {
    let own: Claims = childClaims(links[index - 1] ?? '', agent(index - 1), agent(index), carried);
    if (index === at) {
      const changes = change(own, parent);
      own = { ...own, ...changes };
      const { par_hash, kb, rebind, ...inherited } = changes;
      carried = { ...carried, ...inherited };
    }
    links.push(signLink(own, agent(index - 1).key));
    parent = own;
  }
  return links.join('~');
};

describe('links that widen, signed by hand', () => {
  const context = testContext({
    limits: { maxDepth: 8 },
    anchor: { maxDepth: 8, scope: ['cloud:*'] as never },
  });

  test('without a change the same hand makes a chain that verifies', () => {
    for (let length = 1; length <= 6; length++)
      expect(
        reasonOf(
          verifyChain(
            widened(length, 0, () => ({})),
            agent(length - 1).holder,
            context,
          ),
        ),
      ).toBe('ok');
  });

  test.each(WIDENINGS)('%s is found at every place of a chain of any length', (_, change, reason) => {
    for (let length = 2; length <= 5; length++)
      for (let at = 1; at < length; at++) {
        const verdict = verifyChain(widened(length, at, change), agent(length - 1).holder, context);
        expect([length, at, reasonOf(verdict)]).toEqual([length, at, reason]);
      }
  });

  test('any mixture of them is refused', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 6 }),
        fc.nat(),
        fc.subarray([...WIDENINGS], { minLength: 1, maxLength: 4 }),
        (length, where, chosen) => {
          const change = (own: Claims, parent: Claims): Claims =>
            Object.assign({}, ...chosen.map(([, one]) => one(own, parent)));
          const text = widened(length, 1 + (where % (length - 1)), change);
          expect(verifyChain(text, agent(length - 1).holder, context).ok).toBe(false);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('links out of two good chains make no third', () => {
    const texts = [
      widened(4, 0, () => ({})).split('~'),
      widened(4, 1, () => ({ purpose: 'another task' })).split('~'),
    ];
    for (let mask = 1; mask < 15; mask++) {
      const spliced = [0, 1, 2, 3].map((i) => texts[(mask >> i) & 1]?.[i]).join('~');
      const whole = texts.some((links) => links.join('~') === spliced);
      // L0 is the same link in both.
      expect([mask, verifyChain(spliced, agent(3).holder, context).ok]).toEqual([mask, whole]);
    }
  });

  test('links left out, doubled or in another order make no chain', () => {
    const links = widened(4, 0, () => ({})).split('~');
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 6 }), (order) => {
        const text = order.map((index) => links[index]).join('~');
        const whole = order.every((index, at) => index === at);
        const leaf = order.at(-1) ?? 0;
        expect(verifyChain(text, agent(leaf).holder, context).ok).toBe(whole);
      }),
      { numRuns: 400 },
    );
  });

  test('the principal is the anchor’s, and no other', () => {
    const text = signLink(rootClaims(agent(0), { sub: 'mailto:mallory@evil.org' }), principalKey);
    expect(reasonOf(verifyChain(text, agent(0).holder, context))).toBe('anchor_principal');
    expect(ALICE).not.toContain('mallory');
  });
});
