/** The splitter of event streams, against the grammar, the package that readers of MCP use, and every way to cut a stream into chunks. */
import { createParser } from 'eventsource-parser';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EventStream, type StreamPiece } from '../../../../src/core/content/event-stream.ts';
import type { Verdict } from '../../../../src/core/verdict.ts';

const MOST = 4096;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const concat = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

const granted = <T>(verdict: Verdict<T>): T => {
  if (!verdict.ok) throw new Error(verdict.detail);
  return verdict.value;
};

const cutAt = (octets: Uint8Array, cuts: readonly number[]): Uint8Array[] => {
  const at = [...new Set(cuts.map((cut) => cut % (octets.length + 1)))].sort((a, b) => a - b);
  return [...at, octets.length].map((end, index) => octets.slice(at[index - 1] ?? 0, end));
};

const piecesOf = (chunks: readonly Uint8Array[], maxEventBytes = MOST): StreamPiece[] => {
  const stream = new EventStream({ maxEventBytes, tooLarge: 'content_too_large' });
  const pieces = chunks.flatMap((chunk) => [...granted(stream.push(chunk))]);
  return [...pieces, ...granted(stream.end())];
};

const piecesOfText = (text: string): StreamPiece[] => piecesOf([utf8(text)]);
const eventsOf = (pieces: readonly StreamPiece[]) =>
  pieces
    .filter(({ data, cutOff }) => data !== undefined && !cutOff)
    .map(({ data, event, id }) => ({ data, event, id }));

/** What a reader gets that decodes as the standard says, and then asks the package. */
const oracle = (octets: Uint8Array) => {
  const events: { data: string; event: string; id: string | undefined }[] = [];
  const parser = createParser({
    onEvent: ({ data, event, id }) => events.push({ data, event: event ?? '', id }),
  });
  parser.feed(new TextDecoder().decode(octets));
  return events;
};

describe('an event stream', () => {
  test.each([
    ['LF', 'data: a\n\ndata: b\n\n', ['a', 'b']],
    ['CRLF', 'data: a\r\n\r\ndata: b\r\n\r\n', ['a', 'b']],
    ['CR', 'data: a\r\rdata: b\r\r', ['a', 'b']],
    ['all three', 'data: a\r\n\ndata: b\n\rdata: c\r\r\n', ['a', 'b', 'c']],
    ['a mark', '\ufeffdata: a\n\n', ['a']],
    ['a mark before a blank line', '\ufeff\ndata: a\n\n', ['a']],
    ['a second mark, which is content', '\ufeff\ufeffdata: a\n\n', []],
    ['a mark that isn’t at the start', 'data: a\n\n\ufeffdata: b\n\n', ['a']],
    ['comments', ': hello\n\n:\n\ndata: a\n: between\ndata: b\n\n', ['a\nb']],
    ['several lines', 'data: a\ndata:b\ndata:  c\n\n', ['a\nb\n c']],
    ['data without a colon', 'data\n\ndata\ndata\n\n', ['', '\n']],
    ['no data', 'event: ping\n\nid: 4\n\n\n\n', []],
    ['names that only look like it', 'Data: a\n data: b\ndatas: c\n\n', []],
    ['colons in the value', 'data: {"a":"b: c"}\n\n', ['{"a":"b: c"}']],
  ])('with %s', (_name, text, data) => {
    const pieces = piecesOfText(text);
    expect(eventsOf(pieces).map((event) => event.data)).toEqual(data);
    expect(concat(pieces.map(({ octets }) => octets))).toEqual(utf8(text));
  });

  test('has types, ids, and all that isn’t data besides', () => {
    const [piece] = piecesOfText(': note\nevent: message\nid: 7\nretry: 10\nfoo: bar\ndata: x\n\n');
    expect(piece).toMatchObject({ data: 'x', event: 'message', id: '7', cutOff: false, broken: false });
    expect(piece?.besides).toBe(': note\nevent: message\nid: 7\nretry: 10\nfoo: bar');
    expect(piecesOfText('id: a\0b\ndata: x\n\n')[0]?.id).toBeUndefined();
  });

  test('that ends before its blank line gives what it ended in', () => {
    const [whole, rest] = piecesOfText('data: a\n\ndata: b\nda');
    expect(whole).toMatchObject({ data: 'a', cutOff: false });
    expect(rest).toMatchObject({ data: 'b', besides: 'da', cutOff: true });
  });

  test('with a piece that isn’t UTF-8 says so', () => {
    const octets = concat([utf8('data: a'), Uint8Array.of(0xe2, 0x0a), utf8('data: b\n\ndata: c\n\n')]);
    const pieces = piecesOf([octets]);
    expect(pieces.map(({ data, broken }) => [data, broken])).toEqual([
      ['a\ufffd\nb', true],
      ['c', false],
    ]);
  });

  test('releases an event as soon as its blank line is there, whatever its line ends', () => {
    for (const blank of ['\n\n', '\r\r', '\r\n\r\n', '\r\n\n']) {
      const stream = new EventStream({ maxEventBytes: MOST, tooLarge: 'content_too_large' });
      expect(granted(stream.push(utf8('data: a'))), JSON.stringify(blank)).toEqual([]);
      expect(granted(stream.push(utf8(blank))).map(({ data }) => data)).toEqual(['a']);
      expect(stream.pending).toBe(0);
    }
  });

  test('an LF that comes late after the CR of a blank line is neither kept nor an event', () => {
    const stream = new EventStream({ maxEventBytes: MOST, tooLarge: 'content_too_large' });
    granted(stream.push(utf8('data: a\r\n\r')));
    const [late] = granted(stream.push(utf8('\n')));
    expect(late).toMatchObject({ data: undefined, octets: utf8('\n') });
    expect(granted(stream.push(utf8('\n'))).map(({ data }) => data)).toEqual([undefined]);
  });

  test('with a piece that is too long is refused, for ever, and keeps nothing', () => {
    const at = (text: string) => piecesOf([utf8(text)], 16);
    expect(at('data: 12345678\n\n')).toHaveLength(1);
    expect(() => at('data: 123456789\n\n')).toThrow('more than 16');
    const stream = new EventStream({ maxEventBytes: 16, tooLarge: 'response_malformed' });
    for (let sent = 0; sent < 16; sent++) granted(stream.push(utf8('x')));
    expect(stream.push(utf8('x'))).toMatchObject({ ok: false, reason: 'response_malformed' });
    expect(stream.pending).toBe(0);
    expect(stream.push(utf8('data: a\n\n'))).toMatchObject({ ok: false });
    expect(stream.end()).toMatchObject({ ok: false });
  });
});

