import { describe, expect, test } from 'vitest';
import { operation } from '../../../../src/core/message/operation.ts';
import { type Condition, compileCondition, isCondition } from '../../../../src/core/policy/condition.ts';
import { ENVIRONMENT, type Lasts } from '../../../../src/core/policy/environment.ts';
import type { RouteRule } from '../../../../src/core/policy/model.ts';
import { readableHeaders, valuesOf } from '../../../../src/core/policy/values.ts';
import { ALICE, mintChain, NOW, testAgent, verifiedChain } from '../../../testkit/core-world.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const chain = verifiedChain(mintChain(planner, [{ to: inventory }], { purpose: 'review' }), inventory);
const ROUTE: RouteRule = {
  name: 'tools',
  callees: undefined,
  methods: undefined,
  path: '/mcp',
  scopes: [],
  protocol: 'mcp',
  server: 'reports',
};

const valuesFor = ({
  query = 'a=1&b=x%20y',
  headers = ['X-Env', 'prod', 'Authorization', 'secret'],
  route = ROUTE,
  size = 42,
} = {}) =>
  valuesOf(
    {
      direction: 'inbound',
      callee: testAgent('security').id,
      method: 'POST',
      path: '/mcp',
      query,
      chain,
      registered: { agent: () => ({ team: 'cloud' }), groups: () => ['ops'] },
    },
    {
      nowSeconds: NOW,
      score: () => 512.7,
      headers: () => readableHeaders(headers),
      size,
      labels: [],
      released: false,
    },
    route,
    ['pii'],
    ['mcp:reports:get' as never],
    operation('request', 'tools/call', {
      tool: 'get',
      arguments: { path: '/x', n: 3, deep: { ok: true } } as never,
    }),
  );
const compiled = (text: string): Condition => {
  const made = compileCondition(text);
  if (!isCondition(made)) throw new Error(`${text}: ${made.message}`);
  return made;
};
const answerOf = (text: string, values = valuesFor()) => compiled(text).evaluate(values);

describe('what a condition reads', () => {
  /** A literal of the type that a member has, to compare it with. */
  const OF_TYPE: Readonly<Record<string, string>> = {
    string: '""',
    int: '-99',
    'list<string>': '["none"]',
    'map<string, string>': '{"none": "none"}',
    'map<string, dyn>': '{"none": dyn("none")}',
  };
  const members = Object.entries(ENVIRONMENT).flatMap(([variable, of]) =>
    Object.entries(of).map(([name, { type }]): [string, string] => [`${variable}.${name}`, type]),
  );

  test.each(members)('%s is there, and of its type', (name, type) => {
    expect(answerOf(`${name} != ${OF_TYPE[type]} || true`)).toBe(true);
    // Not by the grace of `||`, which takes an error for false where the other side is true.
    expect(answerOf(`${name} == ${OF_TYPE[type]} ? true : true`)).toBe(true);
  });

  test.each([
    ['caller.type == "inventory" && callee.type == "security"', true],
    ['caller.domain == callee.domain', true],
    ['caller.attributes.team == "cloud"', true],
    ['caller.score == 512', true],
    [`principal.id == "${ALICE}" && "ops" in principal.groups && principal.issuer == ""`, true],
    ['chain.depth == 2 && chain.types == ["planner", "inventory"]', true],
    ['chain.age >= 0 && chain.remaining > 0', true],
    ['chain.purpose == "review"', true],
    ['request.query.b == "x y"', true],
    ['request.headers["x-env"] == "prod"', true],
    ['"authorization" in request.headers', false],
    ['request.size == 42', true],
    ['mcp.server == "reports" && mcp.tool == "get" && mcp.arguments.n > 2', true],
    ['mcp.arguments.deep.ok', true],
    ['a2a.method == ""', true],
    ['"pii" in data.labels', true],
    ['now < timestamp("2100-01-01T00:00:00Z")', true],
    ['caller.id.matches("^spiffe://[a-z.]+/agent/inventory/")', true],
  ] as const)('%s', (text, value) => {
    expect(answerOf(text)).toBe(value);
  });

  test.each<[string, Lasts]>([
    ['caller.type == "x"', 'standing'],
    ['request.query.a == "1"', 'standing'],
    ['caller.score > 3', 'request'],
    ['now > timestamp("2020-01-01T00:00:00Z")', 'request'],
    ['"pii" in data.labels', 'request'],
    ['has(mcp.arguments.path)', 'operation'],
    ['caller.type == "x" && caller.score > 3', 'request'],
    ['mcp.arguments.exists(k, k == caller.type)', 'operation'],
  ])('%s lasts as long as %s', (text, lasts) => {
    expect(compiled(text).lasts).toBe(lasts);
  });
});

