/** What is wrong in a policy is said with its line, column and field: what no schema sees as well. */
import { describe, expect, test } from 'vitest';
import { longer, policyFaults, policyText } from '../../testkit/config-faults.ts';

const ROUTE = 'routes:\n  - name: read\n    path: /items/{id}\n    scopes: [cloud:read]\n';
const withRoute = (path: string, scopes = '[cloud:read]'): string =>
  policyText(`routes:\n  - name: read\n    path: "${path}"\n    scopes: ${scopes}\nrules: []\n`);
const withRule = (lines: string, before = ROUTE): string =>
  policyText(`${before}rules:\n  - name: one\n    effect: allow\n${lines}`);
const pathFault = (text: string): string => `6:5: routes[0].path: ${text}`;

describe('what no sidecar would read out of a bundle is refused where it is written', () => {
  test.each([
    [
      'an agent twice on a list',
      'lists: {block: {agents: ["spiffe://a.b/agent/c/1", "spiffe://a.b/agent/c/1"]}}\n',
    ],
    ['a member of a scope set twice', 'scopeSets: {review: [cloud:read, cloud:read]}\n'],
    [
      'scope sets nested too deep',
      `scopeSets:\n${Array.from({ length: 65 }, (_, at) => `  "s:${at}": ["${at === 64 ? 'a:b' : `s:${at + 1}`}"]\n`).join('')}`,
    ],
    [
      'more principals than a bundle may block',
      `lists: {block: {principals: [${Array.from({ length: 10_001 }, (_, at) => `"a:${at}"`).join()}]}}\n`,
    ],
  ])('%s', (_, lines) => {
    expect(policyFaults(policyText(`routes: []\nrules: []\n${lines}`))).not.toEqual([]);
  });
});

describe('a policy', () => {
  test('that is right has no fault', () => {
    expect(policyFaults(policyText())).toEqual([]);
    expect(policyFaults(withRule('    routes: [read]\n'))).toEqual([]);
  });

  test.each<[string, string, string[]]>([
    ['no revision', policyText().replace('revision: r1\n', ''), ['1:1: revision: is missing']],
    [
      'a revision that YAML reads as a number',
      policyText().replace('r1', '1'),
      ['3:1: revision: must be text: put it in quotes'],
    ],
    ['no routes', policyText('rules: []\n'), ['1:1: routes: is missing']],
    [
      'an unknown key',
      policyText('routes: []\nrules: []\nscopesets: {}\n'),
      ['6:1: scopesets: unknown key; did you mean "scopeSets"?'],
    ],
    [
      'a rule without effect',
      policyText('routes: []\nrules:\n  - name: one\n'),
      ['6:5: rules[0].effect: is missing'],
    ],
    [
      'an unknown effect',
      policyText('routes: []\nrules: [{name: one, effect: audit}]\n'),
      ['5:21: rules[0].effect: must be "allow", "deny", "approve", "quarantine" or "flag"'],
    ],
    [
      'an empty selector',
      withRule('    callers: []\n'),
      ['11:5: rules[0].callers: must have 1 entry or more: an empty list is never read as "all"'],
    ],
    [
      'a caller by trust domain',
      withRule('    callers: ["spiffe://company.com/*"]\n'),
      [
        '11:15: rules[0].callers[0]: an agent ID such as spiffe://company.com/agent/inventory/1, or a type: …/agent/inventory/*',
      ],
    ],
    [
      'a principal that is no URI',
      withRule('    principals: [alice]\n'),
      ['11:18: rules[0].principals[0]: a principal: a URI such as mailto:alice@company.com'],
    ],
    [
      'a pattern of everything',
      withRule('    scopes: ["*"]\n'),
      ['11:14: rules[0].scopes[0]: a scope pattern such as cloud:read, cloud:* or ec2:Describe*'],
    ],
    [
      'a rule for a route that isn’t there',
      withRule('    routes: [raed]\n'),
      ['11:14: rules[0].routes[0]: no route has the name "raed"; did you mean "read"?'],
    ],
    [
      'a rule for a route like no other',
      withRule('    routes: [delete-all]\n'),
      ['11:14: rules[0].routes[0]: no route has the name "delete-all"'],
    ],
    [
      'two rules of one name',
      withRule('  - {name: one, effect: deny}\n'),
      ['11:6: rules[1].name: rule "one" is defined twice'],
    ],
    [
      'two routes of one name',
      policyText(`${ROUTE}  - {name: read, path: /, scopes: [a:b]}\nrules: []\n`),
      ['8:6: routes[1].name: route "read" is defined twice'],
    ],
    [
      'a method in lower case',
      withRoute('/').replace('    path', '    methods: [get]\n    path'),
      ['6:15: routes[0].methods[0]: a method in upper case'],
    ],
    [
      'a link of 5 h',
      policyText('limits:\n  linkTtl: 5h\nroutes: []\nrules: []\n'),
      ['5:3: limits.linkTtl: longer than 4h needs allowLongLinks: true'],
    ],
    [
      'a link of no length',
      policyText('limits:\n  linkTtl: soon\nroutes: []\nrules: []\n'),
      ['5:3: limits.linkTtl: a duration: a whole number and s, m, h or d, such as "15m"'],
    ],
    [
      'a depth over the hard limit',
      policyText('limits: {maxDepth: 9}\nroutes: []\nrules: []\n'),
      ['4:10: limits.maxDepth: must be 8 or less'],
    ],
    [
      'a yes where a word is wanted',
      policyText('limits: {humanRoot: true}\nroutes: []\nrules: []\n'),
      ['4:10: limits.humanRoot: must be "required" or "optional"'],
    ],
  ])('%s', (_, text, faults) => {
    expect(policyFaults(text)).toEqual(faults);
    expect(policyFaults(longer(text))).toEqual(faults);
  });

  test('a longer link loads when it is asked for', () => {
    expect(
      policyFaults(policyText('limits: {linkTtl: 5h, allowLongLinks: true}\nroutes: []\nrules: []\n')),
    ).toEqual([]);
  });
});