const line = fc.oneof(
  fc.constantFrom(
    'data',
    'data:',
    'data: ',
    'event: e',
    'event:',
    'id: 1',
    'id',
    ':',
    ': c',
    'x',
    '',
    '',
    '',
  ),
  fc.string({ unit: 'binary', maxLength: 6 }).map((text) => `data: ${text}`),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
);
const stream = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n', '\n\n', '\r\n\r\n', '')), { maxLength: 20 })
  .map((lines) => utf8(lines.flat().join('')));
const octets = fc.oneof(
  stream,
  stream.map((text) => concat([utf8('\ufeff'), text])),
  fc.uint8Array({ maxLength: 40 }),
  // Octets out of place in text that is in order.
  fc
    .tuple(stream, fc.nat(), fc.integer({ min: 0x80, max: 0xff }))
    .map(([text, at, octet]) => text.map((one, index) => (index === at % (text.length || 1) ? octet : one))),
);
const cuts = fc.array(fc.nat(), { maxLength: 12 });

describe('however it is cut into chunks', () => {
  test('it gives back the same octets', () => {
    fc.assert(
      fc.property(octets, cuts, (given, at) => {
        expect(concat(piecesOf(cutAt(given, at)).map((piece) => piece.octets))).toEqual(given);
      }),
      { numRuns: 1000 },
    );
  });

  test('it has the events that the package reads', () => {
    fc.assert(
      fc.property(octets, cuts, (given, at) => {
        // The package takes three characters that spell a mark in Latin-1 for a mark.
        fc.pre(!new TextDecoder().decode(given).startsWith('\u00ef\u00bb\u00bf'));
        // And an end in CR waits for what follows, since it knows no end of a stream.
        const closed = given.at(-1) === 0x0d ? concat([given, utf8(':')]) : given;
        expect(eventsOf(piecesOf(cutAt(closed, at)))).toEqual(oracle(closed));
      }),
      { numRuns: 2000 },
    );
  });

  test('every cut of one stream that has everything', () => {
    const text = utf8('\ufeff: é\r\ndata: {"a":"😀"}\r\n\r\nid: 1\ndata\rdata: b\r\revent: x\ndata: c\n\n');
    const whole = eventsOf(piecesOf([text]));
    expect(whole).toHaveLength(3);
    for (let first = 0; first <= text.length; first++)
      for (let second = first; second <= text.length; second++)
        expect(eventsOf(piecesOf(cutAt(text, [first, second])))).toEqual(whole);
  });
});
