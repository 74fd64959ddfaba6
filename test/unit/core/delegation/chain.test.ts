import { describe, expect, test } from 'vitest';
import { checkChainTime, verifyChain, verifyGrant } from '../../../../src/core/delegation/chain.ts';
import { mintKeyBinding } from '../../../../src/core/trust/wit.ts';
import {
  type ContextChanges,
  childClaims,
  DOMAIN,
  issuerKey,
  issuersOf,
  mintChain,
  NOW,
  permitted,
  principalKey,
  reasonOf,
  rootClaims,
  signLink,
  type TestAgent,
  testAgent,
  testContext,
  testKey,
  verifiedChain,
} from '../../../testkit/core-world.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const security = testAgent('security');
const reporter = testAgent('reporter');

const SMALL_ORDER = Buffer.from(`01${'00'.repeat(31)}`, 'hex').toString('base64url');

const check = (text: string, holder: TestAgent, changes: ContextChanges = {}) =>
  reasonOf(verifyChain(text, holder.holder, testContext(changes)));
/** Links signed by hand, each below the one before. */
const chainOf = (
  agents: readonly TestAgent[],
  changes: readonly Readonly<Record<string, unknown>>[] = [],
) => {
  const links: string[] = [];
  for (const [index, agent] of agents.entries()) {
    const from = agents[index - 1];
    links.push(
      from === undefined
        ? signLink(rootClaims(agent, changes[0]), principalKey)
        : signLink(childClaims(links[index - 1] ?? '', from, agent, changes[index]), from.key),
    );
  }
  return links.join('~');
};

describe('who holds a chain', () => {
  test('a chain says who asked, for whom, how deep and until when', () => {
    const text = mintChain(planner, [{ to: inventory, scope: ['cloud:read'], ttlSeconds: 600 }]);
    const chain = verifiedChain(text, inventory);
    expect(chain).toMatchObject({
      principal: 'mailto:alice@company.com',
      depth: 2,
      exp: NOW + 600,
      iat: NOW,
    });
    expect(chain.task).toBe(chain.root.id);
    expect(chain.holder).toBe(inventory.holder);
  });

  test('another agent that presents it, or another key of the same agent, is refused', () => {
    const text = mintChain(planner);
    expect(check(text, inventory)).toBe('chain_leaf_not_caller');
    expect(check(text, testAgent('planner', 2))).toBe('chain_leaf_key');
  });

  test('a delegator can’t go on with the chain that it handed down, nor cut it back to its own link and keep the name below', () => {
    const text = mintChain(planner, [{ to: inventory }]);
    expect(check(text, planner)).toBe('chain_leaf_not_caller');
    expect(check(text.split('~')[0] ?? '', inventory)).toBe('chain_leaf_not_caller');
  });

  test('the task of a renewed root is that of the first one', () => {
    const task = 'A'.repeat(43);
    const text = chainOf([planner], [{ task, task_start: NOW - 7200 }]);
    expect(permitted(verifyChain(text, planner.holder, testContext())).task).toBe(task);
  });
});

describe('a name in the middle is only its delegator’s word', () => {
  const fake = { ...security, key: testKey('a key that inventory made up') };

  test('a link for "security" over a key of inventory’s own is not signed on', () => {
    expect(check(chainOf([planner, inventory, fake, reporter]), reporter)).toBe('kb_signature');
  });

  test('nor with a binding by an issuer of its own', () => {
    const own = testKey('an issuer of inventory’s own');
    const kb = mintKeyBinding(security.id, fake.key.x, NOW + 100, own.sign, own.thumbprint);
    expect(check(chainOf([planner, inventory, { ...fake, kb }, reporter]), reporter)).toBe(
      'kb_issuer_unknown',
    );
    const posing = { ...kb, kid: issuerKey.thumbprint };
    expect(check(chainOf([planner, inventory, { ...fake, kb: posing }, reporter]), reporter)).toBe(
      'kb_signature',
    );
  });

  test('nor with a binding that had ended when the link was made', () => {
    const kb = mintKeyBinding(inventory.id, inventory.key.x, NOW, issuerKey.sign, issuerKey.thumbprint);
    expect(check(chainOf([planner, { ...inventory, kb }, security]), security)).toBe('kb_expired');
  });

  test('an issuer of one trust domain does not bind names of another', () => {
    const foreign = testKey('issuer of partner.org');
    const kb = mintKeyBinding(inventory.id, inventory.key.x, NOW + 100, foreign.sign, foreign.thumbprint);
    const issuers = issuersOf([DOMAIN, issuerKey], ['partner.org', foreign]);
    expect(check(chainOf([planner, { ...inventory, kb }, security]), security, { issuers })).toBe(
      'kb_issuer_unknown',
    );
  });
});

