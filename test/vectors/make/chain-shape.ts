/** Chains of a wrong shape: order, holder, depth, repetition, rebinds. */
import { type Case, NOW } from './case.ts';
import { refuse } from './chain-case.ts';
import { SHORT } from './chain-good.ts';
import { type Claims, idOf, key } from './signing.ts';
import {
  type Agent,
  BILLING,
  bind,
  CLIENT,
  DOMAIN,
  INVENTORY,
  LINE,
  makeChain,
  PARTNER,
  PLANNER,
  rotated,
  SECURITY,
  wit,
} from './world.ts';

const FOUR = [CLIENT, PLANNER, INVENTORY, SECURITY] as const;
const four = makeChain({ agents: FOUR });
const [L0 = '', L1 = '', L2 = '', L3 = ''] = four;
const other = makeChain({ agents: FOUR, all: { purpose: 'another task' } });
const edited = (
  comment: string,
  edit: Readonly<Record<number, Claims>>,
  reason: string,
  agents: readonly Agent[] = [CLIENT, PLANNER, INVENTORY],
): Case => refuse(comment, makeChain({ agents, edit }), agents.at(-1) as Agent, reason);

const form = (): Case[] => [
  refuse('no chain', '', CLIENT, 'chain_missing'),
  refuse(
    'more than 8192 octets',
    makeChain({ agents: SHORT.slice(0, 8), all: { purpose: 'p'.repeat(256) } }),
    SHORT[7] as Agent,
    'chain_too_large',
    { limits: { maxDepth: 8 } },
  ),
  refuse(
    'a thousand links within 8192 octets',
    Array.from({ length: 1000 }, () => 'a.b.c'),
    PLANNER,
    'chain_too_many_links',
  ),
  refuse(
    '17 links, of which none is read',
    Array.from({ length: 17 }, () => 'a.b.c'),
    CLIENT,
    'chain_too_many_links',
  ),
  refuse('an empty link in the middle', [L0, '', L1], PLANNER, 'jws_structure'),
  refuse('a tilde behind the leaf', [L0, L1, ''], PLANNER, 'jws_structure'),
  refuse('a tilde before the root', ['', L0, L1], PLANNER, 'jws_structure'),
  refuse('links joined by commas, as a list of two headers is', `${L0},${L1}`, PLANNER, 'jws_structure'),
  refuse('two chain headers made one', `${L0}~${L1}, ${L0}~${L1}`, PLANNER, 'jws_structure'),
  refuse('a space behind a tilde', `${L0}~ ${L1}`, PLANNER, 'jws_base64url'),
  refuse('a child first', [L1, L2], INVENTORY, 'claim_unknown'),
  refuse('an L0 in the middle', [L0, L0], CLIENT, 'claim_unknown'),
  refuse('a WIT as leaf', [L0, wit(PLANNER)], PLANNER, 'jws_header'),
  refuse(
    'a second spelling of the last signature',
    [
      L0,
      `${L1.slice(0, -1)}${L1.endsWith('A') ? 'B' : `${String.fromCharCode(L1.charCodeAt(L1.length - 1) + 1)}`}`,
    ],
    PLANNER,
    'jws_base64url',
  ),
];

