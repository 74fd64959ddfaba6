/** Parts that a policy may have: conditions, messages, data, delegations, content, decision points. */
import type { Case } from './case.ts';
import { bad, type Edit, ok, POLICY } from './policy-required.ts';
import { INVENTORY } from './world.ts';

const ROUTE = { name: 'read', path: '/read', scopes: ['cloud:read'] };
const OPERATION = { methods: ['tools/call'], names: ['query', 'read_*'], scopes: ['mcp:{server}:{tool}'] };
const TOOLS = {
  filter: true,
  approved: { query: 'RdXwkp622ooedc4Y3e2p4wxFEZ4v7uYWKvqiJhisYlU' },
  changed: 'deny',
  unlisted: 'flag',
};
const MCP = {
  name: 'tools',
  path: '/mcp/{team}',
  scopes: [],
  protocol: 'mcp',
  server: 'db',
  operations: [OPERATION],
};
const A2A = { ...MCP, protocol: 'a2a', operations: [{ scopes: ['a2a:{team}:{skill}:{method}'] }] };

const routes = (...of: readonly Edit[]): Edit => ({ routes: of, rules: [] });
const route = (comment: string, edit: Edit, base: Edit = ROUTE): Case =>
  bad(comment, routes({ ...base, ...edit }));
const operation = (comment: string, edit: Edit): Case =>
  bad(comment, routes({ ...MCP, operations: [{ ...OPERATION, ...edit }] }));
const tools = (comment: string, edit: Edit): Case =>
  bad(comment, routes({ ...MCP, tools: { ...TOOLS, ...edit } }));

const goodRoutes = (): Case[] => [
  ok(
    'a route with every member',
    routes({
      ...MCP,
      callees: [INVENTORY.id],
      methods: ['POST'],
      serverRequests: ['sampling/createMessage'],
      tools: TOOLS,
      maxMessageBytes: 16_777_216,
      labels: { request: ['pii'], response: [] },
      observeUntil: 1_800_000_000,
    }),
  ),
  ok('a route of A2A', routes({ ...A2A, skillMember: 'skill' })),
  ok('a route of A2A over HTTP+JSON', routes({ ...A2A, protocol: 'a2a-rest', path: '/{team}/*' })),
  ok('a route for WebSockets', routes({ ...ROUTE, protocol: 'websocket', methods: ['GET'] })),
  ok('a route whose bodies are not read', routes({ ...ROUTE, protocol: 'http' })),
  ok(
    'operations that need what the route needs',
    routes({ ...MCP, scopes: ['mcp:{server}:use', 'mcp:{team}'], operations: [{ scopes: [] }] }),
  ),
  ok(
    'methods and names with a star at the end',
    routes({
      ...MCP,
      operations: [{ methods: ['notifications/*', 'http:GET'], names: ['*'], scopes: ['mcp:x'] }],
    }),
  ),
];

const badRoutes = (): Case[] => [
  route('a protocol that nobody knows', { protocol: 'grpc' }),
  route('a WebSocket by another method', { protocol: 'websocket', methods: ['POST'] }),
  route('a WebSocket with operations', { protocol: 'websocket', operations: [OPERATION] }),
  route('operations without a protocol', { operations: [OPERATION] }),
  route('a server without a protocol', { server: 'db' }),
  route('tools of no protocol', { tools: TOOLS }),
  route('a protocol without operations', { operations: undefined }, MCP),
  route('a protocol with no operation', { operations: [] }, MCP),
  route('a server that is no scope segment', { server: 'db:x' }, MCP),
  route('a skill member of MCP', { skillMember: 'skill' }, MCP),
  route('requests of a server of A2A', { serverRequests: ['sampling/createMessage'] }, A2A),
  route('tools of A2A', { tools: TOOLS }, A2A),
  route('a request of the server by its beginning', { serverRequests: ['sampling/*'] }, MCP),
  route(
    'a path with a template of the message',
    { path: '/mcp/{tool}', operations: [{ scopes: ['mcp:x'] }] },
    MCP,
  ),
  route('a scope of the route with a template of the message', { scopes: ['mcp:{tool}'] }, MCP),
  route('a message of no octets', { maxMessageBytes: 0 }, MCP),
  route('a message over 16 MiB', { maxMessageBytes: 16_777_217 }, MCP),
  route('labels that name none', { labels: { request: [], response: [] } }),
  route('a label in upper case', { labels: { request: ['PII'], response: [] } }),
  route('labels without those of the response', { labels: { request: ['pii'] } }),
  route('observed without an end', { observeUntil: 0 }),
  operation('an operation without scopes', { scopes: undefined }),
  operation('an operation that needs nothing', { scopes: [] }),
  operation('an operation with a template of another protocol', { scopes: ['mcp:{skill}'] }),
  operation('an operation that needs a pattern', { scopes: ['mcp:*'] }),
  operation('an operation with a space in its method', { methods: ['tools call'] }),
  operation('a star in the middle of a method', { methods: ['tools/*/x'] }),
  operation('a star in the middle of a name', { names: ['a*b'] }),
  operation('a name with a space', { names: ['a b'] }),
  operation('a member of an operation too many', { kind: 'request' }),
  bad(
    'an operation behind one that takes all',
    routes({ ...MCP, operations: [{ scopes: ['mcp:x'] }, OPERATION] }),
  ),
  bad(
    'a method by its name of A2A 0.3',
    routes({ ...A2A, operations: [{ methods: ['message/send'], scopes: ['a2a:x'] }] }),
  ),
  tools('tools that say nothing', { filter: false, approved: {}, unlisted: 'allow' }),
  tools('a digest that is none', { approved: { query: 'sha256' } }),
  tools('a changed tool that is allowed', { changed: 'allow' }),
  tools('no word on tools that nobody approved', { unlisted: undefined }),
];

