/**
 * Two sidecars record each hop: the caller's before it sends the request, the callee's before its agent sees it.
 * So what one log lacks the other one shows, and the end of a log can't be cut off unseen (SPEC.md section 14).
 */
import { CLOCK_SKEW_SECONDS } from '../limits.ts';
import { isReasonCode, REASONS, type ReasonCode } from '../reasons.ts';
import type { AuditRecord } from './read-record.ts';
import type { DecisionRecord, Direction, OutcomeRecord, RefusalsRecord } from './record.ts';

/** The hops that one sound log holds. */
export class HopIndex {
  readonly name: string;
  readonly sidecar: string;
  /** Milliseconds, of the first and the last record. */
  first = Number.POSITIVE_INFINITY;
  last = Number.NEGATIVE_INFINITY;
  /** Session id to the ordinals on that connection: hop ids without their repetition. */
  private readonly hops = {
    inbound: new Map<string, Set<number>>(),
    outbound: new Map<string, Set<number>>(),
  };

  /** `caller status`, as the caller saw it, to denials that have no record each; in order of time. */
  private readonly summed = new Map<string, SummedDenials[]>();

  constructor(name: string, sidecar: string) {
    this.name = name;
    this.sidecar = sidecar;
  }

  take(record: AuditRecord): void {
    this.first = Math.min(this.first, record.time);
    this.last = Math.max(this.last, record.time);
    if (record.kind === 'refusals') this.takeSums(record);
    if (record.kind !== 'decision' || record.hop === '') return;
    const [session, ordinal] = splitHop(record.hop);
    const sessions = this.hops[record.direction];
    const ordinals = sessions.get(session) ?? new Set();
    sessions.set(session, ordinals.add(ordinal));
  }

  private takeSums({ sources, from, to }: RefusalsRecord): void {
    for (const { source, reason, count } of sources) {
      if (!isReasonCode(reason)) continue;
      const { status, peer } = REASONS[reason];
      const key = `${source} ${peer ? status : REASONS.denied.status}`;
      const rows = this.summed.get(key) ?? [];
      rows.push({ from, to, left: count });
      this.summed.set(key, rows);
    }
  }

  /** Whether one more denial of this caller, with this status at about this time, is among those that were summed up. */
  takeSummed(caller: string, status: number, time: number): boolean {
    const sum =
      sumAt(this.summed.get(`${caller} ${status}`), time) ?? sumAt(this.summed.get(`other ${status}`), time);
    if (sum === undefined) return false;
    sum.left--;
    return true;
  }

  has(direction: Direction, hop: string): boolean {
    const [session, ordinal] = splitHop(hop);
    return this.hops[direction].get(session)?.has(ordinal) === true;
  }
}

interface SummedDenials {
  /** Milliseconds. */
  readonly from: number;
  readonly to: number;
  left: number;
}

/** A row with something left about that time. */
const sumAt = (rows: readonly SummedDenials[] = [], time: number): SummedDenials | undefined => {
  const skew = CLOCK_SKEW_SECONDS * 1000;
  let first = 0;
  for (let end = rows.length; first < end; ) {
    const middle = (first + end) >> 1;
    if ((rows[middle]?.to ?? 0) + skew < time) first = middle + 1;
    else end = middle;
  }
  for (let at = first; at < rows.length; at++) {
    const row = rows[at];
    if (row === undefined || row.from - skew > time) return undefined;
    if (row.left > 0) return row;
  }
  return undefined;
};

const HOP = /^(.+)\.([1-9][0-9]{0,14})$/s;

/** What isn't in the form of a hop id stands for itself. */
const splitHop = (hop: string): readonly [string, number] => {
  const [, session = hop, ordinal = '0'] = HOP.exec(hop) ?? [];
  return [session, Number(ordinal)];
};

/** Hops that one log shows and the log of the other side lacks. */
export interface Unmatched {
  /** `audit_cut`: they come after the end of the other log. `hole`: it goes on after them. */
  readonly kind: 'audit_cut' | 'hole';
  /** Of the log that lacks them. */
  readonly name: string;
  readonly sidecar: string;
  /** Of the record that is lacking. */
  readonly direction: Direction;
  /** The log that shows them. */
  readonly shownBy: string;
  readonly count: number;
  readonly example: { readonly hop: string; readonly line: number; readonly time: number };
}

interface Lack {
  readonly index: HopIndex;
  readonly direction: Direction;
  readonly hop: string;
  readonly line: number;
  readonly time: number;
}

/** Refusals that a callee's sidecar may send before there is anything to decide, or because it can't record. */
const UNRECORDED: ReadonlySet<number> = new Set(
  (
    [
      'http_malformed',
      'http_header_duplicate',
      'http_headers_too_large',
      'http_body_too_large',
      'http_timeout',
      'http_upgrade',
      'session_expired',
      'audit_unavailable',
      'draining',
    ] satisfies ReasonCode[]
  ).map((code) => REASONS[code].status),
);

