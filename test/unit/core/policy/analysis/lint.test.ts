/** What is odd about a policy is found, and what is sensible is not. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { POLICY } from '../../../../../src/cli/demo/story.ts';
import { parsePlacedPolicy, parsePolicy } from '../../../../../src/config/policy.ts';
import { lintPolicy } from '../../../../../src/core/policy/analysis/lint.ts';

const NOW = 1_800_000_000;
const HEAD = 'apiVersion: hopgate.dev/v1\nkind: Policy\nrevision: r1\n';

/** `severity code field`, in the order of the text. */
const found = (text: string): string[] => {
  const placed = parsePlacedPolicy(HEAD + text, 'p.yaml');
  return lintPolicy(placed.policy, NOW)
    .map(({ code, severity, path: at, message }) => ({ code, severity, ...placed.place(at, message) }))
    .sort((a, b) => a.line - b.line)
    .map(({ code, severity, field }) => `${severity} ${code} ${field}`);
};

const READ = 'routes:\n  - {name: read, path: "/items/{id}", scopes: [cloud:read]}\n';
const ANY = '  - {name: any, effect: allow, scopes: [cloud:read]}\n';
const agent = (type: string): string => `spiffe://a.b/agent/${type}/*`;

test('a sensible policy has no finding', () => {
  expect(found(`${READ}rules:\n${ANY}`)).toEqual([]);
});

const ROOT = fileURLToPath(new URL('../../../../..', import.meta.url));
const examples = globSync('config/**/*.yaml', { cwd: ROOT })
  .map((file) => [file, readFileSync(path.join(ROOT, file), 'utf8')] as const)
  .filter(([, text]) => /^kind: Policy$/m.test(text));

test.each(examples)('%s has no fault, and no warning but of what it shows', (file, text) => {
  const shown = new Set(['route_observed', 'label_unread']);
  const findings = lintPolicy(parsePolicy(text, file), NOW);
  expect(findings.filter(({ code }) => !shown.has(code))).toEqual([]);
});

test('nor has the policy of the demo', () => {
  expect(lintPolicy(parsePolicy(stringify(POLICY), 'p.yaml'), NOW)).toEqual([]);
});

