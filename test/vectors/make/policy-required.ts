/** Policies as a bundle carries them, the parts that each has: what is one, and each way not to be one. */
import { type Case, NOW } from './case.ts';
import { b64u, jcs, sha256 } from './signing.ts';
import { INVENTORY, PLANNER } from './world.ts';

export const TYPE = (type: string): string => `spiffe://company.com/agent/${type}/*`;
export const CLIENTS = 'spiffe://company.com/client/*';
/** The policy of the vectors. */
export const POLICY = {
  revision: 'vectors-1',
  limits: { maxDepth: 5, linkTtlSeconds: 7200, callbacks: false, humanRoot: false, sessionSeconds: 3600 },
  scopeSets: {},
  lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
  routes: [
    {
      name: 'describe',
      callees: [TYPE('inventory')],
      methods: ['GET'],
      path: '/ec2/{action}',
      scopes: ['ec2:{action}'],
    },
    {
      name: 'create',
      callees: [TYPE('inventory')],
      methods: ['POST'],
      path: '/ec2',
      scopes: ['cloud:write', 'ec2:RunInstances'],
    },
    {
      name: 'special',
      callees: [INVENTORY.id],
      methods: ['GET'],
      path: '/reports/secret',
      scopes: ['cloud:secret'],
    },
    { name: 'reports', path: '/reports/*', scopes: ['cloud:read'] },
  ],
  rules: [{ name: 'planner', effect: 'allow', callers: [TYPE('planner')], callees: [TYPE('inventory')] }],
};

export type Edit = Readonly<Record<string, unknown>>;

const read = (comment: string, policy: unknown, expect: Case['expect']): Case => ({
  comment,
  source: '13',
  now: NOW,
  input: { policy },
  expect,
});
export const ok = (comment: string, edit: Edit = {}): Case => {
  const policy = { ...POLICY, ...edit };
  return read(comment, policy, { reason: 'ok', digest: b64u(sha256(jcs(policy))) });
};
export const bad = (comment: string, edit: Edit): Case =>
  read(comment, { ...POLICY, ...edit }, { reason: 'policy_invalid' });
const limits = (comment: string, edit: Edit): Case => bad(comment, { limits: { ...POLICY.limits, ...edit } });
const sets = (comment: string, scopeSets: unknown): Case => bad(comment, { scopeSets });
const listed = (comment: string, edit: Edit): Case => bad(comment, { lists: { ...POLICY.lists, ...edit } });
const ROUTE = { name: 'read', path: '/read', scopes: ['cloud:read'] };
const route = (comment: string, edit: Edit): Case =>
  bad(comment, { routes: [{ ...ROUTE, ...edit }], rules: [] });
const rule = (comment: string, edit: Edit): Case =>
  bad(comment, { rules: [{ name: 'all', effect: 'allow', ...edit }] });
const demand = (comment: string, edit: Edit): Case =>
  bad(comment, { demands: [{ scopes: ['ec2:*'], ...edit }] });
const chainOfSets = (count: number): Edit =>
  Object.fromEntries(
    Array.from({ length: count }, (_, at) => [
      `set:${at}`,
      [at === count - 1 ? 'cloud:read' : `set:${at + 1}`],
    ]),
  );

const good = (): Case[] => [
  ok('a good policy'),
  ok('one that allows nothing', { routes: [], rules: [] }),
  ok('every limit', { limits: { ...POLICY.limits, maxStalenessSeconds: 60, maxTaskAgeSeconds: 600 } }),
  ok('scope sets within scope sets', {
    scopeSets: { 'infrastructure:review': ['cloud:read', 'describe'], describe: ['ec2:Describe*'] },
  }),
  ok('64 scope sets within each other', { scopeSets: chainOfSets(64) }),
  ok('a scope set of a name that the language knows', {
    scopeSets: JSON.parse('{"__proto__":["cloud:read"]}'),
  }),
  ok('every demand', {
    demands: [
      { scopes: ['ec2:*'], approval: true },
      { scopes: ['ec2:*'], minScore: 1000 },
      { scopes: ['cloud:*', 'ec2:*'], maxStalenessSeconds: 1 },
    ],
  }),
  ok('every selector', {
    rules: [
      {
        name: 'all',
        effect: 'deny',
        callers: [PLANNER.id],
        callerTypes: ['planner'],
        callees: [INVENTORY.id],
        principals: ['mailto:alice@company.com'],
        scopes: ['cloud:*'],
        routes: ['reports'],
      },
    ],
  }),
];

const whole = (): Case[] => [
  ...['revision', 'limits', 'scopeSets', 'lists', 'routes', 'rules'].map((name) =>
    bad(`no ${name}`, { [name]: undefined }),
  ),
  bad('a member too many', { enforcement: 'observe' }),
  bad('demands of null', { demands: null }),
  bad('a revision with a space', { revision: 'vectors 1' }),
  bad('a revision of 65 characters', { revision: 'a'.repeat(65) }),
  bad('routes as object', { routes: {} }),
];

