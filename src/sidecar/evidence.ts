/** What happened with each peer since the last report, counted: bounded, and nothing of it is kept when it is sent or lost. */
import type { PeerEvidence, Report } from '../api/reports.ts';
import type { Outcome } from '../core/audit/record.ts';
import { MAX_REPORTED_PEERS } from '../core/limits.ts';
import type { ReasonCode } from '../core/reasons.ts';
import type { EvidencePort } from '../ports.ts';

class Counts {
  private readonly outcomes = new Map<Outcome, number>();
  private readonly denials = new Map<ReasonCode, number>();

  ended(result: Outcome): void {
    this.outcomes.set(result, (this.outcomes.get(result) ?? 0) + 1);
  }

  refused(reason: ReasonCode): void {
    this.denials.set(reason, (this.denials.get(reason) ?? 0) + 1);
  }

  get isEmpty(): boolean {
    return this.outcomes.size + this.denials.size === 0;
  }

  form(): Report['others'] {
    return { outcomes: Object.fromEntries(this.outcomes), denials: Object.fromEntries(this.denials) };
  }
}

export class Evidence implements EvidencePort {
  private peers = new Map<string, Counts>();
  private others = new Counts();

  private of(peer: string | undefined): Counts {
    if (peer === undefined || peer === '') return this.others;
    const known = this.peers.get(peer);
    if (known !== undefined) return known;
    if (this.peers.size >= MAX_REPORTED_PEERS) return this.others;
    const counts = new Counts();
    this.peers.set(peer, counts);
    return counts;
  }

  ended(peer: string, result: Outcome): void {
    this.of(peer).ended(result);
  }

  refused(peer: string | undefined, reason: ReasonCode): void {
    this.of(peer).refused(reason);
  }

  get isEmpty(): boolean {
    return this.peers.size === 0 && this.others.isEmpty;
  }

  /** All that was counted since the last call. */
  take(): Pick<Report, 'others'> & { readonly peers: PeerEvidence[] } {
    const taken = {
      peers: [...this.peers].map(([peer, counts]) => ({ peer, ...counts.form() }) as PeerEvidence),
      others: this.others.form(),
    };
    this.peers = new Map();
    this.others = new Counts();
    return taken;
  }
}
