/** What is wrong with conditions, operations, labels, delegations and content is said with its line, column and field. */
import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../../src/config/policy.ts';
import { policyFaults, policyText } from '../../testkit/config-faults.ts';

const ROUTES = `routes:
  - name: read
    path: /items/{id}
    scopes: [cloud:read]
    labels: {response: [pii]}
  - name: tools
    path: /mcp
    protocol: mcp
    operations: [{scopes: [mcp:call]}]
`;
/** `rest` begins on line 13. */
const after = (rest: string): string => policyText(`${ROUTES}${rest}`);
const withRule = (lines: string): string => after(`rules:\n  - name: one\n    effect: deny\n${lines}`);
/** Its lines begin on line 7. */
const withRoute = (lines: string, rules = 'rules: []\n'): string =>
  policyText(`routes:\n  - name: read\n    path: /items/{id}\n${lines}${rules}`);

describe('a condition', () => {
  test.each<[string, string, string[]]>([
    ['that is right', '    when: caller.score > 500\n', []],
    [
      'with an attribute that there is not, at the very place',
      '    when: callee.type == "a" && caller.rank > 3\n',
      ['16:40: rules[0].when: '],
    ],
    [
      'in double quotes with escapes',
      '    when: "callee.type == \\"a\\" && caller.rank > 3"\n',
      ['16:43: rules[0].when: '],
    ],
    [
      'in single quotes',
      "    when: 'callee.type == \"it''s\" && caller.rank > 3'\n",
      ['16:45: rules[0].when: '],
    ],
    [
      'in a literal block',
      '    when: |\n      callee.type == "a"\n      && caller.rank > 3\n',
      ['18:17: rules[0].when: '],
    ],
    [
      'in a folded block',
      '    when: >-\n      callee.type == "a"\n\n      && caller.rank > 3\n',
      ['19:17: rules[0].when: '],
    ],
    ['that breaks off', '    when: caller.score >\n', ['16:25: rules[0].when: ']],
    [
      'of type int',
      '    when: caller.score\n',
      ['16:11: rules[0].when: is of type int; a condition is bool'],
    ],
    ['that compares what has two types', '    when: caller.score == "high"\n', ['16:']],
    [
      'whose pattern is none of RE2',
      '    when: request.path.matches("(a)\\\\1")\n',
      ['16:32: rules[0].when: not a pattern of RE2'],
    ],
    ['whose pattern a sender chooses', '    when: \'"a".matches(request.path)\'\n', ['16:']],
    ['that is a number', '    when: 1\n', ['16:5: rules[0].when: must be text: put it in quotes']],
    ['that is true by YAML', '    when: true\n', ['16:5: rules[0].when: must be text: put it in quotes']],
    [
      'on tools, for a route that has none',
      '    routes: [read]\n    when: mcp.tool == "x"\n',
      ['17:5: rules[0].when: reads mcp.tool, which there is only on routes with protocol mcp; '],
    ],
  ])('%s', (_, lines, faults) => {
    const found = policyFaults(withRule(lines));
    expect(found).toHaveLength(faults.length);
    for (const [at, fault] of faults.entries()) expect(found[at]?.slice(0, fault.length)).toBe(fault);
  });

  test('faults of several rules are all told', () => {
    const rules =
      'rules:\n  - {name: a, effect: deny, when: x}\n  - {name: b, effect: deny, when: "1 == y"}\n';
    expect(policyFaults(after(rules)).map((fault) => fault.replace(/when: .*/, 'when'))).toEqual([
      '14:35: rules[0].when',
      '15:41: rules[1].when',
    ]);
  });
});

describe('a rule', () => {
  test.each<[string, string, string]>([
    ['a mode', '    mode: shadow\n', '16:5: rules[0].mode: unknown key; known here: '],
    ['shadow as word', '    shadow: "yes"\n', '16:5: rules[0].shadow: must be true or false'],
  ])('%s', (_, lines, fault) => {
    expect(policyFaults(withRule(lines))[0]).toContain(fault);
  });

  test('a flag in the shadow', () => {
    expect(policyFaults(withRule('    shadow: true\n').replace('effect: deny', 'effect: flag'))).toEqual([
      '16:5: rules[0].shadow: a flag decides nothing anyway: it is logged as it is',
    ]);
  });
});

