/** Rules with conditions and effects: what holds, what has no value, and what follows. */
import { type Case, NOW } from './case.ts';
import { allow, DESCRIBE, decide, deny, rules, scored } from './decision-standing.ts';
import { TYPE } from './policy-required.ts';
import { AUDITOR, PLANNER, PRINCIPAL } from './world.ts';

const rule = (name: string, effect: string, edit: Readonly<Record<string, unknown>> = {}) => ({
  name,
  effect,
  ...edit,
});
const BUNDLE = {
  attributes: {
    agents: { [PLANNER.id]: { team: 'finance', tier: '2' }, [TYPE('inventory')]: { tier: '1' } },
    principals: { [PRINCIPAL]: { groups: ['ops', 'finance'] } },
  },
  ...scored({ [PLANNER.id]: [700, NOW, 9] }),
};
const QUERY = { target: '/ec2/DescribeInstances?tag=a%20b&note=x+y&empty' };
const HEADERS = {
  headers: [
    'X-Region',
    'eu',
    'User-Agent',
    'py',
    'Authorization',
    'Bearer secret',
    'X-Twice',
    '1',
    'x-once',
    '1',
  ],
};
const TWICE = { headers: ['X-Region', 'eu', 'x-region', 'us'] };

/** An allow with this condition is the only rule. */
const when = (
  condition: string,
  holds: 'holds' | 'not' | 'no value',
  request: Readonly<Record<string, unknown>> = {},
): Case =>
  decide(
    `${condition}${Object.keys(request).length === 0 ? '' : `, of ${JSON.stringify(request)}`}`,
    { holds: 'ok', not: 'rule_unmatched', 'no value': 'rule_error' }[holds],
    { policy: rules(allow({ when: condition })), bundle: BUNDLE, request },
    DESCRIBE,
  );

const environment = (): Case[] => [
  when(`caller.id == '${PLANNER.id}' && caller.type == 'planner' && caller.domain == 'company.com'`, 'holds'),
  when("callee.type == 'inventory' && callee.attributes.tier == '1'", 'holds'),
  when("caller.attributes.team == 'finance' && callee.attributes.size() == 1", 'holds'),
  when('caller.score == 700 && callee.score == 500', 'holds'),
  when('caller.score > 700', 'not'),
  when(`principal.id == '${PRINCIPAL}' && principal.issuer == ''`, 'holds'),
  when("'ops' in principal.groups && !('hr' in principal.groups)", 'holds'),
  when("principal.groups == ['ops', 'finance']", 'holds'),
  when(
    "chain.depth == 2 && chain.types == ['client', 'planner'] && chain.domains[1] == 'company.com'",
    'holds',
  ),
  when("chain.agents[0].endsWith('/client/alice') && chain.agents.size() == 2", 'holds'),
  when("chain.scopes == ['cloud:read', 'ec2:Describe*'] && chain.purpose == 'find out'", 'holds'),
  when('chain.age == 60 && chain.remaining == 3600 && size(chain.task) == 43', 'holds'),
  when(
    "request.direction == 'inbound' && request.method == 'GET' && request.path == '/ec2/DescribeInstances'",
    'holds',
  ),
  when("request.direction == 'outbound'", 'holds', { direction: 'outbound' }),
  when("request.route == 'describe' && request.protocol == 'http'", 'holds'),
  when("request.scopes == ['ec2:DescribeInstances']", 'holds'),
  when("request.query == {'tag': 'a b', 'note': 'x y', 'empty': ''}", 'holds', QUERY),
  when(
    "request.headers == {'x-region': 'eu', 'user-agent': 'py', 'x-twice': '1', 'x-once': '1'}",
    'holds',
    HEADERS,
  ),
  when('request.size >= 0 || request.size < 0', 'no value'),
  when('request.size == 5', 'holds', { body: 'h\u00e9llo'.slice(0, 4) }),
  when("mcp.method == '' && a2a.method == '' && mcp.arguments.size() == 0", 'holds'),
  when('data.labels == []', 'holds'),
  when("data.labels == ['pii']", 'holds', { labels: ['pii'] }),
  when("now == timestamp('2027-01-15T08:00:00Z') && now.getFullYear() == 2027", 'holds'),
  when("now.getHours('Europe/Berlin') == 9 && now.getDayOfWeek() == 5", 'holds'),
  when("now - timestamp('2027-01-15T07:00:00Z') == duration('1h')", 'holds'),
];

