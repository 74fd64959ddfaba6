/** Decisions of what a message asks for: operations, their scopes, batches, conditions on arguments. */
import type { Case } from './case.ts';
import { allow, decide, deny } from './decision-standing.ts';
import { POLICY } from './policy-required.ts';

type Edit = Readonly<Record<string, unknown>>;

const OPERATIONS = [
  { methods: ['tools/call'], names: ['query', 'read_*'], scopes: ['mcp:{server}:{tool}'] },
  { methods: ['tools/call'], names: ['admin'], scopes: ['mcp:{server}:admin', 'cloud:write'] },
  { methods: ['prompts/get'], scopes: ['mcp:{server}:{prompt}'] },
  { methods: ['resources/*'], names: ['file:///public/*'], scopes: [] },
  { methods: ['initialize', 'ping', 'tools/list', 'notifications/*', 'http:GET', 'http:DELETE'], scopes: [] },
];
const MCP = {
  name: 'tools',
  path: '/mcp',
  scopes: ['mcp:db:connect'],
  protocol: 'mcp',
  server: 'db',
  operations: OPERATIONS,
};
const A2A = {
  name: 'agent',
  path: '/a2a/{tenant}',
  scopes: [],
  protocol: 'a2a',
  operations: [
    { methods: ['SendMessage', 'SendStreamingMessage'], names: ['report'], scopes: ['a2a:{tenant}:{skill}'] },
    { methods: ['SendMessage'], scopes: ['a2a:{tenant}:{method}'] },
  ],
};
const REST = {
  name: 'rest',
  path: '/rest/*',
  scopes: ['a2a:rest'],
  protocol: 'a2a-rest',
  operations: [{ methods: ['GetTask', 'CancelTask'], scopes: ['a2a:{method}'] }],
};
const policy = (edit: Edit = {}) => ({ ...POLICY, routes: [MCP, A2A, REST], rules: [allow()], ...edit });
const SCOPES = [
  ['mcp:*', 'a2a:*'],
  ['mcp:*', 'a2a:*'],
];
const BASE = ['mcp:db:connect'];

