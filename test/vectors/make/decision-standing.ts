/** Decisions by what stands: target, lists, routes, scopes, rules without conditions, demands. */
import { type Case, NOW } from './case.ts';
import { CLIENTS, POLICY, TYPE } from './policy-required.ts';
import { AUDITOR, BILLING, CLIENT, INVENTORY, PLANNER, PRINCIPAL } from './world.ts';

type Request = Readonly<Record<string, unknown>>;

const lists = (edit: Readonly<Record<string, readonly string[]>>) => ({
  ...POLICY,
  lists: { ...POLICY.lists, ...edit },
});
export const rules = (...of: readonly Readonly<Record<string, unknown>>[]) => ({ ...POLICY, rules: of });
export const allow = (edit: Readonly<Record<string, unknown>> = {}) => ({
  name: 'allow',
  effect: 'allow',
  ...edit,
});
export const deny = (edit: Readonly<Record<string, unknown>> = {}) => ({
  name: 'deny',
  effect: 'deny',
  ...edit,
});

const SCOPES = [
  ['cloud:*', 'ec2:Describe*'],
  ['cloud:read', 'ec2:Describe*'],
];
const BASE = {
  callee: INVENTORY.id,
  method: 'GET',
  target: '/ec2/DescribeInstances',
  caller: PLANNER.id,
  principal: PRINCIPAL,
};

interface Plan {
  /** Beside the policy, in the bundle. */
  readonly bundle?: Readonly<Record<string, unknown>>;
  /** When the verifier was last heard; by default now. */
  readonly freshAt?: number;
  readonly policy?: unknown;
  readonly request?: Request;
  readonly scopes?: readonly (readonly string[])[];
  /** Of every link. */
  readonly caveats?: readonly unknown[];
  /** The callee may act onward. */
  readonly granted?: true;
}

export const decide = (
  comment: string,
  reason: string,
  { policy = POLICY, request = {}, scopes = SCOPES, bundle = {}, freshAt = NOW, caveats, granted }: Plan = {},
  required?: readonly string[],
  noted: Readonly<Record<string, unknown>> = {},
): Case => ({
  comment,
  source: '13',
  now: NOW,
  input: {
    policy,
    ...bundle,
    freshAt,
    request: { ...BASE, ...request },
    scopes,
    ...(caveats === undefined ? {} : { caveats }),
    ...(granted === undefined ? {} : { granted }),
  },
  expect: { reason, ...(required === undefined ? {} : { required }), ...noted },
});

export const DESCRIBE = ['ec2:DescribeInstances'];

const routes = (): Case[] => [
  decide('a permit', 'ok', {}, DESCRIBE),
  decide(
    'the query is no part of the path',
    'ok',
    { request: { target: '/ec2/DescribeInstances?Filter=..' } },
    DESCRIBE,
  ),
  decide('an open route', 'ok', { request: { target: '/reports/2026/q4' } }, ['cloud:read']),
  decide('the first route that matches', 'scope_missing', { request: { target: '/reports/secret' } }, [
    'cloud:secret',
  ]),
  decide('a path that no route knows', 'route_unmatched', { request: { target: '/admin' } }),
  decide('the open route without a further segment', 'route_unmatched', { request: { target: '/reports' } }),
  decide('one segment too many', 'route_unmatched', { request: { target: '/ec2/DescribeInstances/x' } }),
  decide('a slash behind', 'route_unmatched', { request: { target: '/ec2/DescribeInstances/' } }),
  decide('a template takes no empty segment', 'route_unmatched', { request: { target: '/ec2/' } }),
  decide('another method', 'route_unmatched', { request: { method: 'DELETE' } }),
  decide('the method in lower case', 'route_unmatched', { request: { method: 'get' } }),
  decide('another callee', 'route_unmatched', { request: { callee: BILLING.id } }),
  decide('the path in another case', 'route_unmatched', { request: { target: '/EC2/DescribeInstances' } }),
  decide('a template value with a colon', 'route_value', { request: { target: '/ec2/Describe:all' } }),
  decide('a template value with a star', 'route_value', { request: { target: '/ec2/Describe*' } }),
  decide('a template value with an escape', 'route_value', { request: { target: '/ec2/Describe%20x' } }),
  decide('a target that is not canonical', 'target_not_canonical', {
    request: { target: '/reports/../ec2/x' },
  }),
];