describe('routes', () => {
  const routes = (...lines: string[]): string =>
    `routes:\n${lines.map((line) => `  - {${line}, scopes: [cloud:read]}\n`).join('')}rules:\n${ANY}`;

  test.each([
    ['the same path', ['name: a, path: /x', 'name: b, path: /x']],
    ['a template before a literal', ['name: a, path: "/x/{id}"', 'name: b, path: /x/y']],
    ['a template before a template', ['name: a, path: "/{x}/{id}"', 'name: b, path: "/x/{id}"']],
    ['everything below before a path', ['name: a, path: "/x/*"', 'name: b, path: "/x/y/{z}"']],
    ['everything below before less', ['name: a, path: "/x/*"', 'name: b, path: "/x/*"']],
    ['all methods before one', ['name: a, path: /x', 'name: b, path: /x, methods: [GET]']],
    [
      'a type before an agent of it',
      [
        `name: a, path: /x, callees: ["${agent('c')}"]`,
        `name: b, path: /x, callees: [spiffe://a.b/agent/c/1]`,
      ],
    ],
  ])('%s is never reached', (_, lines) => {
    expect(found(routes(...lines))).toEqual(['fault route_unreachable routes[1]']);
  });

  test('two that together take all of a third', () => {
    const text = routes(
      'name: a, path: "/x/{id}", methods: [GET]',
      'name: b, path: "/x/*", methods: [POST]',
      'name: c, path: "/x/{id}", methods: [GET, POST]',
    );
    expect(found(text)).toEqual(['fault route_unreachable routes[2]']);
  });

  test.each([
    ['a literal before a template', ['name: a, path: /x/y', 'name: b, path: "/x/{id}"']],
    ['a template, and a path that ends in a slash', ['name: a, path: "/x/{id}"', 'name: b, path: /x/']],
    ['one segment, and everything below', ['name: a, path: "/x/{id}"', 'name: b, path: "/x/*"']],
    ['what is below, and the path itself', ['name: a, path: "/x/*"', 'name: b, path: /x']],
    ['one method, and all', ['name: a, path: /x, methods: [GET]', 'name: b, path: /x']],
    [
      'an agent, and its type',
      [
        `name: a, path: /x, callees: [spiffe://a.b/agent/c/1]`,
        `name: b, path: /x, callees: ["${agent('c')}"]`,
      ],
    ],
    ['one callee, and whoever', [`name: a, path: /x, callees: ["${agent('c')}"]`, 'name: b, path: /x']],
  ])('%s are both reached', (_, lines) => {
    expect(found(routes(...lines))).toEqual([]);
  });

  test('operations that earlier ones take', () => {
    const route = (...operations: string[]): string =>
      `routes:\n  - name: m\n    path: /mcp\n    protocol: mcp\n    scopes: [cloud:read]\n    operations:\n${operations.map((one) => `      - {${one}}\n`).join('')}rules:\n${ANY}`;
    expect(
      found(
        route(
          'methods: [tools/call], names: ["read_*"]',
          'methods: [tools/call], names: [read_invoice]',
          'methods: [tools/*]',
          'methods: [tools/list, tools/call]',
          'methods: [tools/*, ping]',
        ),
      ),
    ).toEqual([
      'fault operation_unreachable routes[0].operations[1]',
      'fault operation_unreachable routes[0].operations[3]',
    ]);
  });

  test('a route that is only observed, with its end', () => {
    const observed = (until: string): string =>
      `routes:\n  - name: a\n    path: /x\n    scopes: [cloud:read]\n    enforcement: observe\n    observeUntil: ${until}\nrules:\n${ANY}`;
    expect(found(observed('2030-01-01T00:00:00Z'))).toEqual([
      'warning route_observed routes[0].observeUntil',
    ]);
    const [finding] = lintPolicy(parsePolicy(HEAD + observed('2026-01-01T00:00:00Z'), 'p'), NOW);
    expect(finding?.message).toMatch(/^ended 2026-01-01T00:00:00Z: the route is enforced/);
  });
});

describe('what is never allowed', () => {
  test.each([
    [
      'no allow for its scope',
      '  - {name: a, effect: allow, scopes: [cloud:write]}\n',
      'no rule that allows',
    ],
    ['no allow at all', '  - {name: a, effect: deny, scopes: [cloud:read]}\n', 'no rule allows anything'],
    ['an allow in shadow', '  - {name: a, effect: allow, shadow: true}\n', 'no rule allows anything'],
  ])('%s', (_, rules, why) => {
    const policy = parsePolicy(`${HEAD}${READ}rules:\n${rules}`, 'p');
    const never = lintPolicy(policy, NOW).filter(({ code }) => code === 'never_allowed');
    expect(never).toMatchObject([{ severity: 'fault', path: ['routes', 0] }]);
    expect(never[0]?.message).toContain(why);
  });

  test('of operations it is said which', () => {
    const text =
      'routes:\n  - name: m\n    path: /mcp\n    protocol: mcp\n    server: crm\n    operations:\n' +
      '      - {methods: [initialize], scopes: [mcp:use]}\n' +
      '      - {methods: [tools/call], names: ["read_*"], scopes: ["mcp:{server}:{tool}"]}\n' +
      '      - {methods: [tools/call], names: [drop], scopes: ["mcp:{server}:{tool}"]}\n' +
      'rules:\n  - {name: a, effect: allow, scopes: [mcp:use, "mcp:crm:read_*"]}\n';
    expect(found(text.replace('[mcp:use, ', '[mcp:use, mcp:crm:drop, '))).toEqual([]);
    expect(found(text)).toEqual(['fault never_allowed routes[0].operations[2]']);
    // Who reads only what begins otherwise is never allowed either.
    expect(found(text.replace('mcp:crm:read_*', 'mcp:crm:write_*'))).toContain(
      'fault never_allowed routes[0].operations[1]',
    );
  });

  test('a callee that the allowlist leaves out', () => {
    const text = `lists: {allow: {agents: ["${agent('x')}"]}}\n${READ.replace('scopes', `callees: ["${agent('c')}"], scopes`)}rules:\n${ANY}`;
    expect(found(text)).toEqual(['fault never_allowed routes[0]']);
  });
});