describe('what has no value', () => {
  test.each([
    'mcp.arguments.nothing == 1',
    'caller.attributes.nothing == "x"',
    '1 / (chain.depth - 2) == 1',
    'mcp.arguments.path > 3',
    'mcp.arguments.path',
    'mcp.arguments.deep',
    'mcp.arguments.constructor == 1',
    'request.headers.nothing == "x"',
  ])('%s', (text) => {
    expect(answerOf(text)).toBeUndefined();
  });

  test('a query parameter or a header that occurs twice, or that can’t be decoded', () => {
    expect(answerOf('request.query.a == "1"', valuesFor({ query: 'a=1&a=2' }))).toBeUndefined();
    expect(answerOf('request.query.a == "1"', valuesFor({ query: 'a=%ff' }))).toBeUndefined();
    const twice = valuesFor({ headers: ['x-env', 'a', 'X-ENV', 'b'] });
    expect(answerOf('request.headers["x-env"] == "a"', twice)).toBeUndefined();
    const spelt = valuesFor({ headers: ['x-env', 'a', 'X_Env', 'b'] });
    expect(answerOf('request.headers["x-env"] == "a"', spelt)).toBeUndefined();
    expect(answerOf('has(request.headers.x)', valuesFor({ headers: ['X_Env', 'b'] }))).toBeUndefined();
  });

  test('a size that nobody knows: neither "not too large" nor "not small enough" is true of it', () => {
    for (const text of ['request.size > 1048576', 'request.size <= 1048576', 'request.size == -1'])
      expect(answerOf(text, valuesFor({ size: -1 }))).toBeUndefined();
    expect(answerOf('request.size == 0', valuesFor({ size: 0 }))).toBe(true);
  });

  test('a text that would keep its pattern busy', () => {
    const pattern = '^(?:(?:a|b){1,100}c?){1,10}$';
    const long = valuesFor({ query: `a=${'ab'.repeat(500_000)}` });
    expect(answerOf(`request.query.a.matches("${pattern}")`, long)).toBeUndefined();
    expect(answerOf('request.query.a.matches("^[ab]+$")', long)).toBe(true);
  });
});

describe('what is no condition', () => {
  test.each([
    ['caller.typ == "x"', 7],
    ['caller.type == 1', 0],
    ['caller.type ==', 14],
    ['caller.score', 0],
    ['nobody.type == "x"', 0],
    ['caller.id.matches("a(?=b)")', 18],
    ['caller.id.matches(callee.id)', 0],
    ['data.labels.exists(caller, caller == "x")', 19],
    ['cel.bind(now, 1, now == 1)', 9],
    ['mcp.arguments.a.exists(x, mcp.arguments.a.exists(y, x == y))', 0],
    ['request.query.exists(x, request.query.exists(y, x == y))', 0],
    ['mcp.arguments.a.all(x, x in mcp.arguments.b)', 0],
    ['mcp.arguments.a.all(x, mcp.arguments == {})', 0],
    ['request.headers.exists(x, chain.agents.exists(y, x == y))', 0],
    [`${'('.repeat(100)}true${')'.repeat(100)}`, undefined],
    [`caller.type == "${'x'.repeat(5000)}"`, 0],
  ])('%s', (text, offset) => {
    const made = compileCondition(text);
    expect(isCondition(made)).toBe(false);
    if (!isCondition(made) && offset !== undefined) expect(made.offset).toBe(offset);
  });

  test('a pattern that would take a backtracking engine for ever takes none here', () => {
    const slow = valuesFor({ query: `a=${'a'.repeat(50_000)}!` });
    expect(answerOf('request.query.a.matches("^(a+)+$")', slow)).toBe(false);
  });
});