const scopes = (): Case[] => [
  decide('a scope that no link holds', 'scope_missing', { request: { target: '/ec2/TerminateInstances' } }, [
    'ec2:TerminateInstances',
  ]),
  decide(
    'a scope that the root holds and the leaf does not',
    'scope_missing',
    { scopes: [['cloud:*'], ['cloud:write']] },
    DESCRIBE,
  ),
  decide(
    'all scopes are needed, one is missing',
    'scope_missing',
    { request: { method: 'POST', target: '/ec2' }, scopes: [['cloud:*', 'ec2:Describe*'], ['cloud:write']] },
    ['cloud:write', 'ec2:RunInstances'],
  ),
  decide('the scope in another case', 'scope_missing', { request: { target: '/ec2/describeInstances' } }, [
    'ec2:describeInstances',
  ]),
  decide(
    'five links that all hold it',
    'ok',
    {
      scopes: [
        ['ec2:Describe*'],
        ['ec2:Describe*'],
        ['ec2:Describe*'],
        ['ec2:Describe*'],
        ['ec2:DescribeInstances'],
      ],
    },
    DESCRIBE,
  ),
];

const lists_ = (): Case[] => [
  decide('the caller is blocked', 'list_blocked', { policy: lists({ blockAgents: [PLANNER.id] }) }),
  decide('the caller’s type is blocked', 'list_blocked', {
    policy: lists({ blockAgents: [TYPE('planner')] }),
  }),
  decide('the callee is blocked', 'list_blocked', { policy: lists({ blockAgents: [INVENTORY.id] }) }),
  decide('an agent in the middle of the chain is blocked', 'list_blocked', {
    policy: lists({ blockAgents: [CLIENTS] }),
  }),
  decide('the principal is blocked', 'list_blocked', { policy: lists({ blockPrincipals: [PRINCIPAL] }) }),
  decide(
    'others are blocked',
    'ok',
    { policy: lists({ blockAgents: [BILLING.id], blockPrincipals: ['mailto:bob@company.com'] }) },
    DESCRIBE,
  ),
  decide(
    'all are allowed',
    'ok',
    { policy: lists({ allowAgents: [TYPE('planner'), TYPE('inventory'), CLIENTS] }) },
    DESCRIBE,
  ),
  decide('the callee is not on the allowlist', 'list_not_allowed', {
    policy: lists({ allowAgents: [TYPE('planner'), CLIENTS] }),
  }),
  decide('an agent in the middle is not on the allowlist', 'list_not_allowed', {
    policy: lists({ allowAgents: [TYPE('planner'), TYPE('inventory')] }),
  }),
  decide('blocked and allowed: blocked', 'list_blocked', {
    policy: lists({
      allowAgents: [TYPE('planner'), TYPE('inventory'), CLIENTS],
      blockAgents: [PLANNER.id],
    }),
  }),
];

const access = (): Case[] => [
  decide('no rule at all', 'rule_unmatched', { policy: rules() }, DESCRIBE),
  decide(
    'a rule for another caller',
    'rule_unmatched',
    { policy: rules(allow({ callers: [TYPE('billing')] })) },
    DESCRIBE,
  ),
  decide(
    'a rule for the caller’s type in another trust domain',
    'rule_unmatched',
    { policy: rules(allow({ callers: ['spiffe://partner.com/agent/planner/*'] })) },
    DESCRIBE,
  ),
  decide(
    'a rule for another callee',
    'rule_unmatched',
    { policy: rules(allow({ callees: [BILLING.id] })) },
    DESCRIBE,
  ),
  decide(
    'a rule for another type',
    'rule_unmatched',
    { policy: rules(allow({ callerTypes: ['client'] })) },
    DESCRIBE,
  ),
  decide('a rule for the type', 'ok', { policy: rules(allow({ callerTypes: ['planner'] })) }, DESCRIBE),
  decide(
    'a rule for another principal',
    'rule_unmatched',
    { policy: rules(allow({ principals: ['mailto:bob@company.com'] })) },
    DESCRIBE,
  ),
  decide(
    'a rule for another route',
    'rule_unmatched',
    { policy: rules(allow({ routes: ['reports'] })) },
    DESCRIBE,
  ),
  decide(
    'an allow has to cover every required scope',
    'rule_unmatched',
    {
      policy: rules(allow({ scopes: ['cloud:*'] })),
      request: { method: 'POST', target: '/ec2' },
      scopes: [['cloud:*', 'ec2:*']],
    },
    ['cloud:write', 'ec2:RunInstances'],
  ),
  decide(
    'an allow that covers every required scope',
    'ok',
    {
      policy: rules(allow({ scopes: ['cloud:*', 'ec2:*'] })),
      request: { method: 'POST', target: '/ec2' },
      scopes: [['cloud:*', 'ec2:*']],
    },
    ['cloud:write', 'ec2:RunInstances'],
  ),
  decide('deny overrides an allow before it', 'rule_denied', { policy: rules(allow(), deny()) }, DESCRIBE),
  decide('deny overrides an allow behind it', 'rule_denied', { policy: rules(deny(), allow()) }, DESCRIBE),
  decide(
    'a deny that matches one of two scopes',
    'rule_denied',
    {
      policy: rules(allow(), deny({ scopes: ['ec2:*'] })),
      request: { method: 'POST', target: '/ec2' },
      scopes: [['cloud:*', 'ec2:*']],
    },
    ['cloud:write', 'ec2:RunInstances'],
  ),
  decide(
    'an allow for an agent further up the chain is none for the caller',
    'rule_unmatched',
    { policy: rules(allow({ callers: [CLIENTS] })) },
    DESCRIBE,
  ),
  decide(
    'an allow for the type of an agent further up',
    'rule_unmatched',
    { policy: rules(allow({ callerTypes: ['client'] })) },
    DESCRIBE,
  ),
  decide(
    'a deny for an agent further up the chain: it would act through an accomplice',
    'rule_denied',
    { policy: rules(allow(), deny({ callers: [CLIENTS] })) },
    DESCRIBE,
  ),
  decide(
    'a deny for the type of an agent further up',
    'rule_denied',
    { policy: rules(allow(), deny({ callerTypes: ['client'] })) },
    DESCRIBE,
  ),
  decide(
    'a deny whose callers and callerTypes match two agents of the chain',
    'rule_denied',
    { policy: rules(allow(), deny({ callers: [CLIENTS], callerTypes: ['planner'] })) },
    DESCRIBE,
  ),
  decide(
    'a deny for the type of the callee says nothing of who calls',
    'ok',
    { policy: rules(allow(), deny({ callerTypes: ['inventory'] })) },
    DESCRIBE,
  ),
  decide('a deny for others', 'ok', { policy: rules(allow(), deny({ callers: [AUDITOR.id] })) }, DESCRIBE),
  decide(
    'every selector of a rule has to match',
    'rule_unmatched',
    { policy: rules(allow({ callers: [PLANNER.id], routes: ['reports'] })) },
    DESCRIBE,
  ),
];

