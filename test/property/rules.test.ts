/**
 * What holds of rules, whatever they are: no order changes a verdict, deny overrides, less is never allowed by taking a rule
 * of denial away or by a condition without a value. With real conditions, some of which have none on some requests.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { VerifiedChain } from '../../src/core/delegation/model.ts';
import type { Operation } from '../../src/core/message/message.ts';
import { type CompiledPolicy, compilePolicy } from '../../src/core/policy/evaluate.ts';
import type { AccessRule, Policy } from '../../src/core/policy/model.ts';
import type { AgentId } from '../../src/core/spiffe-id.ts';
import { type DecisionRequest, evaluatePolicy, toolCall } from '../testkit/evaluate.ts';
import { CONDITIONS } from '../testkit/policies.ts';

const RUNS = { numRuns: 1500, seed: 4 };

const ids = [
  'company.com/client/alice',
  'company.com/agent/planning/1',
  'company.com/agent/inventory/1',
  'partner.org/agent/planning/7',
];
const AGENTS = ids.map((id) => `spiffe://${id}` as AgentId);
const agents = fc.constantFrom(...AGENTS);
const some = <T>(...values: T[]) => fc.subarray(values, { minLength: 1 });
const idPatterns = some(...AGENTS, 'spiffe://company.com/agent/planning/*', 'spiffe://company.com/client/*');
const rarely = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
/** Has a value on no request. */
const NEVER = 'caller.attributes["no such attribute"] == "x"';

const ruleOf = (...effects: AccessRule['effect'][]): fc.Arbitrary<AccessRule> =>
  fc.record({
    name: fc.constant('of the test'),
    effect: fc.constantFrom(...effects),
    callers: rarely(idPatterns),
    callerTypes: rarely(some('planning', 'client')),
    callees: rarely(idPatterns),
    principals: rarely(some('mailto:alice@company.com', 'mailto:bob@company.com')),
    scopes: rarely(some('cloud:*', 'cloud:read', 'mcp:*')),
    routes: rarely(some('plain', 'tools')),
    when: rarely(fc.constantFrom(...CONDITIONS, NEVER)),
    shadow: fc.constantFrom(undefined, undefined, undefined, true as const),
  }) as unknown as fc.Arbitrary<AccessRule>;

const anyRule = ruleOf('allow', 'allow', 'allow', 'deny', 'approve', 'quarantine', 'flag');
const ruleLists = fc
  .array(anyRule, { maxLength: 7 })
  .map((rules) => rules.map((rule, at) => ({ ...rule, name: `rule ${at}` })));

const POLICY = {
  revision: 'r1',
  limits: { maxDepth: 5, linkTtlSeconds: 7200, callbacks: false, humanRoot: true, sessionSeconds: 600 },
  scopeSets: {},
  lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
  routes: [
    {
      name: 'plain',
      callees: undefined,
      methods: undefined,
      path: '/reports/*',
      scopes: ['cloud:read'],
      labels: { request: ['pii'], response: [] },
    },
    {
      name: 'tools',
      callees: undefined,
      methods: undefined,
      path: '/mcp',
      scopes: ['cloud:read'],
      protocol: 'mcp',
      operations: [{ methods: undefined, names: undefined, scopes: ['mcp:{tool}'] }],
    },
  ],
  rules: [],
  demands: [
    {
      scopes: undefined,
      labels: ['finance'],
      approval: true,
      minScore: undefined,
      maxStalenessSeconds: undefined,
    },
  ],
} as const satisfies Policy;

const operations: fc.Arbitrary<Operation> = fc
  .tuple(fc.constantFrom('read_file', 'delete'), fc.constantFrom({}, { path: '/tmp' }, { path: 3 }))
  .map(([tool, given]) => toolCall(tool, given).operations[0] as Operation);

const chainOf = (delegatees: readonly AgentId[]): VerifiedChain => {
  const links = delegatees.map((delegatee) => ({
    delegatee,
    scope: ['cloud:*', 'mcp:*'],
    caveats: [],
    iat: 0,
    exp: 600,
  }));
  return {
    principal: 'mailto:alice@company.com',
    issuer: '',
    holder: { id: delegatees.at(-1) },
    links,
    leaf: links.at(-1),
    root: links[0],
    depth: links.length,
    task: 'task',
    exp: 600,
  } as unknown as VerifiedChain;
};
const chains = fc.uniqueArray(agents, { minLength: 1, maxLength: 3 }).map(chainOf);

const requestOf = (path: string): DecisionRequest => ({
  callee: AGENTS[1] as AgentId,
  chain: chainOf(AGENTS.slice(0, 1)),
  method: 'POST',
  path,
});

