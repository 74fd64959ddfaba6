import { beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { parsePolicy } from '../../../src/config/policy.ts';
import { compilePolicy } from '../../../src/core/policy/evaluate.ts';
import { ChainVerifier } from '../../../src/hop/verify-chain.ts';
import type { TrustSnapshot } from '../../../src/ports.ts';
import { ALWAYS_FRESH, makeDomain, must, type TestAgent, type TestDomain } from '../../testkit/domain.ts';
import { TEST_POLICY } from '../../testkit/mesh.ts';

let domain: TestDomain;
let planning: TestAgent;
let inventory: TestAgent;
let trust: TrustSnapshot;
let chain: string;
let grant: string;

beforeAll(async () => {
  domain = await makeDomain();
  planning = domain.agent('planning/abc123');
  inventory = domain.agent('inventory/def456');
  const policy = compilePolicy(parsePolicy(stringify(TEST_POLICY), 'policy.yaml'));
  trust = { generation: 1, bundle: domain.verifiedBundle(), policy, bundleName: '1.1', ...ALWAYS_FRESH };
  chain = domain.mintChain(['planning/abc123']);
  grant = domain.mintGrant(chain, planning, inventory);
});

describe('a chain with a grant that is remembered', () => {
  it('is not verified again, and is refused to a callee whose key has changed since', async () => {
    const chains = new ChainVerifier();
    const verify = (callee: TestAgent) =>
      chains.verify(chain, grant, planning.holder, callee.holder, trust, domain.now);
    const first = must(verify(inventory));
    expect(must(verify(inventory))).toBe(first);
    const reborn = await domain.enrol('inventory/def456');
    expect(verify(reborn)).toMatchObject({ ok: false, reason: 'grant_callee_key' });
    expect(verify(planning)).toMatchObject({ ok: false, reason: 'grant_callee' });
  });

  it('is verified anew under another snapshot of trust', () => {
    const chains = new ChainVerifier();
    const verify = (snapshot: TrustSnapshot) =>
      must(chains.verify(chain, grant, planning.holder, inventory.holder, snapshot, domain.now));
    const first = verify(trust);
    expect(verify({ ...trust, generation: 2 })).not.toBe(first);
  });
});