const language = (): Case[] => [
  when("request.path.matches('^/ec2/Describe[A-Z][a-z]+$')", 'holds'),
  when("request.path.matches('Describe')", 'holds'),
  when("request.path.matches('^Describe')", 'not'),
  when(
    "request.path.startsWith('/ec2/') && request.path.contains('Inst') && request.path.endsWith('s')",
    'holds',
  ),
  when("chain.agents.exists(a, a.startsWith('spiffe://partner.com/'))", 'not'),
  when("chain.agents.all(a, a.startsWith('spiffe://company.com/'))", 'holds'),
  when(
    "chain.types.filter(t, t == 'planner').size() == 1 && chain.types.map(t, t + '!')[0] == 'client!'",
    'holds',
  ),
  when("chain.types.exists_one(t, t == 'client')", 'holds'),
  when('chain.agents.exists(a, chain.types.exists(t, a.contains(t)))', 'holds'),
  when("has(caller.attributes.team) ? caller.attributes.team == 'finance' : false", 'holds'),
  when("has(caller.attributes.role) && caller.attributes.role == 'x'", 'not'),
  when("caller.attributes.?role.orValue('none') == 'none'", 'holds'),
  when("caller.attributes['team'] == 'finance'", 'holds'),
  when('int(caller.attributes.tier) >= 2', 'holds'),
  when('double(caller.score) / 2.0 == 350.0', 'holds'),
  when('caller.score / 2 == 350 && caller.score % 300 == 100', 'holds'),
  when("size('h\u00e9\u{1f600}') == 3", 'holds'),
  when("'a' < 'b' && b'a' != b'b' && 'ab' == 'a' + 'b'", 'holds'),
  when('caller.score in [700, 800]', 'holds'),
  when("caller.attributes == {'tier': '2', 'team': 'finance'}", 'holds'),
  when('type(caller.score) == int', 'holds'),
];

const nothing = (): Case[] => [
  when("caller.attributes.role == 'x'", 'no value'),
  when("callee.attributes.team != 'finance'", 'no value'),
  when("chain.types[2] == 'x'", 'no value'),
  when('caller.score / (callee.score - 500) > 0', 'no value'),
  when('int(caller.attributes.team) > 1', 'no value'),
  when("request.query.tag == 'a'", 'no value', { target: '/ec2/DescribeInstances?tag=a&tag=b' }),
  when("request.query.other == 'a'", 'no value', { target: '/ec2/DescribeInstances?tag=a&tag=b' }),
  when("request.query.tag == 'a'", 'no value', { target: '/ec2/DescribeInstances?tag=%ff' }),
  when("request.headers['x-region'] == 'eu'", 'no value', TWICE),
  when("request.headers.authorization != ''", 'no value', HEADERS),
  when("request.headers['x-region'] == 'eu'", 'no value', { headers: ['X-Region', 'eu', 'X_Region', 'us'] }),
  when('9223372036854775807 + caller.score > 0', 'no value'),
  when('timestamp(caller.attributes.team) < now', 'no value'),
  // Or and and hold where one side tells, whatever the other has.
  when("caller.attributes.role == 'x' || caller.type == 'planner'", 'holds'),
  when("caller.type == 'planner' || caller.attributes.role == 'x'", 'holds'),
  when("caller.attributes.role == 'x' && caller.type == 'billing'", 'not'),
  when("caller.type == 'billing' && caller.attributes.role == 'x'", 'not'),
  when("caller.attributes.role == 'x' && caller.type == 'planner'", 'no value'),
  when("chain.types.exists(t, caller.attributes[t] == 'x' || t == 'planner')", 'holds'),
  when("chain.types.all(t, caller.attributes[t] == 'x' && t == 'planner')", 'not'),
];

const NO_VALUE = { when: "caller.attributes.role == 'x'" };
const HOLDS = { when: "caller.type == 'planner'" };
const NOT = { when: "caller.type == 'billing'" };

