/** Chains that hold: depths, edges of the clock, rebinds, callbacks, other anchors. */
import { type Case, NOW } from './case.ts';
import { accept } from './chain-case.ts';
import { idOf } from './signing.ts';
import {
  type Agent,
  AUDITOR,
  agent,
  bind,
  CLIENT,
  DOMAIN,
  INVENTORY,
  LINE,
  makeChain,
  PARTNER,
  PLANNER,
  PRINCIPAL,
  REPORT,
  ROBOT,
  ROOT_ISSUER,
  rotated,
  SECURITY,
} from './world.ts';

/** Names that keep a chain of eight links within 8192 octets. */
export const SHORT = [...'abcdefghi'].map((name) => agent(`client/${name}`));
const last = (agents: readonly Agent[]): Agent => agents[agents.length - 1] as Agent;

const depths = (): Case[] => [
  ...[1, 2, 3, 4, 5].map((depth) => {
    const agents = LINE.slice(0, depth);
    return accept(`a chain of depth ${depth}`, makeChain({ agents }), last(agents));
  }),
  accept(
    'depth 8, where policy allows it',
    makeChain({ agents: SHORT.slice(0, 8), all: { max_depth: 8, scope: ['cloud:read'] } }),
    last(SHORT.slice(0, 8)),
    {},
    { limits: { maxDepth: 8 } },
  ),
  accept(
    'a chain as deep as its links allow',
    makeChain({ agents: LINE.slice(0, 3), all: { max_depth: 3 } }),
    INVENTORY,
  ),
  accept(
    'max_depth that falls',
    makeChain({ agents: LINE.slice(0, 3), edit: { 1: { max_depth: 4 }, 2: { max_depth: 3 } } }),
    INVENTORY,
  ),
];

const IAT = NOW - 60;
const EXP = NOW + 3600;
const two = makeChain({ agents: [CLIENT, PLANNER] });

const times = (): Case[] => [
  accept('the last second of the skew behind exp', two, PLANNER, {}, { now: EXP + 29 }),
  accept('exactly 30 s before iat', two, PLANNER, {}, { now: IAT - 30 }),
  accept(
    'a link that lives exactly as long as policy allows',
    makeChain({ agents: [CLIENT], edit: { 0: { exp: IAT + 7200 } } }),
    CLIENT,
  ),
  accept('a child issued in the second of its parent, and expiring with it', two, PLANNER),
  accept(
    'children that are younger and shorter',
    makeChain({
      agents: [CLIENT, PLANNER, INVENTORY],
      edit: { 1: { iat: NOW - 30, exp: NOW + 600 }, 2: { iat: NOW, exp: NOW + 60 } },
    }),
    INVENTORY,
  ),
  accept(
    'a key binding with one second left when the link was made',
    makeChain({ agents: [CLIENT, PLANNER], edit: { 1: { kb: bind(CLIENT, IAT + 1) } } }),
    PLANNER,
  ),
  accept(
    'a key binding that expired after the link was made',
    makeChain({ agents: [CLIENT, PLANNER], edit: { 1: { kb: bind(CLIENT, NOW - 10) } } }),
    PLANNER,
  ),
];

const narrowing = (): Case[] => [
  accept(
    'scope that narrows',
    makeChain({
      agents: [CLIENT, PLANNER, INVENTORY],
      edit: {
        0: { scope: ['cloud:*', 'ec2:Describe*'] },
        1: { scope: ['cloud:ec2:*', 'ec2:DescribeI*'] },
        2: { scope: ['ec2:DescribeInstances'] },
      },
    }),
    INVENTORY,
  ),
  accept(
    'aud that narrows',
    makeChain({ agents: [CLIENT, PLANNER], edit: { 0: { aud: [PARTNER, DOMAIN] } } }),
    PLANNER,
  ),
  accept(
    'aud of two domains',
    makeChain({ agents: [CLIENT, PLANNER], all: { aud: [DOMAIN, PARTNER] } }),
    PLANNER,
  ),
  accept(
    'a caveat from the root on',
    makeChain({ agents: [CLIENT, PLANNER], all: { caveats: [{ type: 'before', time: NOW + 60 }] } }),
    PLANNER,
  ),
  accept(
    'a caveat added behind the parent’s',
    makeChain({
      agents: [CLIENT, PLANNER],
      edit: {
        0: { caveats: [{ type: 'before', time: NOW + 60 }] },
        1: {
          caveats: [
            { type: 'before', time: NOW + 60 },
            { type: 'resource', paths: ['/ec2'] },
          ],
        },
      },
    }),
    PLANNER,
  ),
  accept(
    'a caveat whose members stand in another order: equal in canonical form',
    makeChain({
      agents: [CLIENT, PLANNER],
      edit: {
        0: { caveats: [{ type: 'before', time: NOW + 60 }] },
        1: { caveats: [{ time: NOW + 60, type: 'before' }] },
      },
    }),
    PLANNER,
  ),
  accept(
    'a first caveat in the middle',
    makeChain({
      agents: [CLIENT, PLANNER, INVENTORY],
      edit: {
        1: { caveats: [{ type: 'tool', names: ['list'] }] },
        2: { caveats: [{ type: 'tool', names: ['list'] }] },
      },
    }),
    INVENTORY,
  ),
];

