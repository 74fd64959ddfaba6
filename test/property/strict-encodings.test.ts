/** Strict base64url and JSON against the lenient readers of the platform and against oracles of their own. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeBase64url,
  encodeBase64url,
  isBase64urlOf,
  isCanonicalBase64url,
} from '../../src/core/encoding/base64url.ts';
import { canonicalJson, parseStrictObject, parseStrictObjectText } from '../../src/core/encoding/json.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

describe('base64url', () => {
  test('of all texts of two and of three characters, exactly one spells each octet string', () => {
    const two = new Map<string, string>();
    const three = new Map<string, string>();
    for (const a of ALPHABET)
      for (const b of ALPHABET) {
        const octets = decodeBase64url(a + b);
        if (octets !== undefined) two.set(octets.toString('hex'), a + b);
        for (const c of ALPHABET) {
          const more = decodeBase64url(a + b + c);
          if (more === undefined) continue;
          expect(three.has(more.toString('hex'))).toBe(false);
          three.set(more.toString('hex'), a + b + c);
        }
      }
    expect(two.size).toBe(256);
    expect(three.size).toBe(65_536);
  });

  test('what is read is written back the same, and what is written is read back the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), (octets) => {
        const text = encodeBase64url(octets);
        expect(Uint8Array.from(decodeBase64url(text) ?? [])).toEqual(octets);
        expect(isBase64urlOf(text, octets.length)).toBe(true);
        expect(isBase64urlOf(text, octets.length + 1)).toBe(false);
      }),
    );
  });

  test('no other spelling that the platform reads is accepted', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        fc.nat(),
        fc.constantFrom('=', '==', '\n', ' ', '+', '/', '.', 'A', '\u0000', 'é'),
        (octets, where, junk) => {
          const text = encodeBase64url(octets);
          const at = where % (text.length + 1);
          const bent = text.slice(0, at) + junk + text.slice(at);
          const read = decodeBase64url(bent);
          if (read !== undefined) expect(encodeBase64url(read)).toBe(bent);
          if (junk !== 'A') expect(read).toBeUndefined();
        },
      ),
    );
  });

  test('the last character of any length has one form for its unused bits', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (octets) => {
        const text = encodeBase64url(octets);
        const same = [...ALPHABET]
          .map((last) => text.slice(0, -1) + last)
          .filter((spelled) => Buffer.from(spelled, 'base64url').equals(octets));
        expect(same.filter(isCanonicalBase64url)).toEqual([text]);
      }),
    );
  });
});

type Value = null | boolean | number | string | Value[] | { [member: string]: Value };

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.constantFrom('__proto__', 'a', '1', '10', '9'),
);
const { value: anyValue } = fc.letrec<{ value: Value; leaf: Value }>((tie) => ({
  leaf: fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger().map((n) => n || 0),
    text,
  ),
  value: fc.oneof(
    { maxDepth: 6, depthIdentifier: 'json' },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 4, depthIdentifier: 'json' }),
    fc.dictionary(text, tie('value'), { maxKeys: 4, noNullPrototype: true, depthIdentifier: 'json' }),
  ),
}));
const anyObject = fc.dictionary(text, anyValue, { maxKeys: 5, noNullPrototype: true });

/** Deep equality that looks at own members only: one side has no prototype. */
const same = (a: unknown, b: unknown): boolean => {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return Object.is(a, b);
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every(
      (name) =>
        Object.hasOwn(b, name) &&
        same((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]),
    )
  );
};

/** RFC 8785 by hand: code units compared one by one, escapes of §3.2.2.2. */
const oracle = (value: Value): string => {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return String(value);
  if (typeof value === 'string') {
    const short: Record<string, string> = {
      '\b': 'b',
      '\t': 't',
      '\n': 'n',
      '\f': 'f',
      '\r': 'r',
      '"': '"',
      '\\': '\\',
    };
    const escaped = (c: string): string => {
      if (short[c] !== undefined) return `\\${short[c]}`;
      return c < ' ' ? `\\u00${c.charCodeAt(0).toString(16).padStart(2, '0')}` : c;
    };
    return `"${value.split('').map(escaped).join('')}"`;
  }
  if (Array.isArray(value)) return `[${value.map(oracle).join(',')}]`;
  const units = (name: string): number[] => name.split('').map((c) => c.charCodeAt(0));
  const before = (a: string, b: string): number => {
    const [x, y] = [units(a), units(b)];
    for (let i = 0; i < Math.min(x.length, y.length); i++) {
      const difference = (x[i] ?? 0) - (y[i] ?? 0);
      if (difference !== 0) return difference;
    }
    return x.length - y.length;
  };
  const names = Object.keys(value).sort(before);
  return `{${names.map((name) => `${oracle(name)}:${oracle(value[name] ?? null)}`).join(',')}}`;
};

