/** Trust scores as a bundle carries them, read at any time (SPEC.md section 9). */
import type { Json, JsonObject } from '../encoding/json.ts';
import { checkMembers, isInteger, isObject, isTime } from '../encoding/members.ts';
import { type AgentId, isAgentId } from '../spiffe-id.ts';
import { deny, grant, type Verdict } from '../verdict.ts';

export const MAX_SCORE = 1000;
/** Half the width of the range in which a score of which nothing is known may lie. */
const WIDEST = 500;

export interface Score {
  /** 0–1000. */
  readonly score: number;
  /** Half the width of its range, 0–500: grows as evidence ages. */
  readonly uncertainty: number;
}

/** What was known at `at`: the score, and how much evidence stood behind it. */
export interface ScoreEntry {
  readonly score: number;
  /** Seconds. */
  readonly at: number;
  /** Observations, capped. */
  readonly weight: number;
}

export interface Decay {
  /** What an agent of which nothing is known has, 0–1000. */
  readonly baseline: number;
  /** Seconds in which half of the distance to the baseline is gone, and half of the evidence. */
  readonly halfLife: number;
}

/** The score at `now`: a function of the last evidence and the time alone, so that asking changes nothing. */
export const scoreAt = (entry: ScoreEntry | undefined, { baseline, halfLife }: Decay, now: number): Score => {
  if (entry === undefined) return { score: baseline, uncertainty: WIDEST };
  const left = 2 ** (-Math.max(0, now - entry.at) / halfLife);
  return {
    score: Math.round(baseline + (entry.score - baseline) * left),
    uncertainty: Math.round(WIDEST / Math.sqrt(1 + entry.weight * left)),
  };
};

const MEMBERS = {
  baseline: isInteger(0, MAX_SCORE),
  half_life: isInteger(60, 31_536_000),
  agents: isObject,
} as const;
const isScore = isInteger(0, MAX_SCORE);
const isWeight = isInteger(0, 1_000_000);

/** An immutable table; a new bundle brings a new one. */
export class Scores {
  readonly decay: Decay;
  private readonly entries: ReadonlyMap<string, ScoreEntry>;

  private constructor(decay: Decay, entries: ReadonlyMap<string, ScoreEntry>) {
    this.decay = decay;
    this.entries = entries;
  }

  /** Without scores in the bundle everybody has 0: a demand for more than that is not met by silence. */
  static readonly none = new Scores({ baseline: 0, halfLife: 86_400 }, new Map());

  /** Refuses with `claim_*`. */
  static parse(value: JsonObject): Verdict<Scores> {
    const closed = checkMembers(value, MEMBERS, 'scores');
    if (!closed.ok) return closed;
    const entries = new Map<string, ScoreEntry>();
    for (const [id, entry] of Object.entries(value.agents as JsonObject)) {
      const known: readonly Json[] = Array.isArray(entry) ? entry : [];
      const [score = null, at = null, weight = null] = known;
      if (!isAgentId(id) || known.length !== 3 || !isScore(score) || !isTime(at) || !isWeight(weight))
        return deny('claim_invalid', 'scores: agents are agent ID → [score, time, weight]');
      entries.set(id, { score: score as number, at: at as number, weight: weight as number });
    }
    const { baseline, half_life: halfLife } = value as Readonly<Record<string, number>>;
    return grant(new Scores({ baseline: baseline ?? 0, halfLife: halfLife ?? 60 }, entries));
  }

  /** How many agents are listed. */
  get size(): number {
    return this.entries.size;
  }

  of(id: AgentId, now: number): Score {
    return scoreAt(this.entries.get(id), this.decay, now);
  }
}
