/** Attributes of agents and groups of principals: their form in a bundle, and what they say of somebody. */
import { type Case, NOW } from './case.ts';
import { BILLING, INVENTORY, PRINCIPAL } from './world.ts';

const TYPE = `${INVENTORY.id.slice(0, INVENTORY.id.lastIndexOf('/'))}/*`;
const RECORD = { agents: { [INVENTORY.id]: { team: 'finance', env: 'prod' } }, principals: {} };

const read = (
  comment: string,
  attributes: unknown,
  expect: Case['expect'],
  agent: string = INVENTORY.id,
): Case => ({ comment, source: '9', now: NOW, input: { attributes, agent, principal: PRINCIPAL }, expect });
const ok = (
  comment: string,
  edit: Readonly<Record<string, unknown>>,
  attributes: Readonly<Record<string, string>>,
  groups: readonly string[] = [],
  agent: string = INVENTORY.id,
): Case => read(comment, { ...RECORD, ...edit }, { reason: 'ok', attributes, groups }, agent);
const bad = (comment: string, edit: Readonly<Record<string, unknown>>, reason: string): Case =>
  read(comment, { ...RECORD, ...edit }, { reason });
const badAgent = (comment: string, attributes: unknown): Case =>
  bad(comment, { agents: { [INVENTORY.id]: attributes } }, 'claim_invalid');
const badGroups = (comment: string, groups: unknown): Case =>
  bad(comment, { principals: { [PRINCIPAL]: { groups } } }, 'claim_invalid');

const many = (count: number): Readonly<Record<string, string>> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${index}`, 'x']));

const said = (): Case[] => [
  ok('of an agent', {}, { team: 'finance', env: 'prod' }),
  ok('of another agent nothing is said', {}, {}, [], BILLING.id),
  ok('of a type', { agents: { [TYPE]: { team: 'logistics' } } }, { team: 'logistics' }),
  ok(
    'of a type to which the agent does not belong',
    { agents: { [TYPE]: { team: 'x' } } },
    {},
    [],
    BILLING.id,
  ),
  ok(
    'of an agent and of its type: that of the agent, and nothing of the type',
    { agents: { [TYPE]: { env: 'prod', owner: 'ops' }, [INVENTORY.id]: { env: 'test' } } },
    { env: 'test' },
  ),
  ok(
    'of its type, and of the agent that there is nothing',
    { agents: { [TYPE]: { env: 'prod' }, [INVENTORY.id]: {} } },
    {},
  ),
  ok(
    'of the type of a longer name, which is another',
    { agents: { [`${TYPE.slice(0, -2)}-old/*`]: { env: 'prod' } } },
    {},
  ),
  ok(
    'of a client',
    { agents: { 'spiffe://company.com/client/alice': { device: 'managed' } } },
    { device: 'managed' },
    [],
    'spiffe://company.com/client/alice',
  ),
  ok(
    'of an agent of another trust domain',
    { agents: { 'spiffe://partner.org/agent/inventory/i1': { env: 'prod' } } },
    {},
  ),
  ok(
    'names that a language knows',
    { agents: { [INVENTORY.id]: { constructor: 'x', toString: 'y', hasOwnProperty: 'z' } } },
    { constructor: 'x', toString: 'y', hasOwnProperty: 'z' },
  ),
  ok('32 attributes', { agents: { [INVENTORY.id]: many(32) } }, many(32)),
  ok(
    'the longest name and value',
    { agents: { [INVENTORY.id]: { [`a${'Z_-9'.repeat(15)}xyz`]: ' ~'.repeat(128) } } },
    { [`a${'Z_-9'.repeat(15)}xyz`]: ' ~'.repeat(128) },
  ),
  ok(
    'groups of a principal, in their order',
    { agents: {}, principals: { [PRINCIPAL]: { groups: ['sre', 'Oncall/eu-1'] } } },
    {},
    ['sre', 'Oncall/eu-1'],
  ),
  ok(
    'groups of another principal',
    { agents: {}, principals: { [`${PRINCIPAL}.uk`]: { groups: ['sre'] } } },
    {},
  ),
  ok('of nobody', { agents: {} }, {}),
];

const form = (): Case[] => [
  bad('no agents at all', { agents: undefined }, 'claim_missing'),
  bad('no principals at all', { principals: undefined }, 'claim_missing'),
  bad('a member too many', { types: {} }, 'claim_unknown'),
  bad('agents as list', { agents: [] }, 'claim_invalid'),
  bad('principals as list', { principals: [] }, 'claim_invalid'),
  bad('an agent that is none', { agents: { inventory: { env: 'prod' } } }, 'claim_invalid'),
  bad('all agents', { agents: { 'spiffe://company.com/agent/*': { env: 'prod' } } }, 'claim_invalid'),
  bad('any type', { agents: { 'spiffe://company.com/agent/*/1': { env: 'prod' } } }, 'claim_invalid'),
  bad('an asterisk', { agents: { '*': { env: 'prod' } } }, 'claim_invalid'),
  badAgent('attributes of null', null),
  badAgent('attributes as list', ['env']),
  badAgent('attributes as text', 'env=prod'),
  badAgent('a value of null', { env: null }),
  badAgent('a value as number', { env: 1 }),
  badAgent('a value as list', { env: ['prod'] }),
  badAgent('an empty value', { env: '' }),
  badAgent('a value of 257 octets', { env: 'x'.repeat(257) }),
  badAgent('a value with a line in it', { env: 'prod\nteam=finance' }),
  badAgent('a value that ends in a line feed', { env: 'prod\n' }),
  badAgent('a value with a control character', { env: 'prod\u007f' }),
  badAgent('a value that looks like another: ѕ is not s', { team: '\u0455re' }),
  badAgent('an empty name', { '': 'x' }),
  badAgent('a name with a capital first', { Env: 'prod' }),
  badAgent('a name with a digit first', { '1st': 'x' }),
  badAgent('a name with a dot', { 'k8s.ns': 'prod' }),
  badAgent('a name that ends in a line feed', { 'env\n': 'prod' }),
  badAgent('a name with an underscore first', { __proto: 'x' }),
  badAgent('a name of 65 octets', { ['a'.repeat(65)]: 'x' }),
  badAgent('33 attributes', many(33)),
  bad('a principal that is none', { principals: { alice: { groups: ['sre'] } } }, 'claim_invalid'),
  bad('every principal', { principals: { '*': { groups: ['sre'] } } }, 'claim_invalid'),
  bad('a principal as list of groups', { principals: { [PRINCIPAL]: ['sre'] } }, 'claim_invalid'),
  bad('a principal without groups', { principals: { [PRINCIPAL]: {} } }, 'claim_missing'),
  bad(
    'a principal with more than groups',
    { principals: { [PRINCIPAL]: { groups: ['sre'], admin: true } } },
    'claim_unknown',
  ),
  badGroups('no group', []),
  badGroups('groups of null', null),
  badGroups('groups as text', 'sre'),
  badGroups('a group as number', [1]),
  badGroups('an empty group', ['']),
  badGroups('a group with a space', ['sre oncall']),
  badGroups('a group that ends in a line feed', ['sre\n']),
  badGroups('a group of 129 octets', ['x'.repeat(129)]),
  badGroups('a group twice', ['sre', 'sre']),
  badGroups(
    '65 groups',
    Array.from({ length: 65 }, (_, index) => `g${index}`),
  ),
];

export const attributeCases = (): Case[] => [...said(), ...form()];
