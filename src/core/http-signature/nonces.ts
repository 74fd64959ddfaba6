/** Nonces of request proofs that were seen: each is good once (SPEC.md section 12.1). Bounded; what is full refuses and forgets nothing. */
import { hash } from 'node:crypto';
import type { AgentId } from '../spiffe-id.ts';
import { type Denial, deny } from '../verdict.ts';

/** A caller that signs for 10 s has a nonce here for 40: so many are more than a thousand requests a second. */
export const MOST_NONCES_OF_CALLER = 65_536;
export const MOST_NONCES = 262_144;
/** Forgotten together. */
const BUCKET_SECONDS = 8;
/** From here on, of all that is remembered, only those get more who have little: this part of what one may have. */
const OPEN_PART = 3 / 4;
const LITTLE_PART = 1 / 16;

export class SeenNonces {
  private readonly mostOfCaller: number;
  private readonly most: number;
  /** By the time at which all in it are over, then by caller. */
  private readonly buckets = new Map<number, Map<AgentId, Set<string>>>();
  private readonly counts = new Map<AgentId, number>();
  private total = 0;
  /** Seconds: of proofs that were over by then nobody knows any more whether they were used. */
  private forgottenTo = 0;

  constructor(mostOfCaller = MOST_NONCES_OF_CALLER, most = MOST_NONCES) {
    this.mostOfCaller = mostOfCaller;
    this.most = most;
  }

  get size(): number {
    return this.total;
  }

  /**
   * Takes a nonce of a proof that has verified; nobody can use that proof from `until` on. Refuses with
   * `request_proof_replayed`, `request_proof_busy`.
   */
  take(caller: AgentId, nonce: string, until: number, now: number): Denial | undefined {
    this.forget(now);
    // INVARIANT: a proof whose nonce was forgotten is good for nobody, though the clock was set back since.
    if (until <= this.forgottenTo)
      return deny(
        'request_proof_replayed',
        'nobody knows any more whether it was used: the clock was set back',
      );
    // Of one length, and no part of the header that it came in, which it would keep in memory.
    const name = hash('sha256', nonce, 'base64url');
    for (const callers of this.buckets.values())
      if (callers.get(caller)?.has(name)) return deny('request_proof_replayed', 'the nonce was used before');
    const mine = this.counts.get(caller) ?? 0;
    if (!this.hasRoom(mine))
      return {
        ...deny('request_proof_busy', `${mine} nonces of ${caller} and ${this.total} in all are remembered`),
        retryAfterSeconds: BUCKET_SECONDS,
      };
    const end = Math.ceil(until / BUCKET_SECONDS) * BUCKET_SECONDS;
    const callers = this.buckets.get(end) ?? new Map<AgentId, Set<string>>();
    this.buckets.set(end, callers);
    const names = callers.get(caller) ?? new Set<string>();
    callers.set(caller, names.add(name));
    this.counts.set(caller, mine + 1);
    this.total++;
    return undefined;
  }

  private hasRoom(mine: number): boolean {
    if (mine >= this.mostOfCaller || this.total >= this.most) return false;
    return this.total < this.most * OPEN_PART || mine < Math.max(1, this.mostOfCaller * LITTLE_PART);
  }

  private forget(now: number): void {
    for (const [end, callers] of this.buckets) {
      if (end > now) continue;
      this.buckets.delete(end);
      this.forgottenTo = Math.max(this.forgottenTo, end);
      for (const [caller, names] of callers) {
        this.total -= names.size;
        const rest = (this.counts.get(caller) ?? 0) - names.size;
        if (rest > 0) this.counts.set(caller, rest);
        else this.counts.delete(caller);
      }
    }
  }
}
