/** What the status counts, and what it says needs somebody. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { KeysAnswer } from '../../../src/api/keys.ts';
import type { Enforced, Enforcement } from '../../../src/api/policy.ts';
import { sha256Base64url } from '../../../src/core/encoding/jws.ts';
import { MAX_BUNDLE_BYTES } from '../../../src/core/limits.ts';
import type { AgentId } from '../../../src/core/spiffe-id.ts';
import { SYSTEM } from '../../../src/verifier/actor.ts';
import { Edit, Records } from '../../../src/verifier/records.ts';
import { AGENT, type AgentRecord } from '../../../src/verifier/registry/agent-records.ts';
import { Status } from '../../../src/verifier/status.ts';
import { MemoryStore } from '../../testkit/memory-store.ts';
import { TestClock } from '../../testkit/test-clock.ts';

const DAY = 86_400;

describe('the status', () => {
  let clock: TestClock;
  let records: Records;
  let keys: KeysAnswer;
  let enforced: Enforcement;
  let stamped: boolean;
  let octets: number;

  beforeEach(() => {
    clock = new TestClock(1_800_000_000_000);
    records = new Records(new MemoryStore(), clock);
    const rolesExp = clock.seconds + 90 * DAY;
    const root = { thumbprint: sha256Base64url('root'), here: true, awaited: false };
    keys = { root, epoch: 1, rolesExp, keys: [] };
    const policy = { n: 1, revision: 'r1', digest: sha256Base64url('r1') };
    enforced = { current: { bundle: { epoch: 1, seq: 5 }, policy }, liveSeconds: 120, sidecars: [] };
    stamped = true;
    octets = 5000;
  });
  const status = () =>
    new Status({
      records,
      clock,
      trustDomain: 'company.com',
      keys: () => keys,
      enforcement: async () => enforced,
      isStamped: () => stamped,
      bundleOctets: () => octets,
    }).answer();

  const enrol = async (name: string, changes: Partial<AgentRecord>) => {
    const now = clock.seconds;
    const id = `spiffe://company.com/agent/planning/${name}` as AgentId;
    const record: AgentRecord = {
      id,
      state: 'live',
      agentX: 'x',
      thumbprint: sha256Base64url(name),
      auditX: 'x',
      svidKeys: [],
      serial: '01',
      entry: 'planning',
      attestor: 'join',
      facts: [],
      enrolledAt: now - 100,
      renewedAt: now - 100,
      svidNotAfter: now + 3500,
      ...changes,
    };
    const data = { id };
    await records.commit(
      { event: 'agent.enrolled', actor: SYSTEM, why: '', data },
      new Edit().set(AGENT, id, record),
    );
  };
  const alarm = (id: string) =>
    records.commit(
      { event: 'agent.key_replaced', actor: SYSTEM, why: '', data: { id, level: 'alarm' } },
      new Edit(),
    );

  it('is quiet when all is well', async () => {
    await enrol('a', {});
    expect(await status()).toMatchObject({
      bundle: { epoch: 1, seq: 5, stamped: true },
      agents: { live: 1, expiring: 0, expired: 0, retired: 0 },
      attention: [],
    });
  });

  it('counts agents by what is left of their SVIDs', async () => {
    const now = clock.seconds;
    await enrol('fresh', {});
    await enrol('late', { renewedAt: now - 2500, svidNotAfter: now + 1100 });
    await enrol('expired', { svidNotAfter: now });
    await enrol('retired', { state: 'retired', svidNotAfter: now - 1 });
    const { agents, attention } = await status();
    expect(agents).toEqual({ live: 2, expiring: 1, expired: 1, retired: 1 });
    expect(attention).toEqual(['1 agent has no valid SVID', '1 agent is late in renewing']);
  });

  it('says that the bundle grows too large while there is room left', async () => {
    octets = MAX_BUNDLE_BYTES / 2;
    expect((await status()).attention).toEqual([]);
    octets++;
    const { bundle, attention } = await status();
    expect(bundle.octets).toBe(octets);
    expect(attention).toEqual([expect.stringContaining(`the bundle has ${octets} of at most`)]);
  });

  it('names sidecars that enforce another policy', async () => {
    const sidecar = (name: string, drifts: boolean): Enforced => ({
      sidecar: name,
      at: clock.seconds,
      version: '1',
      bundle: { epoch: 1, seq: 4 },
      freshAt: clock.seconds,
      drifts,
    });
    enforced = { ...enforced, sidecars: [sidecar('a', true), sidecar('b', false), sidecar('c', true)] };
    const { sidecars, attention } = await status();
    expect(sidecars).toEqual({ reporting: 3, drifting: 2, examples: ['a', 'c'] });
    expect(attention).toEqual(['2 sidecars enforce another policy']);
  });

  it('tells the alarms of the last day, the newest first', async () => {
    await alarm('spiffe://company.com/agent/planning/old');
    clock.advanceSeconds(DAY + 1);
    await alarm('spiffe://company.com/agent/planning/1');
    await alarm('spiffe://company.com/agent/planning/2');
    const { alarms, attention } = await status();
    expect(alarms.map(({ about }) => about.slice(-1))).toEqual(['2', '1']);
    expect(attention).toContain('2 alarms in the last day');
  });

  it('says what is missing or about to end', async () => {
    stamped = false;
    const { policy: _, ...current } = enforced.current;
    enforced = { ...enforced, current };
    keys = { ...keys, root: { ...keys.root, awaited: true }, rolesExp: clock.seconds + 13 * DAY };
    const { attention } = await status();
    expect(attention.map((one) => one.split(' ').slice(0, 4).join(' '))).toEqual([
      'there is no timestamp',
      'no policy is in',
      'the root key has',
      'the roles end in',
    ]);
  });
});
