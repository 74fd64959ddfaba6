/** The document that decision points are asked with has each attribute of the environment, as JSON, or isn't made. */
import { expect, test } from 'vitest';
import { ENVIRONMENT } from '../../../../src/core/policy/environment.ts';
import { pointInput } from '../../../../src/core/policy/point-input.ts';
import { readableHeaders, valuesOf } from '../../../../src/core/policy/values.ts';
import { mintChain, NOW, permitted, testAgent, verifiedChain } from '../../../testkit/core-world.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const chain = verifiedChain(mintChain(planner), planner);

const values = (query = 'region=eu', headers: readonly string[] = ['Accept', '*/*']) =>
  valuesOf(
    {
      direction: 'inbound',
      callee: inventory.id,
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
      size: 42,
      labels: [],
      released: false,
    },
    { name: 'all', callees: undefined, methods: undefined, path: '/mcp', scopes: [] },
    ['pii'],
    [],
    undefined,
  );

test('has all that conditions can read', () => {
  const input = permitted(pointInput(values(), 42));
  expect(Object.keys(input).sort()).toEqual(['now', 'version', ...Object.keys(ENVIRONMENT)].sort());
  for (const [variable, members] of Object.entries(ENVIRONMENT)) {
    const made = input[variable] as Record<string, unknown>;
    expect(Object.keys(made)).toEqual(Object.keys(members));
    for (const member of Object.keys(members)) expect(made[member], `${variable}.${member}`).toBeDefined();
  }
  expect(input).toMatchObject({
    version: 'hopgate.dev/v1',
    now: NOW,
    caller: { id: planner.id, score: 512, attributes: { team: 'cloud' } },
    principal: { groups: ['ops'] },
    chain: { depth: chain.depth, age: NOW - chain.root.iat },
    request: { query: { region: 'eu' }, headers: { accept: '*/*' }, size: 42 },
    data: { labels: ['pii'] },
  });
});

test('is JSON, member for member', () => {
  const input = permitted(pointInput(values(), 42));
  expect(JSON.parse(JSON.stringify(input))).toEqual(input);
});

test.each([
  ['a query parameter that occurs twice', values('a=1&a=2'), 'request.query'],
  ['a query parameter that can’t be decoded', values('a=%FF'), 'request.query'],
  ['a header that occurs twice', values('', ['X-A', '1', 'x-a', '2']), 'request.headers'],
])('is not made of %s', (_what, given, at) => {
  expect(pointInput(given, 42)).toMatchObject({
    ok: false,
    reason: 'rule_error',
    detail: expect.stringContaining(at),
  });
});

test('is made without a size, which a body without an announced length has not', () => {
  expect(permitted(pointInput(values(), -1))).toMatchObject({ request: { size: -1 } });
});
