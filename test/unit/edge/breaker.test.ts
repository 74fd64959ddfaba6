/** When something that doesn't answer is asked again, on a clock that stands still. */
import { expect, test } from 'vitest';
import { type Attempt, Breaker } from '../../../src/edge/breaker.ts';

let now = 0;
const breaker = (): Breaker => {
  now = 0;
  return new Breaker({ failures: 2, coolDownMs: 1000 }, { now: () => now, monotonic: () => now });
};

const begun = (one: Breaker): Attempt => {
  const attempt = one.begin();
  if (attempt === undefined) throw new Error('it is not asked');
  return attempt;
};

test('opens after failures in a row, lets one try when it has cooled down, and closes with its answer', () => {
  const one = breaker();
  begun(one)('failed');
  begun(one)('answered');
  begun(one)('failed');
  expect(one.state).toBe('closed');
  begun(one)('failed');
  expect([one.state, one.begin()]).toEqual(['open', undefined]);
  now = 999;
  expect(one.begin()).toBeUndefined();
  now = 1000;
  expect(one.state).toBe('half-open');
  const probe = begun(one);
  expect(one.begin()).toBeUndefined();
  probe('answered');
  expect(one.state).toBe('closed');
  // From the beginning.
  begun(one)('failed');
  expect(one.state).toBe('closed');
});

test('a try that fails opens it for another time', () => {
  const one = breaker();
  begun(one)('failed');
  begun(one)('failed');
  now = 1500;
  begun(one)('failed');
  now = 2499;
  expect(one.begin()).toBeUndefined();
  now = 2500;
  expect(one.begin()).toBeDefined();
});

test('what began before it opened neither closes it nor keeps it open', () => {
  const one = breaker();
  const [early, late, slow] = [begun(one), begun(one), begun(one)];
  early('failed');
  late('failed');
  expect(one.state).toBe('open');
  const answered = breaker();
  const straggler = begun(answered);
  begun(answered)('failed');
  begun(answered)('failed');
  straggler('answered');
  expect(answered.state).toBe('open');
  now = 0;
  slow('failed');
  now = 1000;
  expect(one.state).toBe('half-open');
  const probe = begun(one);
  probe('answered');
  expect(one.state).toBe('closed');
});

test('a straggler of an earlier time doesn’t end the probe', () => {
  const one = breaker();
  const straggler = begun(one);
  begun(one)('failed');
  begun(one)('failed');
  now = 1000;
  begun(one);
  straggler('answered');
  expect([one.state, one.begin()]).toEqual(['half-open', undefined]);
});
