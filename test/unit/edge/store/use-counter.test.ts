/** Uses that were taken stay taken, in a file that does not grow for ever. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { FileUseCounter } from '../../../../src/edge/store/use-counter.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const WRITER = fileURLToPath(new URL('../../../testkit/use-writer.ts', import.meta.url));
const LASTING = 'L'.repeat(43);
const DAY = 86_400;
const keyOf = (n: number): string => `${n}-`.padEnd(43, 'k');

let directory: string;
let file: string;
let clock: TestClock;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-uses-'));
  file = path.join(directory, 'uses.log');
  clock = new TestClock();
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
});
const lines = (): number => readFileSync(file, 'utf8').split('\n').filter(Boolean).length;

test('a use is remembered until a day after its end, and then forgotten at the next start', async () => {
  const until = clock.seconds + 60;
  expect(await new FileUseCounter(file, clock).take(keyOf(1), 0, 1, until)).toBe(true);
  for (const pass of [0, 60, DAY]) {
    clock.advanceSeconds(pass);
    const counter = new FileUseCounter(file, clock);
    // Any use after a start has the file written anew.
    await counter.take(keyOf(2), 0, 9, clock.seconds + 60);
    expect(await counter.take(keyOf(1), 0, 1, until)).toBe(false);
    expect(await new FileUseCounter(file, clock).take(keyOf(1), 0, 1, until)).toBe(false);
  }
  clock.advanceSeconds(1);
  await new FileUseCounter(file, clock).take(keyOf(2), 0, 9, clock.seconds + 60);
  expect(readFileSync(file, 'utf8')).not.toContain(keyOf(1));
});

test('counts go through as many rewritings as there are', async () => {
  const until = clock.seconds + 60;
  let taken = 0;
  for (let start = 0; start < 8; start++)
    if (await new FileUseCounter(file, clock).take(keyOf(1), 2, 5, until)) taken++;
  expect(taken).toBe(5);
  expect(lines()).toBeLessThanOrEqual(2);
});

test('a file that has grown large is written anew while uses are being taken', async () => {
  const counter = new FileUseCounter(file, clock, 100);
  const over = clock.seconds - 2 * DAY;
  const until = clock.seconds + 60;
  const rounds = Array.from({ length: 1000 }, async (_, n) => {
    await counter.take(keyOf(n), 0, 1, over);
    return counter.take(LASTING, 0, 300, until);
  });
  const taken = (await Promise.all(rounds)).filter(Boolean).length;
  expect(taken).toBe(300);
  expect(lines()).toBeLessThan(200);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const again = new FileUseCounter(file, clock);
  expect(await again.take(LASTING, 0, 300, until)).toBe(false);
  expect(await again.take(LASTING, 0, 301, until)).toBe(true);
});

test('what cannot be written anew goes on in the file that there is', async () => {
  const until = clock.seconds + 60;
  // Long enough that the temporary file beside it can have no name.
  file = path.join(directory, 'u'.repeat(250));
  await new FileUseCounter(file, clock).take(keyOf(1), 0, 1, until);
  const counter = new FileUseCounter(file, clock, 1);
  for (const [key, taken] of [
    [2, true],
    [1, false],
    [3, true],
    [2, false],
  ] as const)
    expect(await counter.take(keyOf(key), 0, 1, until)).toBe(taken);
  expect(lines()).toBe(3);
  expect(await new FileUseCounter(file, clock).take(keyOf(3), 0, 1, until)).toBe(false);
});

test('kill -9 between any two writes forgets no use that was taken', async () => {
  let acknowledged = 0;
  const rounds = 8;
  for (let round = 0; round < rounds; round++) {
    const child = spawn(process.execPath, [WRITER, file], { stdio: ['ignore', 'pipe', 'inherit'] });
    const most = 3 + 7 * round;
    let seen = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString().split('\n').length - 1;
      if (seen >= most) child.kill('SIGKILL');
    });
    await once(child, 'close');
    expect(seen).toBeGreaterThanOrEqual(most);
    acknowledged += seen;
  }
  const counter = new FileUseCounter(file, clock);
  expect(await counter.take(LASTING, 3, acknowledged, clock.seconds + 60)).toBe(false);
  // One was under way each time.
  expect(await counter.take(LASTING, 3, acknowledged + rounds + 1, clock.seconds + 60)).toBe(true);
  expect(lines()).toBeLessThan(10);
  expect(readdirSync(directory)).toEqual(['uses.log']);
}, 60_000);