const bundled = (edit: Readonly<Record<string, readonly string[]>>) => ({
  lists: { allowAgents: [], blockAgents: [], blockPrincipals: [], ...edit },
});

/** Of the bundle, besides the policy's. */
const bundleLists = (): Case[] => [
  decide('the bundle’s lists block the caller', 'list_blocked', {
    bundle: bundled({ blockAgents: [PLANNER.id] }),
  }),
  decide('the bundle’s lists block the callee’s type', 'list_blocked', {
    bundle: bundled({ blockAgents: [TYPE('inventory')] }),
  }),
  decide('the bundle’s lists block the principal', 'list_blocked', {
    bundle: bundled({ blockPrincipals: [PRINCIPAL] }),
  }),
  decide('the bundle’s allowlist lacks an agent that the policy’s has', 'list_not_allowed', {
    policy: lists({ allowAgents: [TYPE('planner'), TYPE('inventory'), CLIENTS] }),
    bundle: bundled({ allowAgents: [TYPE('planner'), CLIENTS] }),
  }),
  decide('the policy’s allowlist lacks an agent that the bundle’s has', 'list_not_allowed', {
    policy: lists({ allowAgents: [TYPE('planner'), CLIENTS] }),
    bundle: bundled({ allowAgents: [TYPE('planner'), TYPE('inventory'), CLIENTS] }),
  }),
  decide(
    'both lists let all pass',
    'ok',
    {
      policy: lists({ allowAgents: [TYPE('planner'), TYPE('inventory'), CLIENTS] }),
      bundle: bundled({ allowAgents: [PLANNER.id, INVENTORY.id, CLIENT.id] }),
    },
    DESCRIBE,
  ),
];

export const demanding = (...demands: readonly Readonly<Record<string, unknown>>[]) => ({
  ...POLICY,
  demands,
});
export const scored = (
  agents: Readonly<Record<string, readonly [number, number, number]>>,
  baseline = 500,
) => ({
  scores: { baseline, half_life: 86_400, agents },
});
export const EC2 = { scopes: ['ec2:*'] };

