/** Rates at the door in, on a clock that stands still. */
import { beforeEach, expect, test } from 'vitest';
import type { VerifiedChain } from '../../../src/core/delegation/chain.ts';
import type { AgentId } from '../../../src/core/spiffe-id.ts';
import { DoorRates } from '../../../src/sidecar/door-rates.ts';

const [A, B] = ['spiffe://mesh/agent/planning/a', 'spiffe://mesh/agent/planning/b'] as [AgentId, AgentId];
const chainOf = (task: string, principal: string) => ({ task, principal }) as VerifiedChain;
let now = 0;
let rates: DoorRates;
beforeEach(() => {
  now = 0;
  rates = new DoorRates(
    () => ({
      handshakesPerSecond: 1,
      requestsPerSecond: 2,
      taskRequestsPerSecond: 1,
      readBytesPerSecond: 100,
    }),
    { now: () => now, monotonic: () => now },
  );
});
const times = <T>(count: number, one: () => T): T[] => Array.from({ length: count }, one);

test('one caller’s requests are let in at its rate, and nobody else’s are counted with them', () => {
  expect(times(4, () => rates.request(A))).toEqual(Array(4).fill(undefined));
  expect(rates.request(A)).toEqual({
    ok: false,
    reason: 'caller_rate',
    detail: `${A} may send 2 requests a second`,
    retryAfterSeconds: 1,
  });
  expect(rates.request(B)).toBeUndefined();
  now = 500;
  expect(rates.request(A)).toBeUndefined();
});

test('a task is its link and its principal, whichever chain it comes with and whoever sends it', () => {
  expect(rates.task(chainOf('t', 'alice'))).toBeUndefined();
  expect(rates.task(chainOf('t', 'alice'))).toBeUndefined();
  expect(rates.task(chainOf('t', 'alice'))).toMatchObject({ reason: 'task_rate', retryAfterSeconds: 1 });
  expect(rates.task(chainOf('t', 'mallory'))).toBeUndefined();
  expect(rates.task(chainOf('u', 'alice'))).toBeUndefined();
});

test('a body of any size is read once, and then paid for', () => {
  expect(rates.read(A, 5000)).toBeUndefined();
  expect(rates.read(A, 1)).toMatchObject({ reason: 'body_rate', retryAfterSeconds: 48 });
  expect(rates.read(B, 1)).toBeUndefined();
  now = 48_000;
  expect(rates.read(A, 1)).toBeUndefined();
});

test('many at once are charged for what they announce before any of it has come', () => {
  expect(times(4, () => rates.read(A, 90)?.reason)).toEqual([undefined, undefined, undefined, 'body_rate']);
});

test('what nobody announces is charged for when it has come', () => {
  expect(times(9, () => rates.read(A, 0))).toEqual(Array(9).fill(undefined));
  rates.haveRead(A, 1000);
  expect(rates.read(A, 0)).toMatchObject({ reason: 'body_rate', retryAfterSeconds: 8 });
});

test('handshakes of one source', () => {
  expect(times(6, () => rates.handshake('10.0.0.1'))).toEqual([...Array(5).fill(true), false]);
  expect(rates.handshake('10.0.0.2')).toBe(true);
});
