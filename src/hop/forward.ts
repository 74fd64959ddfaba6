/** Stage 6: the request goes on, if there is a permit; and is cut when what permitted it ends. */
import type { ReasonCode } from '../core/reasons.ts';
import type { Exchange, ExchangeResult, TrustSnapshot } from '../ports.ts';
import { checkPermit } from './check-permit.ts';
import type { Permit } from './permit.ts';

interface LiveHop {
  readonly permit: Permit;
  readonly cut: (reason: ReasonCode) => void;
  /** The generation of trust under which the permit was last found to hold. */
  generation: number;
  /** Its place in the list. */
  place: number;
  /** It has broken off, and why may show in a moment. */
  broken: Broken | undefined;
}

interface Broken {
  readonly result: ExchangeResult;
  readonly done: (result: ExchangeResult) => void;
  /** Milliseconds, monotonic: until then it waits to be explained. */
  readonly until: number;
}

const taskOf = ({ permit }: LiveHop): string => {
  const { task, principal } = permit.delegated.chain;
  return `${task} ${principal}`;
};

/** How an exchange ends when the other sidecar has cut it. */
const OTHER_SIDE = new Set<ExchangeResult['result']>(['peer_failed', 'client_aborted']);
/** So many may wait to be explained. */
const MOST_BROKEN = 1024;

/**
 * The hops that are under way. A list and not a `Set`: a set that is filled and emptied all the time leaves behind a chain of
 * old tables, through which V8's young-generation collector keeps every finished request alive.
 */
export class LiveHops {
  private readonly hops: LiveHop[] = [];
  private readonly graceMs: number;
  private readonly monotonic: () => number;
  private broken = 0;
  /** Milliseconds, monotonic: when the last one ended. */
  endedAt = Number.NEGATIVE_INFINITY;

  /**
   * With a verifier both sidecars hear of a revocation, and one of them first: what breaks off on the other is looked at again
   * at each sweep for `graceMs`, and recorded with the reason if that comes. The exchange itself has ended.
   */
  constructor(graceMs = 0, monotonic: () => number = () => 0) {
    this.graceMs = graceMs;
    this.monotonic = monotonic;
  }

  get size(): number {
    return this.hops.length;
  }

  /** `task principal` of those that have something under way. */
  tasks(): ReadonlySet<string> {
    const found = new Set<string>();
    for (const hop of this.hops) if (hop.broken === undefined) found.add(taskOf(hop));
    return found;
  }

  /** Cuts what is under way for a task, named as in {@link tasks}. */
  cutTask(name: string, reason: ReasonCode): void {
    for (const hop of [...this.hops]) if (hop.broken === undefined && taskOf(hop) === name) hop.cut(reason);
  }

  /** Cuts what came from clients without a sidecar. */
  cutPlain(reason: ReasonCode): void {
    for (const hop of [...this.hops])
      if (hop.broken === undefined && hop.permit.input.proof === 'request') hop.cut(reason);
  }

  add(permit: Permit, cut: LiveHop['cut'], generation: number): LiveHop {
    const hop = { permit, cut, generation, place: this.hops.length, broken: undefined };
    this.hops.push(hop);
    return hop;
  }

  /** Takes a hop that has ended from the list, at once or when its end is explained. */
  end(hop: LiveHop, result: ExchangeResult, done: (result: ExchangeResult) => void): void {
    if (this.graceMs === 0 || this.broken >= MOST_BROKEN || !OTHER_SIDE.has(result.result)) {
      this.delete(hop);
      done(result);
      return;
    }
    this.broken++;
    hop.broken = { result, done, until: this.monotonic() + this.graceMs };
  }

  private settle(hop: LiveHop, reason: ReasonCode | undefined): void {
    if (hop.broken === undefined) return;
    const { result, done } = hop.broken;
    hop.broken = undefined;
    this.broken--;
    this.delete(hop);
    done(reason === undefined ? result : { ...result, result: reason });
  }

  /** The last one takes the place of the one that leaves. */
  private delete(hop: LiveHop): void {
    this.endedAt = this.monotonic();
    const last = this.hops.pop();
    if (last === undefined || last === hop) return;
    last.place = hop.place;
    this.hops[hop.place] = last;
  }

  /** Cuts what time, revocation or another policy has ended. */
  sweep(trust: TrustSnapshot, nowSeconds: number): void {
    for (const hop of [...this.hops]) {
      const denial = checkPermit(hop.permit, trust, nowSeconds, hop.generation);
      if (denial !== undefined) this.stop(hop, denial.reason);
      else {
        hop.generation = trust.generation;
        if (hop.broken !== undefined && this.monotonic() >= hop.broken.until) this.settle(hop, undefined);
      }
    }
  }

  cutAll(reason: ReasonCode): void {
    for (const hop of [...this.hops]) this.stop(hop, reason);
  }

  private stop(hop: LiveHop, reason: ReasonCode): void {
    if (hop.broken === undefined) hop.cut(reason);
    // It broke off before: a shutdown is not why.
    else this.settle(hop, reason === 'draining' ? undefined : reason);
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
    if (hop === undefined) done(result);
    else live.end(hop, result, done);
  });
  if (ended) return;
  hop = live.add(permit, cut, permit.input.trust.generation);
};
