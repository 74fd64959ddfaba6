/** Links that live too long, hold more than their parents, or rest on an anchor that may not grant it. */
import { type Case, NOW } from './case.ts';
import { refuse } from './chain-case.ts';
import { type Claims, headerOf, jti, key, rawJws } from './signing.ts';
import { identityKey } from './torsion.ts';
import {
  type Agent,
  ALICE,
  ANCHOR,
  AUDITOR,
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
  SECURITY,
} from './world.ts';

const edited = (
  comment: string,
  edit: Readonly<Record<number, Claims>>,
  reason: string,
  agents: readonly Agent[] = [CLIENT, PLANNER, INVENTORY],
): Case => refuse(comment, makeChain({ agents, edit }), agents.at(-1) as Agent, reason);

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
    makeChain({ agents: LINE.slice(0, 4), all: { exp: NOW - 31 } }),
    SECURITY,
    'link_expired',
  ),
  edited('a link that lives one second longer than policy allows', { 0: { exp: IAT + 7201 } }, 'link_ttl', [
    CLIENT,
  ]),
  edited(
    'a renewed task that would end a day and a second after it began',
    { 0: { task: key('policy company.com').jkt, task_start: EXP - 86_401 } },
    'task_too_old',
    [CLIENT],
  ),
  refuse(
    'a renewed task that is older than policy allows',
    makeChain({
      agents: [CLIENT, PLANNER],
      edit: { 0: { task: key('policy company.com').jkt, task_start: EXP - 7200 } },
    }),
    PLANNER,
    'task_too_old',
    { limits: { maxTaskAgeSeconds: 7199 } },
  ),
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
    AUDITOR,
    PLANNER,
  ]),
  refuse(
    'the chain is for the partner only',
    makeChain({ agents: [AUDITOR], all: { aud: [PARTNER] } }),
    AUDITOR,
    'chain_aud',
  ),
  refuse(
    'the leaf leaves our domain out',
    makeChain({ agents: [CLIENT, AUDITOR], edit: { 0: { aud: [DOMAIN, PARTNER] }, 1: { aud: [PARTNER] } } }),
    AUDITOR,
    'chain_aud',
  ),
  refuse(
    'a partner’s agent on a chain that is for us only',
    makeChain({ agents: [PLANNER, AUDITOR] }),
    AUDITOR,
    'chain_aud',
  ),
  refuse(
    'a partner’s agent in the middle of a chain that is for us only',
    makeChain({ agents: [PLANNER, AUDITOR, SECURITY] }),
    SECURITY,
    'chain_aud',
  ),
  refuse(
    'our agent under a first link that is for the partner only',
    makeChain({ agents: [CLIENT, PLANNER], all: { aud: [PARTNER] } }),
    PLANNER,
    'chain_aud',
    { trustDomain: PARTNER },
  ),
  refuse(
    'a partner’s agent whose own link leaves the partner out, under one that names it',
    makeChain({ agents: [PLANNER, AUDITOR], edit: { 0: { aud: [DOMAIN, PARTNER] } } }),
    AUDITOR,
    'chain_aud',
  ),
  edited(
    'aud is looked at before scope: a partner’s agent with a wider scope',
    { 1: { scope: ['cloud:*'] } },
    'chain_aud',
    [PLANNER, AUDITOR],
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
  refuse(
    'an anchor of small order, under which one signature is good for every link',
    makeChain({ agents: [CLIENT], anchor: identityKey }),
    CLIENT,
    'key_small_order',
    { anchors: [{ ...ANCHOR, jwk: identityKey.jwk }] },
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
    { aud: [DOMAIN, PARTNER] },
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

export const wideChains = (): Case[] => [...times(), ...narrowing(), ...anchors(), ...parsing()];
