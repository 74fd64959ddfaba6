import { expect, test } from 'vitest';
import {
  decodeLine,
  LineSplitter,
  type LogLine,
  MAX_LINE_BYTES,
  mergeByTime,
  readLines,
} from '../../../../src/edge/store/log-reader.ts';
import { writeFiles } from '../../../testkit/sealed-log.ts';

const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
};
const shapeOf = ({ number, octets, state }: LogLine) => [number, octets.toString(), state];
const linesIn = async (contents: string | Uint8Array, maxBytes?: number) =>
  collect(readLines(writeFiles({ log: contents })('log'), maxBytes === undefined ? {} : { maxBytes }));

test('a last line without LF is unfinished, and one with it is not', async () => {
  expect((await linesIn('one\n\nthree')).map(shapeOf)).toEqual([
    [1, 'one', 'whole'],
    [2, '', 'whole'],
    [3, 'three', 'unfinished'],
  ]);
  expect((await linesIn('one\n')).map(shapeOf)).toEqual([[1, 'one', 'whole']]);
  expect(await linesIn('')).toEqual([]);
});

test('a CR stays part of the line', async () => {
  expect((await linesIn('one\r\n')).map(shapeOf)).toEqual([[1, 'one\r', 'whole']]);
});

test('reading stops at the given size, whatever follows', async () => {
  expect((await linesIn('one\ntwo\nthree\n', 8)).map(shapeOf)).toEqual([
    [1, 'one', 'whole'],
    [2, 'two', 'whole'],
  ]);
  expect(await linesIn('one\n', 0)).toEqual([]);
});

test('lines are whole wherever the reads fall', () => {
  const text = Buffer.from('é\nzwei\n\nÜ');
  for (let cut = 0; cut <= text.length; cut++) {
    const splitter = new LineSplitter('log');
    const lines = [
      ...splitter.push(Buffer.from(text.subarray(0, cut))),
      ...splitter.push(Buffer.from(text.subarray(cut))),
    ];
    expect([...lines, splitter.end()].map((line) => line && decodeLine(line))).toEqual([
      'é',
      'zwei',
      '',
      'Ü',
    ]);
  }
});

test('a line that never ends is cut, and the one after it is read', async () => {
  const [long, next] = await linesIn(`${'x'.repeat(MAX_LINE_BYTES + 300_000)}\nnext\n`);
  expect(long).toMatchObject({ number: 1, state: 'oversize' });
  expect(long?.octets.length).toBe(MAX_LINE_BYTES);
  expect(next && shapeOf(next)).toEqual([2, 'next', 'whole']);
});

test('what is not UTF-8 is no text, and no two octet strings are the same text', async () => {
  const lines = await linesIn(Buffer.from([0xff, 0x0a, 0xef, 0xbf, 0xbd, 0x0a, 0xef, 0xbb, 0xbf, 0x0a]));
  expect(lines.map(decodeLine)).toEqual([undefined, '\ufffd', '\ufeff']);
});

interface Item {
  readonly name: string;
  readonly time?: number;
}
async function* stream(...items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}
const merged = async (...streams: readonly AsyncIterable<Item>[]) =>
  (await collect(mergeByTime(streams, ({ time }) => time))).map(({ name }) => name);

test('streams are merged by time, the first named first where times are equal', async () => {
  expect(
    await merged(
      stream({ name: 'a1', time: 1 }, { name: 'a4', time: 4 }),
      stream(),
      stream({ name: 'b1', time: 1 }, { name: 'b3', time: 3 }, { name: 'b9', time: 9 }),
    ),
  ).toEqual(['a1', 'b1', 'b3', 'a4', 'b9']);
});

test('an item without a time, or with an earlier one, keeps its place in its stream', async () => {
  expect(
    await merged(
      stream({ name: 'a5', time: 5 }, { name: 'a?' }, { name: 'a2', time: 2 }),
      stream({ name: 'b4', time: 4 }, { name: 'b6', time: 6 }),
    ),
  ).toEqual(['b4', 'a5', 'a?', 'a2', 'b6']);
});

test('streams are closed when the reader stops early', async () => {
  const closed: string[] = [];
  async function* closing(name: string): AsyncGenerator<Item> {
    try {
      yield { name, time: 1 };
      yield { name, time: 2 };
    } finally {
      closed.push(name);
    }
  }
  for await (const _item of mergeByTime([closing('a'), closing('b')], ({ time }) => time)) break;
  expect(closed).toEqual(['a', 'b']);
});
