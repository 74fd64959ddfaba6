/** The reader of a bundle's policy: every member, each bound, and what it refuses though every value has its form. */
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../../src/core/encoding/json.ts';
import { readPolicy } from '../../../../src/core/policy/read.ts';
import { permitted } from '../../../testkit/core-world.ts';

const DIGEST = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const PLANNING = 'spiffe://company.com/agent/planning/*';

const LEAST = {
  revision: 'r1',
  limits: { maxDepth: 5, linkTtlSeconds: 7200, callbacks: false, humanRoot: true, sessionSeconds: 3600 },
  scopeSets: {},
  lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
  routes: [],
  rules: [],
};
const MCP = {
  name: 'tools',
  path: '/mcp',
  scopes: [],
  protocol: 'mcp',
  server: 'files',
  operations: [
    { methods: ['tools/call'], names: ['read_*'], scopes: ['mcp:{server}:{tool}'] },
    { scopes: ['mcp:{server}'] },
  ],
  serverRequests: ['elicitation/create'],
  tools: { filter: true, approved: { read_file: DIGEST }, changed: 'deny', unlisted: 'flag' },
  maxMessageBytes: 65_536,
  labels: { request: [], response: ['pii', 'finance'] },
  observeUntil: 1_800_000_000,
};
const A2A = {
  name: 'skills',
  path: '/a2a',
  scopes: ['a2a:talk'],
  protocol: 'a2a',
  operations: [{ methods: ['SendMessage'], names: ['review'], scopes: ['a2a:{skill}'] }],
  skillMember: 'skill',
};
const PLAIN = { name: 'plain', path: '/plain', scopes: ['cloud:read'] };
const CONTENT = {
  name: 'injection',
  directions: ['request'],
  detectors: ['injection'],
  action: 'quarantine',
  mode: 'hold',
  holdBytes: 65_536,
};
const FULL = {
  ...LEAST,
  routes: [MCP, A2A, PLAIN],
  rules: [
    { name: 'all', effect: 'allow', when: 'caller.score > 500', callerTypes: ['planning'] },
    {
      name: 'no-delete',
      effect: 'quarantine',
      routes: ['tools'],
      when: 'mcp.tool == "delete"',
      shadow: true,
    },
    { name: 'ask', effect: 'approve', scopes: ['mcp:*'] },
    { name: 'mark', effect: 'flag' },
  ],
  demands: [
    { labels: ['pii'], approval: true },
    { scopes: ['mcp:*'], maxDepth: 2, maxLinkTtlSeconds: 600, sameDomain: true },
  ],
  delegation: {
    otherwise: 'deny',
    rules: [
      { name: 'down', effect: 'allow', fromTypes: ['planning'], to: [PLANNING], toDomains: ['company.com'] },
      { name: 'across', effect: 'deny', crossing: true },
    ],
  },
  content: [
    CONTENT,
    { ...CONTENT, name: 'size', action: 'deny', maxBytes: 1024, patterns: { key: 'AKIA[A-Z]+' } },
  ],
  decisionPoints: [{ point: 'opa', path: 'hopgate/authz/allow', routes: ['plain'] }],
};

const given = (value: unknown): JsonObject => JSON.parse(JSON.stringify(value)) as JsonObject;
const refusal = (value: unknown): string => {
  const read = readPolicy(given(value));
  return read.ok ? 'ok' : `${read.reason}: ${read.detail}`;
};
const withRoute = (...routes: object[]) => refusal({ ...LEAST, routes });
const withRule = (rule: object) => refusal({ ...FULL, rules: [{ name: 'one', effect: 'deny', ...rule }] });
const withDemand = (demand: object) => refusal({ ...FULL, demands: [demand] });
const withEdge = (rule: object) =>
  refusal({
    ...LEAST,
    delegation: { otherwise: 'allow', rules: [{ name: 'one', effect: 'deny', ...rule }] },
  });
const withContent = (change: object) => refusal({ ...FULL, content: [{ ...CONTENT, ...change }] });
const withPoint = (change: object) =>
  refusal({ ...FULL, decisionPoints: [{ point: 'opa', path: 'a/b', ...change }] });

