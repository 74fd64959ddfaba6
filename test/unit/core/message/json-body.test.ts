import { describe, expect, test } from 'vitest';
import { readJsonBody, readJsonResponse } from '../../../../src/core/message/json-body.ts';

const read = (body: string | Uint8Array) => {
  const verdict = readJsonBody(typeof body === 'string' ? Buffer.from(body) : body);
  return verdict.ok ? verdict.value : verdict.reason;
};
const answer = (text: string) => {
  const verdict = readJsonResponse(text);
  return verdict.ok ? verdict.value : verdict.reason;
};
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe('a body is any JSON value', () => {
  test.each([
    'null',
    'true',
    '"a"',
    '0',
    '[]',
    '{}',
    ' [1, {"a": [null]}] ',
    '1.5',
    '-2.5e-3',
    '1e300',
    '1E+2',
    '0.0',
    '9007199254740991',
    '-9007199254740991',
    '"\\u00e9\\ud83d\\ude00\\n"',
    nested(64),
    '0.1000000000000000055511151231257827021181583404541015625',
  ])('%s is read as JSON.parse does', (text) => {
    expect(read(text)).toEqual(JSON.parse(text));
  });

  test('objects have no prototype', () => {
    expect(Object.getPrototypeOf(read('{"a":{}}'))).toBeNull();
  });

  test('sixteen million characters in one string', () => {
    const long = 'x'.repeat(16_000_000);
    expect(read(`["${long}"]`)).toEqual([long]);
  });
});

describe('attacks: a body that two readers take for two things', () => {
  test.each([
    ['a member twice', '{"a":1,"a":2}'],
    ['a member twice, once escaped', '{"a":1,"\\u0061":2}'],
    ['a member twice, far apart and deep', '[{"x":{"method":"a","b":{},"method":"b"}}]'],
    ['names that differ in case', '{"method":"a","Method":"b"}'],
    ['names that differ by the long s', '{"params":1,"param\u017f":2}'],
    ['names that differ by the Kelvin sign', '{"token":1,"to\\u212aen":2}'],
    ['a lone surrogate', '{"a":"\\ud800"}'],
    ['a lone surrogate in a name', '{"\\udc00":1}'],
    ['surrogates the wrong way round', '"\\ude00\\ud83d"'],
    ['an integer that doubles round', '{"id":9007199254740993}'],
    ['the first integer that is not safe', '9007199254740992'],
    ['a long integer', '123456789012345678901234567890'],
    ['a negative zero', '-0'],
    ['a negative zero with a fraction', '-0.0'],
    ['a negative zero with an exponent', '[-0e9]'],
    ['a number that overflows', '1e400'],
    ['a negative number that overflows', '-1e400'],
    ['a number that underflows to zero', '1e-400'],
    ['a small number that underflows to zero', '0.00001e-400'],
    ['__proto__, which some drop and some obey', '{"__proto__":{"admin":true}}'],
    ['__proto__ in escapes', '{"a":{"\\u005f_proto__":1}}'],
    ['a name that is cut at U+0000', '{"method\\u0000x":1}'],
  ])('%s', (_, text) => {
    expect(read(text)).toBe('message_ambiguous');
  });

  test.each([
    ['a byte order mark', Buffer.from('\ufeff{}')],
    ['UTF-16 little endian', Buffer.from('{"a":1}é', 'utf16le')],
    ['UTF-16 with its mark', Buffer.from('\ufeff{}', 'utf16le')],
    ['Latin-1', Buffer.from('{"a":"é"}', 'latin1')],
    ['an overlong slash', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['half a character', Buffer.from([0x22, 0xe2, 0x82, 0x22])],
  ])('%s', (_, octets) => {
    expect(read(octets)).toBe('message_encoding');
  });

  test.each([
    ['nothing', ''],
    ['space alone', ' \n'],
    ['two values', '{}{}'],
    ['a value and a NUL', '{}\u0000'],
    ['a comment', '{}//'],
    ['single quotes', "{'a':1}"],
    ['a trailing comma', '[1,]'],
    ['NaN', 'NaN'],
    ['Infinity', '-Infinity'],
    ['a hexadecimal number', '0x10'],
    ['a leading zero', '01'],
    ['a leading plus', '+1'],
    ['a bare fraction', '.5'],
    ['an open fraction', '1.'],
    ['a control character in a string', '"\u0001"'],
    ['a tab in a string', '"\t"'],
    ['an unknown escape', '"\\x41"'],
    ['space of Unicode', '\u00a0{}'],
    ['two texts of one line', '{"a":1}\n{"a":2}'],
    ['too deep', nested(65)],
    ['deeper than any stack', '['.repeat(1_000_000)],
  ])('%s', (_, text) => {
    expect(read(text)).toBe('message_malformed');
  });
});

describe('an answer is data for others', () => {
  test('its names may differ in case, its numbers be any', () => {
    expect(answer('{"The":1,"the":-0,"id":9007199254740993}')).toEqual({ The: 1, the: -0, id: 2 ** 53 });
  });

  test.each(['{"a":1,"a":2}', '\ufeff{}', '"\\ud800"', '1e999', 'nonsense', nested(65)])(
    '%s is refused',
    (text) => {
      expect(answer(text)).toBe('response_malformed');
    },
  );
});

describe('attacks: much memory for few octets', () => {
  const listOf = (unit: string, count: number) => `[${Array(count).fill(unit).join(',')}]`;

  test.each(['{}', '[]', '[[]]', '{"":0}'])('a list of %s', (unit) => {
    expect(read(listOf(unit, 1000))).toHaveLength(1000);
    expect(read(listOf(unit, 8192))).toBe('message_malformed');
  });

  test('as many as there are octets to explain them', () => {
    expect(read(listOf('{"name":"a","size":1}', 20_000))).toHaveLength(20_000);
    expect(read(listOf('{"name":"","size":1}'.padEnd(15), 20_000))).toHaveLength(20_000);
    expect(read(listOf('[1,2]', 20_000))).toBe('message_malformed');
  });

  test('an answer is gone when it was read', () => {
    expect(answer(listOf('[]', 10_000))).toHaveLength(10_000);
  });
});

test.each([
  '1',
  '-1',
  '10',
  '123456789012345',
  '[1,22,333]',
  '{"a":7}',
  '1.25',
  '1e2',
  '1E2',
  '[0,1]',
  '9007199254740991',
])('the number in %s is read as JSON.parse does', (text) => {
  expect(read(text)).toEqual(JSON.parse(text));
});
