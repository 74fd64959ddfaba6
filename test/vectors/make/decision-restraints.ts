/** What restrains beside rules: who delegates to whom, demands on the chain and on data, observing. */
import { type Case, NOW } from './case.ts';
import { allow, DESCRIBE, decide, demanding, deny, EC2, rules, scored } from './decision-standing.ts';
import { CLIENTS, POLICY, TYPE } from './policy-required.ts';
import { PLANNER } from './world.ts';

type Edit = Readonly<Record<string, unknown>>;
const FOREIGN = 'spiffe://partner.com/agent/inventory/i1';
const ANY = { ...POLICY, routes: POLICY.routes.map(({ callees: _, ...route }) => route) };
export const THREE = [
  ['cloud:*', 'ec2:*'],
  ['cloud:*', 'ec2:*'],
  ['cloud:*', 'ec2:*'],
];
const BETWEEN = TYPE('between');

const edges = (otherwise: 'allow' | 'deny', ...of: readonly Edit[]) => ({
  ...ANY,
  rules: [allow()],
  delegation: { otherwise, rules: of },
});
const edge = (name: string, effect: 'allow' | 'deny', edit: Edit = {}) => ({ name, effect, ...edit });

const delegations = (): Case[] => [
  decide(
    'no delegation is named, and none is allowed',
    'delegation_denied',
    { policy: edges('deny') },
    DESCRIBE,
  ),
  decide('no delegation is named, and others are allowed', 'ok', { policy: edges('allow') }, DESCRIBE),
  decide(
    'what the principal grants is its anchor’s',
    'ok',
    { policy: edges('deny'), scopes: [['ec2:*']] },
    DESCRIBE,
  ),
  decide(
    'a client may delegate to planners',
    'ok',
    { policy: edges('deny', edge('a', 'allow', { from: [CLIENTS], to: [TYPE('planner')] })) },
    DESCRIBE,
  ),
  decide(
    'every edge has to be allowed',
    'delegation_denied',
    { policy: edges('deny', edge('a', 'allow', { fromTypes: ['client'] })), scopes: THREE },
    DESCRIBE,
  ),
  decide(
    'every edge is allowed',
    'ok',
    {
      policy: edges(
        'deny',
        edge('a', 'allow', { fromTypes: ['client'], to: [BETWEEN] }),
        edge('b', 'allow', { fromTypes: ['between'], toTypes: ['planner'] }),
      ),
      scopes: THREE,
    },
    DESCRIBE,
  ),
  decide(
    'a deny overrides, wherever it stands',
    'delegation_denied',
    { policy: edges('allow', edge('d', 'deny', { toTypes: ['planner'] }), edge('a', 'allow')) },
    DESCRIBE,
  ),
  decide(
    'a deny for another edge',
    'ok',
    { policy: edges('allow', edge('d', 'deny', { fromTypes: ['planner'] })) },
    DESCRIBE,
  ),
  decide(
    'the edge of the grant counts',
    'delegation_denied',
    { policy: edges('allow', edge('d', 'deny', { fromTypes: ['planner'] })), granted: true },
    DESCRIBE,
  ),
  decide(
    'an edge into another trust domain',
    'delegation_denied',
    {
      policy: edges('allow', edge('d', 'deny', { crossing: true })),
      request: { callee: FOREIGN, direction: 'outbound' },
      granted: true,
    },
    DESCRIBE,
  ),
  decide(
    'an edge within one trust domain crosses nothing',
    'ok',
    { policy: edges('allow', edge('d', 'deny', { crossing: true })), granted: true },
    DESCRIBE,
  ),
  decide(
    'an edge by trust domains',
    'delegation_denied',
    {
      policy: edges('allow', edge('d', 'deny', { fromDomains: ['company.com'], toDomains: ['partner.com'] })),
      request: { callee: FOREIGN, direction: 'outbound' },
      granted: true,
    },
    DESCRIBE,
  ),
  decide(
    'a delegation that is not allowed is told before a scope that is missing',
    'delegation_denied',
    { policy: edges('deny'), request: { target: '/ec2/TerminateInstances' } },
    ['ec2:TerminateInstances'],
  ),
];

export const shaped = (edit: Edit) => ({ ...demanding(edit), routes: ANY.routes, rules: [allow()] });

