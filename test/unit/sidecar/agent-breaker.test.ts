/** When the agent behind a sidecar is left alone, on a clock that stands still. */
import { beforeEach, expect, test } from 'vitest';
import type { AgentId } from '../../../src/core/spiffe-id.ts';
import { AgentBreaker } from '../../../src/sidecar/agent-breaker.ts';

const [A, B] = ['spiffe://mesh/agent/planning/a', 'spiffe://mesh/agent/planning/b'] as [AgentId, AgentId];
let now = 0;
let isThere = true;
let timers: (() => void)[] = [];
let said: string[] = [];
let breaker: AgentBreaker;

beforeEach(() => {
  now = 0;
  isThere = true;
  timers = [];
  said = [];
  const say = (level: string) => () => void said.push(level);
  breaker = new AgentBreaker({
    limits: { failures: 2, coolDownMs: 1000 },
    clock: { now: () => now, monotonic: () => now },
    log: { error: say('error'), info: say('info'), warn: say('warn') } as never,
    probe: () => Promise.resolve(isThere),
    later: (milliseconds, then) => {
      timers.push(() => {
        now += milliseconds;
        then();
      });
    },
  });
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const fail = async (
  reason: Parameters<ReturnType<AgentBreaker['begin']>['ended']>[0],
  caller = A,
  count = 2,
) => {
  for (let done = 0; done < count; done++) breaker.begin(caller).ended(reason);
  await turn();
};
/** The next probe, and what follows from its answer. */
const probe = async (): Promise<void> => {
  timers.shift()?.();
  await turn();
};

test('where nobody listens, everybody hears so at once, until the sidecar’s own probe finds somebody', async () => {
  isThere = false;
  await fail('upstream_unreachable', A, 1);
  expect(breaker.fault(A)).toBeUndefined();
  await fail('upstream_unreachable', B, 1);
  for (const caller of [A, B])
    expect(breaker.fault(caller)).toMatchObject({ reason: 'upstream_unavailable', retryAfterSeconds: 1 });
  await probe();
  expect([breaker.state, breaker.fault(B)?.reason, timers.length]).toEqual([
    'open',
    'upstream_unavailable',
    1,
  ]);
  isThere = true;
  await probe();
  expect([breaker.state, breaker.fault(A), breaker.fault(B), timers.length]).toEqual([
    'closed',
    undefined,
    undefined,
    0,
  ]);
  expect(said).toEqual(['error', 'info']);
});

test('no request is a probe, however long ago it opened', async () => {
  isThere = false;
  await fail('upstream_unreachable');
  now = 60_000;
  expect(breaker.state).toBe('half-open');
  expect(breaker.fault(A)?.reason).toBe('upstream_unavailable');
});

test.each(['upstream_timeout', 'upstream_failed'] as const)(
  '%s shuts the door to the caller whose requests they were, and to nobody else',
  async (reason) => {
    await fail(reason);
    expect([breaker.fault(A)?.reason, breaker.fault(B), breaker.state]).toEqual([
      'upstream_unavailable',
      undefined,
      'closed',
    ]);
    expect(said).toEqual(['warn']);
    now = 1000;
    expect(breaker.fault(A)).toBeUndefined();
    const one = breaker.begin(A);
    expect(breaker.fault(A)?.reason).toBe('upstream_unavailable');
    // A stream is answered for at its head, not at its end.
    one.answered();
    expect(breaker.fault(A)).toBeUndefined();
  },
);

test('an answer in between begins the count anew, whatever status it has; what the client or policy ended counts for nothing', async () => {
  await fail('upstream_unreachable', A, 1);
  await fail('client_aborted', A, 5);
  await fail('revoked_task', A, 5);
  breaker.begin(A).ended('ok');
  await fail('upstream_unreachable', A, 1);
  expect(breaker.fault(A)).toBeUndefined();
});

test('a response that breaks off after its head is no sign that nobody answers', () => {
  for (let done = 0; done < 5; done++) {
    const attempt = breaker.begin(A);
    attempt.answered();
    attempt.ended('upstream_failed');
  }
  expect([breaker.fault(A), breaker.state]).toEqual([undefined, 'closed']);
});

test('whoever takes all connections does not make it look as if nobody listened', async () => {
  await fail('upstream_unreachable', A, 20);
  expect([breaker.fault(B), breaker.state, said, timers.length]).toEqual([undefined, 'closed', [], 0]);
});

test('requests that began before it opened start no second probe', async () => {
  isThere = false;
  const late = [breaker.begin(A), breaker.begin(B)];
  await fail('upstream_unreachable');
  for (const attempt of late) attempt.ended('upstream_unreachable');
  await turn();
  expect(timers).toHaveLength(1);
});

test('a sidecar that has stopped asks no more', async () => {
  isThere = false;
  await fail('upstream_unreachable');
  breaker.stop();
  await probe();
  expect(timers).toEqual([]);
});
