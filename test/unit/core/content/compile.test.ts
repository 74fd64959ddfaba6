/** Which content rules apply to a body, and which are refused before they are in force. */
import { describe, expect, test } from 'vitest';
import { compileContent, contentRuleFault } from '../../../../src/core/content/compile.ts';
import { inspectBody } from '../../../../src/core/content/inspect-body.ts';
import type { ContentRule } from '../../../../src/core/policy/model.ts';
import {
  CALLEE,
  calleePattern,
  contentRule,
  OTHER_CALLEE,
  octetsOf,
  selectionOf,
  TEXT_HEAD,
} from '../../../testkit/content.ts';

const pii = (given: Partial<ContentRule>): ContentRule => contentRule({ detectors: ['pii'], ...given });
const namesOf = (
  rules: readonly ContentRule[],
  ...[direction, callee, route]: Parameters<ReturnType<typeof compileContent>['select']>
) =>
  compileContent(rules)
    .select(direction, callee, route)
    ?.rules.map(({ rule }) => rule.name);

describe('rules apply', () => {
  const rules = [
    pii({ name: 'all' }),
    pii({ name: 'requests', directions: ['request'] }),
    pii({ name: 'finance', callees: [calleePattern(CALLEE)] }),
    pii({ name: 'reports', routes: ['reports'] }),
  ];

  test('by direction, callee and route, in the order of the policy', () => {
    expect(namesOf(rules, 'request', CALLEE, 'reports')).toEqual(['all', 'requests', 'finance', 'reports']);
    expect(namesOf(rules, 'response', CALLEE, 'other')).toEqual(['all', 'finance']);
    expect(namesOf(rules, 'request', OTHER_CALLEE, 'other')).toEqual(['all', 'requests']);
  });

  test('or not at all', () => {
    const some = rules.slice(2);
    expect(namesOf(some, 'request', OTHER_CALLEE, 'other')).toBeUndefined();
    expect(namesOf(some.slice(1), 'request', CALLEE, 'other')).toBeUndefined();
    expect(namesOf([], 'response', CALLEE, 'reports')).toBeUndefined();
  });

  test('and the strictest says how much is held', () => {
    const selection = selectionOf(
      { detectors: ['pii'], holdBytes: 500 },
      { detectors: ['pii'], holdBytes: 300 },
      { detectors: ['pii'], holdBytes: 100, action: 'flag', mode: 'stream' },
      { detectors: ['pii'], holdBytes: 50, shadow: true },
    );
    expect(selection).toMatchObject({ hold: true, holdBytes: 300 });
    expect(selectionOf({ detectors: ['pii'], shadow: true }).hold).toBe(false);
    expect(selectionOf({ types: ['text/*'] }).hold).toBe(false);
  });
});

describe('patterns of its own', () => {
  const found = (patterns: Readonly<Record<string, string>>, text: string): readonly string[] =>
    inspectBody(selectionOf({ patterns }), { ...TEXT_HEAD, octets: octetsOf(text) }).findings.map(
      ({ pattern }) => pattern,
    );

  test.each<[string, string, boolean]>([
    ['project-[0-9]{4}', 'see project-4711 there', true],
    ['Project', 'see project-4711 there', false],
    ['(?i)Project', 'see project-4711 there', true],
    ['résumé', 'my re\u0301sume\u0301', true],
    ['résumé', 'my resume', true],
    ['пароль', 'мой пароль', true],
    ['^code: .*end$', 'code: the end', true],
    ['two words', 'two\n\t words', true],
  ])('%s in %j: %s', (pattern, text, is) => {
    expect(found({ mine: pattern }, text)).toEqual(is ? ['patterns/mine'] : []);
  });
});

describe('a rule is refused', () => {
  test.each<[string, Partial<ContentRule>, string]>([
    ['without directions', { directions: [] }, 'directions'],
    ['that looks for nothing', { detectors: [] }, 'looks for nothing'],
    [
      'with a detector that there isn’t',
      { detectors: ['pii', 'piii'] },
      '"piii": there are injection, secrets, pii',
    ],
    ['with a pattern that isn’t RE2', { patterns: { mine: 'abc(' } }, 'pattern "mine" is no RE2 expression'],
    ['with a reference back', { patterns: { mine: 'ab(c)\\1' } }, '`\\1` (character 6)'],
    ['with a look ahead', { patterns: { mine: 'a(?=b)' } }, '(character 2)'],
    ['with a pattern that matches nothing', { patterns: { mine: 'a*' } }, 'matches empty text'],
    ['with a pattern that is too large', { patterns: { mine: '[a-z]{800}[0-9]{800}' } }, 'too large'],
    ['with a pattern that is too long', { patterns: { mine: 'a'.repeat(3000) } }, 'more than 2048'],
    ['with a pattern without a name', { patterns: { 'My Own': 'a' } }, 'pattern name'],
    ['with a type that is none', { types: ['json'] }, '"json" is no media type'],
    ['with a negative size', { maxBytes: -1 }, 'maxBytes'],
    ['that holds nothing', { holdBytes: 0 }, 'holdBytes'],
    ['that holds for the log', { action: 'flag' }, 'say mode stream'],
    [
      'that keeps aside what has gone on',
      { action: 'quarantine', directions: ['request'], mode: 'stream' },
      'say mode hold',
    ],
    ['that keeps responses aside', { action: 'quarantine' }, 'quarantine is for requests'],
  ])('%s', (_what, rule, words) => {
    expect(contentRuleFault(pii(rule))).toContain(words);
  });

  test.each<Partial<ContentRule>>([
    {},
    { detectors: undefined, types: ['application/json', 'text/*', '*/*'] },
    { detectors: undefined, maxBytes: 0 },
    { patterns: { 'own-1': '[0-9]{4}-é' } },
    { action: 'flag', mode: 'stream' },
    { action: 'quarantine', directions: ['request'] },
    { mode: 'stream' },
  ])('and none of these: %j', (rule) => {
    expect(contentRuleFault(pii(rule))).toBeUndefined();
  });
});
