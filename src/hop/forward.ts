/** Stage 6: the request goes on, if there is a permit; and is cut when what permitted it ends. */
import type { ReasonCode } from '../core/reasons.ts';
import type { Exchange, ExchangeResult, TrustSnapshot } from '../ports.ts';
import { checkPermit, type Permit } from './decide.ts';

interface LiveHop {
  readonly permit: Permit;
  readonly cut: (reason: ReasonCode) => void;
  /** The generation of trust under which the permit was last found to hold. */
  generation: number;
  /** Its place in the list. */
  place: number;
}

/**
 * The hops that are under way. A list and not a `Set`: a set that is filled and emptied all the time leaves behind a chain of
 * old tables, through which V8's young-generation collector keeps every finished request alive.
 */
export class LiveHops {
  private readonly hops: LiveHop[] = [];

  get size(): number {
    return this.hops.length;
  }

  add(permit: Permit, cut: LiveHop['cut'], generation: number): LiveHop {
    const hop = { permit, cut, generation, place: this.hops.length };
    this.hops.push(hop);
    return hop;
  }

  /** The last one takes the place of the one that leaves. */
  delete(hop: LiveHop): void {
    const last = this.hops.pop();
    if (last === undefined || last === hop) return;
    last.place = hop.place;
    this.hops[hop.place] = last;
  }

  /** Cuts what time, revocation or another policy has ended. */
  sweep(trust: TrustSnapshot, nowSeconds: number): void {
    for (const hop of [...this.hops]) {
      const denial = checkPermit(hop.permit, trust, nowSeconds, hop.generation);
      if (denial === undefined) hop.generation = trust.generation;
      else hop.cut(denial.reason);
    }
  }

  cutAll(reason: ReasonCode): void {
    for (const hop of [...this.hops]) hop.cut(reason);
  }
}

/** Forwards a permitted request. */
export const forward = (
  permit: Permit,
  exchange: Exchange,
  live: LiveHops,
  done: (result: ExchangeResult) => void,
): void => {
  // A cut can end the exchange before start() has returned.
  let ended = false;
  let hop: LiveHop | undefined;
  const cut = exchange.start((result) => {
    ended = true;
    if (hop !== undefined) live.delete(hop);
    done(result);
  });
  if (ended) return;
  hop = live.add(permit, cut, permit.input.trust.generation);
};