describe('scope sets', () => {
  const sets = (text: string): string => policyText(`scopeSets:\n${text}routes: []\nrules: []\n`);

  test.each<[string, string, string[]]>([
    [
      'a circle of two',
      sets('  a: [b]\n  b: [a]\n'),
      [
        '5:3: scopeSets.a: scope sets form a circle: a → b → a',
        '6:3: scopeSets.b: scope sets form a circle: b → a → b',
      ],
    ],
    [
      'a circle of one',
      sets('  a: [cloud:read, a]\n'),
      ['5:3: scopeSets.a: scope sets form a circle: a → a'],
    ],
    [
      'an empty set',
      sets('  a: []\n'),
      ['5:3: scopeSets.a: must have 1 entry or more: an empty list is never read as "all"'],
    ],
    [
      'a name that is a pattern',
      sets('  "cloud:*": [cloud:read]\n'),
      ['5:3: scopeSets.<key of 7 characters>: a scope name such as infrastructure:review'],
    ],
    [
      'a member outside the grammar',
      sets('  a: ["ec2*"]\n'),
      [
        '5:7: scopeSets.a[0]: a scope pattern such as cloud:read, cloud:* or ec2:Describe*, or the name of a scope set',
      ],
    ],
  ])('%s', (_, text, faults) => {
    expect(policyFaults(text)).toEqual(faults);
    expect(policyFaults(longer(text))).toEqual(faults);
  });

  test('a set that is reached by two ways is no circle', () => {
    expect(policyFaults(sets('  a: [b, c]\n  b: [d]\n  c: [d]\n  d: [cloud:read]\n'))).toEqual([]);
  });

  test('a set’s name in a rule is refused: a deny with it would deny nothing', () => {
    const rules = 'rules:\n  - {name: one, effect: deny, scopes: [danger]}\n';
    expect(policyFaults(policyText(`scopeSets: {danger: ["ec2:*"]}\nroutes: []\n${rules}`))).toEqual([
      '7:40: rules[0].scopes[0]: "danger" is a scope set; name its patterns here',
    ]);
  });

  test('a set’s name in a route is refused: it would require what no link holds', () => {
    expect(
      policyFaults(withRoute('/x', '[danger]').replace('routes:', 'scopeSets: {danger: ["ec2:*"]}\nroutes:')),
    ).toEqual(['8:14: routes[0].scopes[0]: "danger" is a scope set; name its patterns here']);
  });
});

describe('route patterns that no canonical path can match', () => {
  test.each([
    ['items', 'path starts with "/"'],
    ['', 'path starts with "/"'],
    ['/items/{id', 'a template stands for one whole segment: {name}, a letter first'],
    ['/items/{id}.json', 'a template stands for one whole segment: {name}, a letter first'],
    ['/items/{}', 'a template stands for one whole segment: {name}, a letter first'],
    ['/items/{1}', 'a template stands for one whole segment: {name}, a letter first'],
    ['/items/{a}{b}', 'a template stands for one whole segment: {name}, a letter first'],
    ['/items/{id*}', 'a template stands for one whole segment: {name}, a letter first'],
    ['/a/{id}/b/{id}', 'a template name occurs twice in path'],
    ['/a/*/b', '"*" stands only at the end, as "/*"'],
    ['/a*', '"*" stands only at the end, as "/*"'],
    ['/**', '"*" stands only at the end, as "/*"'],
    ['/a/../b', 'path is not canonical, so that no request could match it'],
    ['//a', 'path is not canonical, so that no request could match it'],
    ['/a//*', 'path is not canonical, so that no request could match it'],
    ['/a?b=c', 'path is not canonical, so that no request could match it'],
    ['/a%2fb', 'path is not canonical, so that no request could match it'],
    ['/a b', 'path is not canonical, so that no request could match it'],
    ['/a;b', 'path is not canonical, so that no request could match it'],
  ])('%s', (path, fault) => {
    expect(policyFaults(withRoute(path))).toEqual([pathFault(fault)]);
  });

  test.each(['/', '/*', '/a', '/a/', '/a/*', '/{x}', '/{x}/*', '/a/{x}/b', '/a%20b', '/a.b/~c/d-e_f'])(
    '%s is one that can',
    (path) => {
      expect(policyFaults(withRoute(path))).toEqual([]);
    },
  );

  test.each([
    [
      '[cloud:read, "ec2:{action}"]',
      '7:26: routes[0].scopes[1]: scope "ec2:{action}" uses {action}, which path does not have',
    ],
    ['["ec2:*"]', '7:14: routes[0].scopes[0]: scope "ec2:*" is not a literal'],
    ['["ec2:{id}*"]', '7:14: routes[0].scopes[0]: scope "ec2:{id}*" is not a literal'],
    ['["ec2::read"]', '7:14: routes[0].scopes[0]: scope "ec2::read" is not a literal'],
    ['["ec2:{"]', '7:14: routes[0].scopes[0]: scope "ec2:{" is not a literal'],
    ['[]', '7:5: routes[0].scopes: must have 1 entry or more: an empty list is never read as "all"'],
  ])('scopes %s are refused', (scopes, fault) => {
    expect(policyFaults(withRoute('/x/{id}', scopes))).toEqual([fault]);
  });
});