describe('keys that a link names', () => {
  test('are admitted only when they sign: a chain to a small-order key verifies for nobody', () => {
    const identity = Buffer.from(`01${'00'.repeat(31)}`, 'hex').toString('base64url');
    const cnf = { jwk: { crv: 'Ed25519', kty: 'OKP', x: identity } };
    const kb = mintKeyBinding(inventory.id, identity, NOW + 100, issuerKey.sign, issuerKey.thumbprint);
    const text = chainOf([planner, { ...inventory, kb }, security], [{}, { cnf }]);
    expect(check(text, security)).toBe('key_small_order');
  });
});

describe('depth and repetition', () => {
  const many = Array.from({ length: 9 }, (_, i) => testAgent(i === 0 ? 'planner' : `t${i}`));
  const deep = (n: number, max = 8) =>
    chainOf(
      many.slice(0, n),
      Array.from({ length: n }, () => ({ max_depth: max })),
    );
  const anchor = { maxDepth: 8 };

  test('policy’s limit holds, and none above eight', () => {
    const last = (n: number) => many[n - 1] ?? planner;
    expect(check(deep(5), last(5), { anchor })).toBe('ok');
    expect(check(deep(6), last(6), { anchor })).toBe('chain_too_deep');
    expect(check(deep(8), last(8), { anchor, limits: { maxDepth: 99 } })).toBe('ok');
    expect(check(deep(9), last(9), { anchor, limits: { maxDepth: 99 } })).toBe('chain_too_deep');
  });

  test('a link’s own max_depth stops those below it', () => {
    expect(check(deep(3, 2), many[2] ?? planner)).toBe('chain_max_depth');
    expect(check(deep(2, 2), many[1] ?? planner)).toBe('ok');
  });

  test('an agent comes back only where policy allows callbacks', () => {
    const back = { ...testAgent('planner', 2) };
    const text = chainOf([planner, inventory, back]);
    expect(check(text, back)).toBe('chain_agent_twice');
    expect(check(text, back, { limits: { callbacks: true } })).toBe('ok');
  });

  test('a key under two names is refused', () => {
    const twin = { ...security, key: planner.key, holder: { id: security.id, key: planner.key.admitted } };
    expect(check(chainOf([planner, inventory, twin]), twin)).toBe('chain_key_twice');
  });

  test('an agent does not delegate to itself, callbacks or not', () => {
    const renewed = testAgent('planner', 2);
    expect(check(chainOf([planner, renewed]), renewed)).toBe('link_rebind');
    expect(check(chainOf([planner, renewed]), renewed, { limits: { callbacks: true } })).toBe('link_rebind');
  });

  test('a rebind changes the key and nothing else, and follows no rebind', () => {
    const second = testAgent('planner', 2);
    const third = testAgent('planner', 3);
    const rebound = (changes = {}) => chainOf([planner, second], [{}, { rebind: true, ...changes }]);
    expect(check(rebound(), second)).toBe('ok');
    for (const changes of [
      { scope: ['cloud:read'] },
      { max_depth: 4 },
      { caveats: [{ type: 'before', time: NOW + 9 }] },
    ])
      expect(check(rebound(changes), second)).toBe('link_rebind');
    expect(check(chainOf([planner, second, third], [{}, { rebind: true }, { rebind: true }]), third)).toBe(
      'link_rebind',
    );
    expect(check(chainOf([planner, inventory], [{}, { rebind: true }]), inventory)).toBe('link_rebind');
  });
});