describe('a policy with every member', () => {
  test('is read as it is', () => {
    expect(permitted(readPolicy(given(FULL)))).toEqual(FULL);
  });

  test('has what is left out as undefined', () => {
    const { routes, rules, demands, content, decisionPoints, delegation } = permitted(
      readPolicy(given(FULL)),
    );
    expect(Object.keys(routes[2] ?? {})).toContain('operations');
    expect(Object.keys(routes[0]?.operations?.[1] ?? {})).toContain('names');
    expect(Object.keys(rules[3] ?? {})).toContain('when');
    expect(Object.keys(demands[0] ?? {})).toContain('scopes');
    expect(Object.keys(content?.[0] ?? {})).toContain('routes');
    expect(Object.keys(decisionPoints?.[0] ?? {})).toContain('callees');
    expect(Object.keys(delegation?.rules[0] ?? {})).toContain('from');
  });

  test('without the new members has none of them, not even undefined', () => {
    const read = permitted(readPolicy(given(LEAST)));
    for (const member of ['delegation', 'content', 'decisionPoints']) expect(read).not.toHaveProperty(member);
  });

  test.each([
    'routes.0',
    'routes.0.operations.0',
    'routes.0.tools',
    'routes.0.labels',
    'rules.0',
    'demands.0',
    'delegation',
    'delegation.rules.0',
    'content.0',
    'decisionPoints.0',
  ])('%s is a closed object', (path) => {
    const policy = given(FULL);
    const inner = path
      .split('.')
      .reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], policy);
    Object.assign(inner as object, { enforcement: 'observe' });
    expect(refusal(policy)).toMatch(/^policy_invalid: .* has a member that is not listed/);
  });
});

describe('room', () => {
  const rules = (count: number) =>
    Array.from({ length: count }, (_, at) => ({
      name: `r${at}`,
      effect: 'allow',
      when: `chain.depth < ${at % 9}`,
    }));
  const routes = (count: number) => Array.from({ length: count }, (_, at) => ({ ...PLAIN, name: `r${at}` }));

  test.each([
    ['16,384 rules', { rules: rules(16_384) }, 'ok'],
    ['one more', { rules: rules(16_385) }, 'policy_invalid: rules of the policy has no valid value'],
    ['16,384 routes', { routes: routes(16_384) }, 'ok'],
    ['one more', { routes: routes(16_385) }, 'policy_invalid: routes of the policy has no valid value'],
  ])('%s', (_, change, outcome) => {
    expect(refusal({ ...LEAST, ...change })).toBe(outcome);
  });
});

describe('what has not its form', () => {
  test.each<[string, string]>([
    ['a protocol that there is not', withRoute({ ...MCP, protocol: 'grpc' })],
    ['an operation that is none', withRoute({ ...MCP, operations: ['tools/call'] })],
    ['an operation without scopes', withRoute({ ...MCP, operations: [{ methods: ['tools/call'] }] })],
    ['no methods', withRoute({ ...MCP, operations: [{ methods: [], scopes: ['a:b'] }] })],
    ['no server requests', withRoute({ ...MCP, serverRequests: [] })],
    ['a digest that is none', withRoute({ ...MCP, tools: { ...MCP.tools, approved: { a: 'sha256:1' } } })],
    ['changed tools that are allowed', withRoute({ ...MCP, tools: { ...MCP.tools, changed: 'allow' } })],
    ['tools without a word on others', withRoute({ ...MCP, tools: { ...MCP.tools, unlisted: undefined } })],
    ['a message larger than any', withRoute({ ...MCP, maxMessageBytes: 16_777_217 })],
    ['a message of nothing', withRoute({ ...MCP, maxMessageBytes: 0 })],
    ['a label in upper case', withRoute({ ...PLAIN, labels: { request: ['PII'], response: [] } })],
    [
      'a label of 33 characters',
      withRoute({ ...PLAIN, labels: { request: ['a'.repeat(33)], response: [] } }),
    ],
    ['labels of one side', withRoute({ ...PLAIN, labels: { request: ['pii'] } })],
    ['the same label twice', withRoute({ ...PLAIN, labels: { request: ['pii', 'pii'], response: [] } })],
    ['an end that is a date', withRoute({ ...PLAIN, observeUntil: '2026-12-31T00:00:00Z' })],
    ['an end before all time', withRoute({ ...PLAIN, observeUntil: 0 })],
    ['an effect that there is not', withRule({ effect: 'audit' })],
    ['a condition that is no text', withRule({ when: true })],
    ['an empty condition', withRule({ when: '' })],
    ['a condition of 4097 characters', withRule({ when: `true${' '.repeat(4093)}` })],
    ['shadow as false', withRule({ shadow: false })],
    ['a depth of nine', withDemand({ scopes: ['a:b'], maxDepth: 9 })],
    ['links of no life', withDemand({ scopes: ['a:b'], maxLinkTtlSeconds: 0 })],
    ['sameDomain as false', withDemand({ scopes: ['a:b'], sameDomain: false })],
    ['no labels', withDemand({ labels: [], approval: true })],
    ['delegation as a list', refusal({ ...LEAST, delegation: [] })],
    ['delegation without a word on the rest', refusal({ ...LEAST, delegation: { rules: [] } })],
    ['a delegation that is flagged', withEdge({ effect: 'flag' })],
    ['a trust domain that is none', withEdge({ fromDomains: ['Company.com'] })],
    ['crossing as false', withEdge({ crossing: false })],
    ['no directions', withContent({ directions: [] })],
    ['a third direction', withContent({ directions: ['both'] })],
    ['patterns as a list', withContent({ patterns: ['a'] })],
    ['no pattern', withContent({ patterns: {} })],
    ['an action that there is not', withContent({ action: 'allow' })],
    ['nothing to hold', withContent({ holdBytes: 0 })],
    ['more than can be held', withContent({ holdBytes: 16_777_217 })],
    ['a point by its URL', withPoint({ point: 'https://opa' })],
    ['a path that leaves the data', withPoint({ path: '../v1/policies' })],
    ['a path with a query', withPoint({ path: 'a/b?pretty' })],
  ])('%s', (_, outcome) => {
    expect(outcome).toMatch(/^policy_invalid: /);
  });
});

