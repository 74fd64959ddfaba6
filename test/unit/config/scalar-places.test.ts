/** A fault inside a text is where it is, however YAML has that text written. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parseYaml } from '../../../src/config/yaml-document.ts';

/** What stands in the file at the place of the marked character. */
const at = (text: string, offset: number): string => {
  const { line, column } = parseYaml(text, 'f.yaml').locateWithin(['rules', 0, 'when'], offset);
  return `${line}:${column} ${text.split('\n')[line - 1]?.slice(column - 1, column + 2)}`;
};
const textIn = (text: string): string =>
  (parseYaml(text, 'f.yaml').value as { rules: [{ when: string }] }).rules[0].when;
const placed = (text: string, word: string): string => at(text, textIn(text).indexOf(word));

describe('the place of a word in a condition', () => {
  test.each<[string, string, string]>([
    ['plain', 'rules:\n  - when: a == 1 && xyz > 2\n', '2:21 xyz'],
    ['plain, over two lines', 'rules:\n  - when: a == 1\n      && xyz > 2\n', '3:10 xyz'],
    ['plain, with an empty line', 'rules:\n  - when: a == 1\n\n\n      && xyz > 2\n', '5:10 xyz'],
    ['in single quotes', 'rules:\n  - when: \'a == "1" && xyz > 2\'\n', '2:24 xyz'],
    ['behind two single quotes', "rules:\n  - when: 'a == ''1'' && xyz > 2'\n", '2:26 xyz'],
    ['in double quotes', 'rules:\n  - when: "a == 1 && xyz > 2"\n', '2:22 xyz'],
    [
      'behind escapes',
      'rules:\n  - when: "a == \\"1\\\\\\u00e9\\U0001F600\\t\\x41\\" && xyz > 2"\n',
      '2:50 xyz',
    ],
    ['behind an escaped end of line', 'rules:\n  - when: "a == 1 \\\n      && xyz > 2"\n', '3:10 xyz'],
    ['in double quotes, folded', 'rules:\n  - when: "a == 1\n      && xyz > 2"\n', '3:10 xyz'],
    ['in a literal block', 'rules:\n  - when: |\n      a == 1\n      && xyz > 2\n', '4:10 xyz'],
    ['in a block with deeper lines', 'rules:\n  - when: |-\n      a == 1\n        && xyz > 2\n', '4:12 xyz'],
    ['in a block with an indicator', 'rules:\n  - when: |2\n        a == 1\n      && xyz > 2\n', '4:10 xyz'],
    ['in a folded block', 'rules:\n  - when: >\n      a == 1\n\n      && xyz > 2\n', '5:10 xyz'],
    [
      'in a block behind a comment',
      'rules:\n  - when: > # why\n      a == 1\n      && xyz > 2\n',
      '4:10 xyz',
    ],
    ['behind carriage returns', 'rules:\r\n  - when: |\r\n      a == 1\r\n      && xyz > 2\r\n', '4:10 xyz'],
    ['in a flow map', 'rules: [{when: "a == 1 && xyz > 2"}]\n', '1:27 xyz'],
    ['in an anchor', 'rules:\n  - when: &same a == 1 && xyz > 2\n', '2:27 xyz'],
    ['by an alias', 'x: &same a == 1 && xyz > 2\nrules:\n  - when: *same\n', '1:20 xyz'],
  ])('%s', (_, text, place) => {
    expect(placed(text, 'xyz')).toBe(place);
  });

  test('the first character', () => {
    expect(at('rules:\n  - when: |\n\n      xyz\n', 1)).toBe('4:7 xyz');
    expect(at('rules:\n  - when: "xyz"\n', 0)).toBe('2:12 xyz');
  });

  test('behind the last: where something is missing', () => {
    expect(at('rules:\n  - when: "xyz &&"\n', 6)).toBe('2:18 "');
    expect(at('rules:\n  - when: |\n      xyz &&\n', 6)).toBe('3:13 ');
    expect(at('rules:\n  - when: |\n      xyz &&\n', 99)).toBe('3:13 ');
  });

  test('a path to nothing, or to what is no text: the place of what there is', () => {
    const { locate, locateWithin } = parseYaml('rules:\n  - when: 12\n', 'f.yaml');
    expect(locateWithin(['rules', 0, 'when'], 1)).toEqual(locate(['rules', 0, 'when']));
    expect(locateWithin(['rules', 3, 'when'], 1)).toEqual(locate(['rules', 3, 'when']));
  });
});

test('whatever the text and the style, each visible character is found', () => {
  const styles = ['PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED'] as const;
  const texts = fc
    .array(fc.constantFrom('a', '(', ' ', '  ', '\n', '\\', '"', "'", '#', '&&', ': ', 'é', '\t'), {
      maxLength: 40,
    })
    .map((parts) => parts.join(''));
  let found = 0;
  fc.assert(
    fc.property(
      texts,
      fc.constantFrom(...styles),
      fc.integer({ min: 20, max: 60 }),
      (text, style, lineWidth) => {
        const source = stringify(
          { rules: [{ when: text }] },
          { defaultStringType: style, defaultKeyType: 'PLAIN', lineWidth },
        );
        const { value, locateWithin } = parseYaml(source, 'f.yaml');
        const read = (value as { rules: [{ when: string }] }).rules[0].when;
        if (read !== text) return;
        const lines = source.split('\n');
        // Escapes are found by their backslash; all else by itself.
        for (const [offset, character] of [...read].entries()) {
          if (/\s/.test(character)) continue;
          const { line, column } = locateWithin(['rules', 0, 'when'], offset);
          const there = [...(lines[line - 1] ?? '').slice(column - 1)][0];
          expect([character, '\\']).toContain(there);
          found++;
        }
      },
    ),
    { numRuns: 2000, seed: 4 },
  );
  expect(found).toBeGreaterThan(5000);
});
