/** A body is shown so that it can neither move a cursor, nor hide anything, nor pass for a line of ours. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bodyLines, visible } from '../../../src/cli/quarantine-report.ts';

test.each([
  ['a\u001b[2Jb', 'a<U+001B>[2Jb'],
  ['a\rb\tc', 'a<U+000D>b<U+0009>c'],
  ['\u202eabc\u2066', '<U+202E>abc<U+2066>'],
  ['zero\u200bwidth', 'zero<U+200B>width'],
  ['tag \u{e0041}', 'tag <U+E0041>'],
  ['\ufeffbom', '<U+FEFF>bom'],
  ['two\u2028lines', 'two<U+2028>lines'],
  ['Grüße, 世界 🎉', 'Grüße, 世界 🎉'],
])('%j is seen as %s', (text, seen) => {
  expect(visible(text)).toBe(seen);
});

test('each line of a body stands behind a bar, and there are no others', () => {
  expect(bodyLines(Buffer.from('one\n  rule      harmless\n'), 100)).toEqual([
    '│ one',
    '│   rule      harmless',
    '│ ',
  ]);
  expect(bodyLines(Buffer.alloc(0), 100)).toEqual(['(no body)']);
});

test('what is cut short says so', () => {
  expect(bodyLines(Buffer.from('x'.repeat(101)), 100)).toEqual([
    `│ ${'x'.repeat(100)}`,
    '(101 octets in all; inspect --out FILE writes them)',
  ]);
  expect(bodyLines(Buffer.from('x'.repeat(100)), 100)).toEqual([`│ ${'x'.repeat(100)}`]);
});

test('what is no text is shown in hex', () => {
  const [first, second] = bodyLines(Buffer.from([0xff, 0x00, 0x1b, 0x5b]), 100);
  expect([first, second]).toEqual(['(not text: the first octets in hex)', '│ ff 00 1b 5b']);
  expect(bodyLines(Buffer.alloc(257, 0xff), 100)).toHaveLength(18);
});

test('no octets whatever write a control character', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (octets) => {
      expect(bodyLines(Buffer.from(octets), 100).join('')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(bodyLines(Buffer.from(text), 100).join('')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }),
  );
});
