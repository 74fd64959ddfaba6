/** Chains of a wrong shape: order, holder, depth, repetition, times, narrowing, anchors. */
import { type Case, NOW } from './case.ts';
import { refuse } from './chain-case.ts';
import { SHORT } from './chain-good.ts';
import { type Claims, headerOf, idOf, jti, key, rawJws } from './signing.ts';
import {
  type Agent,
  ALICE,
  ANCHOR,
  AUDITOR,
  BILLING,
  bind,
  CLIENT,
  DOMAIN,
  INVENTORY,
  LINE,
  makeChain,
  PARTNER,
  PLANNER,
  REPORT,
  ROBOT,
  ROOT_ANCHOR,
  ROOT_ISSUER,
  rootClaims,
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

const IAT = NOW - 60;
const EXP = NOW + 3600;
const two = makeChain({ agents: [CLIENT, PLANNER] });

const times = (): Case[] => [
  refuse('30 s past exp', two, PLANNER, 'link_expired', { now: EXP + 30 }),
  refuse('31 s before iat', two, PLANNER, 'link_not_yet_valid', { now: IAT - 31 }),
  edited('the leaf is from the future', { 2: { iat: NOW + 31 } }, 'link_not_yet_valid'),
  edited('the leaf has expired, its parents have not', { 2: { exp: NOW - 30 } }, 'link_expired'),
  refuse(
    'the root has expired, and all below with it',
    makeChain({ agents: FOUR, all: { exp: NOW - 31 } }),
    SECURITY,
    'link_expired',
  ),
  edited('a link that lives one second longer than policy allows', { 0: { exp: IAT + 7201 } }, 'link_ttl', [
    CLIENT,
  ]),
  edited('a child issued one second before its parent', { 1: { iat: IAT - 1 } }, 'link_older_than_parent'),
  edited(
    'a leaf issued before its parent, yet not before the root',
    { 1: { iat: NOW - 30 }, 2: { iat: NOW - 31 } },
    'link_older_than_parent',
  ),
  edited('a child that outlives its parent by one second', { 1: { exp: EXP + 1 } }, 'link_outlives_parent'),
  edited(
    'a leaf that outlives its parent, yet not the root',
    { 1: { exp: NOW + 60 }, 2: { exp: NOW + 61 } },
    'link_outlives_parent',
  ),
];

const widened = (comment: string, scope: string[], from?: string[]): Case =>
  edited(
    comment,
    from === undefined ? { 1: { scope } } : { 0: { scope: from }, 1: { scope } },
    'link_scope_widened',
    [CLIENT, PLANNER],
  );
const C1 = { type: 'resource', paths: ['/ec2'] };
const C2 = { type: 'before', time: NOW + 60 };
const caveats = (comment: string, of: unknown, from: unknown = [C1, C2]): Case =>
  edited(comment, { 0: { caveats: from }, 1: { caveats: of } }, 'link_caveats', [CLIENT, PLANNER]);

const narrowing = (): Case[] => [
  widened('a new scope', ['cloud:read', 'cloud:write']),
  widened('ec2:Describe* to ec2:*', ['ec2:*']),
  widened('ec2:Describe* to ec2:D*', ['ec2:D*']),
  widened('cloud:read to cloud:read*', ['cloud:read*']),
  widened('cloud:read to cloud:*', ['cloud:*']),
  widened('another case', ['Cloud:read']),
  edited(
    'scope that narrows and widens again',
    { 1: { scope: ['cloud:read'] }, 2: { scope: ['cloud:read', 'ec2:Describe*'] } },
    'link_scope_widened',
  ),
  caveats('all caveats dropped', undefined),
  caveats('the last caveat dropped', [C1]),
  caveats('the first caveat dropped', [C2]),
  caveats('caveats reordered', [C2, C1]),
  caveats('a caveat put before the parent’s', [{ type: 'tool', names: ['list'] }, C1, C2]),
  caveats('a caveat loosened', [{ type: 'resource', paths: ['/ec2', '/s3'] }, C2]),
  caveats('a caveat tightened: it has to be added, not changed', [C1, { type: 'before', time: NOW + 30 }]),
  edited('a caveat of the middle dropped by the leaf', { 1: { caveats: [C1] } }, 'link_caveats'),
  edited('aud widened', { 1: { aud: [DOMAIN, PARTNER] } }, 'link_aud_widened'),
  edited('aud exchanged', { 0: { aud: [PARTNER] }, 1: { aud: [DOMAIN] } }, 'link_aud_widened', [
    CLIENT,
    PLANNER,
  ]),
  refuse(
    'the chain is for the partner only',
    makeChain({ agents: [CLIENT, PLANNER], all: { aud: [PARTNER] } }),
    PLANNER,
    'chain_aud',
  ),
  refuse(
    'the leaf leaves our domain out',
    makeChain({ agents: [CLIENT, PLANNER], edit: { 0: { aud: [DOMAIN, PARTNER] }, 1: { aud: [PARTNER] } } }),
    PLANNER,
    'chain_aud',
  ),
  refuse('a chain for us, replayed at the partner', two, PLANNER, 'chain_aud', { trustDomain: PARTNER }),
];

const anchored = (comment: string, edit: Claims, reason: string, anchor: Claims = {}, to = CLIENT): Case =>
  refuse(comment, makeChain({ agents: [to], edit: { 0: edit } }), to, reason, {
    anchors: [{ ...ANCHOR, ...anchor }],
  });

const anchors = (): Case[] => [
  refuse(
    'no anchor has this key',
    makeChain({ agents: [CLIENT], anchor: key('principal mallory') }),
    CLIENT,
    'anchor_unknown',
  ),
  refuse(
    'an agent starts a chain of its own',
    makeChain({ agents: [PLANNER], anchor: INVENTORY.key }),
    PLANNER,
    'anchor_unknown',
  ),
  refuse(
    'the WIT issuer’s key starts a chain',
    makeChain({ agents: [PLANNER], anchor: key('issuer company.com') }),
    PLANNER,
    'anchor_unknown',
  ),
  anchored('another principal', { sub: 'mailto:bob@company.com' }, 'anchor_principal'),
  anchored('the principal in another case', { sub: 'mailto:Alice@company.com' }, 'anchor_principal'),
  anchored('a principal named after the star of root issuers', { sub: 'urn:*' }, 'anchor_principal'),
  refuse(
    'a robot’s key for Alice',
    makeChain({ agents: [PLANNER], anchor: ROBOT }),
    PLANNER,
    'anchor_principal',
  ),
  refuse(
    'a root issuer that may speak for one principal only',
    makeChain({ agents: [PLANNER], anchor: ROOT_ISSUER }),
    PLANNER,
    'anchor_principal',
    { anchors: [{ ...ROOT_ANCHOR, principals: ['mailto:bob@company.com'] }] },
  ),
  anchored('an agent type that the anchor may not start', {}, 'anchor_delegatee', {}, SECURITY),
  anchored(
    'an agent of the right type in another trust domain',
    {},
    'anchor_delegatee',
    {},
    agentOf('agent/planner/p1'),
  ),
  anchored(
    'a trust domain that the anchor may not grant into',
    { aud: [DOMAIN, 'third.com'] },
    'anchor_domain',
  ),
  anchored('a scope over the anchor’s ceiling', { scope: ['s3:GetObject'] }, 'anchor_scope'),
  anchored('a prefix over the anchor’s ceiling', { scope: ['ec2:D*'] }, 'anchor_scope'),
  anchored('longer than the anchor may grant', {}, 'anchor_ttl', { max_ttl: 3659 }),
  anchored('deeper than the anchor may grant', {}, 'anchor_depth', { max_depth: 4 }),
  refuse(
    'policy wants a human',
    makeChain({ agents: [PLANNER], anchor: ROBOT, edit: { 0: { sub: 'https://company.com/cron' } } }),
    PLANNER,
    'anchor_not_human',
    { limits: { humanRoot: true } },
  ),
];

function agentOf(path: string): Agent {
  return { id: AUDITOR.id.replace(/\/agent\/.*/, `/${path}`), key: REPORT.key };
}

/** JSON faults inside a chain stop it before its signatures are looked at. */
const parsing = (): Case[] => [
  refuse(
    'an unsigned L0: alg none',
    rawJws('{"alg":"none","typ":"dlink+jwt"}', JSON.stringify(rootClaims(CLIENT)), ALICE),
    CLIENT,
    'jws_header',
  ),
  refuse(
    'a duplicate scope in L0',
    rawJws(
      headerOf('dlink+jwt'),
      JSON.stringify(rootClaims(CLIENT)).replace('"scope":', '"scope":["cloud:*"],"scope":'),
      ALICE,
    ),
    CLIENT,
    'json_duplicate_member',
  ),
  edited('an empty scope in a child', { 1: { scope: [] } }, 'scope_empty'),
  edited('an unknown caveat in a child', { 1: { caveats: [{ type: 'geo' }] } }, 'caveat_unknown'),
  edited('nbf ahead', { 1: { nbf: NOW + 600, jti: jti('nbf') } }, 'claim_unknown'),
];

export const misshapenChains = (): Case[] => [
  ...form(),
  ...holder(),
  ...depth(),
  ...twice(),
  ...rebinds(),
  ...times(),
  ...narrowing(),
  ...anchors(),
  ...parsing(),
];
