import { expect, it } from 'vitest';
import { stringify } from 'yaml';
import { parsePolicy } from '../../../src/config/policy.ts';
import type { DecisionRecord, OutcomeRecord } from '../../../src/core/audit/record.ts';
import { compilePolicy } from '../../../src/core/policy/evaluate.ts';
import { grant } from '../../../src/core/verdict.ts';
import { LiveHops } from '../../../src/hop/forward.ts';
import type { Path } from '../../../src/hop/path.ts';
import { takeHop } from '../../../src/hop/pipeline.ts';
import { ToolWatch } from '../../../src/hop/tool-watch.ts';
import { ChainVerifier } from '../../../src/hop/verify-chain.ts';
import type { AuditPort, TrustSnapshot } from '../../../src/ports.ts';
import { ALWAYS_FRESH, makeDomain, type TestBundleOptions } from '../../testkit/domain.ts';
import { TEST_POLICY } from '../../testkit/mesh.ts';
import { TestClock } from '../../testkit/test-clock.ts';

/** A log whose writes end when the test says so. */
class SlowLog implements AuditPort {
  readonly decisions: DecisionRecord[] = [];
  readonly outcomes: OutcomeRecord[] = [];
  readonly waiting: ((ok: boolean) => void)[] = [];
  append(body: DecisionRecord, written: (ok: boolean) => void): void {
    this.decisions.push(body);
    this.waiting.push(written);
  }
  note(body: OutcomeRecord): void {
    this.outcomes.push(body);
  }
  countRefusal(): void {}
}

const prepare = async () => {
  const domain = await makeDomain();
  const clock = new TestClock();
  const policy = compilePolicy(parsePolicy(stringify(TEST_POLICY), 'policy.yaml'));
  const snapshot = (generation: number, options: TestBundleOptions = {}): TrustSnapshot => ({
    generation,
    bundle: domain.verifiedBundle(options),
    policy,
    bundleName: `1.${generation}`,
    ...ALWAYS_FRESH,
  });
  const audit = new SlowLog();
  let trust = snapshot(1);
  const uses = { take: () => Promise.resolve(true) };
  const path: Path = {
    clock,
    audit,
    uses,
    live: new LiveHops(),
    chains: new ChainVerifier(),
    tools: new ToolWatch(),
    trust: { current: () => grant(trust) },
  };
  const planning = domain.agent('planning/abc123');
  const chainText = domain.mintChain(['planning/abc123']);
  const heard: string[] = [];
  takeHop(
    path,
    {
      direction: 'inbound',
      hop: 'session.1',
      caller: planning.holder,
      proof: 'session',
      callee: domain.agent('inventory/def456').id,
      calleeHolder: undefined,
      method: 'GET',
      target: '/vpcs',
      headers: [],
      size: 0,
      labels: () => [],
      chainText,
      grantText: undefined,
      last: undefined,
      sessionDeadline: Number.POSITIVE_INFINITY,
      fault: undefined,
    },
    {
      refuse: ({ reason }) => heard.push(reason),
      exchange: () => ({
        start: () => {
          heard.push('forwarded');
          return () => undefined;
        },
      }),
    },
  );
  const load = (options: TestBundleOptions): void => {
    trust = snapshot(2, options);
  };
  return { audit, heard, load, planning };
};

it('nothing is forwarded before the record is written, and then it is', async () => {
  const { audit, heard } = await prepare();
  expect(audit.decisions).toMatchObject([{ verdict: 'permit' }]);
  expect(heard).toEqual([]);
  audit.waiting[0]?.(true);
  expect(heard).toEqual(['forwarded']);
});

it('what could not be recorded is refused', async () => {
  const { audit, heard } = await prepare();
  audit.waiting[0]?.(false);
  expect(heard).toEqual(['audit_unavailable']);
});

it('a revocation that is loaded while the record is written holds, and the outcome says so', async () => {
  const { audit, heard, load, planning } = await prepare();
  load({ seq: 2, revoked: [{ agent: planning.id }] });
  audit.waiting[0]?.(true);
  expect(heard).toEqual(['revoked_agent']);
  expect(audit.outcomes).toMatchObject([{ hop: 'session.1', result: 'revoked_agent', status: 403 }]);
});

it('a bundle that changes nothing for it does not stop it', async () => {
  const { audit, heard, load } = await prepare();
  load({ seq: 2 });
  audit.waiting[0]?.(true);
  expect(heard).toEqual(['forwarded']);
});