describe('time', () => {
  const text = mintChain(planner, [{ to: inventory }]);
  test('thirty seconds of skew against now, and not one more', () => {
    expect(check(text, inventory, { now: NOW - 30 })).toBe('ok');
    expect(check(text, inventory, { now: NOW - 31 })).toBe('link_not_yet_valid');
    expect(check(text, inventory, { now: NOW + 3629 })).toBe('ok');
    expect(check(text, inventory, { now: NOW + 3630 })).toBe('link_expired');
  });

  test('a chain that verified once ends by itself', () => {
    const chain = verifiedChain(text, inventory);
    expect(checkChainTime(chain, NOW + 3629)).toBeUndefined();
    expect(checkChainTime(chain, NOW + 3630)?.reason).toBe('link_expired');
    expect(checkChainTime(chain, NOW - 31)?.reason).toBe('link_not_yet_valid');
  });

  test('a link that lives longer than policy allows', () => {
    expect(check(text, inventory, { limits: { linkTtlSeconds: 3599 } })).toBe('link_ttl');
  });
});

describe('the anchor’s ceiling', () => {
  const text = mintChain(planner, [{ to: inventory }]);
  test.each<readonly [string, ContextChanges, string]>([
    ['another principal', { anchor: { principals: ['mailto:bob@company.com'] } }, 'anchor_principal'],
    [
      '"*" of a principal’s key speaks for nobody else',
      { anchor: { principals: ['*'] } },
      'anchor_principal',
    ],
    ['"*" of a root issuer speaks for all', { anchor: { kind: 'root-issuer', principals: ['*'] } }, 'ok'],
    ['another delegatee', { anchor: { delegatees: [] } }, 'anchor_delegatee'],
    ['another trust domain', { anchor: { domains: ['partner.org'] } }, 'anchor_domain'],
    ['less scope', { anchor: { scope: ['cloud:read'] as never } }, 'anchor_scope'],
    ['less time', { anchor: { maxTtlSeconds: 3599 } }, 'anchor_ttl'],
    ['less depth', { anchor: { maxDepth: 4 } }, 'anchor_depth'],
    [
      'a machine where policy wants a human',
      { anchor: { human: false }, limits: { humanRoot: true } },
      'anchor_not_human',
    ],
    ['no anchor at all', { anchors: new Map() } as ContextChanges, 'anchor_unknown'],
    ['another key in its place', { anchor: { x: testKey('another').x } }, 'link_signature'],
    ['a key of small order in its place', { anchor: { x: SMALL_ORDER } }, 'key_small_order'],
  ])('%s', (_, changes, reason) => {
    expect(check(text, inventory, changes)).toBe(reason);
  });

  test('a renewed task ends when it is too old, whatever its newest root says', () => {
    const task = 'A'.repeat(43);
    const renewed = (start: number, exp = NOW + 3600) =>
      chainOf([planner], [{ task, task_start: start, exp }]);
    const limits = { maxTaskAgeSeconds: 10_000 };
    expect(check(renewed(NOW - 6400), planner, { limits })).toBe('ok');
    expect(check(renewed(NOW - 6401), planner, { limits })).toBe('task_too_old');
    // It is the link's end that counts, not the moment in which it is shown.
    expect(check(renewed(NOW - 6401, NOW + 3599), planner, { limits })).toBe('ok');
    expect(check(renewed(NOW - 86_400 + 3600), planner)).toBe('ok');
    expect(check(renewed(NOW - 86_400 + 3599), planner)).toBe('task_too_old');
  });

  test('a renewed root says of which task it is and since when, both or neither', () => {
    const task = 'A'.repeat(43);
    expect(check(chainOf([planner], [{ task }]), planner)).toBe('claim_invalid');
    expect(check(chainOf([planner], [{ task_start: NOW - 60 }]), planner)).toBe('claim_invalid');
    expect(check(chainOf([planner], [{ task, task_start: NOW + 1 }]), planner)).toBe('claim_invalid');
    expect(check(chainOf([planner], [{ task, task_start: NOW }]), planner)).toBe('ok');
  });

  test('a chain for another trust domain is not for us', () => {
    expect(check(chainOf([planner], [{ aud: ['partner.org'] }]), planner)).toBe('chain_aud');
  });
});

