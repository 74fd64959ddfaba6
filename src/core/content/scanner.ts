/**
 * Looks through a text that comes in pieces. It is cut into segments that lie where they lie whatever the pieces are; each is looked at once,
 * with what stands before and behind it, so that what is found does not depend on the pieces.
 */
import { type Finding, MAX_FINDINGS_OF_PATTERN } from './model.ts';
import type { Hit, PatternSet } from './pattern-set.ts';

/** Characters that a segment has, and that may follow it: no match that is longer than the latter is sure to be seen. */
export const SEGMENT = 2048;
export const LONGEST_MATCH = 512;
/** And that stand before it, so that a pattern sees that a word begins there. */
const BEFORE = 16;
/** Searches for one pattern in one segment: so many for nothing, and one more for so many characters. */
const FREE_SEARCHES = 512;
const CHARACTERS_PER_SEARCH = 256;
const CHARACTERS_PER_GLANCE_SEARCH = 16;
/** Characters that glances look at: so many for nothing, and so many for each that there is. */
const FREE_GLANCED = 65_536;
const GLANCED_PER_CHARACTER = 8;

/** What was found, whoever's rule asks. */
export type Sighting = Pick<Finding, 'pattern' | 'view' | 'at' | 'length'> & { readonly set: PatternSet };

/** How often each pattern of a set was seen in a body: what is known well enough is not searched for again. */
class PatternCount {
  private readonly seen = new Map<string, number>();

  readonly wanted = (pattern: string): boolean => (this.seen.get(pattern) ?? 0) < MAX_FINDINGS_OF_PATTERN;

  count(pattern: string): void {
    this.seen.set(pattern, (this.seen.get(pattern) ?? 0) + 1);
  }
}

/** What looking at a body has found and cost so far. */
export class SightingCount {
  /** By set: two rules may each have a pattern of one name, and what one sees often hides nothing from the other. */
  private readonly sets = new Map<PatternSet, PatternCount>();
  private searches = 0;
  private glances = 0;
  private characters = 0;
  /**
   * The text has so much of what patterns need, and so little of the patterns, that it can't be looked at within the bound: it was
   * made to keep us busy. Nothing more of it is looked at.
   */
  exhausted = false;

  of(set: PatternSet): PatternCount {
    const known = this.sets.get(set);
    if (known !== undefined) return known;
    const count = new PatternCount();
    this.sets.set(set, count);
    return count;
  }

  readonly tried = (): boolean => {
    this.searches++;
    if (this.searches > FREE_SEARCHES + this.characters / CHARACTERS_PER_SEARCH) this.exhausted = true;
    return !this.exhausted;
  };

  /** Whether a glance may search once more. Whoever sends octet by octet gets fewer glances, and is looked at by segments all the same. */
  readonly glanced = (): boolean =>
    ++this.glances <= FREE_SEARCHES + this.characters / CHARACTERS_PER_GLANCE_SEARCH;

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
  /** Up to where `glance` has looked, and at how much in all. */
  private glanced = 0;
  private glancedInAll = 0;

  constructor(sets: readonly PatternSet[], view: Finding['view'], counts: SightingCount) {
    this.sets = sets;
    this.view = view;
    this.counts = counts;
  }

  push(text: string): Sighting[] {
    this.text += text;
    const found: Sighting[] = [];
    while (this.length - this.segment >= SEGMENT + LONGEST_MATCH) this.look(found);
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
    // Each looks at what was before as well: octet by octet that would be a thousand times the text.
    if (this.glancedInAll > FREE_GLANCED + GLANCED_PER_CHARACTER * this.length) return undefined;
    const start = Math.max(this.base, Math.min(this.glanced, this.length) - LONGEST_MATCH);
    this.glanced = this.length;
    const window = this.text.slice(start - this.base);
    this.glancedInAll += window.length;
    const { glanced } = this.counts;
    for (const set of this.sets)
      for (const hit of set.hits(window, 0, set.present(window), this.counts.of(set).wanted, glanced))
        if (hit.end < window.length && (start === 0 || hit.start > 0)) return this.sighting(set, hit, start);
    return undefined;
  }

  private get length(): number {
    return this.base + this.text.length;
  }

  /** Looks at the next segment. */
  private look(found: Sighting[]): void {
    const { segment, counts } = this;
    const end = segment + SEGMENT;
    this.segment = end;
    counts.read(Math.min(SEGMENT, this.length - segment));
    if (counts.exhausted) return;
    const start = Math.max(0, segment - BEFORE);
    const window = this.text.slice(start - this.base, end + LONGEST_MATCH - this.base);
    for (const set of this.sets) {
      const count = counts.of(set);
      // What begins before was the last segment's, what begins behind is the next one's.
      for (const hit of set.hits(window, segment - start, set.present(window), count.wanted, counts.tried)) {
        if (start + hit.start >= end) continue;
        count.count(hit.pattern);
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
