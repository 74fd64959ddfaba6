/** Stage 3: the chain that a request carries, verified once and then known by its octets (SPEC.md section 7). */
import { LRUCache } from 'lru-cache';
import type { AgentLink } from '../core/audit/record.ts';
import {
  checkChainTime,
  type Holder,
  type VerifiedChain,
  verifyChain,
  verifyGrant,
} from '../core/delegation/chain.ts';
import { type LinkApprovals, linkApprovalsOf } from '../core/delegation/link-approvals.ts';
import { ownText } from '../core/encoding/own-text.ts';
import type { DecisionDenial, Standing } from '../core/policy/evaluate.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import { chainContext, type TrustSnapshot } from '../ports.ts';

declare const delegated: unique symbol;

/** A verified chain in the hands of its holder; only {@link ChainVerifier} makes one. */
export interface Delegated {
  readonly [delegated]: true;
  readonly chainText: string;
  readonly grantText: string | undefined;
  readonly chain: VerifiedChain;
  /** The chain with the grant: what the callee may do onward. */
  readonly granted: VerifiedChain | undefined;
  /** Of the snapshot that it was verified under. */
  readonly generation: number;
  /** For the audit: who acts through whom. */
  readonly agents: readonly AgentLink[];
  /** Those that the chain carries, under the approvers of that snapshot; their time is looked at on every hit. */
  readonly approvals: LinkApprovals;
  /** `direction METHOD target callee` to what stands for it; time, conditions and uses are looked at on every hit. */
  readonly decisions: Map<string, Standing | DecisionDenial>;
}

const CHAINS = 1024;

export class ChainVerifier {
  private readonly known = new LRUCache<string, Delegated>({ max: CHAINS });
  /** Chains that were known, and those that were not, since the start. */
  hits = 0;
  misses = 0;

  /**
   * The verified chain of a request. What the octets prove is remembered; that the caller is the holder, and time, are
   * checked on every call. Refuses with the codes of SPEC.md section 7.
   */
  verify(
    chainText: string | undefined,
    grantText: string | undefined,
    caller: Holder,
    callee: Holder | undefined,
    trust: TrustSnapshot,
    nowSeconds: number,
    last?: Delegated,
  ): Verdict<Delegated> {
    if (chainText === undefined) {
      return grantText === undefined
        ? deny('chain_missing', 'the request has no Delegation-Chain')
        : deny('grant_without_chain', 'a grant is no bearer token: send the chain that it extends');
    }
    const hit = this.lookup(chainText, grantText, trust, last);
    if (hit === undefined) {
      this.misses++;
      return this.verifyAnew(chainText, grantText, caller, callee, trust, nowSeconds);
    }
    this.hits++;
    return (
      checkHolder(hit.chain, caller) ??
      checkCallee(hit.granted, callee) ??
      checkChainTime(hit.granted ?? hit.chain, nowSeconds) ??
      grant(hit)
    );
  }

  private lookup(
    chainText: string,
    grantText: string | undefined,
    trust: TrustSnapshot,
    last: Delegated | undefined,
  ): Delegated | undefined {
    if (
      last !== undefined &&
      last.chainText === chainText &&
      last.grantText === grantText &&
      last.generation === trust.generation
    )
      return last;
    const hit = this.known.get(keyOf(chainText, grantText));
    return hit?.generation === trust.generation ? hit : undefined;
  }

  private verifyAnew(
    receivedChain: string,
    receivedGrant: string | undefined,
    caller: Holder,
    callee: Holder | undefined,
    trust: TrustSnapshot,
    nowSeconds: number,
  ): Verdict<Delegated> {
    const context = chainContext(trust, nowSeconds);
    // What is read out of them is cut out of them, and kept as long.
    const chainText = ownText(receivedChain);
    const grantText = receivedGrant === undefined ? undefined : ownText(receivedGrant);
    const chain = verifyChain(chainText, caller, context);
    if (!chain.ok) return chain;
    let granted: VerifiedChain | undefined;
    if (grantText !== undefined && callee !== undefined) {
      const extended = verifyGrant(grantText, chain.value, callee, context);
      if (!extended.ok) return extended;
      granted = extended.value;
    }
    const value = {
      chainText,
      grantText,
      chain: chain.value,
      granted,
      generation: trust.generation,
      agents: chain.value.links.map(({ delegatee, id }) => ({ id: delegatee, link: id })),
      approvals: linkApprovalsOf(chain.value, trust.bundle.approvers),
      decisions: new Map<string, Standing | DecisionDenial>(),
    } as unknown as Delegated;
    this.known.set(keyOf(chainText, grantText), value);
    return grant(value);
  }
}

/** A line end can't be in a header's value: no chain text reads as a chain with a grant. */
const keyOf = (chainText: string, grantText: string | undefined): string =>
  grantText === undefined ? chainText : `${chainText}\n${grantText}`;

/** A remembered chain must not hand its holder's permit to whoever replays it. */
const checkHolder = ({ holder }: VerifiedChain, caller: Holder): Denial | undefined => {
  if (holder.id !== caller.id)
    return deny('chain_leaf_not_caller', `the chain was given to ${holder.id}, the caller is ${caller.id}`);
  if (holder.key.x !== caller.key.x)
    return deny('chain_leaf_key', `the chain was given to another key of ${caller.id}`);
  return undefined;
};

/** The same of a grant: our own key may have changed since it was verified. */
const checkCallee = (granted: VerifiedChain | undefined, callee: Holder | undefined): Denial | undefined => {
  if (granted === undefined || callee === undefined) return undefined;
  const { holder } = granted;
  if (holder.id !== callee.id)
    return deny('grant_callee', `the grant is for ${holder.id}, this is ${callee.id}`);
  if (holder.key.x !== callee.key.x)
    return deny('grant_callee_key', `the grant is for another key of ${callee.id}`);
  return undefined;
};