describe('rules that can’t match', () => {
  test.each([
    ['callers of no such type', `callers: ["${agent('a')}"], callerTypes: [b]`],
    ['no route requires its scope', 'scopes: [cloud:write]'],
    ['no route for its callees', `callees: ["${agent('z')}"], scopes: [cloud:read]`],
    ['its routes are of other callees', `routes: [read], callees: ["${agent('z')}"]`],
    ['its callers are blocked', `callers: [spiffe://a.b/agent/gone/1]`],
    ['its principals are blocked', 'principals: ["mailto:x@a.b"]'],
    ['a condition that never holds', 'scopes: [cloud:read], when: "1 > 2"'],
  ])('%s', (_, selectors) => {
    const text =
      `lists: {block: {agents: [spiffe://a.b/agent/gone/1], principals: ["mailto:x@a.b"]}}\n` +
      `routes:\n  - {name: read, path: /x, callees: ["${agent('c')}"], scopes: [cloud:read]}\n` +
      `rules:\n${ANY}  - {name: one, effect: allow, ${selectors}}\n`;
    const dead = found(text).filter((one) => one.startsWith('fault'));
    expect(dead).toEqual([
      expect.stringMatching(/^fault (rule_dead rules\[1\]|condition_constant rules\[1\]\.when)$/),
    ]);
  });

  test('a deny may mean two agents of one chain', () => {
    const deny = `  - {name: one, effect: deny, callers: ["${agent('a')}"], callerTypes: [b]}\n`;
    expect(found(`${READ}rules:\n${ANY}${deny}`)).toEqual([]);
    expect(found(`${READ}rules:\n${ANY}${deny.replace('deny', 'allow')}`)).toEqual([
      'fault rule_dead rules[1]',
    ]);
  });

  test('templates may become what a rule covers', () => {
    const route = 'routes:\n  - {name: ec2, path: "/ec2/{action}", scopes: ["ec2:{action}"]}\n';
    const deny = (scope: string): string => `  - {name: no, effect: deny, scopes: ["${scope}"]}\n`;
    const all = '  - {name: all, effect: allow, scopes: ["ec2:*"]}\n';
    expect(found(`${route}rules:\n${all}${deny('ec2:Terminate*')}`)).toEqual([]);
    expect(found(`${route}rules:\n${all}${deny('ec2:a:b')}`)).toEqual(['fault rule_dead rules[1]']);
    expect(found(`${route}rules:\n${all}${deny('s3:Delete*')}`)).toEqual(['fault rule_dead rules[1]']);
  });
});

