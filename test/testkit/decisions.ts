/** One request, decided under given demands: everything else about it is in order, or the rule is missing. */

import { compilePolicy } from '../../src/core/policy/evaluate.ts';
import type { ScopeDemand } from '../../src/core/policy/model.ts';
import { verifyBundle } from '../../src/core/trust/bundle.ts';
import { decide } from '../../src/hop/decide.ts';
import type { Delegated } from '../../src/hop/verify-chain.ts';
import { sealedBundle } from './core-bundle.ts';
import { LIMITS, mintChain, NOW, permitted, testAgent, verifiedChain } from './core-world.ts';

export interface DecisionWorld {
  /** Of the caller, 0–1000. */
  readonly score: number;
  /** Of trust, in seconds. */
  readonly age: number;
  /** Whether a rule allows it. */
  readonly allowed: boolean;
}

const planner = testAgent('planner');
const inventory = testAgent('inventory');
const chain = verifiedChain(mintChain(planner), planner);

/** `ok` or the reason. */
export const decided = (demands: readonly ScopeDemand[], { score, age, allowed }: DecisionWorld): string => {
  const scores = { baseline: 500, half_life: 86_400, agents: { [planner.id]: [score, NOW, 10] } };
  const { text, expected } = sealedBundle({ bundle: { scores } });
  const rule = { callers: undefined, callerTypes: undefined, callees: undefined, principals: undefined };
  const policy = compilePolicy({
    revision: 'r1',
    limits: { ...LIMITS, sessionSeconds: 600 },
    scopeSets: {},
    lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
    routes: [{ name: 'read', callees: undefined, methods: undefined, path: '/read', scopes: ['cloud:read'] }],
    rules: allowed ? [{ ...rule, name: 'all', effect: 'allow', scopes: undefined, routes: undefined }] : [],
    demands,
  });
  const verdict = decide({
    direction: 'inbound',
    proof: 'session',
    delegated: { chain, chainText: '', decisions: new Map(), approvals: new Map() } as unknown as Delegated,
    callee: inventory.id,
    method: 'GET',
    target: '/read',
    trust: {
      generation: 1,
      bundle: permitted(verifyBundle(text, expected)),
      policy,
      bundleName: '1.7',
      freshAt: NOW - age,
      maxStalenessSeconds: 3600,
    },
    nowSeconds: NOW,
    sessionDeadline: NOW + 600,
  });
  return verdict.ok ? 'ok' : verdict.reason;
};