describe('a route', () => {
  const OPERATIONS = '    operations: [{methods: [tools/call], scopes: ["mcp:{tool}"]}]\n';
  test.each<[string, string, string[]]>([
    [
      'no scopes and no operations',
      '    methods: [GET]\n',
      ['5:5: routes[0].scopes: names no scope: what requires none would be open to all'],
    ],
    [
      'another protocol',
      '    protocol: grpc\n',
      ['7:5: routes[0].protocol: must be "http", "mcp", "a2a", "a2a-rest" or "websocket"'],
    ],
    [
      'operations without a protocol',
      `    scopes: [a:b]\n${OPERATIONS}`,
      [
        '8:5: routes[0].operations: without a protocol (mcp, a2a or a2a-rest) no body is read, and this says nothing',
        '8:51: routes[0].operations[0].scopes[0]: scope "mcp:{tool}" uses {tool}, which there is not: id',
      ],
    ],
    [
      'a protocol without operations',
      '    scopes: [a:b]\n    protocol: a2a\n',
      ['8:5: routes[0].protocol: a2a without operations: what they need has to be named, or none is allowed'],
    ],
    [
      'a message limit of http',
      '    scopes: [a:b]\n    maxMessage: 1MiB\n',
      [
        '8:5: routes[0].maxMessage: without a protocol (mcp, a2a or a2a-rest) no body is read, and this says nothing',
      ],
    ],
    [
      'a message limit over the most',
      `    protocol: mcp\n${OPERATIONS}    maxMessage: 17MiB\n`,
      ['9:5: routes[0].maxMessage: 16MiB at most'],
    ],
    [
      'no operations',
      '    protocol: mcp\n    operations: []\n',
      ['8:5: routes[0].operations: must have 1 entry or more: an empty list is never read as "all"'],
    ],
    [
      'tools on A2A',
      '    protocol: a2a\n    operations:\n      - scopes: [a:b]\n    tools: {filter: true}\n',
      ['10:5: routes[0].tools: is for protocol mcp alone'],
    ],
    [
      'tools that say nothing',
      `    protocol: mcp\n${OPERATIONS}    tools: {}\n`,
      [
        '9:5: routes[0].tools: says nothing: filter the list, approve tools, or flag or deny those that nobody has approved',
      ],
    ],
    [
      'a digest that is none',
      `    protocol: mcp\n${OPERATIONS}    tools: {approved: {read: abc}}\n`,
      ['9:24: routes[0].tools.approved.read: a SHA-256 of a tool’s definition: 43 characters of base64url'],
    ],
    [
      'a method of A2A 0.3',
      '    protocol: a2a\n    operations:\n      - methods: [SendMessage, tasks/get]\n        scopes: [a:b]\n',
      [
        '9:32: routes[0].operations[0].methods[1]: "tasks/get" is its name in version 0.3; whatever version comes in, it is "GetTask" here',
      ],
    ],
    [
      'an operation behind one that takes all',
      '    protocol: mcp\n    operations:\n      - scopes: [a:b]\n      - {methods: [ping], scopes: [a:c]}\n',
      [
        '9:9: routes[0].operations[0]: takes every operation, so that those after it are never reached: put it last',
      ],
    ],
    [
      'a label in upper case',
      '    scopes: [a:b]\n    labels: {request: [PII]}\n',
      ['8:24: routes[0].labels.request[0]: a label'],
    ],
    ['labels of nothing', '    scopes: [a:b]\n    labels: {}\n', ['8:5: routes[0].labels: names no label']],
    [
      'observe without an end',
      '    scopes: [a:b]\n    enforcement: observe\n',
      ['8:5: routes[0].enforcement: observe needs its end: observeUntil: 2026-12-31T00:00:00Z'],
    ],
    [
      'an end without observe',
      '    scopes: [a:b]\n    observeUntil: 2026-12-31T00:00:00Z\n',
      ['8:5: routes[0].observeUntil: the end of what? It belongs to enforcement: observe'],
    ],
    [
      'an end that is a day',
      '    scopes: [a:b]\n    enforcement: observe\n    observeUntil: 2026-12-31\n',
      ['9:5: routes[0].observeUntil: a time with its date and zone (RFC 3339), such as 2026-12-31T00:00:00Z'],
    ],
    [
      'an end that is no day',
      '    scopes: [a:b]\n    enforcement: observe\n    observeUntil: 2026-02-30T00:00:00Z\n',
      ['9:5: routes[0].observeUntil: a time with its date and zone'],
    ],
  ])('%s', (_, lines, faults) => {
    const found = policyFaults(withRoute(lines));
    expect(found).toHaveLength(faults.length);
    for (const [at, fault] of faults.entries()) expect(found[at]?.slice(0, fault.length)).toBe(fault);
  });

  test('a template of its path with the name of a value of the message', () => {
    const text = withRoute('    protocol: mcp\n    operations: [{scopes: [a:b]}]\n');
    expect(policyFaults(text.replace('{id}', '{tool}'))).toEqual([
      '6:5: routes[0].path: {tool} of path has the name of a value of the message',
    ]);
  });

  test('a set’s name among the scopes of an operation', () => {
    const text = withRoute(
      '    protocol: mcp\n    operations: [{scopes: [danger]}]\n',
      'rules: []\nscopeSets: {danger: [a:b]}\n',
    );
    expect(policyFaults(text)).toEqual([
      '8:28: routes[0].operations[0].scopes[0]: "danger" is a scope set; name its patterns here',
    ]);
  });
});

