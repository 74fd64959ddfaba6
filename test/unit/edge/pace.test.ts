/** How fast somebody may go on, on a clock that stands still. */
import { beforeEach, expect, test } from 'vitest';
import { Pace } from '../../../src/edge/pace.ts';

let now = 0;
beforeEach(() => {
  now = 0;
});
const clock = { now: () => now, monotonic: () => now };
const pace = (maxMembers?: number): Pace => new Pace({ burst: 3, perSecond: 2 }, clock, maxMembers);

test('so many at once, then at the rate, each member for itself', () => {
  const one = pace();
  expect([1, 2, 3, 4].map(() => one.allows('a'))).toEqual([true, true, true, false]);
  expect(one.allows('b')).toBe(true);
  now = 499;
  expect(one.allows('a')).toBe(false);
  now = 500;
  expect([one.allows('a'), one.allows('a')]).toEqual([true, false]);
});

test('says how long it would be too much, and what is refused costs nothing', () => {
  const one = pace();
  expect([one.take('a', 3), one.take('a'), one.take('a', 2), one.take('a')]).toEqual([0, 500, 1000, 500]);
  now = 250;
  expect(one.take('a')).toBe(250);
  now = 500;
  expect(one.take('a')).toBe(0);
});

test('a pause is made good up to the burst and no further', () => {
  const one = pace();
  one.take('a', 3);
  now = 3_600_000;
  expect([one.take('a', 3), one.allows('a')]).toEqual([0, false]);
});

test('on credit anything goes once, and is paid for', () => {
  const one = pace();
  expect(one.takeOnCredit('a', 100)).toBe(0);
  expect(one.takeOnCredit('a', 1)).toBe(48_500);
  expect(one.take('a')).toBe(49_000);
  expect(one.takeOnCredit('b', 1)).toBe(0);
  now = 48_500;
  expect(one.takeOnCredit('a', 1)).toBe(0);
});

test('what is only known afterwards is owed all the same', () => {
  const one = pace();
  expect(one.takeOnCredit('a', 0)).toBe(0);
  one.charge('a', 7);
  expect([one.takeOnCredit('a', 0), one.takeOnCredit('b', 0)]).toEqual([2000, 0]);
});

test('remembers so many and no more: who went longest ago is forgotten first', () => {
  const one = pace(2);
  one.take('a', 3);
  one.take('b', 3);
  one.take('c', 3);
  expect([one.allows('b'), one.allows('c'), one.allows('a')]).toEqual([false, false, true]);
});