const shapes = (): Case[] => [
  decide('a chain as deep as the scope may go', 'ok', { policy: shaped({ ...EC2, maxDepth: 2 }) }, DESCRIBE),
  decide(
    'a chain that is deeper',
    'scope_too_deep',
    { policy: shaped({ ...EC2, maxDepth: 2 }), scopes: THREE },
    DESCRIBE,
  ),
  decide(
    'a grant is no link of the chain',
    'ok',
    { policy: shaped({ ...EC2, maxDepth: 2 }), granted: true },
    DESCRIBE,
  ),
  decide(
    'links that live as long as the scope may',
    'ok',
    { policy: shaped({ ...EC2, maxLinkTtlSeconds: 3660 }) },
    DESCRIBE,
  ),
  decide(
    'links that live longer',
    'scope_too_long',
    { policy: shaped({ ...EC2, maxLinkTtlSeconds: 3659 }) },
    DESCRIBE,
  ),
  decide('a scope that stays at home', 'ok', { policy: shaped({ ...EC2, sameDomain: true }) }, DESCRIBE),
  decide(
    'a scope that may not cross',
    'scope_foreign',
    { policy: shaped({ ...EC2, sameDomain: true }), request: { callee: FOREIGN, direction: 'outbound' } },
    DESCRIBE,
  ),
  decide(
    'of other scopes nothing is demanded',
    'ok',
    { policy: shaped({ scopes: ['cloud:*'], maxDepth: 1, maxLinkTtlSeconds: 1, sameDomain: true }) },
    DESCRIBE,
  ),
  decide(
    'the shape is told before stale trust',
    'scope_too_deep',
    { policy: shaped({ ...EC2, maxDepth: 1, maxStalenessSeconds: 1 }), freshAt: NOW - 2 },
    DESCRIBE,
  ),
  decide(
    'a rule that denies is told before the shape',
    'rule_denied',
    { policy: { ...shaped({ ...EC2, maxDepth: 1 }), rules: [allow(), deny()] } },
    DESCRIBE,
  ),
  decide(
    'the shape is told before the quarantine',
    'scope_too_deep',
    {
      policy: {
        ...shaped({ ...EC2, maxDepth: 1 }),
        rules: [allow(), { name: 'aside', effect: 'quarantine' }],
      },
    },
    DESCRIBE,
  ),
  decide(
    'a quarantine is told before stale trust',
    'quarantined',
    { policy: rules(allow(), { name: 'aside', effect: 'quarantine' }), freshAt: NOW - 3601 },
    DESCRIBE,
  ),
];

const LABELLED = {
  ...POLICY,
  rules: [allow()],
  routes: POLICY.routes.map((route) => ({ ...route, labels: { request: ['infra'], response: ['pii'] } })),
};
const labelled = (edit: Edit = {}) => ({ ...LABELLED, ...edit });

const labels = (): Case[] => [
  decide('labels of the route', 'ok', { policy: labelled() }, DESCRIBE, { labels: ['infra'] }),
  decide(
    'labels of the task first, then those of the route',
    'ok',
    { policy: labelled(), request: { labels: ['pii', 'finance'] } },
    DESCRIBE,
    { labels: ['pii', 'finance', 'infra'] },
  ),
  decide(
    'a label of both, once',
    'ok',
    { policy: labelled(), request: { labels: ['infra', 'pii'] } },
    DESCRIBE,
    { labels: ['infra', 'pii'] },
  ),
  decide(
    'a denial has them too',
    'rule_unmatched',
    { policy: labelled({ rules: [] }), request: { labels: ['pii'] } },
    DESCRIBE,
    { labels: ['pii', 'infra'] },
  ),
  decide(
    'data that the task has touched is denied',
    'rule_denied',
    {
      policy: labelled({ rules: [allow(), deny({ when: "'pii' in data.labels" })] }),
      request: { labels: ['pii'] },
    },
    DESCRIBE,
  ),
  decide(
    'a task that has touched none of it',
    'ok',
    { policy: labelled({ rules: [allow(), deny({ when: "'pii' in data.labels" })] }) },
    DESCRIBE,
  ),
  decide(
    'a demand on data alone',
    'approval_required',
    { policy: labelled({ demands: [{ labels: ['pii'], approval: true }] }), request: { labels: ['pii'] } },
    DESCRIBE,
  ),
  decide(
    'a demand on data of another kind',
    'ok',
    {
      policy: labelled({ demands: [{ labels: ['pii'], approval: true }] }),
      request: { labels: ['finance'] },
    },
    DESCRIBE,
  ),
  decide(
    'a demand on data and scope, with the data alone',
    'ok',
    {
      policy: labelled({ demands: [{ scopes: ['s3:*'], labels: ['pii'], minScore: 1000 }] }),
      bundle: scored({}),
      request: { labels: ['pii'] },
    },
    DESCRIBE,
  ),
  decide(
    'a demand on data and scope, with both',
    'score_too_low',
    {
      policy: labelled({ demands: [{ scopes: ['ec2:*'], labels: ['pii'], minScore: 1000 }] }),
      bundle: scored({}),
      request: { labels: ['pii'] },
    },
    DESCRIBE,
  ),
];

export const observing = (edit: Edit, until = NOW + 1) => ({
  ...POLICY,
  routes: POLICY.routes.map((route) => ({ ...route, observeUntil: until })),
  ...edit,
});

