/**
 * What each sidecar enforces, from its last report. In memory alone: after a start of the verifier it is not known until
 * they report again, which is what is said then.
 */
import type { Enforced, Enforcement as EnforcementAnswer } from '../../api/policy.ts';
import type { Report } from '../../api/reports.ts';
import type { Clock } from '../../ports.ts';

/** Who has said nothing for so long doesn't count as running. Reports come every half minute or so. */
export const LIVE_SECONDS = 120;
/** Whoever was heard of within the hour and says nothing now has ended, or can’t reach the verifier. */
const REMEMBERED_SECONDS = 3600;
/** A sidecar reports as its agent, and agents are enrolled; replicas that come and go leave names behind. */
const MAX_SIDECARS = 100_000;

interface Heard {
  readonly at: number;
  readonly report: Report;
}

/** Hops that a sidecar counted with somebody, in its last report. */
export interface SeenHops {
  readonly sidecar: string;
  readonly agent: string;
  readonly hops: number;
  /** Seconds. */
  readonly to: number;
}

const driftsFrom = (digest: string | undefined, { policy }: Report): boolean =>
  digest !== undefined && policy?.digest !== digest;

const total = (counts: Readonly<Record<string, number | undefined>>): number =>
  Object.values(counts).reduce<number>((sum, count = 0) => sum + count, 0);

export class Enforcement {
  private readonly clock: Clock;
  /** By reporter, the one heard of last at the end. */
  private readonly heard = new Map<string, Heard>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  note(sidecar: string, report: Report): void {
    this.heard.delete(sidecar);
    this.heard.set(sidecar, { at: this.now, report });
    if (this.heard.size > MAX_SIDECARS) {
      const [oldest] = this.heard.keys();
      if (oldest !== undefined) this.heard.delete(oldest);
    }
  }

  /** Live sidecars with what they enforce; `digest` is that of the policy in force. */
  answer(current: EnforcementAnswer['current']): EnforcementAnswer {
    const sidecars: Enforced[] = [];
    for (const [sidecar, { at, report }] of this.live()) {
      const { policy, bundle, version, freshAt } = report;
      sidecars.push({
        sidecar,
        at,
        version,
        bundle: { epoch: bundle.epoch, seq: bundle.seq },
        ...(policy && { policy }),
        freshAt,
        drifts: driftsFrom(current.policy?.digest, report),
      });
    }
    sidecars.sort((one, other) => (one.sidecar < other.sidecar ? -1 : 1));
    return { current, liveSeconds: LIVE_SECONDS, sidecars };
  }

  /** How many enforce the policy of this digest, how many another or none, and how many have fallen silent within the hour. */
  tally(digest: string | undefined): Readonly<Record<'enforcing' | 'behind' | 'silent', number>> {
    const { now } = this;
    const counts = { enforcing: 0, behind: 0, silent: 0 };
    for (const { at, report } of this.heard.values()) {
      const age = now - at;
      if (age > REMEMBERED_SECONDS) continue;
      if (age > LIVE_SECONDS) counts.silent++;
      else if (driftsFrom(digest, report)) counts.behind++;
      else counts.enforcing++;
    }
    return counts;
  }

  /** Where these agents were seen in the last reports: as the peer of a sidecar, or as the one that it stands beside. */
  seen(agents: ReadonlySet<string>): readonly SeenHops[] {
    const found: SeenHops[] = [];
    for (const [sidecar, { report }] of this.live()) {
      for (const { peer, outcomes, denials } of report.peers) {
        if (agents.has(peer) || agents.has(sidecar))
          found.push({ sidecar, agent: peer, hops: total(outcomes) + total(denials), to: report.to });
      }
    }
    return found;
  }

  private *live(): Generator<readonly [string, Heard]> {
    for (const [sidecar, heard] of this.heard)
      if (this.now - heard.at <= LIVE_SECONDS) yield [sidecar, heard];
  }

  private get now(): number {
    return Math.floor(this.clock.now() / 1000);
  }
}
