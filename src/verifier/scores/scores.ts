/**
 * Trust scores: takes evidence from reports, keeps it summed up, and has bundles carry what differs from the baseline.
 * A score is read from what is kept and from the time; nobody's asking changes it.
 */
import type { ScoreAnswer } from '../../api/scores.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import { type Decay, type ScoreEntry, scoreAt } from '../../core/trust/scores.ts';
import type { Clock } from '../../ports.ts';
import type { ScoresEntry } from '../publication/entries.ts';
import type { Source } from '../publication/sources.ts';
import { Edit, type Recorded, type Records } from '../records.ts';
import {
  type Counts,
  DEFAULT_DECAY,
  type Evidence,
  entryOf,
  leftAfter,
  mostOfOne,
  NO_EVIDENCE,
  stakeOf,
  withCounts,
} from './model.ts';
import { classOf } from './outcomes.ts';
import {
  EVIDENCE,
  type EvidenceRecord,
  entryFrom,
  evidenceName,
  reporterOf,
  SCORE_MARK,
  subjectPart,
  tripleOf,
} from './score-records.ts';
import { ScoreTable } from './score-table.ts';

export interface ScoresParts {
  readonly records: Records;
  readonly clock: Clock;
  /** Whether somebody has enrolled: nobody else is scored, or names could be made up without end. */
  readonly isAgent: (id: AgentId) => Promise<boolean>;
  /** The minimums that the policy in force demands. */
  readonly minimums: () => Promise<readonly number[]>;
  readonly decay?: Decay;
}

const FLUSH_SECONDS = 3;
const MARK_SECONDS = 3600;
/** Pairs of reporter and subject in one commit. */
const MOST_AT_ONCE = 500;
/** Pairs that wait in memory; what doesn't fit is lost, as a report is that didn't arrive. */
const MOST_WAITING = 50_000;
/** Evidence that is older weighs less than half a point, and is removed when there is more of its subject. */
const KEPT_HALF_LIVES = 10;
const MOST_SHOWN = 8;
const STEADY_POINTS = 10;

interface Waiting {
  readonly reporter: AgentId;
  readonly subject: AgentId;
  readonly counts: Record<string, number>;
}

export class Scores {
  readonly decay: Decay;
  private readonly parts: ScoresParts;
  private readonly table: ScoreTable;
  private readonly waiting = new Map<string, Waiting>();
  private flushing: Promise<void> | undefined;
  private flushedAt = 0;

  constructor(parts: ScoresParts) {
    this.parts = parts;
    this.decay = parts.decay ?? DEFAULT_DECAY;
    this.table = new ScoreTable(parts.records, this.decay);
  }

  /** What bundles carry. */
  source(): Source<ScoresEntry> {
    return this.table.source();
  }

  /** Takes what a sidecar says of a peer. What it says of its own agent doesn't count, neither for it nor against it. */
  take(reporter: AgentId, subject: AgentId, counts: Counts): void {
    if (reporter === subject) return;
    const name = evidenceName(subject, reporter);
    const waiting = this.waiting.get(name) ?? { reporter, subject, counts: {} };
    if (!this.waiting.has(name) && this.waiting.size >= MOST_WAITING) return;
    for (const [outcome, count = 0] of Object.entries(counts)) {
      if (count <= 0 || classOf(outcome as keyof Counts) === 'nothing') continue;
      waiting.counts[outcome] = (waiting.counts[outcome] ?? 0) + count;
      this.waiting.set(name, waiting);
    }
  }

  /** Called every second or so. */
  async tick(): Promise<void> {
    if (this.now - this.flushedAt < FLUSH_SECONDS) return;
    this.flushedAt = this.now;
    await this.flush();
  }

  /** Puts what was taken on record, and makes a table when one is due. */
  flush(): Promise<void> {
    this.flushing ??= this.flushAll().finally(() => {
      this.flushing = undefined;
    });
    return this.flushing;
  }

  /** The score as of now, and why. */
  async answer(id: AgentId): Promise<ScoreAnswer> {
    const { now, decay } = this;
    const all = await this.evidenceOf(id);
    const entry = entryOf(
      all.map(({ value }) => value),
      decay,
    );
    const reporters = all
      .map(({ name, value }) => ({
        reporter: reporterOf(name),
        stake: Math.round(stakeOf(value, now, decay) * 10) / 10,
        at: value.at,
      }))
      .sort((one, other) => Math.abs(other.stake) - Math.abs(one.stake));
    return {
      id,
      ...scoreAt(entry, decay, now),
      baseline: decay.baseline,
      halfLife: decay.halfLife,
      at: entry?.at ?? null,
      trend: await this.trendOf(id, entry),
      reasons: this.reasonsOf(all),
      reporters: reporters.slice(0, MOST_SHOWN),
      mostOfOne: mostOfOne(decay),
      published: scoreAt(await this.table.entryOf(id), decay, now).score,
    };
  }