const limited = (): Case[] => [
  limits('no maxDepth', { maxDepth: undefined }),
  limits('a limit that nobody knows', { maxLinks: 3 }),
  limits('a depth of nine', { maxDepth: 9 }),
  limits('a depth of zero', { maxDepth: 0 }),
  limits('links without life', { linkTtlSeconds: 0 }),
  limits('callbacks as text', { callbacks: 'denied' }),
  limits('humanRoot as number', { humanRoot: 1 }),
  limits('staleness of zero', { maxStalenessSeconds: 0 }),
  limits('tasks of no age', { maxTaskAgeSeconds: 0 }),
];

const named = (): Case[] => [
  sets('scope sets as list', []),
  sets('a set as text', { review: 'cloud:read' }),
  sets('an empty set', { review: [] }),
  sets('a set with a member twice', { review: ['cloud:read', 'cloud:read'] }),
  sets('a set with a member that is neither set nor pattern', { review: ['*'] }),
  sets('a set whose name is no literal', { 'review:*': ['cloud:read'] }),
  sets('a set of itself', { review: ['review'] }),
  sets('sets in a circle', { a: ['b'], b: ['c'], c: ['a'] }),
  sets('65 scope sets within each other', chainOfSets(65)),
  sets(
    '65 scope sets within each other, the innermost first',
    Object.fromEntries(Object.entries(chainOfSets(65)).reverse()),
  ),
  listed('lists without blockAgents', { blockAgents: undefined }),
  listed('another list', { allowPrincipals: [] }),
  listed('everybody on the blocklist', { blockAgents: ['*'] }),
  listed('an agent twice', { blockAgents: [PLANNER.id, PLANNER.id] }),
  listed('a principal that is none', { blockPrincipals: ['alice'] }),
];

const routed = (): Case[] => [
  route('a route without name', { name: undefined }),
  route('a route without scopes', { scopes: undefined }),
  route('a route that needs nothing', { scopes: [] }),
  route('a route with a template that its path lacks', { scopes: ['cloud:{action}'] }),
  route('a route that needs a pattern', { scopes: ['cloud:*'] }),
  route('a path without slash', { path: 'read' }),
  route('a path that is not canonical', { path: '/a/../b' }),
  route('a path with a star in the middle', { path: '/*/read' }),
  route('a path with half a template', { path: '/v{version}' }),
  route('a template twice', { path: '/{a}/{a}' }),
  route('no callee', { callees: [] }),
  route('a method in lower case', { methods: ['get'] }),
  route('a member of a route too many', { audit: true }),
  bad('a route as text', { routes: ['read'], rules: [] }),
  bad('two routes of one name', { routes: [ROUTE, { ...ROUTE, path: '/other' }], rules: [] }),
];

const ruled = (): Case[] => [
  rule('a rule of another effect', { effect: 'observe' }),
  rule('a rule without name', { name: undefined }),
  rule('a rule for no caller', { callers: [] }),
  rule('a rule for callers of any type', { callers: ['spiffe://company.com/agent/*/*'] }),
  rule('a rule for a type with a slash', { callerTypes: ['agent/planner'] }),
  rule('a rule for a scope that is no pattern', { scopes: ['*'] }),
  rule('a rule for a principal that is none', { principals: ['*'] }),
  rule('a rule for a route that is not there', { routes: ['repots'] }),
  rule('a member of a rule too many', { unless: 'true' }),
  bad('two rules of one name', { rules: [...POLICY.rules, ...POLICY.rules] }),
];

const demanded = (): Case[] => [
  demand('a demand that demands nothing', {}),
  demand('a demand on no scope', { scopes: [], minScore: 1 }),
  demand('a demand on what is no pattern', { scopes: ['ec2*'], minScore: 1 }),
  demand('approval false', { approval: false }),
  demand('approval as word', { approval: 'required' }),
  demand('a score of 0', { minScore: 0 }),
  demand('a score of 1001', { minScore: 1001 }),
  demand('trust of no age', { maxStalenessSeconds: 0 }),
  demand('a demand that nobody knows', { mfa: true }),
  demand('a depth of nine for a scope', { maxDepth: 9 }),
  demand('links of a scope without life', { maxLinkTtlSeconds: 0 }),
  demand('sameDomain false', { sameDomain: false }),
  demand('requestProof false', { requestProof: false }),
];

export const requiredCases = (): Case[] => [
  ...good(),
  ...whole(),
  ...limited(),
  ...named(),
  ...routed(),
  ...ruled(),
  ...demanded(),
];