const effects = (): Case[] => [
  decide('a deny whose condition holds', 'rule_denied', { policy: rules(allow(), deny(HOLDS)) }, DESCRIBE, {
    rule: 'deny',
  }),
  decide('a deny whose condition does not hold', 'ok', { policy: rules(allow(), deny(NOT)) }, DESCRIBE, {
    rule: 'allow',
  }),
  decide(
    'a deny whose condition has no value denies',
    'rule_error',
    { policy: rules(allow(), deny(NO_VALUE)) },
    DESCRIBE,
    { rule: 'deny' },
  ),
  decide(
    'a deny that holds counts before one that has no value',
    'rule_denied',
    { policy: rules(allow(), deny(NO_VALUE), rule('second', 'deny', HOLDS)) },
    DESCRIBE,
    { rule: 'second' },
  ),
  decide(
    'a quarantine without a value denies',
    'rule_error',
    { policy: rules(allow(), rule('aside', 'quarantine', NO_VALUE)) },
    DESCRIBE,
    { rule: 'aside' },
  ),
  decide(
    'an approve without a value denies',
    'rule_error',
    { policy: rules(allow(), rule('human', 'approve', NO_VALUE)) },
    DESCRIBE,
    { rule: 'human' },
  ),
  decide(
    'a flag without a value denies',
    'rule_error',
    { policy: rules(allow(), rule('mark', 'flag', NO_VALUE)) },
    DESCRIBE,
    { rule: 'mark' },
  ),
  decide(
    'an allow without a value beside one that holds',
    'ok',
    { policy: rules(allow(NO_VALUE), rule('second', 'allow', HOLDS)) },
    DESCRIBE,
    { rule: 'second' },
  ),
  decide(
    'an allow without a value, and no other',
    'rule_error',
    { policy: rules(allow(NO_VALUE), rule('second', 'allow', NOT)) },
    DESCRIBE,
    { rule: 'allow' },
  ),
  decide(
    'a deny without a value that is for others',
    'ok',
    { policy: rules(allow(), deny({ ...NO_VALUE, callers: [AUDITOR.id] })) },
    DESCRIBE,
    { rule: 'allow' },
  ),
  decide(
    'a deny without a value, on another scope',
    'ok',
    { policy: rules(allow(), deny({ ...NO_VALUE, scopes: ['cloud:*'] })) },
    DESCRIBE,
    { rule: 'allow' },
  ),
  decide(
    'quarantine over allow',
    'quarantined',
    { policy: rules(allow(), rule('aside', 'quarantine')) },
    DESCRIBE,
    { rule: 'aside' },
  ),
  decide(
    'deny over quarantine',
    'rule_denied',
    { policy: rules(rule('aside', 'quarantine'), allow(), deny()) },
    DESCRIBE,
    { rule: 'deny' },
  ),
  decide(
    'quarantine alone allows nothing',
    'rule_unmatched',
    { policy: rules(rule('aside', 'quarantine')) },
    DESCRIBE,
  ),
  decide(
    'quarantine over approve',
    'quarantined',
    { policy: rules(allow(), rule('human', 'approve'), rule('aside', 'quarantine')) },
    DESCRIBE,
    { rule: 'aside' },
  ),
  decide(
    'released, it needs the human all the same',
    'approval_required',
    {
      policy: rules(allow(), rule('human', 'approve'), rule('aside', 'quarantine')),
      request: { released: true },
    },
    DESCRIBE,
    { rule: 'aside' },
  ),
  decide(
    'released by a reviewer',
    'ok',
    { policy: rules(allow(), rule('aside', 'quarantine')), request: { released: true } },
    DESCRIBE,
    { rule: 'aside' },
  ),
  decide(
    'the caller’s own sidecar keeps nothing aside',
    'ok',
    { policy: rules(allow(), rule('aside', 'quarantine')), request: { direction: 'outbound' } },
    DESCRIBE,
    { rule: 'aside' },
  ),
  decide(
    'approve over allow',
    'approval_required',
    { policy: rules(allow(), rule('human', 'approve')) },
    DESCRIBE,
    { rule: 'human' },
  ),
  decide(
    'the caller’s own sidecar asks for no approval',
    'ok',
    { policy: rules(allow(), rule('human', 'approve')), request: { direction: 'outbound' } },
    DESCRIBE,
    { rule: 'human' },
  ),
  decide(
    'approve alone allows nothing',
    'rule_unmatched',
    { policy: rules(rule('human', 'approve')) },
    DESCRIBE,
  ),
  decide(
    'a flag marks, and allows nothing',
    'rule_unmatched',
    { policy: rules(rule('mark', 'flag')) },
    DESCRIBE,
    { flags: ['mark'] },
  ),
  decide(
    'flags of a permit',
    'ok',
    { policy: rules(rule('mark', 'flag'), allow(), rule('other', 'flag', HOLDS), rule('none', 'flag', NOT)) },
    DESCRIBE,
    { rule: 'allow', flags: ['mark', 'other'] },
  ),
  decide(
    'a flag for an agent further up the chain',
    'ok',
    { policy: rules(allow(), rule('mark', 'flag', { callerTypes: ['client'] })) },
    DESCRIBE,
    { flags: ['mark'] },
  ),
  decide(
    'an approve for an agent further up the chain',
    'approval_required',
    { policy: rules(allow(), rule('human', 'approve', { callerTypes: ['client'] })) },
    DESCRIBE,
    { rule: 'human' },
  ),
  decide(
    'a quarantine for one of two scopes',
    'quarantined',
    {
      policy: rules(allow(), rule('aside', 'quarantine', { scopes: ['ec2:*'] })),
      request: { method: 'POST', target: '/ec2' },
      scopes: [['cloud:*', 'ec2:*']],
    },
    ['cloud:write', 'ec2:RunInstances'],
  ),
  decide(
    'rules in shadow decide nothing',
    'ok',
    {
      policy: rules(
        allow(),
        deny({ shadow: true }),
        rule('aside', 'quarantine', { shadow: true, ...NOT }),
        rule('broken', 'deny', { shadow: true, ...NO_VALUE }),
      ),
    },
    DESCRIBE,
    {
      rule: 'allow',
      shadow: [
        { rule: 'deny', effect: 'deny' },
        { rule: 'broken', effect: 'error' },
      ],
    },
  ),
  decide(
    'an allow in shadow allows nothing',
    'rule_unmatched',
    { policy: rules(allow({ shadow: true })) },
    DESCRIBE,
    { shadow: [{ rule: 'allow', effect: 'allow' }] },
  ),
  decide(
    'of two denies the first gives its name',
    'rule_denied',
    { policy: rules(allow(), rule('b', 'deny'), rule('a', 'deny')) },
    DESCRIBE,
    { rule: 'b' },
  ),
];

export const conditionCases = (): Case[] => [...environment(), ...language(), ...nothing(), ...effects()];