  private async flushAll(): Promise<void> {
    do {
      const some = [...this.waiting].slice(0, MOST_AT_ONCE);
      for (const [name] of some) this.waiting.delete(name);
      try {
        await this.put(some.map(([, waiting]) => waiting));
      } catch (error) {
        // Nothing of it is on record: it waits for the next time.
        for (const [, { reporter, subject, counts }] of some) this.take(reporter, subject, counts);
        throw error;
      }
    } while (this.waiting.size >= MOST_AT_ONCE);
  }

  private async put(some: readonly Waiting[]): Promise<void> {
    const edit = new Edit();
    const changed = new Map<AgentId, ScoreEntry>();
    for (const [subject, waiting] of Map.groupBy(some, (one) => one.subject)) {
      if (!(await this.parts.isAgent(subject))) continue;
      const entry = await this.putOne(edit, subject, waiting);
      changed.set(subject, entry);
      await this.mark(edit, subject, entry);
    }
    const events = await this.table.carry(edit, changed, await this.parts.minimums(), this.now);
    if (edit.put.length + edit.removed.length === 0) return;
    // Evidence by itself is no change that anybody has decided on: only a table is told in the ledger.
    await this.parts.records.commit(events, edit);
  }

  /** Adds to the evidence of one subject; its entry with that. */
  private async putOne(edit: Edit, subject: AgentId, waiting: readonly Waiting[]): Promise<ScoreEntry> {
    const { now, decay } = this;
    const all = new Map<string, Evidence>();
    const known = new Map((await this.evidenceOf(subject)).map((one) => [one.name, one]));
    for (const { reporter, counts } of waiting) {
      const name = evidenceName(subject, reporter);
      const was = known.get(name);
      known.delete(name);
      const old: Evidence = was?.value ?? NO_EVIDENCE;
      const { good, denied, forged, at } = withCounts(old, counts, now, decay);
      const outcomes = added(was?.value.outcomes ?? {}, leftAfter(now - old.at, decay), counts);
      edit.set(EVIDENCE, name, { good, denied, forged, at, outcomes }, was ?? null);
      all.set(name, { good, denied, forged, at });
    }
    for (const [name, one] of known) {
      if (now - one.value.at > KEPT_HALF_LIVES * decay.halfLife) edit.remove(EVIDENCE, one);
      else all.set(name, one.value);
    }
    return entryOf([...all.values()], decay) as ScoreEntry;
  }

  private async mark(edit: Edit, subject: AgentId, entry: ScoreEntry): Promise<void> {
    const name = encodeURIComponent(subject);
    const was = await this.parts.records.get(SCORE_MARK, name);
    const last = tripleOf(entry);
    if (was === undefined) edit.set(SCORE_MARK, name, { before: null, last }, null);
    else if (this.now - was.value.last[1] >= MARK_SECONDS)
      edit.set(SCORE_MARK, name, { before: was.value.last, last }, was);
  }

  private async trendOf(id: AgentId, entry: ScoreEntry | undefined): Promise<ScoreAnswer['trend']> {
    const mark = (await this.parts.records.get(SCORE_MARK, encodeURIComponent(id)))?.value;
    const then =
      mark === undefined ? null : this.now - mark.last[1] >= MARK_SECONDS ? mark.last : mark.before;
    const { now, decay } = this;
    const moved =
      scoreAt(entry, decay, now).score -
      scoreAt(then === null ? undefined : entryFrom(then), decay, now).score;
    return Math.abs(moved) < STEADY_POINTS ? 'steady' : moved > 0 ? 'rising' : 'falling';
  }

  private reasonsOf(all: readonly Recorded<EvidenceRecord>[]): ScoreAnswer['reasons'] {
    const counts: Record<string, number> = {};
    for (const { value } of all) {
      const left = leftAfter(this.now - value.at, this.decay);
      for (const [outcome, count] of Object.entries(value.outcomes))
        counts[outcome] = (counts[outcome] ?? 0) + count * left;
    }
    return Object.entries(counts)
      .map(([reason, count]) => ({
        reason,
        class: classOf(reason as keyof Counts),
        count: Math.round(count * 10) / 10,
      }))
      .filter(({ count }) => count > 0)
      .sort((one, other) => other.count - one.count)
      .slice(0, MOST_SHOWN);
  }

  private evidenceOf(subject: AgentId): Promise<readonly Recorded<EvidenceRecord>[]> {
    return this.parts.records.list(EVIDENCE, { below: subjectPart(subject) });
  }

  private get now(): number {
    return Math.floor(this.parts.clock.now() / 1000);
  }
}

const added = (
  was: Readonly<Record<string, number>>,
  left: number,
  counts: Readonly<Record<string, number>>,
): Record<string, number> => {
  const sum: Record<string, number> = {};
  for (const [outcome, count] of Object.entries(was)) if (count * left >= 0.01) sum[outcome] = count * left;
  for (const [outcome, count] of Object.entries(counts)) sum[outcome] = (sum[outcome] ?? 0) + count;
  return sum;
};
