/** What one caller gets of the door in, and what it leaves to others. */
import { beforeEach, expect, test } from 'vitest';
import type { AgentId } from '../../../src/core/spiffe-id.ts';
import type { AgentBreaker } from '../../../src/sidecar/agent-breaker.ts';
import { DoorGuard, type UnderWay } from '../../../src/sidecar/door-guard.ts';
import { DoorRates } from '../../../src/sidecar/door-rates.ts';

const agentNamed = (name: string) => `spiffe://mesh/agent/planning/${name}` as AgentId;
const [A, B] = [agentNamed('a'), agentNamed('b')];
const LIMITS = {
  requests: 16,
  requestsPerCaller: 10,
  connections: 16,
  connectionsPerCaller: 10,
  heldBytes: 320,
  heldBytesInTotal: 400,
  handshakesPerSecond: 1000,
  requestsPerSecond: 10,
  taskRequestsPerSecond: 1000,
  readBytesPerSecond: 1000,
};
const fresh = (): UnderWay => ({ requests: 0, heldBytes: 0 });
let guard: DoorGuard;
let isAgentThere = true;

beforeEach(() => {
  isAgentThere = true;
  const limits = () => LIMITS as never;
  const agent = {
    fault: () => (isAgentThere ? undefined : { ok: false, reason: 'upstream_unavailable', detail: '' }),
  } as unknown as AgentBreaker;
  guard = new DoorGuard(limits, new DoorRates(limits, { now: () => 0, monotonic: () => 0 }), agent);
});

const enter = (caller: AgentId, mine: UnderWay, count: number) =>
  Array.from({ length: count }, () => guard.enter(caller, mine)?.reason);

test('one caller has its share of requests under way; what is refused has a place until it is answered', () => {
  const a = fresh();
  expect(enter(A, a, 11)).toEqual([...Array(10).fill(undefined), 'caller_busy']);
  guard.leave(a);
  guard.leave(a);
  expect(guard.enter(A, a)).toBeUndefined();
});

test('the last places are for callers that have few, and say when to come again', () => {
  const [a, b] = [fresh(), fresh()];
  enter(A, a, 10);
  expect(enter(B, b, 3)).toEqual([undefined, undefined, 'sidecar_busy']);
  expect(guard.enter(B, b)).toMatchObject({ reason: 'sidecar_busy', retryAfterSeconds: 1 });
  expect(guard.enter(agentNamed('c'), fresh())).toBeUndefined();
});

test('every request counts for the rate, refused or not', () => {
  const a = fresh();
  enter(A, a, 20);
  for (let left = 0; left < 20; left++) guard.leave(a);
  expect(guard.enter(A, a)?.reason).toBe('caller_rate');
});

test('nobody waits for an agent that is not there', () => {
  isAgentThere = false;
  expect(guard.enter(A, fresh())?.reason).toBe('upstream_unavailable');
});

test('a caller with many connections leaves the last ones to others', () => {
  expect([guard.connection(9, 12), guard.connection(10, 12)]).toEqual([true, false]);
  expect([guard.connection(1, 13), guard.connection(0, 16), guard.connection(0, 17)]).toEqual([
    false,
    true,
    false,
  ]);
});

test('bodies in memory are shared out the same way', () => {
  const [a, b] = [fresh(), fresh()];
  const [ofA, ofB] = [guard.bodies(A, a), guard.bodies(B, b)];
  expect(ofA.take(321, true)?.reason).toBe('caller_busy');
  expect(ofA.take(280, true)).toBeUndefined();
  expect([ofB.take(21, true)?.reason, ofB.take(20, true)?.reason]).toEqual(['sidecar_busy', undefined]);
  ofA.giveBack(280);
  expect(ofB.take(280, true)).toBeUndefined();
  ofB.giveBack(280);
  expect(b.heldBytes).toBe(20);
});

test('a caller pays for what it announces, or for what came', () => {
  const announced = guard.bodies(A, fresh());
  for (let round = 0; round < 7; round++) {
    expect(announced.take(300, true)).toBeUndefined();
    announced.giveBack(300);
  }
  expect(announced.take(300, true)?.reason).toBe('body_rate');
  const unannounced = guard.bodies(B, fresh());
  for (let round = 0; round < 99; round++) {
    expect(unannounced.take(300, false)).toBeUndefined();
    unannounced.haveRead(10);
    unannounced.giveBack(300);
  }
  unannounced.haveRead(2000);
  expect(unannounced.take(300, false)?.reason).toBe('body_rate');
});
