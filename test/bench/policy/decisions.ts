/** Decisions under policies of many rules, of which ten apply: what one takes, and how that grows with the rest. */
import type { JsonObject } from '../../../src/core/encoding/json.ts';
import { canonicalJson, parseStrictObjectText } from '../../../src/core/encoding/json.ts';
import {
  type CompiledPolicy,
  compilePolicy,
  decideStanding,
  standingOf,
} from '../../../src/core/policy/evaluate.ts';
import type { AccessRule, Policy } from '../../../src/core/policy/model.ts';
import { readPolicy } from '../../../src/core/policy/read.ts';
import { type LiveFacts, NOTHING_REGISTERED, type StandingFacts } from '../../../src/core/policy/values.ts';
import type { IdPattern } from '../../../src/core/spiffe-id.ts';
import { LIMITS, mintChain, NOW, permitted, testAgent, verifiedChain } from '../../testkit/core-world.ts';

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const security = testAgent('security');
const chain = verifiedChain(mintChain(planner, [{ to: inventory }]), inventory);

/** Of these ten every one is evaluated: nine conditions over the request, and the allow. */
const APPLYING: readonly string[] = [
  'caller.type == "planner" && "finance" in data.labels',
  'chain.depth > 4',
  'chain.age > 3600',
  'request.size > 1048576',
  'callee.domain != caller.domain',
  'caller.score < 100',
  'now > timestamp("2099-01-01T00:00:00Z")',
  'principal.id.endsWith("@other.com")',
  'request.path.matches("^/reports/[0-9]+/secret$")',
];

const NO_SELECTORS = {
  callers: undefined,
  callerTypes: undefined,
  callees: undefined,
  principals: undefined,
  scopes: undefined,
  routes: undefined,
};

/** Rules about others: by agent, by type, by principal, by route, as policies of large meshes have them. */
const ofOthers = (at: number): AccessRule => {
  const base = {
    ...NO_SELECTORS,
    name: `other-${at}`,
    effect: at % 3 === 0 ? ('deny' as const) : ('allow' as const),
  };
  const id = `spiffe://company.com/agent/other-${at % 500}/${at}` as IdPattern;
  switch (at % 5) {
    case 0:
      return { ...base, callees: [id], when: 'chain.age < 60' };
    case 1:
      return { ...base, callers: [id] };
    case 2:
      return { ...base, callerTypes: [`type-${at}`] };
    case 3:
      return { ...base, principals: [`mailto:user${at}@company.com`], when: 'caller.score > 500' };
    default:
      return { ...base, routes: [`route-${at % 200}`], callees: [id] };
  }
};

/** `count` rules, the ten that apply spread among them. */
export const policyOf = (count: number): CompiledPolicy => {
  const applying: AccessRule[] = [
    ...APPLYING.map(
      (when, at): AccessRule => ({
        ...NO_SELECTORS,
        name: `applies-${at}`,
        effect: 'deny',
        callees: [`spiffe://company.com/agent/security/*` as IdPattern],
        when,
      }),
    ),
    { ...NO_SELECTORS, name: 'allowed', effect: 'allow', callerTypes: ['inventory'] },
  ];
  const others = Array.from({ length: count - applying.length }, (_, at) => ofOthers(at));
  const stride = Math.max(1, Math.floor(others.length / applying.length));
  const rules = [...others];
  for (const [at, rule] of applying.entries())
    rules.splice(Math.min(at * (stride + 1), rules.length), 0, rule);
  const policy: Policy = {
    revision: `bench-${count}`,
    limits: { ...LIMITS, sessionSeconds: 600 },
    scopeSets: {},
    lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
    routes: [
      ...Array.from({ length: 200 }, (_, at) => ({
        name: `route-${at}`,
        callees: undefined,
        methods: undefined,
        path: `/r${at}/{id}`,
        scopes: ['cloud:read'],
      })),
      {
        name: 'reports',
        callees: undefined,
        methods: ['GET'],
        path: '/reports/{id}',
        scopes: ['cloud:read'],
      },
    ],
    rules,
    demands: [],
  };
  // As a sidecar gets it: out of a bundle.
  const json = parseStrictObjectText(canonicalJson(policy)) as { ok: true; value: JsonObject };
  return compilePolicy(permitted(readPolicy(json.value)));
};

const live: LiveFacts = {
  nowSeconds: NOW,
  score: () => 500,
  headers: () => ({}),
  size: 512,
  labels: [],
  released: false,
};

const factsAt = (at: number): StandingFacts => ({
  direction: 'inbound',
  callee: security.id,
  method: 'GET',
  path: `/reports/${at}`,
  query: '',
  chain,
  registered: NOTHING_REGISTERED,
});

/** One decision from nothing: no target is ever asked twice. */
const decideAt = (policy: CompiledPolicy, at: number): void => {
  const standing = standingOf(policy, factsAt(at));
  const decision = standing.ok ? decideStanding(policy, standing, live, undefined) : standing;
  if (!decision.ok) throw new Error(`${decision.reason}: ${decision.detail}`);
};

/** Microseconds of each of `count` decisions, and what `also` adds to each. */
export const timeDecisions = (
  policy: CompiledPolicy,
  count: number,
  also: (at: number) => void = () => undefined,
): readonly number[] => {
  for (let at = 0; at < 2000; at++) decideAt(policy, at);
  return Array.from({ length: count }, (_, at) => {
    const started = process.hrtime.bigint();
    decideAt(policy, at);
    also(at);
    return Number(process.hrtime.bigint() - started) / 1000;
  });
};

/** The same, cached as the hop caches it: the target was seen before, conditions are looked at again. */
export const timeRemembered = (policy: CompiledPolicy, count: number): readonly number[] => {
  const standing = standingOf(policy, factsAt(1));
  if (!standing.ok) throw new Error(standing.detail);
  for (let at = 0; at < 2000; at++) decideStanding(policy, standing, live, undefined);
  return Array.from({ length: count }, () => {
    const started = process.hrtime.bigint();
    decideStanding(policy, standing, live, undefined);
    return Number(process.hrtime.bigint() - started) / 1000;
  });
};
