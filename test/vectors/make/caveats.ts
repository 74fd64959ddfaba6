/** Caveats: their form, and whether they hold. */
import { type Case, NOW } from './case.ts';
import { BILLING, CLIENT, INVENTORY, linkApproval, makeChain, PARTNER } from './world.ts';

interface Facts {
  readonly callee?: string;
  readonly path?: string;
  readonly tool?: string;
  readonly uses?: number;
  readonly now?: number;
}

const caveat = (
  comment: string,
  caveats: unknown,
  reason: string,
  { now = NOW, ...facts }: Facts = {},
): Case => ({
  comment,
  source: '8',
  now,
  input: { caveats, callee: INVENTORY.id, path: '/ec2/list', ...facts },
  expect: { reason },
});

const callee = (...ids: string[]) => ({ type: 'callee', ids });
const resource = (...paths: string[]) => ({ type: 'resource', paths });
const tool = (...names: string[]) => ({ type: 'tool', names });
const uses = (count: number, at = INVENTORY.id) => ({ type: 'max_uses', uses: count, at });
const before = (time: unknown) => ({ type: 'before', time });

const TYPE = 'spiffe://company.com/agent/inventory/*';
const strings = (count: number): string[] => Array.from({ length: count }, (_, at) => `/p${at}`);

const evaluation = (): Case[] => [
  caveat('the callee by name', [callee(INVENTORY.id)], 'ok'),
  caveat('the callee by type', [callee(BILLING.id, TYPE)], 'ok'),
  caveat('another callee', [callee(BILLING.id)], 'caveat_callee'),
  caveat('the type in another trust domain', [callee(TYPE.replace('company.com', PARTNER))], 'caveat_callee'),
  caveat('the type whose name goes on', [callee(TYPE)], 'caveat_callee', {
    callee: 'spiffe://company.com/agent/inventory2/i1',
  }),
  caveat('the path itself', [resource('/ec2/list')], 'ok'),
  caveat('a path above', [resource('/ec2')], 'ok'),
  caveat('every path', [resource('/')], 'ok'),
  caveat('one of several paths', [resource('/s3', '/ec2')], 'ok'),
  caveat('another path', [resource('/s3')], 'caveat_resource'),
  caveat('a path that only begins alike', [resource('/ec')], 'caveat_resource'),
  caveat('a path below the one asked for', [resource('/ec2/list/all')], 'caveat_resource'),
  caveat('another case', [resource('/EC2')], 'caveat_resource'),
  caveat('a slash behind: what lies below it', [resource('/ec2/')], 'ok'),
  caveat('a slash behind: not the path without', [resource('/ec2/list/')], 'caveat_resource'),
  caveat('the tool', [tool('list', 'describe')], 'ok', { tool: 'list' }),
  caveat('another tool', [tool('list')], 'caveat_tool', { tool: 'delete' }),
  caveat('a request without a tool', [tool('list')], 'caveat_tool'),
  caveat('a tool in another case', [tool('list')], 'caveat_tool', { tool: 'List' }),
  caveat('one second before', [before(NOW + 1)], 'ok'),
  caveat('at that second: there is no skew', [before(NOW)], 'caveat_before'),
  caveat('long after', [before(NOW - 3600)], 'caveat_before'),
  caveat(
    'an approval that nobody has looked at',
    [{ type: 'approval', token: linkApproval() }],
    'approval_invalid',
  ),
  caveat('the first use', [uses(1)], 'ok', { uses: 0 }),
  caveat('the last use', [uses(3)], 'ok', { uses: 2 }),
  caveat('one use too many', [uses(3)], 'caveat_max_uses', { uses: 3 }),
  caveat('uses that are counted elsewhere', [uses(3, BILLING.id)], 'caveat_max_uses', { uses: 0 }),
  caveat('all hold', [callee(TYPE), resource('/ec2'), before(NOW + 60), uses(9)], 'ok', { uses: 0 }),
  caveat('all but one hold', [callee(TYPE), resource('/s3'), before(NOW + 60)], 'caveat_resource'),
  caveat('two of one type: both must hold', [resource('/ec2'), resource('/s3')], 'caveat_resource'),
];

const form = (): Case[] => [
  caveat('an unknown type', [{ type: 'geo', country: 'CH' }], 'caveat_unknown'),
  caveat('a type in another case', [{ type: 'Before', time: NOW + 60 }], 'caveat_unknown'),
  caveat('a type that the language knows', [{ type: 'toString' }], 'caveat_unknown'),
  caveat('no type', [{ time: NOW + 60 }], 'caveat_invalid'),
  caveat('a type that is no text', [{ type: 1 }], 'caveat_invalid'),
  caveat('null', [null], 'caveat_invalid'),
  caveat('a member too many', [{ ...before(NOW + 60), skew: 30 }], 'caveat_invalid'),
  caveat('a member too few', [{ type: 'before' }], 'caveat_invalid'),
  caveat('a time as text', [before(String(NOW + 60))], 'caveat_invalid'),
  caveat('no callee', [callee()], 'caveat_invalid'),
  caveat(
    '17 callees',
    [callee(...strings(17).map((path) => `spiffe://company.com/client${path}`))],
    'caveat_invalid',
  ),
  caveat('a callee twice', [callee(TYPE, TYPE)], 'caveat_invalid'),
  caveat('a callee pattern that is too wide', [callee('spiffe://company.com/agent/*')], 'caveat_invalid'),
  caveat('a callee pattern over types', [callee('spiffe://company.com/agent/*/*')], 'caveat_invalid'),
  caveat('no path', [resource()], 'caveat_invalid'),
  caveat('a path that is not canonical', [resource('/ec2/../s3')], 'caveat_invalid'),
  caveat('a path with a query', [resource('/ec2?x=1')], 'caveat_invalid'),
  caveat('16 paths', [resource('/ec2', ...strings(15))], 'ok'),
  caveat('17 paths', [resource('/ec2', ...strings(16))], 'caveat_invalid'),
  caveat('a tool with a colon', [tool('ec2:list')], 'caveat_invalid', { tool: 'list' }),
  caveat('a tool with a star', [tool('list*')], 'caveat_invalid', { tool: 'list' }),
  caveat('an approval by its id', [{ type: 'approval', id: 'change-42' }], 'caveat_invalid'),
  caveat('an approval that is no JWS', [{ type: 'approval', token: 'change-42' }], 'caveat_invalid'),
  caveat(
    'a link as approval',
    [{ type: 'approval', token: makeChain({ agents: [CLIENT] })[0] }],
    'caveat_invalid',
  ),
  caveat(
    'an approval without its approver',
    [{ type: 'approval', token: linkApproval({ approver: undefined }) }],
    'caveat_invalid',
  ),
  caveat(
    'an approval of no scope',
    [{ type: 'approval', token: linkApproval({ scope: [] }) }],
    'caveat_invalid',
  ),
  caveat('no uses', [uses(0)], 'caveat_invalid'),
  caveat('too many uses', [uses(1_000_001)], 'caveat_invalid'),
  caveat('uses counted by a type: nobody counts', [uses(3, TYPE)], 'caveat_invalid'),
];

export const caveatCases = (): Case[] => [...evaluation(), ...form()];