const observed = (): Case[] => [
  decide('observed: a rule that denies', 'ok', { policy: observing({ rules: [deny()] }) }, DESCRIBE, {
    rule: 'deny',
    observed: 'rule_denied',
  }),
  decide('observed: no rule that allows', 'ok', { policy: observing({ rules: [] }) }, DESCRIBE, {
    observed: 'rule_unmatched',
  }),
  decide(
    'observed: a condition without a value',
    'ok',
    { policy: observing({ rules: [allow(), deny({ when: "caller.attributes.role == 'x'" })] }) },
    DESCRIBE,
    { observed: 'rule_error' },
  ),
  decide(
    'observed: a scope that is missing',
    'ok',
    { policy: observing({}), request: { target: '/ec2/TerminateInstances' } },
    ['ec2:TerminateInstances'],
    { observed: 'scope_missing' },
  ),
  decide(
    'observed: a delegation that is not allowed',
    'ok',
    { policy: observing({ delegation: { otherwise: 'deny', rules: [] } }) },
    DESCRIBE,
    { observed: 'delegation_denied' },
  ),
  decide(
    'observed: a chain too deep for the scope',
    'ok',
    { policy: observing({ demands: [{ ...EC2, maxDepth: 1 }] }) },
    DESCRIBE,
    { observed: 'scope_too_deep' },
  ),
  decide(
    'observed: a score that is too low',
    'ok',
    { policy: observing({ demands: [{ ...EC2, minScore: 1 }] }) },
    DESCRIBE,
    { observed: 'score_too_low' },
  ),
  decide(
    'observed: a quarantine',
    'ok',
    { policy: observing({ rules: [allow(), { name: 'aside', effect: 'quarantine' }] }) },
    DESCRIBE,
    { observed: 'quarantined' },
  ),
  decide('observed: what is permitted anyway', 'ok', { policy: observing({}) }, DESCRIBE, {
    rule: 'planner',
  }),
  decide('no longer observed', 'rule_denied', { policy: observing({ rules: [deny()] }, NOW) }, DESCRIBE),
  decide('observed: lists hold all the same', 'list_blocked', {
    policy: observing({ lists: { ...POLICY.lists, blockAgents: [PLANNER.id] } }),
  }),
  decide('observed: what no route knows', 'route_unmatched', {
    policy: observing({}),
    request: { target: '/admin' },
  }),
  decide(
    'observed: caveats hold all the same',
    'caveat_callee',
    { policy: observing({}), caveats: [{ type: 'callee', ids: [TYPE('billing')] }] },
    DESCRIBE,
  ),
  decide(
    'observed: a rule that denies what a caveat forbids',
    'caveat_callee',
    {
      policy: observing({ rules: [deny()] }),
      caveats: [{ type: 'callee', ids: [TYPE('billing')] }],
    },
    DESCRIBE,
  ),
  decide(
    'observed: stale trust',
    'bundle_stale',
    { policy: observing({ rules: [deny()] }), freshAt: NOW - 3601 },
    DESCRIBE,
  ),
  decide(
    'observed: nobody has approved it',
    'ok',
    { policy: observing({ demands: [{ ...EC2, approval: true }] }) },
    DESCRIBE,
    { observed: 'approval_required' },
  ),
];

const SOCKET = { ...POLICY.routes[0], protocol: 'websocket' };
const socketed = (edit: Edit = {}) => ({ ...POLICY, routes: [SOCKET], rules: [allow()], ...edit });

const upgrades = (): Case[] => [
  decide(
    'a WebSocket on a route for WebSockets',
    'ok',
    { policy: socketed(), request: { upgrade: true } },
    DESCRIBE,
  ),
  decide('a request on a route for WebSockets', 'http_upgrade', { policy: socketed() }),
  decide('a WebSocket on a route for requests', 'http_upgrade', { request: { upgrade: true } }),
  decide(
    'a WebSocket that a rule denies',
    'rule_denied',
    { policy: socketed({ rules: [allow(), deny()] }), request: { upgrade: true } },
    DESCRIBE,
  ),
  decide(
    'a WebSocket, in which nothing can be looked at, and content that is to be',
    'content_unreadable',
    {
      policy: socketed({
        content: [
          {
            name: 'a',
            directions: ['response'],
            patterns: { a: 'x' },
            action: 'deny',
            mode: 'stream',
            holdBytes: 1,
          },
        ],
      }),
      request: { upgrade: true },
    },
    DESCRIBE,
  ),
  decide(
    'a WebSocket, and content that is only marked',
    'ok',
    {
      policy: socketed({
        content: [
          {
            name: 'a',
            directions: ['request'],
            patterns: { a: 'x' },
            action: 'flag',
            mode: 'stream',
            holdBytes: 1,
          },
        ],
      }),
      request: { upgrade: true },
    },
    DESCRIBE,
  ),
];

export const restraintCases = (): Case[] => [
  ...delegations(),
  ...shapes(),
  ...labels(),
  ...observed(),
  ...upgrades(),
];