const holder = (): Case[] => [
  refuse('a stolen chain: another agent presents it', four, BILLING, 'chain_leaf_not_caller'),
  refuse('a stolen chain: the same name under another key', four, rotated(SECURITY), 'chain_leaf_key'),
  refuse('cut back to an ancestor', [L0, L1], SECURITY, 'chain_leaf_not_caller'),
  refuse(
    'a grant for the next agent presented as chain by its minter',
    four,
    INVENTORY,
    'chain_leaf_not_caller',
  ),
  refuse('reordered', [L0, L2, L1, L3], SECURITY, 'link_parent'),
  refuse('spliced: the leaf of another chain', [L0, L1, L2, other[3] ?? ''], SECURITY, 'link_parent'),
  refuse('spliced: the root of another chain', [other[0] ?? '', L1, L2, L3], SECURITY, 'link_parent'),
  refuse('spliced: a middle link of another chain', [L0, other[1] ?? '', L2, L3], SECURITY, 'link_parent'),
  refuse('a dropped middle', [L0, L1, L3], SECURITY, 'link_parent'),
  refuse('a dropped first delegation', [L0, L2, L3], SECURITY, 'link_parent'),
  edited('the right signer, the wrong parent', { 2: { par_hash: idOf(other[1] ?? '') } }, 'link_parent'),
  edited('the parent is the root', { 2: { par_hash: idOf(L0) } }, 'link_parent'),
  edited('par_hash over the compact form', { 1: { par_hash: compactHash() } }, 'link_parent', [
    CLIENT,
    PLANNER,
  ]),
  refuse('the same link twice', [L0, L1, L1], PLANNER, 'link_rebind', { source: '7.4' }),
];

/** What an implementation that hashes the whole compact JWS would put into par_hash. */
function compactHash(): string {
  return idOf(`${L0}.`);
}

const depth = (): Case[] => [
  refuse(
    'six links, policy allows five',
    makeChain({ agents: LINE, all: { max_depth: 8 } }),
    BILLING,
    'chain_too_deep',
  ),
  refuse('four links, policy allows three', four, SECURITY, 'chain_too_deep', { limits: { maxDepth: 3 } }),
  refuse(
    'nine links: eight are the most, whatever policy says',
    makeChain({ agents: SHORT, all: { max_depth: 8, scope: ['cloud:read'] } }),
    SHORT[8] as Agent,
    'chain_too_deep',
    { limits: { maxDepth: 100 } },
  ),
  edited(
    'deeper than the root allows',
    { 0: { max_depth: 2 }, 1: { max_depth: 2 }, 2: { max_depth: 2 } },
    'chain_max_depth',
  ),
  edited('deeper than the middle allows', { 1: { max_depth: 2 }, 2: { max_depth: 2 } }, 'chain_max_depth'),
  edited('a link that allows less than its own depth', { 2: { max_depth: 2 } }, 'chain_max_depth'),
  edited(
    'max_depth reset in the middle',
    { 0: { max_depth: 4 }, 1: { max_depth: 5 } },
    'link_max_depth_raised',
  ),
  edited(
    'max_depth raised by the leaf',
    { 0: { max_depth: 4 }, 1: { max_depth: 3 }, 2: { max_depth: 4 } },
    'link_max_depth_raised',
  ),
  refuse(
    'a rebind is no way around the depth',
    makeChain({
      agents: [CLIENT, PLANNER, rotated(PLANNER), INVENTORY],
      all: { max_depth: 2 },
      edit: { 2: { rebind: true } },
    }),
    INVENTORY,
    'chain_max_depth',
    { source: '7.4' },
  ),
];

const twice = (): Case[] => [
  refuse('A to B to A', makeChain({ agents: [PLANNER, INVENTORY, PLANNER] }), PLANNER, 'chain_agent_twice'),
  refuse(
    'A to B to A under a new key',
    makeChain({ agents: [PLANNER, INVENTORY, rotated(PLANNER)] }),
    rotated(PLANNER),
    'chain_agent_twice',
  ),
  refuse(
    'one key under two names',
    makeChain({ agents: [PLANNER, INVENTORY, rotated(SECURITY, PLANNER.key)] }),
    rotated(SECURITY, PLANNER.key),
    'chain_key_twice',
  ),
  refuse(
    'one key under the next name',
    makeChain({ agents: [PLANNER, rotated(INVENTORY, PLANNER.key)] }),
    rotated(INVENTORY, PLANNER.key),
    'chain_key_twice',
  ),
  refuse(
    'a delegation to oneself',
    makeChain({ agents: [CLIENT, PLANNER, PLANNER] }),
    PLANNER,
    'link_rebind',
  ),
  refuse(
    'a delegation to oneself, where callbacks are allowed',
    makeChain({ agents: [CLIENT, PLANNER, PLANNER] }),
    PLANNER,
    'link_rebind',
    { limits: { callbacks: true } },
  ),
  refuse(
    'a new key without the rebind mark',
    makeChain({ agents: [CLIENT, PLANNER, rotated(PLANNER)] }),
    rotated(PLANNER),
    'link_rebind',
    { source: '7.4' },
  ),
];

