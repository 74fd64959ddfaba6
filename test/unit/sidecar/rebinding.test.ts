/** Contexts under a key that was replaced: bound to the new one while the old one can sign, and no further. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compilePolicy } from '../../../src/core/policy/evaluate.ts';
import { makeSigningKey } from '../../../src/edge/keys/signing-key.ts';
import { loadIdentity, type SidecarIdentity } from '../../../src/edge/store/identity-files.ts';
import { TrustState } from '../../../src/edge/store/trust-state.ts';
import { Contexts } from '../../../src/sidecar/contexts.ts';
import { Identities } from '../../../src/sidecar/identities.ts';
import { Rebinding } from '../../../src/sidecar/rebinding.ts';
import {
  makeDomain,
  TEST_LIMITS,
  type TestAgent,
  type TestDomain,
  writeIdentity,
} from '../../testkit/domain.ts';
import { TestClock } from '../../testkit/test-clock.ts';

const PLANNING = 'planning/abc123';
const LIFE_SECONDS = 600;

let directory: string;
let clock: TestClock;
let domain: TestDomain;
let contexts: Contexts;
let identities: Identities;
let rebinding: Rebinding;
let first: TestAgent;

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-rebinding-'));
  clock = new TestClock();
  domain = await makeDomain({ now: clock.seconds, svidTtlSeconds: LIFE_SECONDS });
  contexts = new Contexts(100, 3_600_000, clock);
  identities = new Identities(clock);
  const trust = new TrustState(clock, { epoch: 0, seq: 0 });
  const policy = compilePolicy({
    revision: 'r1',
    limits: { ...TEST_LIMITS, sessionSeconds: 600 },
    scopeSets: {},
    lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
    routes: [],
    rules: [],
    demands: [],
  });
  trust.replace(domain.verifiedBundle(), policy, { freshAt: clock.seconds, maxStalenessSeconds: 3600 });
  rebinding = new Rebinding(contexts, identities, trust);
  first = domain.agent(PLANNING);
  identities.take(identityOf(first));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const identityOf = (agent: TestAgent): SidecarIdentity => {
  const names = writeIdentity(directory, agent);
  const files = Object.fromEntries(
    Object.entries(names).map(([name, file]) => [name, path.join(directory, file)]),
  ) as typeof names;
  return loadIdentity(files, domain.verifiedBundle(), clock.seconds);
};
const rotate = async (ttlSeconds = 3600): Promise<SidecarIdentity> => {
  const agent = await domain.enrol(PLANNING, { key: makeSigningKey(), now: clock.seconds, ttlSeconds });
  const identity = identityOf(agent);
  identities.take(identity);
  return identity;
};
const openContext = () => {
  const chain = domain.mintRoot(first, { ttlSeconds: 3600 });
  return contexts.open('task', chain, domain.verify(chain, first));
};
const under = (context: ReturnType<typeof openContext>, own: SidecarIdentity): string => {
  const held = rebinding.chainUnder(context, own, clock.seconds);
  return held.ok ? `${held.value.chainText.split('~').length} links` : held.reason;
};

test('a context is used as it is under the key that it was granted to', () => {
  expect(under(openContext(), identities.current)).toBe('1 links');
});

test('under the next key it has one link more, which grants no more and counts for no depth', async () => {
  const context = openContext();
  const next = await rotate();
  const held = rebinding.chainUnder(context, next, clock.seconds);
  expect(held).toMatchObject({
    ok: true,
    value: { chain: { depth: 1, holder: { id: next.id }, exp: context.chain.exp } },
  });
  expect(under(context, next)).toBe('2 links');
});

describe('when the key before has ended', () => {
  test('what was bound in time goes on', async () => {
    const context = openContext();
    const next = await rotate();
    await rebinding.prepareAll(() => clock.seconds);
    clock.advanceSeconds(LIFE_SECONDS);
    expect(under(context, next)).toBe('2 links');
  });

  test('what was not is refused: nobody can sign for it any more', async () => {
    const context = openContext();
    const next = await rotate();
    clock.advanceSeconds(LIFE_SECONDS);
    expect(under(context, next)).toBe('context_key');
  });

  test('and so is what somebody grants to a key that was never ours', async () => {
    const context = openContext();
    identities.keepNewest();
    const next = await rotate();
    identities.keepNewest();
    expect(under(context, next)).toBe('context_key');
  });
});

test('a second rotation must wait until what rests on the first has ended', async () => {
  expect(rebinding.busyUntil).toBe(0);
  const context = openContext();
  await rotate();
  await rebinding.prepareAll(() => clock.seconds);
  expect(rebinding.busyUntil).toBe(context.chain.exp);
});
