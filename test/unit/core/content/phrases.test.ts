/** Phrases: their parts in order, within their gaps, as words; compared with what one expression says. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gap, PhraseMachine, signs, words } from '../../../../src/core/content/phrases.ts';

const found = (phrases: ReturnType<typeof words>, text: string): boolean =>
  new PhraseMachine(phrases).find(text).length > 0;

describe('words', () => {
  const phrase = words(
    'x',
    `(?:ignor(?:e|ing)|forget)${gap(10)}(?:previous|prior)${gap(12)}(?:rules?|orders)`,
  );
  test.each<[string, boolean]>([
    ['ignore previous rules', true],
    ['IGNORING Prior Orders', true],
    ['please, forget: (prior) rule!', true],
    ['ignore the prior set of rules', true],
    ['ignore the very 10 long prior rules', false],
    ['ignore previous and very distant rules', false],
    ['previous rules ignore', false],
    ['signore previous rules', false],
    ['ignored previous rules', false],
    ['ignore previously rules', false],
    ["ignore previous rule's", false],
    ['ignore previous rulesets', false],
    ['ignore\nprevious rules', false],
    ['ignore previous\nrules', false],
    ['ignore ignore previous rules', true],
    ['ignore previous previous previous rules', true],
  ])('%j: %s', (text, is) => {
    expect(found(phrase, text)).toBe(is);
  });

  test('have alternatives, repetitions, classes and an end', () => {
    const some = words('x', 'say (?:a|b)* ?c{2,3}|do[0-9]+x[^]?|end$'.replace('[^]?', ''));
    for (const text of ['say cc', 'say a ccc', 'say abab cc', 'do42x', 'the end', 'end\nmore'])
      expect(found(some, text), text).toBe(true);
    for (const text of ['say c', 'say cccc', 'dox', 'end more', 'bend'])
      expect(found(some, text), text).toBe(false);
  });

  test('say where they are', () => {
    expect(new PhraseMachine(phrase).find('so: ignore previous rules.')).toEqual([
      { pattern: 'x', start: 4, end: 25 },
    ]);
  });
});

test('signs stand anywhere, and other letters too', () => {
  const phrase = signs('x', `忽略${gap(4)}指令|<<${gap(3)}>>`);
  for (const text of ['请忽略指令', '忽略之前的指令', 'a<<b>>']) expect(found(phrase, text), text).toBe(true);
  for (const text of ['忽略之前的所有指令', '指令忽略', '<<abcd>>'])
    expect(found(phrase, text), text).toBe(false);
});

test('a gap within a group, and signs that have no meaning here, are refused', () => {
  expect(() => words('x', `(?:a${gap(3)}b)`)).toThrow('within a group');
  for (const part of ['(a)', 'a.b', '^a']) expect(() => new PhraseMachine(words('x', part)), part).toThrow();
});

test('as one expression says', () => {
  const machine = new PhraseMachine(words('x', `(?:aa?|b)${gap(4)}(?:c|ab)${gap(3)}(?:d|aa)`));
  const open = `[ ,:;."'*()[\\]-]`;
  const close = open;
  const between = (most: number): string => `(?:${open}|${open}[^\\n]{0,${most}}${close})`;
  const expression = new RegExp(
    `(?<![a-z])(?:aa?|b)${between(4)}(?<![a-z])(?:c|ab)${between(3)}(?<![a-z])(?:d|aa)(?![a-z'])`,
  );
  const text = fc.string({
    unit: fc.constantFrom('a', 'b', 'c', 'd', ' ', ' ', ',', "'", '\n', '1'),
    maxLength: 24,
  });
  fc.assert(
    fc.property(text, (one) => {
      expect(machine.find(one).length > 0, JSON.stringify(one)).toBe(expression.test(one));
    }),
    { numRuns: 20_000 },
  );
});