describe('a demand', () => {
  const demand = (text: string): string[] => policyFaults(after(`rules: []\ndemands:\n  - ${text}\n`));
  test.each<[string, string, string[]]>([
    ['on labels alone', '{labels: [pii], approval: required}', []],
    [
      'for nothing',
      '{approval: required}',
      ['15:5: demands[0]: is for no request: give scopes, labels or both'],
    ],
    ['of nothing', '{labels: [pii]}', ['15:5: demands[0]: demands nothing: ']],
    [
      'on a label that no route gives',
      '{labels: [pio], approval: required}',
      [
        '15:15: demands[0].labels[0]: no route gives data the label "pio", so that this would demand nothing; did you mean "pii"?',
      ],
    ],
    ['on a depth of nine', '{labels: [pii], maxDepth: 9}', ['15:21: demands[0].maxDepth: must be 8 or less']],
    ['on another domain', '{labels: [pii], domains: any}', ['15:21: demands[0].domains: must be "same"']],
  ])('%s', (_, text, faults) => {
    const found = demand(text);
    expect(found).toHaveLength(faults.length);
    for (const [at, fault] of faults.entries()) expect(found[at]?.slice(0, fault.length)).toBe(fault);
  });
});

describe('delegation', () => {
  const delegation = (text: string): string[] => policyFaults(after(`rules: []\ndelegation:\n${text}`));
  test.each<[string, string, string[]]>([
    ['without a word on the rest', '  rules: []\n', ['14:1: delegation.otherwise: is missing']],
    [
      'two rules of one name',
      '  otherwise: deny\n  rules:\n    - {name: a, effect: allow}\n    - {name: a, effect: deny}\n',
      ['18:8: delegation.rules[1].name: rule "a" is defined twice'],
    ],
    [
      'a type as an agent',
      '  otherwise: deny\n  rules: [{name: a, effect: allow, from: [planning]}]\n',
      ['16:43: delegation.rules[0].from[0]: an agent ID such as '],
    ],
    [
      'a trust domain as URL',
      '  otherwise: deny\n  rules: [{name: a, effect: allow, toDomains: ["spiffe://a"]}]\n',
      ['16:48: delegation.rules[0].toDomains[0]: a trust domain'],
    ],
  ])('%s', (_, text, faults) => {
    const found = delegation(text);
    expect(found).toHaveLength(faults.length);
    for (const [at, fault] of faults.entries()) expect(found[at]?.slice(0, fault.length)).toBe(fault);
  });
});