const rpc = (method: string, params: unknown = {}, id = 1) => ({ jsonrpc: '2.0', id, method, params });
const tool = (name: string, args: unknown = {}, id = 1) => rpc('tools/call', { name, arguments: args }, id);
const HEADERS = ['Content-Type', 'application/json'];
const post = (body: unknown, target = '/mcp') => ({
  method: 'POST',
  target,
  headers: HEADERS,
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const get = (target: string) => ({ method: 'GET', target, headers: [], body: '' });

const on = (
  comment: string,
  reason: string,
  request: Edit,
  required?: readonly string[],
  plan: Edit = {},
  noted: Edit = {},
): Case => decide(comment, reason, { policy: policy(), scopes: SCOPES, request, ...plan }, required, noted);

const operations = (): Case[] => [
  on('a tool, and what it needs', 'ok', post(tool('query')), [...BASE, 'mcp:db:query']),
  on('a tool by the beginning of its name', 'ok', post(tool('read_all')), [...BASE, 'mcp:db:read_all']),
  on('a tool that needs another scope', 'scope_missing', post(tool('admin')), [
    ...BASE,
    'mcp:db:admin',
    'cloud:write',
  ]),
  on('a tool that nothing is said of', 'operation_unmatched', post(tool('drop')), BASE),
  on('a name in another case', 'operation_unmatched', post(tool('Query')), BASE),
  on(
    'a method that nothing is said of',
    'operation_unmatched',
    post(rpc('completion/complete', { ref: { type: 'ref/prompt', name: 'p' } })),
    BASE,
  ),
  on('names, and an operation without one', 'operation_unmatched', post(rpc('resources/list')), BASE),
  on(
    'a resource by the beginning of its URI',
    'ok',
    post(rpc('resources/read', { uri: 'file:///public/a' })),
    BASE,
  ),
  on(
    'another resource',
    'operation_unmatched',
    post(rpc('resources/read', { uri: 'file:///private/a' })),
    BASE,
  ),
  on('a prompt', 'ok', post(rpc('prompts/get', { name: 'greet' })), [...BASE, 'mcp:db:greet']),
  on(
    'a prompt whose name is no segment',
    'route_value',
    post(rpc('prompts/get', { name: 'greet:all' })),
    BASE,
  ),
  on('a tool whose name is no segment', 'route_value', post(tool('read_*')), BASE),
  on('a family of methods', 'ok', post({ jsonrpc: '2.0', method: 'notifications/initialized' }), BASE),
  on('GET that opens a stream of MCP', 'ok', get('/mcp'), BASE),
  on(
    'a request that is no message',
    'message_malformed',
    { method: 'PUT', target: '/mcp', body: '', headers: [] },
    BASE,
  ),
  on(
    'a message that can’t be read',
    'message_ambiguous',
    post('{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}'),
    BASE,
  ),
  on('a message of another type', 'message_type', { ...post(tool('query')), headers: [] }, BASE),
  on(
    'a skill',
    'ok',
    post(rpc('SendMessage', { message: { metadata: { skillId: 'report' } } }), '/a2a/acme'),
    ['a2a:acme:report'],
  ),
  on('no skill: the next operation that fits', 'ok', post(rpc('SendMessage', { message: {} }), '/a2a/acme'), [
    'a2a:acme:SendMessage',
  ]),
  on('the name of 0.3', 'ok', post(rpc('message/send', { message: {} }), '/a2a/acme'), [
    'a2a:acme:SendMessage',
  ]),
  on('a path value that is no segment', 'route_value', post(rpc('SendMessage', { message: {} }), '/a2a/a:b')),
  on('a task over HTTP+JSON, by what is below the route', 'ok', get('/rest/tasks/t1'), [
    'a2a:rest',
    'a2a:GetTask',
  ]),
  on('an operation over HTTP+JSON that nothing is said of', 'operation_unmatched', get('/rest/tasks'), [
    'a2a:rest',
  ]),
];

const batches = (): Case[] => [
  on(
    'each of a batch has to be allowed',
    'ok',
    post([tool('query'), tool('read_all', {}, 2), rpc('ping', {}, 3)]),
    [...BASE, 'mcp:db:query', 'mcp:db:read_all'],
  ),
  on('one of a batch is not', 'operation_unmatched', post([tool('query'), tool('drop', {}, 2)]), BASE),
  on('a scope that one of a batch lacks', 'scope_missing', post([tool('query'), tool('admin', {}, 2)]), [
    ...BASE,
    'mcp:db:admin',
    'cloud:write',
  ]),
  on(
    'what a batch demands is demanded of the whole',
    'score_too_low',
    post([tool('query'), tool('read_all', {}, 2)]),
    [...BASE, 'mcp:db:query', 'mcp:db:read_all'],
    {
      policy: policy({ demands: [{ scopes: ['mcp:db:read_all'], minScore: 1 }] }),
    },
  ),
  on(
    'flags of a batch, each once',
    'ok',
    post([tool('query'), tool('read_all', {}, 2)]),
    [...BASE, 'mcp:db:query', 'mcp:db:read_all'],
    {
      policy: policy({ rules: [{ name: 'mark', effect: 'flag' }, allow()] }),
    },
    { flags: ['mark'] },
  ),
  on(
    'a rule in shadow for several of a batch, once',
    'ok',
    post([tool('query'), tool('read_all', {}, 2)]),
    undefined,
    {
      policy: policy({ rules: [allow(), { name: 'strict', effect: 'deny', shadow: true }] }),
    },
    { shadow: [{ rule: 'strict', effect: 'deny' }] },
  ),
  on(
    'a subscription, resource by resource',
    'operation_unmatched',
    post(
      rpc('subscriptions/listen', {
        notifications: { resourceSubscriptions: ['file:///public/a', 'file:///private/a'] },
      }),
    ),
    BASE,
    {
      policy: policy({
        routes: [
          {
            ...MCP,
            operations: [{ methods: ['subscriptions/listen'], names: ['file:///public/*'], scopes: [] }],
          },
        ],
      }),
    },
  ),
  on(
    'one of a batch is kept aside, and so the batch',
    'quarantined',
    post([tool('query'), tool('read_all', {}, 2)]),
    undefined,
    {
      policy: policy({ rules: [allow(), ASIDE] }),
    },
    { rule: 'aside' },
  ),
  on(
    'one of a batch is kept aside, another denied',
    'operation_unmatched',
    post([tool('query'), tool('drop', {}, 2)]),
    undefined,
    {
      policy: policy({ rules: [allow(), ASIDE] }),
    },
  ),
];

const ASIDE = { name: 'aside', effect: 'quarantine', when: "mcp.tool == 'query'" };

const when = (condition: string, reason: string, body: unknown, comment = condition): Case =>
  on(comment, reason, post(body), undefined, {
    policy: policy({ rules: [allow(), deny({ when: condition })] }),
  });

const ARGUMENTS = { table: 'users', limit: 10, ratio: 0.5, deep: { ids: [1, 2, 3] }, none: null, on: true };

const conditions = (): Case[] => [
  when(
    "mcp.server == 'db' && mcp.method == 'tools/call' && mcp.kind == 'request' && mcp.tool == 'query'",
    'rule_denied',
    tool('query'),
  ),
  when("mcp.tool == 'query' && mcp.arguments.table == 'users'", 'rule_denied', tool('query', ARGUMENTS)),
  when("mcp.tool == 'query' && mcp.arguments.table == 'orders'", 'ok', tool('query', ARGUMENTS)),
  when('mcp.arguments.limit > 5', 'rule_denied', tool('query', ARGUMENTS)),
  when('mcp.arguments.limit == 10', 'rule_denied', tool('query', ARGUMENTS)),
  when('mcp.arguments.ratio < 1', 'rule_denied', tool('query', ARGUMENTS)),
  when('mcp.arguments.deep.ids.exists(i, i == 2)', 'rule_denied', tool('query', ARGUMENTS)),
  when('mcp.arguments.none == null', 'rule_denied', tool('query', ARGUMENTS)),
  when('mcp.arguments.on', 'rule_denied', tool('query', ARGUMENTS)),
  when('has(mcp.arguments.other)', 'ok', tool('query', ARGUMENTS)),
  when('mcp.arguments.table == 7', 'ok', tool('query', ARGUMENTS)),
  when('mcp.arguments.limit == 10.0', 'rule_denied', tool('query', ARGUMENTS)),
  when("mcp.arguments.other == 'x'", 'rule_error', tool('query', ARGUMENTS)),
  when(
    'mcp.arguments.table',
    'rule_error',
    tool('query', ARGUMENTS),
    'a condition on an argument that is no truth value',
  ),
  when('mcp.arguments.table > 7', 'rule_error', tool('query', ARGUMENTS)),
  when("mcp.arguments.limit.startsWith('1')", 'rule_error', tool('query', ARGUMENTS)),
  when(
    'mcp.arguments.limit + 1 == 11',
    'rule_error',
    tool('query', ARGUMENTS),
    'a number of the arguments and a whole number are of two types',
  ),
  when('mcp.arguments.limit + 1.0 == 11.0', 'rule_denied', tool('query', ARGUMENTS)),
  when(
    'mcp.arguments.deep.ids[0] == 1 && mcp.arguments.size() == 6',
    'rule_denied',
    tool('query', ARGUMENTS),
  ),
  when("mcp.method == 'tools/call' && request.size > 200", 'ok', tool('query', ARGUMENTS)),
  when("string(mcp.arguments.limit) == '10'", 'rule_denied', tool('query', ARGUMENTS)),
  when('int(mcp.arguments.limit) + 1 == 11', 'rule_denied', tool('query', ARGUMENTS)),
  when('mcp.arguments.ratio / 0.0 > 1e300 && -1.0 / 0.0 < 0.0', 'rule_denied', tool('query', ARGUMENTS)),
  when('int(mcp.arguments.on) == 1', 'rule_error', tool('query', ARGUMENTS)),
  when('size(mcp.arguments.none) == 0', 'rule_error', tool('query', ARGUMENTS)),
  when('mcp.arguments.table * mcp.arguments.limit == null', 'rule_error', tool('query', ARGUMENTS)),
  when("mcp.arguments.deep.ids[3] == 1.0 || mcp.tool == 'query'", 'rule_denied', tool('query', ARGUMENTS)),
  when("'limit' in mcp.arguments && 2 in mcp.arguments.deep.ids", 'rule_denied', tool('query', ARGUMENTS)),
  when("request.scopes == ['mcp:db:connect', 'mcp:db:query']", 'rule_denied', tool('query')),
  when(
    "mcp.tool == 'read_all'",
    'rule_denied',
    [tool('query'), tool('read_all', {}, 2)],
    'a condition that holds for one of a batch',
  ),
  on(
    'a condition on the skill',
    'rule_denied',
    post(
      rpc('SendMessage', { message: { metadata: { skillId: 'report' }, taskId: 't', contextId: 'c' } }),
      '/a2a/acme',
    ),
    ['a2a:acme:report'],
    {
      policy: policy({
        rules: [
          allow(),
          deny({
            when: "a2a.method == 'SendMessage' && a2a.skill == 'report' && a2a.taskId == 't' && a2a.contextId == 'c' && mcp.method == ''",
          }),
        ],
      }),
    },
  ),
];

const TOOL = [{ type: 'tool', names: ['query', 'report'] }];

const caveats = (): Case[] => [
  on('a caveat that names the tool', 'ok', post(tool('query')), undefined, { caveats: TOOL }),
  on('a caveat that names another tool', 'caveat_tool', post(tool('read_all')), undefined, { caveats: TOOL }),
  on(
    'a caveat on tools says nothing of what keeps a session going',
    'ok',
    post(rpc('tools/list')),
    undefined,
    { caveats: TOOL },
  ),
  on('nor of the stream', 'ok', get('/mcp'), undefined, { caveats: TOOL }),
  on(
    'a caveat on tools, and a prompt',
    'caveat_tool',
    post(rpc('prompts/get', { name: 'greet' })),
    undefined,
    { caveats: TOOL },
  ),
  on(
    'a caveat on tools, and a skill',
    'ok',
    post(rpc('SendMessage', { message: { metadata: { skillId: 'report' } } }), '/a2a/acme'),
    undefined,
    { caveats: TOOL },
  ),
  on(
    'a caveat on tools, and no skill',
    'caveat_tool',
    post(rpc('SendMessage', { message: {} }), '/a2a/acme'),
    undefined,
    { caveats: TOOL },
  ),
  on('a caveat on tools, and GET of an agent', 'caveat_tool', get('/a2a/acme'), undefined, {
    caveats: TOOL,
    policy: policy({
      routes: [{ ...A2A, operations: [{ methods: ['http:GET'], scopes: ['a2a:{tenant}:read'] }] }],
    }),
  }),
];

const observed = (): Case[] => {
  const route = { ...MCP, observeUntil: 2_000_000_000 };
  const plan = { policy: policy({ routes: [route] }) };
  return [
    on('observed: a tool that nothing is said of', 'ok', post(tool('drop')), BASE, plan, {
      observed: 'operation_unmatched',
    }),
    on('observed: a message that can’t be read', 'ok', post('{'), BASE, plan, {
      observed: 'message_malformed',
    }),
    on('observed: a message of another type', 'ok', { ...post(tool('query')), headers: [] }, BASE, plan, {
      observed: 'message_type',
    }),
    on(
      'observed: a tool that nothing is said of, and that a caveat forbids',
      'caveat_tool',
      post(tool('drop')),
      BASE,
      { ...plan, caveats: TOOL },
    ),
    on('observed: a message that can’t be read, and a caveat on tools', 'caveat_tool', post('{'), BASE, {
      ...plan,
      caveats: TOOL,
    }),
    on(
      'observed: a delegation that is not allowed, of a tool that a caveat forbids',
      'caveat_tool',
      post(tool('drop')),
      BASE,
      {
        policy: policy({ routes: [route], delegation: { otherwise: 'deny', rules: [] } }),
        caveats: TOOL,
      },
    ),
  ];
};

export const messageDecisionCases = (): Case[] => [
  ...operations(),
  ...batches(),
  ...conditions(),
  ...caveats(),
  ...observed(),
];
