/** The table of scores that bundles carry: made anew once a minute, and at once when a score crosses a minimum that policy demands. */
import type { AgentId } from '../../core/spiffe-id.ts';
import { type Decay, type ScoreEntry, scoreAt } from '../../core/trust/scores.ts';
import { SYSTEM } from '../actor.ts';
import type { ScoresEntry } from '../publication/entries.ts';
import type { Source } from '../publication/sources.ts';
import type { Edit, EventBody, Recorded, Records } from '../records.ts';
import { entryFrom, PUBLISHED, SCORE_DUE, SCORE_TABLE, tripleOf } from './score-records.ts';

/** Scores nearer to the baseline than that are not carried, and smaller changes make no bundle. */
export const LEAST_DEVIATION = 5;
export const REPUBLISH_SECONDS = 60;
/** Names in the event. */
const MOST_NAMED = 20;

type Table = Recorded<(typeof SCORE_TABLE)['schema']['_output']>;

export class ScoreTable {
  private readonly records: Records;
  private readonly decay: Decay;

  constructor(records: Records, decay: Decay) {
    this.records = records;
    this.decay = decay;
  }

  /** What sidecars go by. */
  async entryOf(id: AgentId): Promise<ScoreEntry | undefined> {
    const entry = (await this.read())?.value.agents[id];
    return entry && entryFrom(entry);
  }

  /** Puts what has changed into the next table, or notes it for then. Returns the events that belong to it. */
  async carry(
    edit: Edit,
    changed: ReadonlyMap<AgentId, ScoreEntry>,
    minimums: readonly number[],
    now: number,
  ): Promise<readonly EventBody[]> {
    const was = await this.read();
    const crossed: AgentId[] = [];
    const moved = new Map<AgentId, ScoreEntry>();
    for (const [id, entry] of changed) {
      const old = was?.value.agents[id];
      const from = this.at(old && entryFrom(old), now);
      const to = this.at(entry, now);
      if (minimums.some((least) => from < least !== to < least)) crossed.push(id);
      if (Math.abs(to - from) >= LEAST_DEVIATION || crossed.includes(id)) moved.set(id, entry);
    }
    if (crossed.length > 0 || now - (was?.value.at ?? 0) >= REPUBLISH_SECONDS)
      return this.publish(edit, was, moved, crossed, now);
    for (const [id, entry] of moved)
      edit.set(SCORE_DUE, encodeURIComponent(id), { id, entry: tripleOf(entry) });
    return [];
  }

  source(): Source<ScoresEntry> {
    const { baseline, halfLife } = this.decay;
    return {
      kinds: [SCORE_TABLE.prefix],
      // Always there: where bundles have no scores everybody has 0, and not the baseline.
      read: async (now) => ({
        baseline,
        half_life: halfLife,
        agents: this.deviating((await this.read())?.value.agents ?? {}, now),
      }),
    };
  }

  private async publish(
    edit: Edit,
    was: Table | undefined,
    moved: ReadonlyMap<AgentId, ScoreEntry>,
    crossed: readonly AgentId[],
    now: number,
  ): Promise<readonly EventBody[]> {
    const due = await this.records.list(SCORE_DUE);
    if (due.length + moved.size === 0) return [];
    const all = { ...was?.value.agents };
    for (const one of due) {
      all[one.value.id] = one.value.entry;
      edit.remove(SCORE_DUE, one);
    }
    for (const [id, entry] of moved) all[id] = tripleOf(entry);
    const agents = this.deviating(all, now);
    edit.set(SCORE_TABLE, PUBLISHED, { at: now, agents }, was ?? null);
    const data = { agents: Object.keys(agents).length, crossed: crossed.slice(0, MOST_NAMED) };
    return [{ event: 'scores.published', actor: SYSTEM, why: '', data }];
  }

  private deviating(agents: Table['value']['agents'], now: number): Table['value']['agents'] {
    const { baseline } = this.decay;
    return Object.fromEntries(
      Object.entries(agents).filter(
        ([, entry]) => Math.abs(this.at(entryFrom(entry), now) - baseline) >= LEAST_DEVIATION,
      ),
    ) as Table['value']['agents'];
  }

  private at(entry: ScoreEntry | undefined, now: number): number {
    return scoreAt(entry, this.decay, now).score;
  }

  private read(): Promise<Table | undefined> {
    return this.records.get(SCORE_TABLE, PUBLISHED);
  }
}
