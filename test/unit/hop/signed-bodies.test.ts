/** A body that was signed, or that is going to be, is read whole; and nothing else is decided by it, or goes on, before. */
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parsePolicy } from '../../../src/config/policy.ts';
import type { DecisionRecord } from '../../../src/core/audit/record.ts';
import { contentDigestOf } from '../../../src/core/http-signature/digest.ts';
import { parseContentDigest } from '../../../src/core/http-signature/fields.ts';
import { compilePolicy } from '../../../src/core/policy/evaluate.ts';
import { deny, grant } from '../../../src/core/verdict.ts';
import { LiveHops } from '../../../src/hop/forward.ts';
import type { HopRequest, Path } from '../../../src/hop/path.ts';
import { takeHop } from '../../../src/hop/pipeline.ts';
import { ToolWatch } from '../../../src/hop/tool-watch.ts';
import { ChainVerifier } from '../../../src/hop/verify-chain.ts';
import { ALWAYS_FRESH, makeDomain, must } from '../../testkit/domain.ts';
import { TEST_POLICY } from '../../testkit/mesh.ts';
import { TestClock } from '../../testkit/test-clock.ts';

const domain = await makeDomain();
const planning = domain.agent('planning/abc123');
const callee = domain.agent('inventory/def456').id;
const chainText = domain.mintChain(['planning/abc123']);
const BODY = Buffer.from('{"a":1}');
const digest = must(parseContentDigest(contentDigestOf(BODY)));

/** What became of it: `forwarded`, or a reason; and how much of the body was asked for, in order. */
const taken = async (
  request: Partial<HopRequest>,
  policy: object = {},
  body: Buffer = BODY,
): Promise<{
  readonly heard: string;
  readonly read: readonly unknown[];
  readonly record: DecisionRecord;
}> => {
  const compiled = compilePolicy(parsePolicy(stringify({ ...TEST_POLICY, ...policy }), 'policy.yaml'));
  const trust = {
    generation: 1,
    bundle: domain.verifiedBundle(),
    policy: compiled,
    bundleName: '1.1',
    ...ALWAYS_FRESH,
  };
  const records: DecisionRecord[] = [];
  const path: Path = {
    clock: new TestClock(),
    audit: {
      append: (record, written) => {
        records.push(record as DecisionRecord);
        written(true);
      },
      note: () => undefined,
      countRefusal: () => undefined,
    },
    uses: { take: () => Promise.resolve(true) },
    live: new LiveHops(),
    chains: new ChainVerifier(),
    tools: new ToolWatch(),
    trust: { current: () => grant(trust) },
    signedBodyBytes: 4096,
  };
  const read: unknown[] = [];
  const heard = await new Promise<string>((resolve) => {
    takeHop(
      path,
      {
        direction: 'inbound',
        hop: 'connection.1',
        caller: planning.holder,
        proof: 'request',
        digest,
        callee,
        calleeHolder: undefined,
        method: 'GET',
        target: '/vpcs',
        headers: [],
        size: BODY.length,
        labels: () => [],
        chainText,
        grantText: undefined,
        last: undefined,
        sessionDeadline: Number.POSITIVE_INFINITY,
        fault: undefined,
        ...request,
      },
      {
        refuse: ({ reason }) => resolve(reason),
        body: async (most) => {
          read.push(most);
          return most !== undefined && body.length > most
            ? deny('http_body_too_large', 'too large')
            : grant(body);
        },
        exchange: () => ({
          start: () => {
            resolve('forwarded');
            return () => undefined;
          },
        }),
      },
    );
  });
  const [record] = records;
  if (record === undefined || records.length > 1) throw new Error('not one record');
  return { heard, read, record };
};

const ADMITTING = { withoutSidecar: [{ name: 'all', callerTypes: ['planning'] }] };
const DEMANDING = { demands: [{ scopes: ['cloud:*'], requestProof: 'required' }] };

describe('a body that was signed', () => {
  test('is read whole before it goes on, and the record says by what its sender was proven', async () => {
    const { heard, read, record } = await taken({}, ADMITTING);
    expect(heard).toBe('forwarded');
    expect(read).toEqual([4096]);
    expect(record).toMatchObject({ verdict: 'permit', proof: 'request', caller: planning.id });
  });

  test('and is another one goes nowhere', async () => {
    const { heard, record } = await taken({}, ADMITTING, Buffer.from('{"a":2}'));
    expect(heard).toBe('request_proof_digest');
    expect(record).toMatchObject({ verdict: 'deny', reason: 'request_proof_digest', proof: 'request' });
  });

  test('and is not there is another one too', async () => {
    expect((await taken({ size: 0 }, ADMITTING, Buffer.alloc(0))).heard).toBe('request_proof_digest');
  });

  test('and is larger than is read goes nowhere', async () => {
    expect((await taken({}, ADMITTING, Buffer.alloc(4097))).heard).toBe('http_body_too_large');
  });

  test('is not read where its sender may not come, has no route, or is denied without it', async () => {
    const denying = { ...ADMITTING, rules: [{ name: 'no', effect: 'deny' }] };
    for (const [request, policy, reason] of [
      [{}, {}, 'request_proof_not_allowed'],
      [{}, { ...ADMITTING, routes: [{ name: 'x', path: '/x', scopes: ['cloud:read'] }] }, 'route_unmatched'],
      [{}, denying, 'rule_denied'],
    ] as const) {
      const { heard, read } = await taken(request, policy);
      expect(heard).toBe(reason);
      expect(read).toEqual([]);
    }
  });

  test('is held against its digest on a session too', async () => {
    expect((await taken({ proof: 'both' }, {}, Buffer.from('x'))).heard).toBe('request_proof_digest');
    const { heard, record } = await taken({ proof: 'both' }, DEMANDING);
    expect(heard).toBe('forwarded');
    expect(record.proof).toBe('both');
  });

  test('is held against its digest where its route is only observed', async () => {
    const observing = {
      ...ADMITTING,
      routes: TEST_POLICY.routes.map((route) => ({
        ...route,
        enforcement: 'observe',
        observeUntil: '2099-01-01T00:00:00Z',
      })),
      rules: [{ name: 'no', effect: 'deny' }],
    };
    expect((await taken({}, observing)).heard).toBe('forwarded');
    expect((await taken({}, observing, Buffer.from('x'))).heard).toBe('request_proof_digest');
  });
});

describe('a body that is going to be signed', () => {
  const outbound = { direction: 'outbound', proof: 'session', digest: undefined } as const;
  test('is read whole where policy demands a proof', async () => {
    const { heard, read, record } = await taken(outbound, DEMANDING);
    expect(heard).toBe('forwarded');
    expect(read).toEqual([4096]);
    expect(record.proof).toBeUndefined();
  });

  test('is not where there is none, or nothing is demanded', async () => {
    expect((await taken({ ...outbound, size: 0 }, DEMANDING)).read).toEqual([]);
    expect((await taken(outbound)).read).toEqual([]);
  });
});

test('a session alone does not get what demands a proof of the request, and nothing of it is read', async () => {
  const { heard, read, record } = await taken({ proof: 'session', digest: undefined }, DEMANDING);
  expect(heard).toBe('request_proof_missing');
  expect(read).toEqual([]);
  expect(record.proof).toBeUndefined();
});
