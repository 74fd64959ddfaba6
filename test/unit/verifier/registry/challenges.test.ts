import { expect, test } from 'vitest';
import { Refusal } from '../../../../src/verifier/refusal.ts';
import { Challenges } from '../../../../src/verifier/registry/challenges.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const reasonOf = (work: () => void): string => {
  try {
    work();
    return 'done';
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
};

test('a million challenges that nobody uses take no room from one that is', () => {
  const challenges = new Challenges(new TestClock(), 2);
  const { nonce } = challenges.make();
  for (let count = 0; count < 10_000; count++) challenges.make();
  expect(reasonOf(() => challenges.take(nonce))).toBe('done');
});

test('when all places for used ones are taken, none is forgotten before it has ended', () => {
  const clock = new TestClock();
  const challenges = new Challenges(clock, 2);
  const [first, second, third] = [challenges.make(), challenges.make(), challenges.make()].map(
    ({ nonce }) => nonce,
  ) as [string, string, string];
  challenges.take(first);
  clock.advanceSeconds(30);
  challenges.take(second);
  expect(reasonOf(() => challenges.take(third))).toBe('api_busy');
  expect(reasonOf(() => challenges.take(first))).toBe('enrolment_proof');
  clock.advanceSeconds(30);
  expect(reasonOf(() => challenges.take(second))).toBe('enrolment_proof');
  const { nonce } = challenges.make();
  expect(reasonOf(() => challenges.take(nonce))).toBe('done');
});

test('not one bit of it can be another', () => {
  const challenges = new Challenges(new TestClock());
  const octets = Buffer.from(challenges.make().nonce, 'base64url');
  for (let bit = 0; bit < octets.length * 8; bit += 7) {
    const changed = Buffer.from(octets);
    const at = bit >> 3;
    changed[at] = (changed[at] ?? 0) ^ (1 << (bit & 7));
    expect(reasonOf(() => challenges.take(changed.toString('base64url')))).toBe('enrolment_proof');
  }
  expect(reasonOf(() => challenges.take(`${octets.toString('base64url')}=`))).toBe('enrolment_proof');
});
