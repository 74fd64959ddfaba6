/** Memory is given back once large work is over, and seldom. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { idleness, MemoryRelief } from '../../../src/edge/memory.ts';

let now = 0;
let released: number[] = [];
beforeEach(() => {
  vi.useFakeTimers();
  now = 0;
  released = [];
});
afterEach(() => vi.useRealTimers());

const pass = (milliseconds: number): void => {
  for (let step = 0; step < milliseconds; step += 100) {
    now += 100;
    vi.advanceTimersByTime(100);
  }
};
const relief = () =>
  new MemoryRelief(
    () => now,
    () => released.push(now),
  );

it('waits until nothing more comes', () => {
  const memory = relief();
  for (let bundle = 0; bundle < 5; bundle++) {
    memory.soon();
    pass(1000);
  }
  expect(released).toEqual([]);
  pass(10_000);
  expect(released).toEqual([6000]);
});

it('comes once in ten seconds at most, and for what came last too', () => {
  const memory = relief();
  for (let bundle = 0; bundle < 8; bundle++) {
    memory.soon();
    pass(2500);
  }
  expect(released).toEqual([2000, 12_000]);
  pass(120_000);
  expect(released).toEqual([2000, 12_000, 22_000]);
});

it('does nothing after its end', () => {
  const memory = relief();
  memory.soon();
  memory.stop();
  pass(100_000);
  expect(released).toEqual([]);
});

it('leaves a process alone that has something to do', () => {
  let busy = true;
  const memory = new MemoryRelief(
    () => now,
    () => released.push(now),
    () => !busy,
  );
  memory.soon();
  pass(60_000);
  expect(released).toEqual([]);
  busy = false;
  pass(60_000);
  expect(released).toEqual([62_000]);
});

it('tells by the time that it used since it was asked last', () => {
  let used = 700;
  const isIdle = idleness(
    () => now,
    () => used,
  );
  now += 2000;
  used += 101;
  expect(isIdle()).toBe(false);
  now += 2000;
  used += 99;
  expect(isIdle()).toBe(true);
});
