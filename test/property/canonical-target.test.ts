/** A target that is accepted means the same to every reader: here, to the URL parser of the web. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isCanonicalPath, parseTarget } from '../../src/core/policy/target.ts';

/** What WHATWG escapes in a query of http, and RFC 3986 doesn't allow in one. */
const escapedByUrl = (query: string): string =>
  query.replace(/["'<>]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

const expectSameReading = (target: string): void => {
  const { pathname, search, hash } = new URL(target, 'http://h');
  const mark = target.indexOf('?');
  const [path, query] = mark === -1 ? [target, ''] : [target.slice(0, mark), target.slice(mark)];
  expect(pathname).toBe(path);
  // An empty query has no `search`; the target that is forwarded keeps its question mark.
  expect(search).toBe(query === '?' ? '' : escapedByUrl(query));
  expect(hash).toBe('');
  expect(new URL(target, 'http://h').host).toBe('h');
};

const piece = fc.constantFrom(
  '/',
  '/',
  '/',
  '.',
  '..',
  'a',
  'B',
  '9',
  '%20',
  '%2e',
  '%2E',
  '%2F',
  '%5C',
  '%00',
  '%7F',
  '%25',
  '%C3%A9',
  '%c3',
  '%',
  '%4',
  '\\',
  ';',
  '?',
  '?',
  '#',
  '~',
  '!',
  '$',
  '&',
  "'",
  '(',
  ')',
  '*',
  '+',
  ',',
  '=',
  ':',
  '@',
  '"',
  '<',
  '>',
  '[',
  ']',
  '{',
  '|',
  '}',
  '^',
  '`',
  ' ',
  '\t',
  '\n',
  '\u0000',
  'é',
  '\u2028',
  '//',
  '/./',
  '/../',
  'C:',
  '%41',
);
const soup = fc.array(piece, { maxLength: 12 }).map((parts) => parts.join(''));

describe('a canonical target', () => {
  test('is read byte for byte the same by new URL()', () => {
    let accepted = 0;
    fc.assert(
      fc.property(
        fc.oneof(
          soup,
          soup.map((text) => `/${text}`),
          fc.webPath(),
          fc.string(),
        ),
        (target) => {
          if (!parseTarget(target).ok) return;
          accepted++;
          expectSameReading(target);
        },
      ),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(500);
  });

  test('every single character of a path and of a query, in the middle and at the end', () => {
    for (let code = 0; code < 0x180; code++) {
      const c = String.fromCharCode(code);
      for (const target of [`/a${c}b`, `/a${c}`, `/${c}`, `/${c}/b`, `/a?${c}`, `/a?x${c}y`])
        if (parseTarget(target).ok) expectSameReading(target);
    }
  });

  test('each octet has one spelling in a path: bare, escaped, or none', () => {
    for (let octet = 0; octet < 0x80; octet++) {
      const bare = isCanonicalPath(`/a${String.fromCharCode(octet)}a`);
      const escaped = isCanonicalPath(`/a%${octet.toString(16).toUpperCase().padStart(2, '0')}a`);
      expect(octet !== 0x2f && bare && escaped).toBe(false);
    }
  });

  test('no escape hides a separator, a dot, a percent sign or a control character', () => {
    for (let octet = 0; octet < 0x100; octet++) {
      const hex = octet.toString(16).toUpperCase().padStart(2, '0');
      const hides = octet < 0x20 || octet === 0x7f || '/\\;%.'.includes(String.fromCharCode(octet));
      if (hides) expect([hex, isCanonicalPath(`/a%${hex}b`)]).toEqual([hex, false]);
      expect(isCanonicalPath(`/a%${hex.toLowerCase()}b`)).toBe(
        isCanonicalPath(`/a%${hex}b`) && hex === hex.toLowerCase(),
      );
    }
  });

  test('two different accepted paths stay different once they are unescaped', () => {
    const path = fc
      .array(fc.constantFrom('a', '%20', '%22', '%C3%A9', '+', ',', '=', '.', '/b', '/c'), { maxLength: 6 })
      .map((parts) => `/x${parts.join('')}`)
      .filter(isCanonicalPath);
    fc.assert(
      fc.property(path, path, (a, b) => {
        expect(decodeURIComponent(a) === decodeURIComponent(b)).toBe(a === b);
      }),
    );
  });
});

describe('time to read a target', () => {
  test.each([
    ['a long segment with an end that is not plain', `/${'a'.repeat(30_000)}!`],
    ['a long segment with an end that is refused', `/${'a'.repeat(30_000)}\n`],
    ['many segments with an end that is refused', `/${'a/'.repeat(15_000)}/`],
    ['many dots', `/${'a.'.repeat(15_000)}"`],
    ['many escapes', `/${'%20'.repeat(10_000)}%`],
    ['a long query', `/?${'a'.repeat(30_000)}#`],
  ])('is linear: %s', (_, target) => {
    const before = performance.now();
    parseTarget(target);
    // Exponential reading would take longer than the age of the universe, quadratic some seconds.
    expect(performance.now() - before).toBeLessThan(500);
  });
});
