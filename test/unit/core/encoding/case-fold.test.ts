import { expect, test } from 'vitest';
import { caseFold } from '../../../../src/core/encoding/case-fold.ts';

test('whatever Unicode calls equal but for case is equal: all characters that have a case, against the engine’s own folding', () => {
  const cased: string[] = [];
  for (let code = 0; code < 0x11_0000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const one = String.fromCodePoint(code);
    if (one.toLowerCase() !== one || one.toUpperCase() !== one) cased.push(one);
  }
  expect(cased.length).toBeGreaterThan(2800);
  const all = cased.join('');
  const missed: string[] = [];
  for (const one of cased)
    for (const [other] of all.matchAll(new RegExp(one, 'giu')))
      if (caseFold(one) !== caseFold(other)) missed.push(`${one} ${other}`);
  expect(missed).toEqual([]);
});

test('the long s, the Kelvin sign and the sigma at the end of a word', () => {
  expect(caseFold('paramſ')).toBe(caseFold('PARAMS'));
  expect(caseFold('toKen')).toBe('token');
  expect(caseFold('ΛΌΓΟΣ')).toBe(caseFold('λόγος'));
});

test('other names stay apart', () => {
  expect(new Set(['method', 'methods', 'mëthod', 'ｍethod', '']).size).toBe(5);
  expect(new Set(['method', 'methods', 'mëthod', 'ｍethod', ''].map(caseFold)).size).toBe(5);
});