describe('content and decision points', () => {
  test.each<[string, string, string[]]>([
    ['a rule that looks for nothing', 'content:\n  - {name: a, action: deny}\n', ['15:5: content[0]: ']],
    [
      'a rule for a route that isn’t there',
      'content:\n  - {name: a, action: deny, detectors: [pii], routes: [raed]}\n',
      ['15:56: content[0].routes[0]: no route has the name "raed"; did you mean "read"?'],
    ],
    [
      'a detector that there is not',
      'content:\n  - {name: a, action: deny, detectors: [pii, ssn]}\n',
      ['15:46: content[0].detectors[1]: no detector is called "ssn": there are '],
    ],
    [
      'a pattern that is none of RE2',
      'content:\n  - name: a\n    action: deny\n    patterns:\n      good: AKIA\n      bad: "(a)\\\\1"\n',
      ['19:7: content[0].patterns.bad: pattern "bad" is no RE2 expression'],
    ],
    [
      'a media type that is none',
      'content:\n  - {name: a, action: deny, types: [text/*, json]}\n',
      ['15:45: content[0].types[1]: "json" is no media type'],
    ],
    [
      'a response in quarantine',
      'content:\n  - {name: a, action: quarantine, detectors: [pii]}\n',
      ['15:5: content[0]: quarantine is for requests'],
    ],
    [
      'a flag that keeps everybody waiting',
      'content:\n  - {name: a, action: flag, mode: hold, detectors: [pii]}\n',
      ['15:5: content[0]: flag with hold'],
    ],
    [
      'more held than can be',
      'content:\n  - {name: a, action: deny, detectors: [pii], holdBytes: 1GiB}\n',
      ['15:47: content[0].holdBytes: 16MiB at most'],
    ],
    [
      'a point for a route that isn’t there',
      'decisionPoints:\n  - {point: opa, path: a/b, routes: [tool]}\n',
      ['15:38: decisionPoints[0].routes[0]: no route has the name "tool"; did you mean "tools"?'],
    ],
    [
      'a path from the root',
      'decisionPoints:\n  - {point: opa, path: /a/b}\n',
      ['15:18: decisionPoints[0].path: the path of a rule in OPA’s data, such as hopgate/authz/allow'],
    ],
  ])('%s', (_, text, faults) => {
    const found = policyFaults(after(`rules: []\n${text}`));
    expect(found).toHaveLength(faults.length);
    for (const [at, fault] of faults.entries()) expect(found[at]?.slice(0, fault.length)).toBe(fault);
  });
});

describe('what is written and what sidecars read', () => {
  const policy = parsePolicy(
    policyText(`routes:
  - name: tools
    path: /mcp
    protocol: mcp
    server: files
    operations: [{methods: [tools/call], scopes: ["mcp:{server}:{tool}"]}]
    tools: {approved: {read: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}}
    maxMessage: 64KiB
    labels: {response: [pii]}
    enforcement: observe
    observeUntil: 2026-12-31T01:00:00+01:00
  - {name: more, path: /more, protocol: mcp, operations: [{scopes: [a:b]}], tools: {filter: true}}
  - {name: plain, path: /plain, protocol: http, scopes: [a:b], enforcement: enforce}
rules:
  - {name: a, effect: allow, when: caller.score > 1, shadow: true}
  - {name: b, effect: allow, shadow: false}
demands:
  - {labels: [pii], linkTtl: 10m, maxDepth: 2, domains: same}
content:
  - {name: a, action: flag, detectors: [pii]}
  - {name: b, action: deny, detectors: [pii], holdBytes: 64KiB}
`),
    'f.yaml',
  );
  const [tools, more, plain] = policy.routes;

  test('sizes and times are numbers; observe is its end', () => {
    expect(tools).toMatchObject({ maxMessageBytes: 65_536, observeUntil: Date.UTC(2026, 11, 31) / 1000 });
    expect(policy.demands[0]).toMatchObject({ maxLinkTtlSeconds: 600, maxDepth: 2, sameDomain: true });
  });

  test('who approves some tools has not approved the others', () => {
    expect(tools?.tools).toMatchObject({ filter: false, changed: 'deny', unlisted: 'deny' });
    expect(more?.tools).toMatchObject({ filter: true, changed: 'deny', unlisted: 'allow' });
  });

  test('what says nothing is left out', () => {
    expect(JSON.parse(JSON.stringify(plain))).toEqual({ name: 'plain', path: '/plain', scopes: ['a:b'] });
    expect(JSON.parse(JSON.stringify(policy.rules[1]))).toEqual({ name: 'b', effect: 'allow' });
    expect(policy.delegation).toBeUndefined();
    expect(policy.decisionPoints).toBeUndefined();
    expect(tools?.labels).toEqual({ request: [], response: ['pii'] });
  });

  test('a flag keeps nobody waiting, a denial holds, unless a mode is given', () => {
    expect(policy.content?.map(({ mode, holdBytes }) => [mode, holdBytes])).toEqual([
      ['stream', 1_048_576],
      ['hold', 65_536],
    ]);
  });
});