const RULE = { name: 'deny', effect: 'deny' };
const rule = (comment: string, edit: Edit): Case =>
  bad(comment, { rules: [...POLICY.rules, { ...RULE, ...edit }] });
const when = (condition: string): Case => rule(`a condition: ${condition.slice(0, 60)}`, { when: condition });
const holds = (condition: string, edit: Edit = {}): Case =>
  ok(`a good condition: ${condition.slice(0, 60)}`, { rules: [{ ...RULE, when: condition }], ...edit });

const LONG = `caller.id == '${'a'.repeat(4096)}'`;

const ruled = (): Case[] => [
  ok('every effect', {
    rules: ['allow', 'deny', 'approve', 'quarantine', 'flag'].map((effect) => ({ name: effect, effect })),
  }),
  ok('rules in shadow', { rules: [{ ...RULE, shadow: true, when: 'false' }] }),
  rule('shadow false', { shadow: false }),
  rule('a flag in shadow', { effect: 'flag', shadow: true }),
  rule('a condition that is no text', { when: true }),
  rule('an empty condition', { when: '' }),
  holds("caller.attributes.team == 'finance' && 'pii' in data.labels"),
  holds('mcp.arguments.amount > 5'),
  holds("mcp.arguments.all(k, k.matches('^[a-z]+$'))"),
  holds('chain.agents.exists(a, chain.types.exists(t, a.contains(t)))'),
  holds("mcp.tool == 'x'", {
    routes: [MCP],
    rules: [{ ...RULE, when: "mcp.tool == 'x'", routes: ['tools'] }],
  }),
  holds("mcp.server == ''", { rules: [{ ...RULE, when: "mcp.server == ''", routes: ['reports'] }] }),
  when('caller.id =='),
  when("caller.name == 'x'"),
  when("user.id == 'x'"),
  when('caller.score'),
  when("caller.score == 'high'"),
  holds('caller.score > 1.5'),
  when('caller.score == 1.5'),
  when("mcp.arguments.a / 'x' == 1"),
  when('mcp.arguments.a * 1.5 == null'),
  when('caller.id > 5'),
  when('request.path.matches(caller.id)'),
  when("request.path.matches('(a')"),
  when("request.path.matches('(?=a)')"),
  when("request.path.lowercase() == 'x'"),
  when("chain.agents.exists(caller, caller == 'x')"),
  when('chain.agents.exists(a, chain.types.exists(t, chain.domains.exists(d, d == a + t)))'),
  when('mcp.arguments.exists(k, chain.types.exists(t, t == k))'),
  when("caller.id == 'x'; true"),
  rule('a condition of more than 4096 characters', { when: LONG }),
  rule('a condition on messages, for routes that have none', {
    when: "mcp.tool == 'x'",
    routes: ['reports'],
  }),
];

const DATA = { routes: [{ ...ROUTE, labels: { request: ['pii'], response: [] } }], rules: [] };
const demand = (comment: string, edit: Edit): Case => bad(comment, { ...DATA, demands: [edit] });

const demanded = (): Case[] => [
  ok('a demand on data', { ...DATA, demands: [{ labels: ['pii'], approval: true }] }),
  ok('every demand on the chain', {
    demands: [
      { scopes: ['ec2:*'], maxDepth: 2, maxLinkTtlSeconds: 60, sameDomain: true, requestProof: true },
    ],
  }),
  demand('a demand on a label that no route gives', { labels: ['finance'], approval: true }),
  demand('a demand for no request', { approval: true }),
  demand('a demand on data that demands nothing', { labels: ['pii'] }),
];

const EDGE = { name: 'a', effect: 'allow' };
const delegation = (comment: string, rules: readonly Edit[], otherwise: unknown = 'deny'): Case =>
  bad(comment, { delegation: { otherwise, rules } });

