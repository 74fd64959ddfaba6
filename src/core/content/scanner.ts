/**
 * Looks through a text that comes in pieces. It is cut into segments that lie where they lie whatever the pieces are; each is looked at once,
 * with what stands before and behind it, so that what is found does not depend on the pieces.
 */
import { type Finding, MAX_FINDINGS_OF_PATTERN } from './model.ts';
import type { Hit, PatternSet } from './pattern-set.ts';

/** Characters that a segment has, that may follow it (the longest match that is surely seen), and that stand before it. */
export const SEGMENT = 8192;
export const LONGEST_MATCH = 1024;
const BEFORE = 16;

/** What was found, whoever's rule asks. */
export type Sighting = Pick<Finding, 'pattern' | 'view' | 'at' | 'length'> & { readonly set: PatternSet };

/** How often each pattern was seen in a body: what is known well enough is not located again. */
export class SightingCount {
  private readonly seen = new Map<string, number>();
  readonly wanted = (pattern: string): boolean => (this.seen.get(pattern) ?? 0) < MAX_FINDINGS_OF_PATTERN;
  count(pattern: string): void {
    this.seen.set(pattern, (this.seen.get(pattern) ?? 0) + 1);
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
    while (this.length - this.segment >= SEGMENT + LONGEST_MATCH)
      found.push(...this.look(this.segment + SEGMENT + LONGEST_MATCH));
    return found;
  }

  /** What is left. */
  end(): Sighting[] {
    const found: Sighting[] = [];
    while (this.segment < this.length)
      found.push(...this.look(Math.min(this.segment + SEGMENT + LONGEST_MATCH, this.length)));
    return found;
  }

  /**
   * The first thing in what no segment has come to yet, for whoever can't wait for more. What touches the end could become
   * something else with the next character, and is left for then.
   */
  glance(): Sighting | undefined {
    const start = Math.max(this.base, Math.min(this.glanced, this.length) - LONGEST_MATCH);
    if (this.length === this.glanced || this.segment >= this.length) return undefined;
    this.glanced = this.length;
    const window = this.text.slice(start - this.base);
    for (const set of this.sets)
      for (const hit of set.hits(window, this.counts.wanted))
        if (hit.end < window.length && (start === 0 || hit.start > 0)) return this.sighting(set, hit, start);
    return undefined;
  }

  private get length(): number {
    return this.base + this.text.length;
  }

  /** Looks at the next segment; `to` is where its window ends. */
  private look(to: number): Sighting[] {
    const end = this.segment + SEGMENT;
    const start = Math.max(0, this.segment - BEFORE);
    const window = this.text.slice(start - this.base, to - this.base);
    const found: Sighting[] = [];
    for (const set of this.sets) {
      for (const hit of set.hits(window, this.counts.wanted)) {
        const at = start + hit.start;
        // What begins before was the last segment's, what begins behind is the next one's.
        if (at < this.segment || at >= end) continue;
        this.counts.count(hit.pattern);
        found.push(this.sighting(set, hit, start));
      }
    }
    this.segment = end;
    const keep = Math.min(this.length, end - LONGEST_MATCH - BEFORE);
    if (keep > this.base) {
      this.text = this.text.slice(keep - this.base);
      this.base = keep;
    }
    return found;
  }

  private sighting(set: PatternSet, hit: Hit, start: number): Sighting {
    return { set, pattern: hit.pattern, view: this.view, at: start + hit.at, length: hit.length };
  }
}
