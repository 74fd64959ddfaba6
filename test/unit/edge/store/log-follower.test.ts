import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { followLines } from '../../../../src/edge/store/log-follower.ts';
import type { LogLine } from '../../../../src/edge/store/log-reader.ts';
import { writeFiles } from '../../../testkit/sealed-log.ts';

const running: AbortController[] = [];
afterEach(() => {
  for (const controller of running.splice(0)) controller.abort();
});

/** Follows files; `next` waits for so many lines, or so many notices. */
const follow = (...paths: readonly string[]) => {
  const controller = new AbortController();
  running.push(controller);
  const notices: string[] = [];
  let noticed = (): void => undefined;
  const lines = followLines(paths, {
    signal: controller.signal,
    timeOf: ({ octets }: LogLine) => Number(/\d+/.exec(octets.toString())?.[0]),
    notice: (_path, what) => {
      notices.push(what);
      noticed();
    },
    pollMs: 20,
  });
  const read: LogLine[] = [];
  let arrived = (): void => undefined;
  const end = (async () => {
    for await (const line of lines) {
      read.push(line);
      arrived();
    }
  })();
  const until = async (is: () => boolean, set: (resume: () => void) => void): Promise<void> => {
    while (!is()) await new Promise<void>(set);
  };
  return {
    notices,
    stop: async (): Promise<void> => {
      controller.abort();
      await end;
    },
    lines: async (count: number): Promise<string[]> => {
      await until(
        () => read.length >= count,
        (resume) => {
          arrived = resume;
        },
      );
      return read.map(({ number, octets }) => `${number} ${octets}`);
    },
    notice: async (text: string): Promise<void> =>
      until(
        () => notices.some((notice) => notice.includes(text)),
        (resume) => {
          noticed = resume;
        },
      ),
  };
};

test('what is there comes merged by time, what is added as it arrives', async () => {
  const at = writeFiles({ a: 't1\nt4\n', b: 't2\n' });
  const tail = follow(at('a'), at('b'));
  expect(await tail.lines(3)).toEqual(['1 t1', '1 t2', '2 t4']);
  appendFileSync(at('b'), 't3\n');
  expect(await tail.lines(4)).toContain('2 t3');
  await tail.stop();
});

test('a line is shown when it is finished, once', async () => {
  const at = writeFiles({ a: '1 whole\n2 half' });
  const tail = follow(at('a'));
  await tail.lines(1);
  appendFileSync(at('a'), ' and half\n');
  expect(await tail.lines(2)).toEqual(['1 1 whole', '2 2 half and half']);
});

test('a file that is not there yet is waited for', async () => {
  const at = writeFiles({});
  const tail = follow(at('late'));
  await tail.notice('does not exist yet');
  writeFileSync(at('late'), '1 first\n');
  expect(await tail.lines(1)).toEqual(['1 1 first']);
});

test('a rotated file is read to its end before the new one', async () => {
  const at = writeFiles({ a: '1 old\n' });
  const tail = follow(at('a'));
  await tail.lines(1);
  renameSync(at('a'), at('a.1'));
  await tail.notice('is gone');
  appendFileSync(at('a.1'), '2 late\n');
  expect(await tail.lines(2)).toContain('2 2 late');
  writeFileSync(at('a'), '3 new\n');
  expect(await tail.lines(3)).toEqual(['1 1 old', '2 2 late', '1 3 new']);
  expect(tail.notices.filter((notice) => notice.includes('was replaced'))).toHaveLength(1);
});

test('a file that was deleted is told once, and followed when it comes back', async () => {
  const at = writeFiles({ a: '1 old\n' });
  const tail = follow(at('a'));
  await tail.lines(1);
  rmSync(at('a'));
  await tail.notice('is gone');
  writeFileSync(at('a'), '2 new\n');
  expect(await tail.lines(2)).toEqual(['1 1 old', '1 2 new']);
  expect(tail.notices.filter((notice) => notice.includes('is gone'))).toHaveLength(1);
});

test('a truncated file is read from its start', async () => {
  const at = writeFiles({ a: '1 one\n2 two\n' });
  const tail = follow(at('a'));
  await tail.lines(2);
  truncateSync(at('a'), 0);
  await tail.notice('was truncated');
  appendFileSync(at('a'), '3 three\n');
  expect(await tail.lines(3)).toContain('1 3 three');
});

test('a file rewritten in place to the same length is noticed', async () => {
  const at = writeFiles({ a: '1 one\n2 two\n' });
  const tail = follow(at('a'));
  await tail.lines(2);
  writeFileSync(at('a'), '1 one\n2 TWO\n', { flag: 'r+' });
  await tail.notice('was rewritten');
  expect(await tail.lines(4)).toEqual(['1 1 one', '2 2 two', '1 1 one', '2 2 TWO']);
});

test('an unfinished line that its writer takes back is not shown, and nothing is shown twice', async () => {
  const at = writeFiles({ a: '1 one\n2 torn' });
  const tail = follow(at('a'));
  await tail.lines(1);
  truncateSync(at('a'), '1 one\n'.length);
  appendFileSync(at('a'), '2 two\n');
  expect(await tail.lines(2)).toEqual(['1 1 one', '2 2 two']);
  expect(tail.notices).toEqual([]);
});
