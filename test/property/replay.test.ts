/** Replay claims nothing that is not so: not of the policy that decided, and not of another one. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DecisionRecord } from '../../src/core/audit/record.ts';
import type { VerifiedChain } from '../../src/core/delegation/chain.ts';
import type { ScopePattern } from '../../src/core/delegation/scope.ts';
import type { RecordedDecision } from '../../src/core/policy/analysis/recorded.ts';
import { Replay } from '../../src/core/policy/analysis/replay.ts';
import { ReplayTally } from '../../src/core/policy/analysis/replay-tally.ts';
import { type CompiledPolicy, compilePolicy } from '../../src/core/policy/evaluate.ts';
import type { AccessRule, Policy } from '../../src/core/policy/model.ts';
import type { AgentId } from '../../src/core/spiffe-id.ts';
import { decision } from '../testkit/core-log.ts';
import { evaluatePolicy } from '../testkit/evaluate.ts';
import { policies, requests } from '../testkit/small-policies.ts';

/** What a record holds, and what it doesn't. */
const facts = fc.record({
  asked: requests,
  scope: fc.constantFrom(['s:*', 't:*'], ['s:a'], ['s:*']),
  score: fc.integer({ min: 0, max: 9 }),
  headers: fc.constantFrom({}, { 'x-a': '1' }),
  direction: fc.constantFrom('inbound' as const, 'outbound' as const),
});
type Facts = typeof facts extends fc.Arbitrary<infer T> ? T : never;

const UNSEEN = [
  'caller.score > 4',
  '"x-a" in request.headers',
  'request.headers["x-a"] == "1"',
  'callee.score == 3',
];
/** Policies some of whose conditions hang on what no log holds. */
const unseen: fc.Arbitrary<Policy> = fc
  .tuple(policies, fc.array(fc.constantFrom(undefined, ...UNSEEN), { minLength: 4, maxLength: 4 }))
  .map(([policy, whens]) => ({
    ...policy,
    rules: policy.rules.map(
      (rule, at): AccessRule => ({
        ...rule,
        when: whens[at] ?? rule.when,
        ...(at === 3 && { effect: 'flag', shadow: undefined }),
      }),
    ),
  }));

const recordOf = (
  compiled: CompiledPolicy,
  { asked, scope, score, headers, direction }: Facts,
  at: number,
): RecordedDecision => {
  const { agents, principal, callee, method, path } = asked;
  const links = agents.map((delegatee, index) => ({
    id: `l${index}`,
    delegatee,
    scope: scope as readonly string[] as readonly ScopePattern[],
    caveats: [],
    iat: 0,
    exp: 60,
  }));
  const depth = agents.filter((id, index) => id !== agents[index - 1]).length;
  const chain = {
    principal,
    holder: { id: agents.at(-1) },
    links,
    leaf: links.at(-1),
    root: links[0],
    depth,
    task: 't',
    issuer: '',
  };
  const decided = evaluatePolicy(compiled, {
    callee,
    method,
    path,
    chain: chain as unknown as VerifiedChain,
    live: { score: () => score, headers: () => headers },
  });
  const { ok } = decided;
  const isAsked = ok && decided.value.demanded.approval.length > 0 && direction === 'inbound';
  const base: DecisionRecord = decision({
    agents: agents.map((id, index) => ({ id, link: `l${index}` })),
    caller: agents.at(-1) as AgentId,
    callee,
    direction,
    granted: scope,
    hop: `h.${at}`,
    method,
    principal,
    reason: ok ? (isAsked ? 'approval_required' : 'ok') : decided.reason,
    required: ok ? decided.value.required : (decided as { required: readonly string[] }).required,
    rule: ok ? decided.value.rule : (decided as { rule: string }).rule,
    target: path,
    task: 't',
    verdict: ok && !isAsked ? 'permit' : 'deny',
  });
  return { ...base, log: 'L', prev: '', seq: at, sidecar: callee, time: at, v: 1 };
};

const NO_LABELS = new Set<string>();

test('the policy that decided changes nothing', () => {
  const seen = { same: 0, unknown: 0, denied: 0, permitted: 0, reason: 0 };
  fc.assert(
    fc.property(unseen, fc.array(facts, { minLength: 6, maxLength: 20 }), (policy, all) => {
      const compiled = compilePolicy(policy);
      const replay = new Replay(policy, NO_LABELS);
      const based = new Replay(policy, NO_LABELS, policy);
      for (const [at, one] of all.entries()) {
        const record = recordOf(compiled, one, at + 1);
        const { change } = replay.judge(record);
        seen[change]++;
        expect(['same', 'unknown']).toContain(change);
        // Beside itself there is nothing that can't be told.
        expect(based.judge(record).change).toBe('same');
      }
    }),
    { numRuns: 250 },
  );
  expect(seen.same).toBeGreaterThan(100);
  expect(seen.unknown).toBeGreaterThan(10);
});

test('of another policy it claims what that one would have decided', () => {
  const seen = { same: 0, unknown: 0, denied: 0, permitted: 0, reason: 0 };
  fc.assert(
    fc.property(unseen, unseen, fc.array(facts, { minLength: 6, maxLength: 20 }), (old, next, all) => {
      const [before, after] = [compilePolicy(old), compilePolicy(next)];
      const replay = new Replay(next, NO_LABELS);
      for (const [at, one] of all.entries()) {
        const record = recordOf(before, one, at + 1);
        const { change, now } = replay.judge(record);
        seen[change]++;
        const real = recordOf(after, one, at + 1);
        if (change === 'unknown') continue;
        expect(now?.verdict).toBe(real.verdict);
        if (change === 'denied') expect([record.verdict, real.verdict]).toEqual(['permit', 'deny']);
        if (change === 'permitted') expect([record.verdict, real.verdict]).toEqual(['deny', 'permit']);
      }
    }),
    // Of two policies by chance few permit what the other denies; this seed has all kinds.
    { numRuns: 250, seed: 11 },
  );
  for (const [change, count] of Object.entries(seen)) expect(count, change).toBeGreaterThan(0);
});

test('a hop counts once, and is denied where either side would deny it', () => {
  fc.assert(
    fc.property(unseen, fc.array(facts, { minLength: 6, maxLength: 20 }), (policy, all) => {
      const open: Policy = {
        ...policy,
        lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
        rules: [
          {
            ...(policy.rules[0] as AccessRule),
            effect: 'allow',
            name: 'all',
            callers: undefined,
            callerTypes: undefined,
            callees: undefined,
            principals: undefined,
            scopes: undefined,
            routes: undefined,
            when: undefined,
            shadow: undefined,
          },
        ],
      };
      const compiled = compilePolicy(open);
      const sides = all.flatMap((one, at) =>
        (['outbound', 'inbound'] as const).map((direction) =>
          recordOf(compiled, { ...one, direction }, at + 1),
        ),
      );
      const replay = new Replay(policy, NO_LABELS);
      const tally = new ReplayTally(replay);
      for (const record of [...sides, ...sides]) tally.take(record);
      const report = tally.report();
      expect(report.hops).toBe(all.length);
      const expected = new Set(
        sides
          .filter((record) => record.verdict === 'permit' && replay.judge(record).change === 'denied')
          .map(({ hop }) => hop),
      );
      const denied = report.changed.filter(({ change }) => change === 'denied').map(({ hop }) => hop);
      expect(new Set(denied)).toEqual(expected);
      expect(denied).toHaveLength(expected.size);
      expect(report.counts.denied).toBe(expected.size);
    }),
    { numRuns: 100 },
  );
});
