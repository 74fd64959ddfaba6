/** Stage 4: revocation, lists, routes, scopes, rules, caveats; a permit or a denial (SPEC.md section 13). */
import { caveatDeadline } from '../core/delegation/caveats.ts';
import type { ScopeLiteral } from '../core/delegation/scope.ts';
import { CLOCK_SKEW_SECONDS } from '../core/limits.ts';
import { type Allowed, type DecisionDenial, evaluatePolicy } from '../core/policy/evaluate.ts';
import { parseTarget } from '../core/policy/target.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import type { TrustSnapshot, UseCounter } from '../ports.ts';
import type { Delegated } from './verify-chain.ts';

declare const permit: unique symbol;

/** What forwarding demands; only {@link decide} makes one. */
export interface Permit {
  readonly [permit]: true;
  readonly delegated: Delegated;
  readonly route: string;
  readonly rule: string;
  readonly required: readonly ScopeLiteral[];
  readonly cached: boolean;
  /** Seconds: what still streams then is cut. */
  readonly deadline: number;
}

/** What was decided for (chain, method, target) under one snapshot; time and uses are looked at on every hit. */
export type StandingDecision = Verdict<Allowed> | DecisionDenial;

export interface DecisionInput {
  readonly delegated: Delegated;
  readonly callee: AgentId;
  readonly method: string;
  /** Request target in origin form, as received. */
  readonly target: string;
  readonly trust: TrustSnapshot;
  readonly nowSeconds: number;
  /** Seconds: the end of the session; Infinity where there is none yet. */
  readonly sessionDeadline: number;
}

/** Targets are the peer’s to choose; what is remembered of them is bounded. */
const DECISIONS_PER_CHAIN = 256;

const standing = ({ delegated, callee, method, target, trust }: DecisionInput): StandingDecision => {
  const { revocations } = trust.bundle;
  const revoked = revocations.checkChain(delegated.granted ?? delegated.chain);
  if (revoked !== undefined) return revoked;
  const parsed = parseTarget(target);
  if (!parsed.ok) return parsed;
  return evaluatePolicy(trust.policy, {
    callee,
    method,
    path: parsed.value.path,
    tool: undefined,
    chain: delegated.chain,
  });
};

/** A denial, with what the audit wants to know of it. */
export interface Refusal extends Denial {
  readonly rule?: string;
  readonly required?: readonly ScopeLiteral[];
  readonly cached?: boolean;
}

/**
 * Decides one request. Counted uses are {@link takeUses}: they cost a write and come last.
 * Refuses with the codes of SPEC.md section 13.
 */
export const decide = (input: DecisionInput): { readonly ok: true; readonly value: Permit } | Refusal => {
  const { delegated, trust, nowSeconds, sessionDeadline } = input;
  const key = `${input.method} ${input.target} ${input.callee}`;
  let decision = delegated.decisions.get(key);
  const cached = decision !== undefined;
  if (decision === undefined) {
    decision = standing(input);
    if (delegated.decisions.size >= DECISIONS_PER_CHAIN) delegated.decisions.clear();
    delegated.decisions.set(key, decision);
  }
  if (!decision.ok) return { ...decision, cached };
  const { chain, granted } = delegated;
  const before = caveatDeadline(chain.leaf.caveats);
  if (nowSeconds >= before)
    return {
      ...deny('caveat_before', `the chain was good until ${before}, it is ${nowSeconds}`),
      ...decision.value,
      ok: false,
      cached,
    };
  const deadline = Math.min(
    (granted ?? chain).exp + CLOCK_SKEW_SECONDS,
    before,
    sessionDeadline,
    trust.bundle.exp + CLOCK_SKEW_SECONDS,
  );
  return grant({ ...decision.value, delegated, cached, deadline } as unknown as Permit);
};

/** Whether a permit has to be counted before it is used. */
export const countsUses = ({ delegated }: Permit): boolean =>
  delegated.chain.leaf.caveats.some(({ type }) => type === 'max_uses');

/** Takes one use of every `max_uses` caveat, durably. Refuses with `caveat_max_uses`. */
export const takeUses = async ({ delegated }: Permit, counter: UseCounter): Promise<Denial | undefined> => {
  const { links, leaf } = delegated.chain;
  for (const [index, caveat] of leaf.caveats.entries()) {
    if (caveat.type !== 'max_uses') continue;
    // The link that brought the caveat in is the one that is counted: children share its uses.
    const source = links.find((link) => link.caveats.length > index) ?? leaf;
    if (!(await counter.take(source.id, index, caveat.uses)))
      return deny('caveat_max_uses', `all ${caveat.uses} uses are used up`);
  }
  return undefined;
};

/** Whether a permit that was given earlier still holds: streams outlive the moment of their decision. */
export const checkPermit = (
  { delegated, deadline }: Permit,
  trust: TrustSnapshot,
  nowSeconds: number,
): Denial | undefined => {
  if (nowSeconds >= deadline) return deny('link_expired', `what permitted this ended at ${deadline}`);
  return trust.bundle.revocations.checkChain(delegated.granted ?? delegated.chain);
};