const isWithoutSidecar = ({ proof }: DecisionRecord): boolean => proof === 'request' || proof === 'none';

/** Whether the callee's side answered: else the status is that of our own refusal, and it may never have got the request. */
const isAnswer = ({ status, result }: OutcomeRecord): boolean =>
  status >= 100 && (result === 'ok' || status !== REASONS[result].status);

/** Goes through one log, after all are indexed, and asks the other side's logs for each hop. */
export class CrossCheck {
  private readonly shownBy: string;
  private readonly bySidecar: ReadonlyMap<string, readonly HopIndex[]>;
  /** Outbound hops that wait for the outcome that says whether the callee answered. */
  private readonly waiting = new Map<string, Lack>();
  /** By log and direction: the line of the last hop that was there, and what is lacking since, near the log's end. */
  private readonly matches = new Map<string, number>();
  private readonly trailing = new Map<string, Lack[]>();
  private readonly cuts = new Tally();
  private readonly holes = new Tally();

  constructor(shownBy: string, indexes: readonly HopIndex[]) {
    this.shownBy = shownBy;
    this.bySidecar = Map.groupBy(indexes, (index) => index.sidecar);
  }

  /** Takes the records of the log in order. `line` is 1-based. */
  take(record: AuditRecord, line: number): void {
    if (record.kind === 'decision' && record.hop !== '') {
      // The caller's record comes before the request: an inbound decision proves it. Who has no sidecar has no log.
      if (record.direction === 'inbound' && !isWithoutSidecar(record)) {
        const lack = this.findLack(record.caller, 'outbound', record, line);
        if (lack !== undefined) this.count(lack);
        // Beyond the mesh nobody keeps a log.
      } else if (
        record.direction === 'outbound' &&
        record.verdict === 'permit' &&
        record.destination === undefined
      ) {
        // The other way only an answer proves that the request arrived.
        const lack = this.findLack(record.callee, 'inbound', record, line);
        if (lack !== undefined) this.waiting.set(record.hop, lack);
      }
    } else if (record.kind === 'outcome' && record.direction === 'outbound') {
      const lack = this.waiting.get(record.hop);
      this.waiting.delete(record.hop);
      if (lack === undefined || !isAnswer(record) || UNRECORDED.has(record.status)) return;
      if (!lack.index.takeSummed(record.sidecar, record.status, record.time)) this.count(lack);
    }
  }

  private findLack(
    sidecar: string,
    direction: Direction,
    { hop, time }: { readonly hop: string; readonly time: number },
    line: number,
  ): Lack | undefined {
    const logs = this.bySidecar.get(sidecar) ?? [];
    const holder = logs.find((log) => log.has(direction, hop));
    if (holder !== undefined) {
      this.match(`${direction} ${holder.name}`, line);
      return undefined;
    }
    // A sidecar may have begun a new log: the one that was written at that time should hold the hop.
    const index = logs
      .filter((log) => log.first <= time)
      .sort((a, b) => a.first - b.first)
      .at(-1);
    return index === undefined ? undefined : { index, direction, hop, line, time };
  }

  private match(key: string, line: number): void {
    this.matches.set(key, line);
    for (const lack of this.trailing.get(key) ?? []) this.holes.add(key, lack);
    this.trailing.delete(key);
  }

  private count(lack: Lack): void {
    const { index, direction, time, line } = lack;
    const key = `${direction} ${index.name}`;
    if (time > index.last) {
      this.cuts.add(key, lack);
      return;
    }
    // Clocks differ: a hop a little older than the end is beyond it, unless a later one is there.
    const near = time > index.last - CLOCK_SKEW_SECONDS * 1000 && line > (this.matches.get(key) ?? 0);
    if (!near) {
      this.holes.add(key, lack);
      return;
    }
    const trail = this.trailing.get(key);
    if (trail === undefined) this.trailing.set(key, [lack]);
    else trail.push(lack);
  }

  /** After the last record. Hops that are still under way are not lacking. */
  finish(): readonly Unmatched[] {
    for (const [key, lacks] of this.trailing) for (const lack of lacks) this.cuts.add(key, lack);
    this.trailing.clear();
    return [...this.cuts.unmatched('audit_cut', this.shownBy), ...this.holes.unmatched('hole', this.shownBy)];
  }
}

/** Counts, each with its earliest example. */
class Tally {
  private readonly entries = new Map<string, { count: number; example: Lack }>();

  add(key: string, lack: Lack): void {
    const entry = this.entries.get(key);
    if (entry === undefined) this.entries.set(key, { count: 1, example: lack });
    else {
      entry.count++;
      if (lack.line < entry.example.line) entry.example = lack;
    }
  }

  unmatched(kind: Unmatched['kind'], shownBy: string): readonly Unmatched[] {
    return [...this.entries.values()].map(({ count, example: { index, direction, hop, line, time } }) => ({
      kind,
      name: index.name,
      sidecar: index.sidecar,
      direction,
      shownBy,
      count,
      example: { hop, line, time },
    }));
  }
}