const read = (source: string) => parseStrictObject(Buffer.from(source));

describe('strict JSON', () => {
  test('reads what a writer of integers and text writes, as JSON.parse reads it', () => {
    fc.assert(
      fc.property(anyObject, fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const source = JSON.stringify(value, null, indent);
        const verdict = read(source);
        expect(verdict.ok && same(verdict.value, JSON.parse(source))).toBe(true);
      }),
    );
  });

  test('whatever bent text it accepts, JSON.parse accepts and reads the same', () => {
    const pieces = fc.constantFrom(
      '"',
      '\\',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '0',
      '-',
      '1',
      '.',
      'e',
      'E',
      '+',
      ' ',
      '\n',
      '\v',
      '\u00a0',
      '\ufeff',
      'true',
      'null',
      'NaN',
      '\\u0061',
      '\\ud800',
      '\\udc00',
      '\\u00',
      '\u0000',
      '\u007f',
      '\u2028',
      '//',
      '"a":1,',
      '"a":1',
      ',"a":2',
    );
    let accepted = 0;
    fc.assert(
      fc.property(
        anyObject,
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 2 }), pieces), { minLength: 1, maxLength: 3 }),
        (value, edits) => {
          let source = JSON.stringify(value);
          for (const [where, cut, piece] of edits) {
            const at = where % (source.length + 1);
            source = source.slice(0, at) + piece + source.slice(at + cut);
          }
          const verdict = parseStrictObjectText(source);
          if (!verdict.ok) return;
          accepted++;
          expect(same(verdict.value, JSON.parse(source))).toBe(true);
        },
      ),
      { numRuns: 5000 },
    );
    expect(accepted).toBeGreaterThan(50);
  });

  test('octets that are not UTF-8 are refused, and leave nothing behind for the next reader', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (junk) => {
        const octets = Buffer.concat([Buffer.from('{"a":"'), junk, Buffer.from('"}')]);
        const verdict = parseStrictObject(octets);
        if (verdict.ok) expect(Buffer.from(octets.toString('utf8')).equals(octets)).toBe(true);
        expect(read('{"a":"é"}')).toMatchObject({ ok: true, value: { a: 'é' } });
      }),
      { numRuns: 2000 },
    );
  });

  test('half of a surrogate pair has no escape, as a value or as a name; a whole pair has', () => {
    const half = fc.integer({ min: 0xd800, max: 0xdfff }).map((unit) => `\\u${unit.toString(16)}`);
    fc.assert(
      fc.property(half, fc.constantFrom('', 'a', '\u{1f600}'), (unit, beside) => {
        for (const spelled of [`${beside}${unit}`, `${unit}${beside}`])
          for (const source of [`{"a":"${spelled}"}`, `{"${spelled}":1}`])
            expect(read(source)).toMatchObject({ ok: false, reason: 'json_utf8' });
      }),
    );
    expect(read('{"a":"\\ud83d\\ude00"}')).toMatchObject({ ok: true, value: { a: '\u{1f600}' } });
  });

  test('a member twice is refused wherever it stands and however it is spelled', () => {
    fc.assert(
      fc.property(anyObject, text, anyValue, anyValue, (value, name, first, second) => {
        const plain = JSON.stringify(name);
        const spelled = `"${[...name].map((c) => [...Array(c.length)].map((_, i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')).join('')}"`;
        const rest = Object.entries(value)
          .filter(([other]) => other !== name)
          .map(([other, held]) => `${JSON.stringify(other)}:${JSON.stringify(held)}`);
        const source = `{${[`${plain}:${JSON.stringify(first)}`, ...rest, `${spelled}:${JSON.stringify(second)}`].join(',')}}`;
        expect(read(source)).toMatchObject({ ok: false, reason: 'json_duplicate_member' });
      }),
    );
  });
});

describe('canonical JSON', () => {
  test('equals RFC 8785 done by hand', () => {
    fc.assert(
      fc.property(anyObject, (value) => {
        expect(canonicalJson(value)).toBe(oracle(value));
      }),
    );
  });

  test('read and written again, it is the same text', () => {
    fc.assert(
      fc.property(anyObject, (value) => {
        const canonical = canonicalJson(value);
        const verdict = read(canonical);
        expect(verdict.ok && canonicalJson(verdict.value)).toBe(canonical);
      }),
    );
  });

  test('sorts by UTF-16 code units, not by code points (the example of RFC 8785 §3.2.3)', () => {
    const value = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 };
    expect(
      Object.values(
        JSON.parse(
          `[${canonicalJson(value)
            .match(/\d(?=[,}])/g)
            ?.join(',')}]`,
        ),
      ),
    ).toEqual([2, 4, 6, 7, 1, 5, 3]);
  });
});
