/** A real OPA over REST: what it says, and what becomes of a request when it is killed, halted or comes back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decisionPoints } from '../../src/config/decision-point-schema.ts';
import { type OpenDecisionPoints, openDecisionPoints } from '../../src/edge/opa/decision-points.ts';
import { makeLogger } from '../../src/edge/telemetry/log.ts';
import type { PointVerdict } from '../../src/ports.ts';
import { TestClock } from '../testkit/test-clock.ts';
import { OpaServer, writePolicy } from './opa-process.ts';

const TIMEOUT_MS = 150;
/** For a machine that is busy with something else. */
const GRACE_MS = 350;
const COOL_DOWN_SECONDS = 30;

const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-opa-'));
const socket = path.join(directory, 'opa.sock');
const server = new OpaServer(socket, [path.join(directory, 'policy')]);
const clock = new TestClock();
let points: OpenDecisionPoints;

beforeAll(async () => {
  writePolicy(path.join(directory, 'policy'), {
    entrypoints: [],
    data: { friends: ['alice'] },
    rego: `package hopgate.authz

default allow := false

allow if input.who in data.friends

decision := {"allow": false, "reason": "not today"}

only_friends if input.who in data.friends

garbage := {"yes": 1.5, "allow": "perhaps"}

# Two values for one rule: OPA answers 500.
torn := value if some value in input.values

slow := count([1 | some i in numbers.range(1, 20000); some j in numbers.range(1, 20000); i * j == 7])
`,
  });
  await server.start();
  points = openDecisionPoints({
    config: decisionPoints.parse({
      org: {
        rest: {
          url: `unix:${socket}`,
          timeout: `${TIMEOUT_MS}ms`,
          breaker: { failures: 3, coolDown: `${COOL_DOWN_SECONDS}s` },
        },
      },
    }),
    fileAt: (name) => name,
    stateDirectory: directory,
    log: makeLogger('silent'),
    clock,
  });
  await points.start();
});

afterAll(async () => {
  await points?.stop();
  await server.kill();
  rmSync(directory, { recursive: true });
});

const ask = async (
  rule = 'allow',
  input: Record<string, unknown> = { who: 'alice' },
): Promise<PointVerdict> => {
  const begun = performance.now();
  const verdict = await points.get('org')?.decide(`hopgate/authz/${rule}`, input);
  expect(performance.now() - begun).toBeLessThan(TIMEOUT_MS + GRACE_MS);
  if (verdict === undefined) throw new Error('no such point');
  return verdict;
};
const told = async (...args: Parameters<typeof ask>): Promise<string> => {
  const verdict = await ask(...args);
  return verdict.ok ? 'ok' : verdict.reason;
};

/** The breaker is no part of what is shown here. */
const rested = (): void => clock.advanceSeconds(COOL_DOWN_SECONDS);

describe('an OPA that runs', () => {
  test('permits, with its decision id', async () => {
    expect(await ask()).toMatchObject({ ok: true, decisionId: expect.stringMatching(/^[0-9a-f-]{36}$/) });
  });

  test('denies, with its reason and its decision id', async () => {
    expect(await told('allow', { who: 'eve' })).toBe('opa_denied');
    expect(await ask('decision')).toMatchObject({
      reason: 'opa_denied',
      detail: 'not today',
      decisionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  test('has nothing to say', async () => {
    expect(await told('only_friends', { who: 'eve' })).toBe('opa_undefined');
    expect(await told('no_such_rule')).toBe('opa_undefined');
  });

  test('says what nobody can use', async () => {
    expect(await told('garbage')).toBe('opa_result');
    expect(await told('torn', { values: [1, 2] })).toBe('opa_result');
  });

  test('thinks for too long, and is as before for the next', async () => {
    expect(await told('slow')).toBe('opa_timeout');
    rested();
    expect(await told()).toBe('ok');
  });
});

test('an OPA that is halted: opa_timeout each time, then opa_unavailable at once; and as before when it goes on', async () => {
  server.signal('SIGSTOP');
  for (let count = 0; count < 3; count++) expect(await told()).toBe('opa_timeout');
  const begun = performance.now();
  for (let count = 0; count < 1000; count++) expect(await told()).toBe('opa_unavailable');
  // Nothing waits any more.
  expect(performance.now() - begun).toBeLessThan(1000);
  server.signal('SIGCONT');
  rested();
  expect(await told()).toBe('ok');
});

test('an OPA that is killed: opa_unavailable; and as before when it is started again', async () => {
  await server.kill();
  for (let count = 0; count < 5; count++) expect(await told()).toBe('opa_unavailable');
  await server.start();
  rested();
  expect(await told()).toBe('ok');
  expect(await told('allow', { who: 'eve' })).toBe('opa_denied');
});

test('an OPA that is killed under load: no request is permitted that it has not permitted', async () => {
  const asked = Array.from({ length: 40 }, (_, index) =>
    told('allow', { who: index % 2 === 0 ? 'alice' : 'eve' }),
  );
  const [outcomes] = await Promise.all([Promise.all(asked), server.kill()]);
  for (const [index, outcome] of outcomes.entries())
    expect(index % 2 === 0 ? ['ok', 'opa_unavailable'] : ['opa_denied', 'opa_unavailable']).toContain(
      outcome,
    );
  await server.start();
  rested();
  expect(await told()).toBe('ok');
});