const delegated = (): Case[] => [
  ok('every selector of a delegation', {
    delegation: {
      otherwise: 'deny',
      rules: [
        {
          ...EDGE,
          from: [INVENTORY.id],
          fromTypes: ['inventory'],
          fromDomains: ['company.com'],
          to: [INVENTORY.id],
          toTypes: ['inventory'],
          toDomains: ['partner.com'],
          crossing: true,
        },
      ],
    },
  }),
  delegation('delegations without another way', [], null),
  delegation('a delegation that flags', [{ ...EDGE, effect: 'flag' }]),
  delegation('two delegations of one name', [EDGE, EDGE]),
  delegation('a crossing that is none', [
    { ...EDGE, crossing: true, fromDomains: ['a.com'], toDomains: ['a.com'] },
  ]),
  delegation('crossing false', [{ ...EDGE, crossing: false }]),
  delegation('a delegation to no type', [{ ...EDGE, toTypes: [] }]),
  delegation('a trust domain that is none', [{ ...EDGE, toDomains: ['Company.com'] }]),
];

const CONTENT = {
  name: 'words',
  directions: ['request'],
  patterns: { ticket: 'TICKET-[0-9]+' },
  action: 'deny',
  mode: 'hold',
  holdBytes: 1024,
};
const content = (comment: string, edit: Edit): Case => bad(comment, { content: [{ ...CONTENT, ...edit }] });

const contents = (): Case[] => [
  ok('a content rule with every member', {
    content: [
      {
        ...CONTENT,
        callees: [INVENTORY.id],
        routes: ['reports'],
        detectors: ['injection', 'secrets', 'pii'],
        types: ['application/json', 'text/*', '*/*'],
        maxBytes: 0,
        shadow: true,
      },
    ],
  }),
  ok('content that is kept aside, and content that is marked', {
    content: [
      { ...CONTENT, action: 'quarantine' },
      { ...CONTENT, name: 'marks', directions: ['request', 'response'], action: 'flag', mode: 'stream' },
    ],
  }),
  content('content that looks for nothing', { patterns: undefined }),
  content('a detector that nobody has', { detectors: ['injectoin'] }),
  content('a pattern that is none of RE2', { patterns: { a: '(?<=x)y' } }),
  content('a pattern that matches everything', { patterns: { a: 'x*' } }),
  content('a pattern with a name in upper case', { patterns: { A: 'x' } }),
  content('no pattern', { patterns: {} }),
  content('a media type that is none', { types: ['json'] }),
  content('marks that everyone waits for', { action: 'flag' }),
  content('what has gone on and is kept aside', { action: 'quarantine', mode: 'stream' }),
  content('a response that is kept aside', { action: 'quarantine', directions: ['request', 'response'] }),
  content('content of no direction', { directions: [] }),
  content('content that is held without end', { holdBytes: 16_777_217 }),
  content('content of a route that is not there', { routes: ['repots'] }),
  content('content that marks, in shadow', { action: 'flag', mode: 'stream', shadow: true }),
  content('a member of a content rule too many', { fold: true }),
  bad('two content rules of one name', { content: [CONTENT, CONTENT] }),
];

const POINT = { point: 'org', path: 'mesh/authz/allow' };
const point = (comment: string, edit: Edit): Case =>
  bad(comment, { decisionPoints: [{ ...POINT, ...edit }] });

const points = (): Case[] => [
  ok('decision points', {
    decisionPoints: [POINT, { ...POINT, callees: [INVENTORY.id], routes: ['reports'] }],
  }),
  point('a decision point without path', { path: undefined }),
  point('a path with a dot', { path: 'mesh.authz' }),
  point('a decision point in upper case', { point: 'Org' }),
  point('a decision point of a route that is not there', { routes: ['repots'] }),
];

const WAY = { name: 'batch', callers: [INVENTORY.id] };
const way = (comment: string, edit: Edit): Case => bad(comment, { withoutSidecar: [{ ...WAY, ...edit }] });

const withoutSidecar = (): Case[] => [
  ok('every selector of a way in without a sidecar', {
    withoutSidecar: [
      {
        ...WAY,
        callerTypes: ['inventory'],
        callees: [INVENTORY.id],
        scopes: ['cloud:read'],
        routes: ['reports'],
      },
    ],
  }),
  ok('nobody comes without a sidecar', { withoutSidecar: [] }),
  way('a way in for everybody and everything', { callers: undefined }),
  way('a way in without a name', { name: undefined }),
  way('a way in to a route that is not there', { routes: ['repots'] }),
  way('a way in for no caller', { callers: [] }),
  way('a way in for what is no pattern', { scopes: ['ec2*'] }),
  way('a way in that wants a principal', { principals: ['mailto:alice@company.com'] }),
  bad('two ways in of one name', { withoutSidecar: [WAY, WAY] }),
];

export const optionalCases = (): Case[] => [
  ...goodRoutes(),
  ...badRoutes(),
  ...ruled(),
  ...demanded(),
  ...delegated(),
  ...contents(),
  ...points(),
  ...withoutSidecar(),
];