const requests: fc.Arbitrary<DecisionRequest> = fc
  .record({
    callee: agents,
    chain: chains,
    isMessage: fc.boolean(),
    path: fc.constantFrom('/reports/a', '/reports/9'),
    items: fc.array(operations, { minLength: 1, maxLength: 3 }),
    score: fc.constantFrom(100, 900),
    headers: fc.constantFrom({}, { 'x-tenant': 'a' }, { 'x-tenant': 'b' }),
    size: fc.constantFrom(-1, 0, 10),
    labels: fc.subarray(['pii', 'finance']),
    query: fc.constantFrom('', 'tenant=a', 'tenant=a&tenant=b'),
    attributes: fc.constantFrom({}, { team: 'red' }, { team: 'blue' }),
    groups: fc.constantFrom([], ['admins']),
  })
  .map(({ callee, chain, isMessage, path, items, attributes, groups, query, ...live }) => ({
    callee,
    chain,
    method: 'POST',
    path: isMessage ? '/mcp' : path,
    query,
    registered: { agent: () => attributes, groups: () => groups },
    ...(isMessage
      ? { message: { protocol: 'mcp' as const, batch: items.length > 1, operations: items } }
      : {}),
    live: {
      nowSeconds: 300,
      score: () => live.score,
      headers: () => live.headers,
      size: live.size,
      labels: live.labels,
    },
  }));

interface Outcome {
  /** `ok` or a reason. */
  readonly reason: string;
  /** Scopes for which a human is asked. */
  readonly approval: readonly string[];
  readonly flags: readonly string[];
  readonly shadow: readonly string[];
}

const compiled = (rules: readonly AccessRule[]): CompiledPolicy => compilePolicy({ ...POLICY, rules });

const outcome = (rules: readonly AccessRule[], request: DecisionRequest): Outcome => {
  const decision = evaluatePolicy(compiled(rules), request);
  const { flags = [], shadow = [] } = decision.ok ? decision.value : 'rule' in decision ? decision : {};
  return {
    reason: decision.ok ? 'ok' : decision.reason,
    approval: decision.ok ? [...decision.value.demanded.approval].sort() : [],
    flags: [...flags].sort(),
    shadow: shadow.map(({ rule, effect }) => `${rule} ${effect}`).sort(),
  };
};

/** What is decided, without what is only said besides. */
const verdict = ({ reason, approval }: Outcome) => ({ reason, approval });

/** Whatever `less` lets through, `more` does too, and asks no human that `less` doesn't. */
const allowsNoMore = (less: Outcome, more: Outcome): boolean =>
  less.reason !== 'ok' ||
  (more.reason === 'ok' && more.approval.every((scope) => less.approval.includes(scope)));

const insert = (rules: readonly AccessRule[], rule: AccessRule, at: number): readonly AccessRule[] => {
  const place = at % (rules.length + 1);
  return [...rules.slice(0, place), rule, ...rules.slice(place)];
};

const ALLOW_ALL: AccessRule = {
  name: 'all',
  effect: 'allow',
  callers: undefined,
  callerTypes: undefined,
  callees: undefined,
  principals: undefined,
  scopes: undefined,
  routes: undefined,
};

test('the requests of this file come out in every way there is', () => {
  const counts = new Map<string, number>();
  fc.assert(
    fc.property(ruleLists, requests, (rules, request) => {
      const { reason, approval, flags, shadow } = outcome(rules, request);
      const words = [
        reason === 'ok' && approval.length > 0 ? 'ok, approved' : reason,
        ...(flags.length > 0 ? ['flagged'] : []),
        ...(shadow.length > 0 ? ['shadow'] : []),
      ];
      for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    }),
    RUNS,
  );
  for (const word of [
    'ok',
    'ok, approved',
    'rule_denied',
    'rule_error',
    'rule_unmatched',
    'quarantined',
    'flagged',
    'shadow',
  ])
    expect(counts.get(word) ?? 0, `${word} of ${JSON.stringify([...counts])}`).toBeGreaterThan(20);
});

test('no order of the rules changes what is decided, flagged or noted', () => {
  const lists = ruleLists.chain((rules) =>
    fc.tuple(fc.constant(rules), fc.shuffledSubarray(rules, { minLength: rules.length })),
  );
  fc.assert(
    fc.property(lists, requests, ([rules, shuffled], request) => {
      expect(outcome(shuffled, request)).toEqual(outcome(rules, request));
    }),
    RUNS,
  );
});