const NEW = rotated(PLANNER);
const rebound = makeChain({ agents: [CLIENT, PLANNER, NEW, INVENTORY], edit: { 2: { rebind: true } } });

const rebinds = (): Case[] => [
  accept('a rebind, presented under the new key', rebound.slice(0, 3), NEW, { depth: 2 }, { source: '7.4' }),
  accept(
    'a rebind is not counted, and its new key signs on',
    rebound,
    INVENTORY,
    { depth: 3 },
    { source: '7.4', limits: { maxDepth: 3 } },
  ),
  accept(
    'the old leaf is still good for the old key',
    rebound.slice(0, 2),
    PLANNER,
    { depth: 2 },
    { source: '7.4' },
  ),
  accept(
    'a rebind of the first delegatee',
    makeChain({ agents: [CLIENT, rotated(CLIENT)], edit: { 1: { rebind: true } } }),
    rotated(CLIENT),
    { depth: 1 },
    { source: '7.4' },
  ),
  accept(
    'a rebind below links as deep as they allow',
    makeChain({ agents: [CLIENT, PLANNER, NEW], all: { max_depth: 2 }, edit: { 2: { rebind: true } } }),
    NEW,
    { depth: 2 },
    { source: '7.4' },
  ),
  accept(
    'a rebind that expires before its parent',
    makeChain({ agents: [CLIENT, PLANNER, NEW], edit: { 2: { rebind: true, exp: NOW + 60 } } }),
    NEW,
    { depth: 2 },
    { source: '7.4' },
  ),
  accept(
    'a rebind keeps the caveats',
    makeChain({
      agents: [CLIENT, PLANNER, NEW],
      all: { caveats: [{ type: 'resource', paths: ['/ec2'] }] },
      edit: { 2: { rebind: true } },
    }),
    NEW,
    { depth: 2 },
    { source: '7.4' },
  ),
];

const callback = makeChain({ agents: [CLIENT, PLANNER, INVENTORY, PLANNER] });
const renewed = idOf(two[0] ?? '');

const others = (): Case[] => [
  accept(
    'A to B to A, where policy allows callbacks',
    callback,
    PLANNER,
    {},
    { limits: { callbacks: true } },
  ),
  accept(
    'a principal that is no human, where policy does not ask for one',
    makeChain({ agents: [PLANNER], anchor: ROBOT, edit: { 0: { sub: 'https://company.com/cron' } } }),
    PLANNER,
    { principal: 'https://company.com/cron' },
  ),
  accept('a human, where policy asks for one', two, PLANNER, {}, { limits: { humanRoot: true } }),
  accept(
    'L0 by the root issuer after a login',
    makeChain({
      agents: [PLANNER],
      anchor: ROOT_ISSUER,
      edit: {
        0: {
          sub: 'mailto:bob@company.com',
          orig: { iss: 'https://login.company.com', sub: 'b0b', auth_time: NOW - 300, token_hash: 'vY3m' },
        },
      },
    }),
    PLANNER,
    { principal: 'mailto:bob@company.com' },
  ),
  accept(
    'a renewed task keeps the id of its first L0',
    makeChain({
      agents: [CLIENT, PLANNER],
      edit: { 0: { task: renewed, task_start: NOW - 60, iat: NOW - 5 }, 1: { iat: NOW - 5 } },
    }),
    PLANNER,
    { task: renewed, principal: PRINCIPAL },
  ),
  accept(
    'a renewed task that ends exactly a day after it began',
    makeChain({
      agents: [CLIENT],
      edit: { 0: { task: renewed, task_start: EXP - 86_400, exp: EXP } },
    }),
    CLIENT,
    { task: renewed },
  ),
  accept(
    'an older task, where policy allows it',
    makeChain({
      agents: [CLIENT],
      edit: { 0: { task: renewed, task_start: EXP - 172_800, exp: EXP } },
    }),
    CLIENT,
    { task: renewed },
    { limits: { maxTaskAgeSeconds: 172_800 } },
  ),
  accept(
    'a delegatee in a partner’s domain, verified here',
    makeChain({ agents: [PLANNER, AUDITOR, SECURITY], all: { aud: [DOMAIN, PARTNER] } }),
    SECURITY,
  ),
  accept(
    'the same chain, verified by the partner',
    makeChain({ agents: [PLANNER, AUDITOR], all: { aud: [DOMAIN, PARTNER] } }),
    AUDITOR,
    {},
    { trustDomain: PARTNER },
  ),
  accept(
    'two branches of one parent: the second one',
    makeChain({ agents: [CLIENT, PLANNER, REPORT] }),
    REPORT,
  ),
];

export const goodChains = (): Case[] => [...depths(), ...times(), ...narrowing(), ...rebinds(), ...others()];