describe('rules that others make superfluous', () => {
  const planning = `callers: ["${agent('planning')}"]`;
  test.each([
    [
      'a wider one',
      `{name: one, effect: allow, ${planning}}`,
      '{name: all, effect: allow, scopes: [cloud:read]}',
      [],
    ],
    [
      'one without a condition',
      `{name: one, effect: allow, ${planning}, scopes: [cloud:read], when: chain.depth < 3}`,
      `{name: all, effect: allow, callerTypes: [planning]}`,
      ['warning rule_shadowed rules[0]'],
    ],
    [
      'an equal one: the later',
      `{name: one, effect: allow, ${planning}}`,
      `{name: two, effect: allow, ${planning}}`,
      ['warning rule_shadowed rules[1]'],
    ],
    [
      'a wider deny',
      `{name: one, effect: deny, ${planning}}`,
      '{name: all, effect: deny, callerTypes: [planning, x]}',
      ['warning rule_shadowed rules[0]'],
    ],
    [
      'one with a condition',
      `{name: one, effect: allow, ${planning}}`,
      '{name: all, effect: allow, when: chain.depth < 3}',
      [],
    ],
    [
      'one in shadow',
      `{name: one, effect: allow, ${planning}}`,
      `{name: all, effect: allow, ${planning}, shadow: true}`,
      [],
    ],
    [
      'one of another effect',
      `{name: one, effect: allow, ${planning}}`,
      `{name: all, effect: approve, ${planning}}`,
      [],
    ],
  ])('%s', (_, first, second, expected) => {
    const all = found(`${READ}rules:\n  - ${first}\n  - ${second}\n`);
    expect(all.filter((one) => !one.includes('never_allowed'))).toEqual(expected);
  });

  test('a deny that hides an allow wholly', () => {
    const rules = (deny: string): string =>
      `${READ}rules:\n${ANY}  - {name: one, effect: allow, ${planning}, when: chain.depth < 9}\n  - {name: no, effect: deny, ${deny}}\n`;
    expect(found(rules(planning))).toContain('warning allow_hidden rules[1]');
    expect(found(rules(`${planning}, scopes: ["cloud:read*"]`))).toContain('warning allow_hidden rules[1]');
    expect(found(rules(`${planning}, when: chain.depth > 3`))).not.toContain('warning allow_hidden rules[1]');
    expect(found(rules(`${planning}, shadow: true`))).not.toContain('warning allow_hidden rules[1]');
    expect(found(rules('callers: [spiffe://a.b/agent/planning/1]'))).not.toContain(
      'warning allow_hidden rules[1]',
    );
  });
});

describe('what says more than it seems to', () => {
  test('a rule without any selector', () => {
    expect(found(`${READ}rules:\n  - {name: one, effect: allow}\n`)).toEqual([
      'warning rule_unselective rules[0]',
    ]);
    expect(found(`${READ}rules:\n  - {name: one, effect: allow, when: chain.depth < 3}\n`)).toEqual([]);
  });

  test('a condition that always holds', () => {
    const text = `${READ}rules:\n  - {name: one, effect: allow, scopes: [cloud:read], when: "true"}\n`;
    expect(found(text)).toEqual(['warning condition_constant rules[0].when']);
  });

  const two =
    'routes:\n  - {name: a, path: /a, scopes: [cloud:read]}\n  - {name: b, path: /b, scopes: [cloud:readwrite]}\n';
  test('a prefix that is another word as well', () => {
    const rules = (pattern: string): string =>
      `${two}rules:\n  - {name: one, effect: allow, scopes: ["${pattern}"]}\n`;
    expect(found(rules('cloud:read*'))).toEqual(['warning scope_prefix rules[0].scopes[0]']);
    expect(found(two.replace('readwrite', 'readWrite') + rules('cloud:read*').slice(two.length))).toEqual([]);
    expect(found(two.replace('readwrite', 'read-all') + rules('cloud:read*').slice(two.length))).toEqual([]);
  });

  test('everything below a name of which few scopes are known', () => {
    const rules = 'rules:\n  - {name: one, effect: allow, scopes: ["cloud:*"]}\n';
    expect(found(two + rules)).toEqual(['warning scope_open rules[0].scopes[0]']);
    const more = ['c', 'd'].map((name) => `  - {name: ${name}, path: /${name}, scopes: [cloud:${name}]}\n`);
    expect(found(two + more.join('') + rules)).toEqual([]);
    // What a path becomes nobody can list.
    expect(found(`routes:\n  - {name: a, path: "/{x}", scopes: ["cloud:{x}"]}\n${rules}`)).toEqual([]);
  });

  test('a pattern of a rule, and a scope set, that cover nothing', () => {
    const rules = 'rules:\n  - {name: one, effect: allow, scopes: [cloud:read, cloud:raed]}\n';
    expect(found(READ + rules)).toEqual(['warning scope_idle rules[0].scopes[1]']);
    expect(found(`scopeSets: {a:b: [cloud:raed], a:c: [a:b, cloud:read]}\n${READ}rules:\n${ANY}`)).toEqual([
      'warning set_idle scopeSets.a:b',
    ]);
  });
});