describe('deny overrides', () => {
  test('where a rule denies what all else allows, it denies beside any rules', () => {
    let denied = 0;
    fc.assert(
      fc.property(ruleLists, ruleOf('deny'), fc.nat(), requests, (rules, deny, at, request) => {
        if (outcome([deny, ALLOW_ALL], request).reason !== 'rule_denied') return;
        denied++;
        const { reason } = outcome(insert(rules, deny, at), request);
        // Of a batch another item may be refused before it is looked at, and for another reason; never is all of it kept aside.
        if (request.message?.batch) expect(['ok', 'quarantined']).not.toContain(reason);
        else expect(reason).toBe('rule_denied');
      }),
      RUNS,
    );
    expect(denied).toBeGreaterThan(100);
  });

  test('a batch is not kept aside for review when one of its items is denied, whichever comes first', () => {
    const keep = {
      ...ALLOW_ALL,
      name: 'keep',
      effect: 'quarantine',
      when: 'mcp.tool == "read_file"',
    } as const;
    const deny = { ...ALLOW_ALL, name: 'deny', effect: 'deny', when: 'mcp.tool == "delete"' } as const;
    const batch = (...tools: string[]): DecisionRequest => ({
      ...requestOf('/mcp'),
      message: {
        protocol: 'mcp',
        batch: true,
        operations: tools.flatMap((tool) => toolCall(tool).operations),
      },
    });
    const rules = [ALLOW_ALL, keep, deny];
    expect(outcome(rules, batch('read_file', 'list')).reason).toBe('quarantined');
    expect(outcome(rules, batch('read_file', 'delete')).reason).toBe('rule_denied');
    expect(outcome(rules, batch('delete', 'read_file')).reason).toBe('rule_denied');
  });
});

describe('nothing more is allowed', () => {
  test('by deleting an allow', () => {
    fc.assert(
      fc.property(ruleLists, ruleOf('allow'), fc.nat(), requests, (rules, allow, at, request) => {
        expect(allowsNoMore(outcome(rules, request), outcome(insert(rules, allow, at), request))).toBe(true);
      }),
      RUNS,
    );
  });

  test.each(['deny', 'quarantine', 'approve'] as const)('by adding a rule that would %s', (effect) => {
    fc.assert(
      fc.property(ruleLists, ruleOf(effect), fc.nat(), requests, (rules, rule, at, request) => {
        expect(allowsNoMore(outcome(insert(rules, rule, at), request), outcome(rules, request))).toBe(true);
      }),
      RUNS,
    );
  });

  test('by a rule whose condition has no value, than without that rule; nor than with it', () => {
    let broken = 0;
    fc.assert(
      fc.property(ruleLists, anyRule, fc.nat(), requests, (rules, rule, at, request) => {
        const without = outcome(rules, request);
        const never = outcome(insert(rules, { ...rule, when: NEVER }, at), request);
        if (never.reason === 'rule_error') broken++;
        expect(allowsNoMore(never, without)).toBe(true);
        if (rule.when === undefined && rule.shadow === undefined)
          expect(allowsNoMore(never, outcome(insert(rules, rule, at), request))).toBe(true);
      }),
      RUNS,
    );
    expect(broken).toBeGreaterThan(100);
  });
});

test('an allow without a value says so where no other allows', () => {
  const never = { ...ALLOW_ALL, name: 'never', when: NEVER };
  for (const path of ['/reports/a', '/reports/9']) {
    const request = { ...requestOf(path), registered: { agent: () => ({}), groups: () => [] } };
    expect(outcome([never], request).reason).toBe('rule_error');
    expect(outcome([never, ALLOW_ALL], request).reason).toBe('ok');
  }
});

describe('what decides nothing', () => {
  test('a rule in the shadow changes no verdict, whatever its effect and condition', () => {
    fc.assert(
      fc.property(ruleLists, anyRule, fc.nat(), requests, (rules, rule, at, request) => {
        const shadowed = insert(rules, { ...rule, shadow: true }, at);
        expect(verdict(outcome(shadowed, request))).toEqual(verdict(outcome(rules, request)));
      }),
      RUNS,
    );
  });

  test('a flag changes no verdict as long as its condition has a value; without one it is a denial', () => {
    fc.assert(
      fc.property(ruleLists, ruleOf('flag'), fc.nat(), requests, (rules, flag, at, request) => {
        const [plain, flagged] = [outcome(rules, request), outcome(insert(rules, flag, at), request)];
        const alone = outcome([flag, ALLOW_ALL], request);
        if (alone.reason === 'rule_error') expect(flagged.reason).not.toBe('ok');
        else expect(verdict(flagged)).toEqual(verdict(plain));
      }),
      RUNS,
    );
  });
});
