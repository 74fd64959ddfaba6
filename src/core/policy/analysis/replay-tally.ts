/** Replayed decisions put together: a hop has two sides, and is denied where either denies it. */

import type { AuditRecord } from '../../audit/read-record.ts';
import { type AgentId, agentTypeOf, isAgentId } from '../../spiffe-id.ts';
import { isDestination } from '../destination.ts';
import { isDecision, type RecordedDecision } from './recorded.ts';
import type { Replay, Replayed } from './replay.ts';

export interface ReplayedHop extends Replayed {
  /** '' for what a sidecar refused its own agent: it was no hop. */
  readonly hop: string;
  readonly caller: string;
  readonly callee: string;
  readonly method: string;
  readonly target: string;
  /** Milliseconds. */
  readonly time: number;
}

export interface ReplayCounts {
  readonly denied: number;
  readonly permitted: number;
  readonly reason: number;
  readonly unknown: number;
}

export interface ReplayReport {
  readonly hops: number;
  readonly counts: ReplayCounts;
  /** All that is not as it was, in the order of the logs. */
  readonly changed: readonly ReplayedHop[];
  /** By the rule that now decides; '' for none. */
  readonly byRule: ReadonlyMap<string, ReplayCounts>;
  /** By types: `planning → inventory`. */
  readonly byEdge: ReadonlyMap<string, ReplayCounts>;
  /** What would have to be known, and for how many hops. */
  readonly missing: ReadonlyMap<string, number>;
}

/** The outbound side comes first: what it denies never arrives. */
const SIDES = ['outbound', 'inbound'] as const;
type Sides = Partial<Record<(typeof SIDES)[number], ReplayedHop>>;

const sideOf = (record: RecordedDecision, replay: Replay): ReplayedHop => {
  const { hop, caller, method, target, time } = record;
  const callee = record.destination ?? record.callee;
  return { hop, caller, callee, method, target, time, ...replay.judge(record) };
};

const together = (sides: Sides): ReplayedHop | undefined => {
  const given = SIDES.flatMap((side) => sides[side] ?? []);
  const [first] = given;
  if (first === undefined || given.length === 1) return first;
  const was = given.find(({ was: one }) => one.verdict === 'deny') ?? first;
  const now = given.find((one) => one.now?.verdict === 'deny');
  if (now !== undefined) {
    const change =
      was.was.verdict === 'permit' ? 'denied' : was.was.reason === now.now?.reason ? 'same' : 'reason';
    return { ...now, was: was.was, change, missing: [] };
  }
  const open = given.find(({ change }) => change === 'unknown');
  if (open !== undefined) return { ...open, was: was.was };
  return { ...was, now: first.now, change: was.was.verdict === 'deny' ? 'permitted' : 'same' };
};

const NONE: ReplayCounts = { denied: 0, permitted: 0, reason: 0, unknown: 0 };

const addTo = (counts: Map<string, ReplayCounts>, key: string, change: keyof ReplayCounts): void => {
  const known = counts.get(key) ?? NONE;
  counts.set(key, { ...known, [change]: known[change] + 1 });
};

const typeOf = (id: string): string =>
  isAgentId(id) ? agentTypeOf(id as AgentId) : isDestination(id) ? id : '?';

export class ReplayTally {
  private readonly replay: Replay;
  private readonly hops = new Map<string, Sides>();

  constructor(replay: Replay) {
    this.replay = replay;
  }

  /** Records in any order; a log that is named twice counts once. */
  take(record: AuditRecord): void {
    if (!isDecision(record)) return;
    const key = record.hop === '' ? `${record.log} ${record.seq}` : record.hop;
    const sides = this.hops.get(key) ?? {};
    sides[record.direction] ??= sideOf(record, this.replay);
    this.hops.set(key, sides);
  }

  report(): ReplayReport {
    const changed: ReplayedHop[] = [];
    const totals = new Map<string, ReplayCounts>();
    const byRule = new Map<string, ReplayCounts>();
    const byEdge = new Map<string, ReplayCounts>();
    const missing = new Map<string, number>();
    for (const sides of this.hops.values()) {
      const hop = together(sides);
      if (hop === undefined || hop.change === 'same') continue;
      changed.push(hop);
      addTo(totals, '', hop.change);
      addTo(byRule, hop.now?.rule ?? '', hop.change);
      addTo(byEdge, `${typeOf(hop.caller)} → ${typeOf(hop.callee)}`, hop.change);
      for (const name of hop.missing) missing.set(name, (missing.get(name) ?? 0) + 1);
    }
    changed.sort((a, b) => a.time - b.time);
    return { hops: this.hops.size, counts: totals.get('') ?? NONE, changed, byRule, byEdge, missing };
  }
}