describe('parts that never have a say', () => {
  test('a demand for a scope that no route requires', () => {
    expect(found(`${READ}rules:\n${ANY}demands:\n  - {scopes: [pay:send], minScore: 3}\n`)).toEqual([
      'fault demand_idle demands[0]',
    ]);
  });

  test('labels that no rule and no demand asks for', () => {
    const text = (rest: string): string =>
      `routes:\n  - {name: a, path: /a, scopes: [cloud:read], labels: {request: [pii], response: [finance]}}\nrules:\n${ANY}${rest}`;
    expect(found(text(''))).toEqual([
      'warning label_unread routes[0].labels.request[0]',
      'warning label_unread routes[0].labels.response[0]',
    ]);
    const rule = (when: string): string => `  - {name: one, effect: deny, when: '${when}'}\n`;
    expect(found(text(rule('"pii" in data.labels')))).toEqual([
      'warning label_unread routes[0].labels.response[0]',
    ]);
    expect(found(text(rule('size(data.labels) > 2')))).toEqual([]);
    expect(found(text('demands:\n  - {labels: [pii, finance], minScore: 3}\n'))).toEqual([]);
  });

  test('delegation rules that add nothing, or can’t match', () => {
    const rules = (otherwise: string, ...lines: string[]): string =>
      `${READ}rules:\n${ANY}delegation:\n  otherwise: ${otherwise}\n  rules:\n${lines.map((line) => `    - {${line}}\n`).join('')}`;
    expect(found(rules('allow', 'name: a, effect: allow, fromTypes: [x]'))).toEqual([
      'warning delegation_idle delegation.rules[0]',
    ]);
    expect(found(rules('deny', 'name: a, effect: deny, fromTypes: [x]'))).toEqual([
      'warning delegation_idle delegation.rules[0]',
    ]);
    expect(found(rules('deny', 'name: a, effect: allow, fromTypes: [x]'))).toEqual([]);
    expect(found(rules('deny', `name: a, effect: allow, from: ["${agent('y')}"], fromTypes: [x]`))).toEqual([
      'fault rule_dead delegation.rules[0]',
    ]);
  });

  test('content rules and decision points of routes that are for others', () => {
    const route = `routes:\n  - {name: a, path: /a, callees: ["${agent('c')}"], scopes: [cloud:read]}\n`;
    const elsewhere = `routes: [a], callees: ["${agent('d')}"]`;
    const text = (selectors: string): string =>
      `${route}rules:\n${ANY}content:\n  - {name: x, directions: [request], detectors: [pii], action: deny, ${selectors}}\n` +
      `decisionPoints:\n  - {point: opa, path: a/b, ${selectors}}\n`;
    expect(found(text('routes: [a]'))).toEqual([]);
    expect(found(text(elsewhere))).toEqual([
      'fault content_idle content[0]',
      'fault point_idle decisionPoints[0]',
    ]);
  });

  test('ways in without a sidecar that nobody can go, or everybody', () => {
    const text = (entry: string): string =>
      `${READ}rules:\n${ANY}withoutSidecar:\n  - {name: batch, ${entry}}\n`;
    expect(found(text('callerTypes: [batch]'))).toEqual([]);
    expect(
      found(text('callers: ["spiffe://a.b/client/alice"], scopes: ["cloud:*"], routes: [read]')),
    ).toEqual([]);
    expect(found(text('callerTypes: [batch], scopes: ["ec2:*"]'))).toEqual([
      'fault without_sidecar_idle withoutSidecar[0]',
    ]);
    expect(found(text('callers: ["spiffe://a.b/agent/x/*"], callerTypes: [batch]'))).toEqual([
      'fault without_sidecar_idle withoutSidecar[0]',
    ]);
    expect(found(text('scopes: [cloud:read]'))).toEqual(['warning without_sidecar_wide withoutSidecar[0]']);
  });
});
