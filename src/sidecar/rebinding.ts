/**
 * Contexts that outlive the agent key they were granted to: one more link, signed by that key while it holds, names the new one
 * (SPEC.md section 7.4). So a key can be replaced under live tasks.
 */
import { randomBytes } from 'node:crypto';
import { type VerifiedChain, verifyChain } from '../core/delegation/chain.ts';
import { mintRebindLink } from '../core/delegation/mint.ts';
import { deny, grant, type Verdict } from '../core/verdict.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import { chainContext, type TrustPort } from '../ports.ts';
import type { Context, Contexts } from './contexts.ts';
import type { Identities } from './identities.ts';

/** A context's chain as one of our keys holds it. */
export interface HeldChain {
  readonly chainText: string;
  readonly chain: VerifiedChain;
}

interface Rebound {
  /** The key that it is bound to now. */
  readonly x: string;
  readonly chainText: string;
  /** Verified when it is first used. */
  chain: VerifiedChain | undefined;
}

/** So many links are signed before other work has its turn. */
const BATCH = 50;

export class Rebinding {
  private readonly contexts: Contexts;
  private readonly identities: Identities;
  private readonly trust: TrustPort;
  private readonly rebound = new WeakMap<Context, Rebound>();
  private until = 0;

  constructor(contexts: Contexts, identities: Identities, trust: TrustPort) {
    this.contexts = contexts;
    this.identities = identities;
    this.trust = trust;
  }

  /** Seconds: until then something may rest on a rebind link, and no second one can follow it. */
  get busyUntil(): number {
    return this.until;
  }

  /** The chain of a context for the key of `own`. Refuses with `context_key`, and what is wrong with the chain by now. */
  chainUnder(context: Context, own: SidecarIdentity, nowSeconds: number): Verdict<HeldChain> {
    if (context.chain.leaf.delegateeX === own.key.x) return grant(context);
    const rebound = this.rebind(context, own, nowSeconds);
    if (!rebound.ok) return rebound;
    const { value } = rebound;
    if (value.chain === undefined) {
      const trust = this.trust.current();
      if (!trust.ok) return trust;
      const verified = verifyChain(value.chainText, own, chainContext(trust.value, nowSeconds));
      if (!verified.ok) return verified;
      value.chain = verified.value;
    }
    return grant({ chainText: value.chainText, chain: value.chain });
  }

  private rebind(context: Context, own: SidecarIdentity, nowSeconds: number): Verdict<Rebound> {
    const known = this.rebound.get(context);
    if (known?.x === own.key.x) return grant(known);
    const { leaf } = context.chain;
    const signer = this.identities.holding(own.id, leaf.delegateeX);
    if (signer === undefined)
      return deny('context_key', 'the chain names a key that this sidecar no longer holds');
    const jti = randomBytes(16).toString('base64url');
    const link = mintRebindLink(leaf, { newX: own.key.x, kb: signer.kb, now: nowSeconds, jti }, signer.sign);
    if (!link.ok) return link;
    const made = { x: own.key.x, chainText: `${context.chainText}~${link.value}`, chain: undefined };
    this.rebound.set(context, made);
    this.until = Math.max(this.until, context.chain.exp);
    return grant(made);
  }

  /** A context that was just granted to an older key of ours: bound to the newest while that one can still sign. */
  prepare(context: Context, nowSeconds: number): void {
    const own = this.identities.current;
    if (context.chain.leaf.delegateeX !== own.key.x) this.rebind(context, own, nowSeconds);
  }

  /** The same for all that are open, a few at a time. */
  async prepareAll(now: () => number): Promise<void> {
    let done = 0;
    for (const context of this.contexts.all()) {
      this.prepare(context, now());
      if (++done % BATCH === 0) await new Promise((next) => setImmediate(next));
    }
  }
}