describe('a grant', () => {
  const text = chainOf([planner, inventory]);
  const leaf = text.split('~')[1] ?? '';
  const chain = verifiedChain(text, inventory);
  const give = (to: TestAgent, changes: Readonly<Record<string, unknown>> = {}, parent = leaf) =>
    signLink(childClaims(parent, inventory, to, changes), inventory.key);
  const granted = (link: string, callee = security, changes: ContextChanges = {}) =>
    verifyGrant(link, chain, callee.holder, testContext(changes));

  test('is the next link, and gives the callee the chain with it', () => {
    const link = give(security, { scope: ['cloud:read'] });
    const onward = permitted(granted(link));
    expect(onward).toMatchObject({
      depth: 3,
      holder: security.holder,
      principal: chain.principal,
      task: chain.task,
    });
    expect(check(`${text}~${link}`, security)).toBe('ok');
  });

  test.each<readonly [string, string, ContextChanges, string]>([
    ['for another callee', give(reporter), {}, 'grant_callee'],
    ['for another key of the callee', give(testAgent('security', 2)), {}, 'grant_callee_key'],
    ['under another leaf', give(security, {}, text.split('~')[0]), {}, 'grant_not_child'],
    ['that widens', give(security, { scope: ['db:read'] }), {}, 'link_scope_widened'],
    ['that outlives', give(security, { exp: NOW + 3601 }), {}, 'link_outlives_parent'],
    ['over the depth', give(security), { limits: { maxDepth: 2 } }, 'chain_too_deep'],
    ['for another trust domain', give(security, { aud: ['partner.org'] }), {}, 'link_aud_widened'],
    [
      'signed by another',
      signLink(childClaims(leaf, inventory, security), planner.key),
      {},
      'link_signature',
    ],
    ['that is a root', signLink(rootClaims(security), principalKey), {}, 'claim_unknown'],
    ['that has ended', give(security, { exp: NOW + 10 }), { now: NOW + 40 }, 'link_expired'],
  ])('%s is refused', (_, link, changes, reason) => {
    expect(reasonOf(granted(link, security, changes))).toBe(reason);
  });

  test.each<readonly [string, Readonly<Record<string, unknown>>, number]>([
    ['link_outlives_parent', { exp: NOW + 3601 }, NOW],
    ['link_older_than_parent', { iat: NOW - 1 }, NOW],
    ['link_not_yet_valid', { iat: NOW + 31 }, NOW],
    ['link_expired', { exp: NOW + 10 }, NOW + 40],
    ['link_max_depth_raised', { max_depth: 6 }, NOW],
    ['link_scope_widened', { scope: ['db:read'] }, NOW],
    ['claim_unknown', { note: 'x' }, NOW],
  ])('names its own place when it is refused: %s', (reason, changes, now) => {
    expect(granted(give(security, changes), security, { now })).toMatchObject({
      reason,
      detail: expect.stringContaining('link 2:'),
    });
  });

  test('that makes the chain too large to be presented is refused at once', () => {
    // Two long links, so that a third may just fit.
    const scope = Array.from({ length: 39 }, (_, at) => `cloud:${'x'.repeat(45)}${at}`);
    const long = chainOf([planner, inventory], [{ scope }, { scope }]);
    const held = verifiedChain(long, inventory);
    expect(held.octets).toBe(long.length);
    const outcomes = Array.from({ length: 256 }, (_, at) => {
      const claims = childClaims(long.split('~')[1] ?? '', inventory, security, {
        scope: [scope[0]],
        purpose: 'p'.repeat(at + 1),
      });
      const link = signLink(claims, inventory.key);
      const verdict = verifyGrant(link, held, security.holder, testContext());
      const octets = long.length + 1 + link.length;
      expect(verdict.ok ? verdict.value.octets : octets).toBe(octets);
      expect(reasonOf(verdict)).toBe(octets <= 8192 ? 'ok' : 'chain_too_large');
      expect(check(`${long}~${link}`, security)).toBe(reasonOf(verdict));
      return reasonOf(verdict);
    });
    expect(new Set(outcomes)).toEqual(new Set(['ok', 'chain_too_large']));
  });
});
