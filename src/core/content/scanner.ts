/**
 * Looks through a text that comes in pieces. It is cut into segments that lie where they lie whatever the pieces are; each is looked at once,
 * with what stands before and behind it, so that what is found does not depend on the pieces.
 */
import { type Finding, MAX_FINDINGS_OF_PATTERN } from './model.ts';
import type { Hit, PatternSet, Present } from './pattern-set.ts';

/** Characters that a segment has, and that may follow it: no match that is longer than the latter is sure to be seen. */
export const SEGMENT = 2048;
export const LONGEST_MATCH = 512;
/** Before a segment, so that a pattern sees that a word begins there; and behind it, for needs that the border cuts. */
const BEFORE = 16;
const BEHIND = 48;
/** Searches for one pattern in one segment: so many for nothing, and one more for so many characters. */
const FREE_SEARCHES = 512;
const CHARACTERS_PER_SEARCH = 64;

/** What was found, whoever's rule asks. */
export type Sighting = Pick<Finding, 'pattern' | 'view' | 'at' | 'length'> & { readonly set: PatternSet };

/** How often each pattern was seen in a body: what is known well enough is not searched for again. */
export class SightingCount {
  private readonly seen = new Map<string, number>();
  private searches = 0;
  private characters = 0;
  /**
   * The text has so much of what patterns need, and so little of the patterns, that it can't be looked at within the bound: it was
   * made to keep us busy. Nothing more of it is looked at.
   */
  exhausted = false;

  readonly wanted = (pattern: string): boolean => (this.seen.get(pattern) ?? 0) < MAX_FINDINGS_OF_PATTERN;

  readonly tried = (): boolean => {
    this.searches++;
    if (this.searches > FREE_SEARCHES + this.characters / CHARACTERS_PER_SEARCH) this.exhausted = true;
    return !this.exhausted;
  };

  count(pattern: string): void {
    this.seen.set(pattern, (this.seen.get(pattern) ?? 0) + 1);
  }

  read(characters: number): void {
    this.characters += characters;
  }
}

export class Scanner {
  private readonly sets: readonly PatternSet[];
  private readonly view: Finding['view'];
  private readonly counts: SightingCount;
  /** From `base` on, in characters of the text. */
  private text = '';
  private base = 0;
  /** Where the next segment begins. */
  private segment = 0;
  /** What is present in it, by set, where that was looked at with the one before. */
  private ahead: readonly Present[] | undefined;
  /** Up to where `glance` has looked. */
  private glanced = 0;

  constructor(sets: readonly PatternSet[], view: Finding['view'], counts: SightingCount) {
    this.sets = sets;
    this.view = view;
    this.counts = counts;
  }

  push(text: string): Sighting[] {
    this.text += text;
    const found: Sighting[] = [];
    while (this.length - this.segment >= SEGMENT + LONGEST_MATCH + BEHIND) this.look(found);
    this.forget();
    return found;
  }

  /** What is left. */
  end(): Sighting[] {
    const found: Sighting[] = [];
    while (this.segment < this.length) this.look(found);
    return found;
  }

  /**
   * The first thing in what no segment has come to yet, for whoever can't wait for more. What touches the end could become
   * something else with the next character, and is left for then.
   */
  glance(): Sighting | undefined {
    if (this.length === this.glanced || this.segment >= this.length) return undefined;
    const start = Math.max(this.base, Math.min(this.glanced, this.length) - LONGEST_MATCH);
    this.glanced = this.length;
    const window = this.text.slice(start - this.base);
    const { wanted, tried } = this.counts;
    for (const set of this.sets)
      for (const hit of set.hits(window, set.present(window), wanted, tried))
        if (hit.end < window.length && (start === 0 || hit.start > 0)) return this.sighting(set, hit, start);
    return undefined;
  }

  private get length(): number {
    return this.base + this.text.length;
  }

  private slice(from: number, to: number): string {
    return this.text.slice(Math.max(from, this.base) - this.base, to - this.base);
  }

  private presentIn(segment: number): readonly Present[] {
    const text = this.slice(segment, segment + SEGMENT + BEHIND);
    return this.sets.map((set) => set.present(text));
  }

  /** Looks at the next segment. */
  private look(found: Sighting[]): void {
    const { segment, counts } = this;
    const end = segment + SEGMENT;
    this.segment = end;
    counts.read(Math.min(SEGMENT, this.length - segment));
    if (counts.exhausted) return;
    const here = this.ahead ?? this.presentIn(segment);
    const next = end < this.length ? this.presentIn(end) : undefined;
    this.ahead = next;
    const start = Math.max(0, segment - BEFORE);
    let window: string | undefined;
    for (const [index, set] of this.sets.entries()) {
      const present = union(here[index], next?.[index]);
      if (present.size === 0 && !set.always) continue;
      window ??= this.slice(start, end + LONGEST_MATCH);
      for (const hit of set.hits(window, present, counts.wanted, counts.tried)) {
        const at = start + hit.start;
        // What begins before was the last segment's, what begins behind is the next one's.
        if (at < segment || at >= end) continue;
        counts.count(hit.pattern);
        found.push(this.sighting(set, hit, start));
      }
    }
  }

  /** What neither a segment nor a glance will look at again. */
  private forget(): void {
    const keep = Math.min(this.length, this.segment - LONGEST_MATCH - BEFORE);
    if (keep - this.base < LONGEST_MATCH) return;
    this.text = this.text.slice(keep - this.base);
    this.base = keep;
  }

  private sighting(set: PatternSet, hit: Hit, start: number): Sighting {
    return { set, pattern: hit.pattern, view: this.view, at: start + hit.at, length: hit.length };
  }
}

const NONE: Present = new Set();

const union = (one: Present = NONE, other: Present = NONE): Present => {
  if (other.size === 0) return one;
  return one.size === 0 ? other : new Set([...one, ...other]);
};
