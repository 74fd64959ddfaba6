/** Revocations, held against a chain that has verified. */
import { type Case, NOW } from './case.ts';
import { type Claims, idOf, jws, key } from './signing.ts';
import {
  ALICE,
  BILLING,
  CLIENT,
  childClaims,
  INVENTORY,
  ISSUER,
  makeChain,
  PLANNER,
  PRINCIPAL,
  rotated,
  SECURITY,
} from './world.ts';

const AGENTS = [CLIENT, PLANNER, INVENTORY] as const;
const chain = makeChain({ agents: AGENTS });
const [L0 = '', L1 = '', L2 = ''] = chain;
const grant = jws('dlink+jwt', childClaims(L2, INVENTORY, SECURITY, 3), INVENTORY.key);
const ids = { L0: idOf(L0), L1: idOf(L1), L2: idOf(L2), grant: idOf(grant) };

const renewed = makeChain({ agents: AGENTS, edit: { 0: { task: ids.L0, task_start: NOW - 7200 } } });
/** The planner makes the revoked delegation again: same parent, same delegatee, new link. */
const again = makeChain({ agents: AGENTS, edit: { 2: { jti: 'made-again-0000000' } } });
const rebound = makeChain({ agents: [CLIENT, PLANNER, rotated(PLANNER)], edit: { 2: { rebind: true } } });

/** The planner rotates its key first, and makes the revoked delegation below the rebind. */
const below = makeChain({
  agents: [CLIENT, PLANNER, rotated(PLANNER), INVENTORY],
  edit: { 2: { rebind: true } },
});

const held = (
  comment: string,
  revoked: readonly Claims[],
  reason: string,
  input: Claims = { chain: chain.join('~') },
): Case => ({
  comment,
  source: '9',
  now: NOW,
  input: { ...input, revoked },
  expect: { reason },
});
const withGrant = { chain: chain.join('~'), grant };

export const revocationCases = (): Case[] => [
  held('nothing is revoked', [], 'ok'),
  held(
    'only others are revoked',
    [
      { link: idOf(makeChain({ agents: [BILLING] })[0] ?? '') },
      { key: BILLING.key.jkt },
      { agent: BILLING.id },
      { task: ids.L1, principal: PRINCIPAL },
      { principal: 'mailto:bob@company.com', before: NOW + 60 },
    ],
    'ok',
  ),
  held('the leaf', [{ link: ids.L2 }], 'revoked_link'),
  held('a link in the middle', [{ link: ids.L1 }], 'revoked_link'),
  held('the root', [{ link: ids.L0 }], 'revoked_link'),
  held('the last of several revocations', [{ agent: BILLING.id }, { link: ids.L2 }], 'revoked_link'),
  held(
    'the same delegation made again',
    [{ link: ids.L2, parent: ids.L1, delegatee: INVENTORY.id }],
    'revoked_link',
    { chain: again.join('~') },
  ),
  held(
    'the revoked link itself, in the form that bars making it again',
    [{ link: ids.L2, parent: ids.L1, delegatee: INVENTORY.id }],
    'revoked_link',
  ),
  held(
    'the same parent, another delegatee',
    [{ link: idOf(again[2] ?? ''), parent: ids.L1, delegatee: SECURITY.id }],
    'ok',
  ),
  held(
    'another parent, the same delegatee',
    [{ link: idOf(again[2] ?? ''), parent: ids.L0, delegatee: INVENTORY.id }],
    'ok',
  ),
  held(
    'the same delegation made again under the minter’s new key',
    [{ link: ids.L2, parent: ids.L1, delegatee: INVENTORY.id }],
    'revoked_link',
    { chain: below.join('~') },
  ),
  held('a revoked link without its parent does not bar a new one', [{ link: ids.L2 }], 'ok', {
    chain: again.join('~'),
  }),
  held('the key of the leaf', [{ key: INVENTORY.key.jkt }], 'revoked_key'),
  held('the key of the middle', [{ key: PLANNER.key.jkt }], 'revoked_key'),
  held('the key of the first delegatee', [{ key: CLIENT.key.jkt }], 'revoked_key'),
  held('the key of the principal', [{ key: ALICE.jkt }], 'revoked_key'),
  held('the old key of an agent that was rebound', [{ key: PLANNER.key.jkt }], 'revoked_key', {
    chain: rebound.join('~'),
  }),
  held('the key that the leaf has lost', [{ key: INVENTORY.key.jkt, lost: true }], 'agent_key_lost'),
  held('a lost key in the middle', [{ key: PLANNER.key.jkt, lost: true }], 'agent_key_lost'),
  held(
    'the key of the grant’s delegatee, lost',
    [{ key: SECURITY.key.jkt, lost: true }],
    'agent_key_lost',
    withGrant,
  ),
  held(
    'another key of the same agent, lost',
    [{ key: key(`${PLANNER.key.name} rotated`).jkt, lost: true }],
    'ok',
  ),
  held(
    'a key both lost and revoked',
    [{ key: PLANNER.key.jkt, lost: true }, { key: PLANNER.key.jkt }],
    'revoked_key',
  ),
  held('the key of the principal, said to be lost', [{ key: ALICE.jkt, lost: true }], 'revoked_key'),
  held('an issuer’s key is no position of the chain', [{ key: ISSUER.jkt }], 'ok'),
  held('another key of the same agent', [{ key: key(`${PLANNER.key.name} rotated`).jkt }], 'ok'),
  held('the agent at the leaf', [{ agent: INVENTORY.id }], 'revoked_agent'),
  held('the agent in the middle', [{ agent: PLANNER.id }], 'revoked_agent'),
  held('the first agent', [{ agent: CLIENT.id }], 'revoked_agent'),
  held('the task', [{ task: ids.L0, principal: PRINCIPAL }], 'revoked_task'),
  held(
    'a task of that id, but of another principal',
    [{ task: ids.L0, principal: 'mailto:bob@company.com' }],
    'ok',
  ),
  held('the task, after it was renewed', [{ task: ids.L0, principal: PRINCIPAL }], 'revoked_task', {
    chain: renewed.join('~'),
  }),
  held(
    'a renewed task goes by its first L0',
    [{ task: idOf(renewed[0] ?? ''), principal: PRINCIPAL }],
    'ok',
    { chain: renewed.join('~') },
  ),
  held(
    'what the principal granted before a time',
    [{ principal: PRINCIPAL, before: NOW }],
    'revoked_principal',
  ),
  held(
    'one second after the L0 was issued',
    [{ principal: PRINCIPAL, before: NOW - 59 }],
    'revoked_principal',
  ),
  held('the very second in which the L0 was issued', [{ principal: PRINCIPAL, before: NOW - 60 }], 'ok'),
  held(
    'two times for one principal: the later one counts',
    [
      { principal: PRINCIPAL, before: NOW },
      { principal: PRINCIPAL, before: NOW - 600 },
    ],
    'revoked_principal',
  ),
  held('a grant that nothing strikes', [{ agent: BILLING.id }], 'ok', withGrant),
  held('the grant', [{ link: ids.grant }], 'revoked_link', withGrant),
  held(
    'the grant made again',
    [{ link: ids.L0.replace(/^./, 'A'), parent: ids.L2, delegatee: SECURITY.id }],
    'revoked_link',
    withGrant,
  ),
  held('the key of the grant’s delegatee', [{ key: SECURITY.key.jkt }], 'revoked_key', withGrant),
  held('the grant’s delegatee', [{ agent: SECURITY.id }], 'revoked_agent', withGrant),
];
