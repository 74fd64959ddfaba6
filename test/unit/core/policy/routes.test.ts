import { describe, expect, test } from 'vitest';
import type { RouteRule } from '../../../../src/core/policy/model.ts';
import { routeFault } from '../../../../src/core/policy/route-faults.ts';
import { RouteTable } from '../../../../src/core/policy/routes.ts';
import type { IdPattern } from '../../../../src/core/spiffe-id.ts';
import { reasonOf, testAgent } from '../../../testkit/core-world.ts';

const inventory = testAgent('inventory');
const route = (name: string, path: string, changes: Partial<RouteRule> = {}): RouteRule => ({
  name,
  path,
  callees: undefined,
  methods: undefined,
  scopes: ['cloud:read'],
  ...changes,
});
const find = (routes: readonly RouteRule[], path: string, method = 'GET') => {
  const verdict = new RouteTable(routes).match(inventory.id, method, path);
  return verdict.ok ? verdict.value : reasonOf(verdict);
};
const named = (routes: readonly RouteRule[], path: string, method = 'GET') => {
  const found = find(routes, path, method);
  return typeof found === 'string' ? found : found.rule.name;
};

describe('the first route that matches wins', () => {
  test('whatever its first segment is: literal, template or open', () => {
    const routes = [
      route('one', '/a/{x}'),
      route('two', '/{any}/b'),
      route('three', '/a/b'),
      route('four', '/c/b'),
      route('five', '/*'),
      route('six', '/d'),
    ];
    expect(named(routes, '/a/b')).toBe('one');
    expect(named(routes, '/z/b')).toBe('two');
    expect(named(routes, '/c/b')).toBe('two');
    expect(named(routes, '/c/d')).toBe('five');
    expect(named(routes, '/d')).toBe('five');
    expect(named(routes.toReversed(), '/d')).toBe('six');
    expect(named(routes.toReversed(), '/a/b')).toBe('five');
  });

  test('every order of routes equals a walk through the list', () => {
    const all = [
      route('a', '/a'),
      route('b', '/{x}'),
      route('c', '/*'),
      route('d', '/b/{x}'),
      route('e', '/b/*'),
    ];
    const alone = (rule: RouteRule, path: string) => typeof find([rule], path) !== 'string';
    const orders = (rest: readonly RouteRule[]): RouteRule[][] =>
      rest.length === 0
        ? [[]]
        : rest.flatMap((one) => orders(rest.filter((other) => other !== one)).map((tail) => [one, ...tail]));
    for (const order of orders(all))
      for (const path of ['/', '/a', '/b', '/b/', '/b/c', '/b/c/d', '/z/z']) {
        const found = order.find((rule) => alone(rule, path));
        // Of `/b/` and `/b`, for which another may come first.
        const loose = path === '/' ? found : order.find((rule) => alone(rule, path.replace(/\/$/, '')));
        const isOthers = loose !== undefined && order.indexOf(loose) < order.indexOf(found as RouteRule);
        expect(named(order, path)).toBe(isOthers ? 'route_unmatched' : (found?.name ?? 'route_unmatched'));
      }
  });

  test('no route, no request', () => {
    expect(named([], '/a')).toBe('route_unmatched');
    expect(named([route('a', '/a')], '/a/')).toBe('route_unmatched');
    expect(named([route('a', '/a/')], '/a')).toBe('route_unmatched');
    expect(named([route('a', '/a')], '/A')).toBe('route_unmatched');
    expect(named([route('a', '/a')], '/ab')).toBe('route_unmatched');
  });
});

describe('selectors', () => {
  test('method and callee both narrow, and fall through to the next route', () => {
    const routes = [
      route('write', '/a', { methods: ['POST', 'PUT'] }),
      route('others', '/a', { callees: ['spiffe://company.com/agent/security/*' as IdPattern] }),
      route('ours', '/a', { callees: [inventory.id as unknown as IdPattern], methods: ['GET'] }),
    ];
    expect(named(routes, '/a', 'PUT')).toBe('write');
    expect(named(routes, '/a', 'GET')).toBe('ours');
    expect(named(routes, '/a', 'get')).toBe('route_unmatched');
    expect(named(routes, '/a', 'DELETE')).toBe('route_unmatched');
  });
});