const demands = (): Case[] => [
  decide('as stale as is allowed by default', 'ok', { freshAt: NOW - 3600 }, DESCRIBE),
  decide('one second staler than that', 'bundle_stale', { freshAt: NOW - 3601 }, DESCRIBE),
  decide('heard of within the skew ahead', 'ok', { freshAt: NOW + 30 }, DESCRIBE),
  decide('heard of in the future: our clock was set back', 'bundle_stale', { freshAt: NOW + 31 }, DESCRIBE),
  decide(
    'staler than the policy allows',
    'bundle_stale',
    { policy: { ...POLICY, limits: { ...POLICY.limits, maxStalenessSeconds: 60 } }, freshAt: NOW - 61 },
    DESCRIBE,
  ),
  decide(
    'an hour and more, where the policy allows it',
    'ok',
    { policy: { ...POLICY, limits: { ...POLICY.limits, maxStalenessSeconds: 7200 } }, freshAt: NOW - 7200 },
    DESCRIBE,
  ),
  decide(
    'staler than the scope allows',
    'bundle_stale',
    { policy: demanding({ ...EC2, maxStalenessSeconds: 30 }), freshAt: NOW - 31 },
    DESCRIBE,
  ),
  decide(
    'as stale as the scope allows',
    'ok',
    { policy: demanding({ ...EC2, maxStalenessSeconds: 30 }), freshAt: NOW - 30 },
    DESCRIBE,
  ),
  decide(
    'a scope can’t allow more than the policy',
    'bundle_stale',
    { policy: demanding({ ...EC2, maxStalenessSeconds: 86_400 }), freshAt: NOW - 3601 },
    DESCRIBE,
  ),
  decide(
    'a demand on another scope',
    'ok',
    { policy: demanding({ scopes: ['s3:*'], maxStalenessSeconds: 1, minScore: 1000 }), freshAt: NOW - 31 },
    DESCRIBE,
  ),
  decide(
    'of two demands the stricter age counts',
    'bundle_stale',
    {
      policy: demanding(
        { ...EC2, maxStalenessSeconds: 600 },
        { scopes: ['ec2:Describe*'], maxStalenessSeconds: 10 },
      ),
      freshAt: NOW - 11,
    },
    DESCRIBE,
  ),
  decide(
    'scores as high as the scope demands',
    'ok',
    { policy: demanding({ ...EC2, minScore: 500 }), bundle: scored({}) },
    DESCRIBE,
  ),
  decide(
    'the caller’s score is too low',
    'score_too_low',
    { policy: demanding({ ...EC2, minScore: 500 }), bundle: scored({ [PLANNER.id]: [499, NOW, 9] }) },
    DESCRIBE,
  ),
  decide(
    'the score of an agent further up the chain is too low',
    'score_too_low',
    { policy: demanding({ ...EC2, minScore: 500 }), bundle: scored({ [CLIENT.id]: [499, NOW, 9] }) },
    DESCRIBE,
  ),
  decide(
    'the score of the callee is its own affair',
    'ok',
    { policy: demanding({ ...EC2, minScore: 500 }), bundle: scored({ [INVENTORY.id]: [0, NOW, 9] }) },
    DESCRIBE,
  ),
  decide(
    'a high score that has decayed since',
    'score_too_low',
    {
      policy: demanding({ ...EC2, minScore: 701 }),
      bundle: scored({ [PLANNER.id]: [900, NOW - 86_400, 9], [CLIENT.id]: [900, NOW, 9] }),
    },
    DESCRIBE,
  ),
  decide(
    'of two demands the higher score counts',
    'score_too_low',
    {
      policy: demanding({ ...EC2, minScore: 100 }, { scopes: ['ec2:Describe*'], minScore: 501 }),
      bundle: scored({}),
    },
    DESCRIBE,
  ),
  decide(
    'a bundle without scores has 0 for everybody',
    'score_too_low',
    { policy: demanding({ ...EC2, minScore: 1 }) },
    DESCRIBE,
  ),
  decide(
    'a demand on one of two required scopes',
    'score_too_low',
    {
      policy: {
        ...demanding({ scopes: ['ec2:RunInstances'], minScore: 600 }),
        rules: [{ name: 'allow', effect: 'allow' }],
      },
      bundle: scored({}),
      request: { method: 'POST', target: '/ec2' },
      scopes: [['cloud:*', 'ec2:*']],
    },
    ['cloud:write', 'ec2:RunInstances'],
  ),
  decide(
    'a human’s approval, which is not there',
    'approval_required',
    { policy: demanding({ ...EC2, approval: true }) },
    DESCRIBE,
  ),
  decide(
    'approval for another scope',
    'ok',
    { policy: demanding({ scopes: ['s3:*'], approval: true }) },
    DESCRIBE,
  ),
  decide(
    'stale trust is told before the score',
    'bundle_stale',
    {
      policy: demanding({ ...EC2, minScore: 1000, maxStalenessSeconds: 1 }),
      bundle: scored({}),
      freshAt: NOW - 2,
    },
    DESCRIBE,
  ),
  decide(
    'the score is told before the approval',
    'score_too_low',
    { policy: demanding({ ...EC2, minScore: 1000, approval: true }), bundle: scored({}) },
    DESCRIBE,
  ),
  decide(
    'a demand gives nothing: what no rule allows stays denied',
    'rule_unmatched',
    { policy: { ...demanding({ ...EC2, minScore: 1 }), rules: [] }, bundle: scored({}) },
    DESCRIBE,
  ),
];

export const standingCases = (): Case[] => [
  ...routes(),
  ...scopes(),
  ...lists_(),
  ...access(),
  ...bundleLists(),
  ...demands(),
];
