import { beforeEach, expect, it } from 'vitest';
import { GuessLimit } from '../../../../src/verifier/service/guess-limit.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

let clock: TestClock;
let limit: GuessLimit;
beforeEach(() => {
  clock = new TestClock();
  limit = new GuessLimit({ burst: 3, refillSeconds: 10 }, clock);
});
const wrong = (source: string, times: number): void => {
  for (let n = 0; n < times; n++) limit.countWrong(source);
};

it('counts what is wrong only, and forgives with time', () => {
  for (let n = 0; n < 100; n++) expect(limit.allows('192.0.2.1')).toBe(true);
  wrong('192.0.2.1', 3);
  expect(limit.allows('192.0.2.1')).toBe(false);
  expect(limit.allows('192.0.2.2')).toBe(true);
  clock.advanceSeconds(11);
  expect(limit.allows('192.0.2.1')).toBe(true);
  wrong('192.0.2.1', 1);
  expect(limit.allows('192.0.2.1')).toBe(false);
});

it('lets many at once run into debt: the rate over time is the same', () => {
  wrong('192.0.2.1', 100);
  clock.advanceSeconds(960);
  expect(limit.allows('192.0.2.1')).toBe(false);
  clock.advanceSeconds(30);
  expect(limit.allows('192.0.2.1')).toBe(true);
});

it('takes a /64 of IPv6 for one source, and a mapped IPv4 address for what it is', () => {
  wrong('2001:db8:1:2::1', 1);
  wrong('2001:db8:1:2:ffff:1:2:3', 1);
  wrong('2001:0db8:0001:0002::2', 1);
  expect(limit.allows('2001:db8:1:2:aaaa::')).toBe(false);
  expect(limit.allows('2001:db8:1:3::1')).toBe(true);
  wrong('::ffff:192.0.2.9', 3);
  expect(limit.allows('192.0.2.9')).toBe(false);
});

it('holds as much memory for a million addresses as for one', () => {
  for (let n = 0; n < 100_000; n++) limit.countWrong(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
  const held = Object.values(limit).filter((member) => ArrayBuffer.isView(member));
  expect(held.map(({ byteLength }) => byteLength)).toEqual([32_768, 32_768]);
  // Full, it fails closed for all rather than open for anyone.
  expect(limit.allows('198.51.100.1')).toBe(false);
});