describe('templates', () => {
  const ec2 = [route('ec2', '/ec2/{action}', { scopes: ['ec2:{action}', 'cloud:read'] })];
  test('fill the scopes that a request needs', () => {
    expect(find(ec2, '/ec2/DescribeInstances')).toMatchObject({
      rule: { name: 'ec2' },
      required: ['ec2:DescribeInstances', 'cloud:read'],
    });
    expect(find([route('two', '/{a}/{b}', { scopes: ['{b}:{a}'] })], '/x/y')).toMatchObject({
      rule: { name: 'two' },
      required: ['y:x'],
    });
  });

  test('hold exactly one scope segment, and can’t smuggle another or a wildcard', () => {
    for (const value of ['a:b', '*', 'Describe*', 'a%20b', 'a,b', '$&', '{action}'])
      expect(find(ec2, `/ec2/${value}`)).toBe('route_value');
    expect(find(ec2, '/ec2/')).toBe('route_unmatched');
    expect(find(ec2, '/ec2/a/b')).toBe('route_unmatched');
    expect(find(ec2, `/ec2/${'a'.repeat(300)}`)).toBe('route_value');
  });

  test('a value that fits no scope denies even where the scope does not use it', () => {
    expect(find([route('any', '/x/{id}')], '/x/a:b')).toBe('route_value');
  });
});

describe('open routes', () => {
  test('take what lies below, and not the path itself', () => {
    const open = [route('open', '/reports/*')];
    expect(named(open, '/reports/a')).toBe('open');
    expect(named(open, '/reports/a/b/c')).toBe('open');
    expect(named(open, '/reports')).toBe('route_unmatched');
    expect(named(open, '/reportsx/a')).toBe('route_unmatched');
  });
});

describe('a route without scopes', () => {
  test('permits nothing', () =>
    expect(find([route('none', '/a', { scopes: [] })], '/a')).toBe('route_value'));
});

describe('faults of a route are told', () => {
  test.each([
    ['a', {}, 'path starts'],
    ['/{a}/{a}', {}, 'twice'],
    ['/{a}', { scopes: ['x:{b}'] }, 'does not have'],
    ['/a', { scopes: ['x:*'] }, 'not a literal'],
    ['/a', { scopes: ['x y'] }, 'not a literal'],
  ])('%s %o', (path, changes, words) => expect(routeFault(route('r', path, changes))).toContain(words));

  test('a good one has none', () =>
    expect(routeFault(route('r', '/a/{b}/*', { scopes: ['x:{b}'] }))).toBeUndefined());
});

describe('attacks: a path that the agent’s server takes for another', () => {
  const routes = [
    route('mcp', '/mcp', { protocol: 'mcp', operations: [] }),
    route('users', '/users/{id}/Keys'),
    route('rest', '/*'),
  ];

  test.each(['/MCP', '/Mcp', '/mcp/', '/MCP/', '/users/1/keys', '/USERS/1/Keys', '/users/1/Keys/'])(
    '%s is not let through by a wide route behind its own',
    (path) => {
      expect(named(routes, path)).toBe('route_unmatched');
    },
  );

  test.each(['/mcp/x', '/MCP/x', '/Reports', '/reports/', '/users/1/Keys/2'])(
    '%s is none of them',
    (path) => {
      expect(named(routes, path)).toBe('rest');
    },
  );

  test('a route for the very path says what it is, and so does one before', () => {
    expect(named([...routes.slice(0, 1), route('other', '/MCP'), ...routes.slice(2)], '/MCP')).toBe('other');
    expect(named([route('all', '/*'), ...routes], '/MCP')).toBe('all');
  });

  test('of another callee or method there is nothing to be taken for', () => {
    const posted = [route('mcp', '/mcp', { methods: ['POST'] }), route('rest', '/*')];
    expect(named(posted, '/MCP', 'GET')).toBe('rest');
    expect(named(posted, '/MCP', 'POST')).toBe('route_unmatched');
  });
});
