/** A chain that is remembered holds its own octets, and not the head of the request that it was cut out of. */
import { beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { parsePolicy } from '../../../src/config/policy.ts';
import { compilePolicy } from '../../../src/core/policy/evaluate.ts';
import { type RequestHead, RequestParser } from '../../../src/edge/http/h1-request-parser.ts';
import { releaseMemory } from '../../../src/edge/memory.ts';
import { ChainVerifier } from '../../../src/hop/verify-chain.ts';
import type { TrustSnapshot } from '../../../src/ports.ts';
import { ALWAYS_FRESH, makeDomain, must, type TestDomain } from '../../testkit/domain.ts';
import { TEST_POLICY } from '../../testkit/mesh.ts';

const HEADS = 200;
const PADDING = 'p'.repeat(24_000);

let domain: TestDomain;
let trust: TrustSnapshot;
beforeAll(async () => {
  domain = await makeDomain();
  const policy = compilePolicy(parsePolicy(stringify(TEST_POLICY), 'policy.yaml'));
  trust = { generation: 1, bundle: domain.verifiedBundle(), policy, bundleName: '1.1', ...ALWAYS_FRESH };
});

/** The values of a head with a great deal besides. */
const received = (values: readonly string[]): string[] => {
  const heads: RequestHead[] = [];
  const parser = new RequestParser({ onHead: (head) => heads.push(head), onData: () => undefined });
  const lines = values.map((value, at) => `X-${at}: ${value}\r\n`).join('');
  parser.push(Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${lines}X-Pad: ${PADDING}\r\n\r\n`));
  return (heads[0]?.headers ?? []).filter((_, at) => at % 2 === 1).slice(1, values.length + 1);
};

const used = (): number => {
  releaseMemory();
  return process.memoryUsage().heapUsed;
};

it('a chain with its grant', () => {
  const chains = new ChainVerifier();
  const [planning, inventory] = [domain.agent('planning/abc123'), domain.agent('inventory/def456')];
  const chain = domain.mintChain(['planning/abc123']);
  const grants = Array.from({ length: HEADS }, () => domain.mintGrant(chain, planning, inventory));
  expect(new Set(grants).size).toBe(HEADS);
  const before = used();
  const kept = grants.map((one) => {
    const [chainText, grantText] = received([chain, one]);
    return must(chains.verify(chainText, grantText, planning.holder, inventory.holder, trust, domain.now));
  });
  expect((used() - before) / HEADS).toBeLessThan(16_000);
  expect(kept.map(({ grantText }) => grantText)).toEqual(grants);
});