const NEW = rotated(PLANNER);
const rebind = (comment: string, edit: Claims, reason = 'link_rebind', to = NEW): Case =>
  refuse(
    comment,
    makeChain({ agents: [CLIENT, PLANNER, to], edit: { 2: { rebind: true, ...edit } } }),
    to,
    reason,
    { source: '7.4' },
  );

const rebinds = (): Case[] => [
  rebind('a rebind to another name', {}, 'link_rebind', INVENTORY),
  rebind('a rebind that keeps the key', {}, 'link_rebind', PLANNER),
  rebind('a rebind that narrows the scope', { scope: ['cloud:read'] }),
  rebind('a rebind that widens the scope', { scope: ['cloud:*', 'ec2:Describe*'] }),
  rebind('a rebind that reorders the scope', { scope: ['ec2:Describe*', 'cloud:read'] }),
  rebind('a rebind that widens aud', { aud: [DOMAIN, PARTNER] }),
  rebind('a rebind that lowers max_depth', { max_depth: 4 }),
  rebind('a rebind that raises max_depth', { max_depth: 6 }),
  rebind('a rebind that adds a caveat', { caveats: [{ type: 'before', time: NOW + 60 }] }),
  refuse(
    'a rebind of a rebind',
    makeChain({
      agents: [CLIENT, PLANNER, NEW, rotated(NEW)],
      edit: { 2: { rebind: true }, 3: { rebind: true } },
    }),
    rotated(NEW),
    'link_rebind',
    { source: '7.4' },
  ),
  refuse(
    'a rebind back to a key of another agent in the chain',
    makeChain({ agents: [CLIENT, PLANNER, rotated(PLANNER, CLIENT.key)], edit: { 2: { rebind: true } } }),
    rotated(PLANNER, CLIENT.key),
    'chain_key_twice',
    { source: '7.4' },
  ),
  refuse(
    'a rebind whose key occurs before, where callbacks are allowed',
    makeChain({ agents: [CLIENT, PLANNER, rotated(PLANNER, CLIENT.key)], edit: { 2: { rebind: true } } }),
    rotated(PLANNER, CLIENT.key),
    'chain_key_twice',
    { source: '7.4', limits: { callbacks: true } },
  ),
  refuse(
    'a rebind that outlives its parent',
    makeChain({ agents: [CLIENT, PLANNER, NEW], edit: { 2: { rebind: true, exp: NOW + 3601 } } }),
    NEW,
    'link_outlives_parent',
    { source: '7.4' },
  ),
  refuse(
    'a rebind signed by the new key',
    makeChain({ agents: [CLIENT, PLANNER, NEW], edit: { 2: { rebind: true } }, signer: { 2: NEW.key } }),
    NEW,
    'link_signature',
    { source: '7.4' },
  ),
  refuse(
    'a rebind with a key binding of the new key',
    makeChain({ agents: [CLIENT, PLANNER, NEW], edit: { 2: { rebind: true, kb: bind(NEW) } } }),
    NEW,
    'kb_signature',
    { source: '7.4' },
  ),
  refuse(
    'a thief of the old key rebinds to a key of his own: stopped by the handshake, whose key is another',
    makeChain({ agents: [CLIENT, PLANNER, NEW], edit: { 2: { rebind: true } } }),
    rotated(PLANNER, key('thief')),
    'chain_leaf_key',
    { source: '7.4' },
  ),
];

export const misshapenChains = (): Case[] => [...form(), ...holder(), ...depth(), ...twice(), ...rebinds()];