describe('what could not mean what it says', () => {
  test.each<[string, string, string]>([
    [
      'operations without a protocol',
      withRoute({ ...PLAIN, operations: MCP.operations }),
      'route plain, operations: without a protocol',
    ],
    [
      'operations of http',
      withRoute({ ...PLAIN, protocol: 'http', operations: MCP.operations }),
      'without a protocol',
    ],
    [
      'a server without a protocol',
      withRoute({ ...PLAIN, server: 'files' }),
      'route plain, server: without a protocol',
    ],
    [
      'a message limit without a protocol',
      withRoute({ ...PLAIN, maxMessageBytes: 1 }),
      'maxMessageBytes: without a protocol',
    ],
    [
      'a protocol without operations',
      withRoute({ ...PLAIN, protocol: 'mcp' }),
      'route plain, protocol: mcp without operations',
    ],
    [
      'a protocol with none',
      withRoute({ ...PLAIN, protocol: 'mcp', operations: [] }),
      'mcp without operations',
    ],
    [
      'tools of A2A',
      withRoute({ ...A2A, tools: MCP.tools }),
      'route skills, tools: is for protocol mcp alone',
    ],
    [
      'server requests of A2A',
      withRoute({ ...A2A, serverRequests: ['x'] }),
      'serverRequests: is for protocol mcp alone',
    ],
    [
      'a skill member of MCP',
      withRoute({ ...MCP, skillMember: 'skill' }),
      'skillMember: is for protocols a2a',
    ],
    ['a server of two segments', withRoute({ ...MCP, server: 'a:b' }), 'server: is not one scope segment'],
    ['no scope at all', withRoute({ ...PLAIN, scopes: [] }), 'route plain, scopes: names no scope'],
    [
      'an operation that requires nothing',
      withRoute({ ...MCP, operations: [{ methods: ['ping'], scopes: [] }] }),
      'route tools, operations 1: requires no scope',
    ],
    [
      'an operation behind one that takes all',
      withRoute({ ...MCP, operations: [{ scopes: ['a:b'] }, { methods: ['tools/call'], scopes: ['a:c'] }] }),
      'operations 1: takes every operation',
    ],
    [
      'a name of A2A 0.3',
      withRoute({ ...A2A, operations: [{ methods: ['message/send'], scopes: ['a:b'] }] }),
      'operations 1 methods 1: "message/send" is its name in version 0.3; whatever version comes in, it is "SendMessage" here',
    ],
    [
      'a template of another protocol',
      withRoute({ ...A2A, operations: [{ scopes: ['a2a:{tool}'] }] }),
      'operations 1 scopes 1: scope "a2a:{tool}" uses {tool}',
    ],
    [
      'a star inside a name',
      withRoute({ ...MCP, operations: [{ names: ['re*d'], scopes: ['a:b'] }] }),
      'operations 1 names 1: "re*d" is no name',
    ],
    [
      'any server request',
      withRoute({ ...MCP, serverRequests: ['sampling/*'] }),
      'serverRequests 1: "sampling/*" is no method',
    ],
    [
      'tools that say nothing',
      withRoute({ ...MCP, tools: { filter: false, approved: {}, changed: 'deny', unlisted: 'allow' } }),
      'route tools, tools: says nothing',
    ],
    [
      'labels that name none',
      withRoute({ ...PLAIN, labels: { request: [], response: [] } }),
      'labels: names no label',
    ],
    ['two routes of one name', withRoute(PLAIN, PLAIN), 'route plain, name: route "plain" is defined twice'],
    ['a condition that does not parse', withRule({ when: 'caller.score >' }), 'rule one, when, character '],
    [
      'an attribute that there is not',
      withRule({ when: 'true && caller.rank > 3' }),
      'rule one, when, character ',
    ],
    [
      'a condition that is no bool',
      withRule({ when: 'caller.score' }),
      'rule one, when, character 1: is of type int; a condition is bool',
    ],
    [
      'a condition on tools where no tool is called',
      withRule({ routes: ['plain', 'skills'], when: 'mcp.tool == "x"' }),
      'rule one, when: reads mcp.tool, which there is only on routes with protocol mcp',
    ],
    [
      'a condition on skills where none is named',
      withRule({ routes: ['plain', 'tools'], when: 'a2a.skill == "x"' }),
      'reads a2a.skill, which there is only on routes with protocol a2a or a2a-rest',
    ],
    [
      'a route that is not there',
      withRule({ routes: ['plian'] }),
      'rule one, routes 1: no route has the name "plian"',
    ],
    [
      'a flag in the shadow',
      withRule({ effect: 'flag', shadow: true }),
      'rule one, shadow: a flag decides nothing anyway',
    ],
    ['a demand for no request', withDemand({ approval: true }), 'demand 1: is for no request'],
    ['a demand that demands nothing', withDemand({ labels: ['pii'] }), 'demand 1: demands nothing'],
    [
      'a label that no route gives',
      withDemand({ labels: ['pci'], approval: true }),
      'demand 1, labels 1: no route gives data the label "pci"',
    ],
    [
      'a domain that crosses into itself',
      withEdge({ crossing: true, fromDomains: ['a.b'], toDomains: ['a.b'] }),
      'delegation rule one, crossing: ',
    ],
    [
      'two delegation rules of one name',
      refusal({
        ...FULL,
        delegation: { otherwise: 'deny', rules: [FULL.delegation.rules[0], FULL.delegation.rules[0]] },
      }),
      'delegation rule down, name: rule "down" is defined twice',
    ],
    ['content that looks for nothing', withContent({ detectors: undefined }), 'content rule injection: '],
    [
      'content on a route that is not there',
      withContent({ routes: ['x'] }),
      'content rule injection, routes 1: no route has the name "x"',
    ],
    [
      'content that is flagged in the shadow',
      withContent({ action: 'flag', mode: 'stream', shadow: true }),
      'content rule injection, shadow: ',
    ],
    [
      'two content rules of one name',
      refusal({ ...FULL, content: [CONTENT, CONTENT] }),
      'content rule injection, name: ',
    ],
    [
      'a decision on a route that is not there',
      withPoint({ routes: ['x'] }),
      'decision point 1, routes 1: no route has the name "x"',
    ],
  ])('%s', (_, outcome, words) => {
    expect(outcome).toMatch(/^policy_invalid: /);
    expect(outcome).toContain(words);
  });

  test('a condition on tools holds where one of the rule’s routes has them, and where it names none', () => {
    expect(withRule({ routes: ['plain', 'tools'], when: 'mcp.tool == "x"' })).toBe('ok');
    expect(withRule({ when: 'mcp.tool == "x"' })).toBe('ok');
    expect(withRule({ routes: ['plain'], when: 'mcp.server == ""' })).toBe('ok');
  });
});
