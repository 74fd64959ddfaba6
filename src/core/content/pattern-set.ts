/**
 * Patterns that are looked for together, in two steps. RE2 is linear, but a pattern with counted gaps costs it thousands of times as much on text
 * made for it as on other text (measured: 0.02 MB/s), since each place in a gap is a state. So an automaton without gaps looks for what the patterns
 * need, all in one pass; and only where all that a pattern needs stands close together is it looked for itself. How often that may be
 * is bounded by whoever asks: see `Scanner`.
 */
import { RE2JS, RE2Set } from 're2js';
import { type Phrase, PhraseMachine } from './phrases.ts';

export interface PatternSpec {
  /** `injection/ignore-previous`. Several may share one. */
  readonly id: string;
  /** RE2, over folded text. Group 1, where there is one, is what is found; else all of it. */
  readonly source: string;
  /** RE2 without gaps or large counts: each occurs within what `source` matches. None: it is looked for everywhere. */
  readonly needs: readonly string[];
  /** Whether large and small letters differ; they don't unless it is given. */
  readonly caseMatters?: true;
  /** What a pattern can't say, of what group 1 matched: a checksum, entropy. */
  readonly isReal?: (text: string) => boolean;
}

/** In a window, and in characters of it. */
export interface Hit {
  readonly pattern: string;
  /** Of all that matched, with what it stands in. */
  readonly start: number;
  readonly end: number;
  readonly at: number;
  readonly length: number;
}

interface Compiled {
  readonly spec: PatternSpec;
  /** Of one that needs something, made when that is first there: all at once would hold up whoever gets a new policy. */
  expression: RE2JS | undefined;
  /** Indices of what it needs. */
  readonly needs: readonly number[];
}

/** What of the needs of a set stands in some text: an index each. */
export type Present = ReadonlySet<number>;

/** Of the automaton; what the detectors here need takes a fraction. */
const AUTOMATON_BYTES = 67_108_864;
const NONE: Present = new Set();

export const flagsOf = ({ caseMatters }: Pick<PatternSpec, 'caseMatters'>): number =>
  caseMatters === true ? RE2JS.MULTILINE : RE2JS.MULTILINE | RE2JS.CASE_INSENSITIVE;

const expressionOf = (spec: PatternSpec): RE2JS => RE2JS.compile(spec.source, flagsOf(spec));

export class PatternSet {
  readonly detector: string;
  /** Whether it is looked for in what is no text, too. */
  readonly inOctets: boolean;
  private readonly phrases: PhraseMachine | undefined;
  private readonly gate: RE2Set | undefined;
  /** By the first thing that they need; -1 for those that need nothing. */
  private readonly byNeed = new Map<number, Compiled[]>();

  constructor(
    detector: string,
    specs: readonly PatternSpec[],
    inOctets: boolean,
    phrases: readonly Phrase[] = [],
  ) {
    this.detector = detector;
    this.phrases = phrases.length === 0 ? undefined : new PhraseMachine(phrases);
    this.inOctets = inOctets;
    const needs = new Map<string, number>();
    for (const spec of specs) {
      const own = spec.needs.map((need) => (spec.caseMatters === true ? need : `(?i:${need})`));
      for (const need of own) if (!needs.has(need)) needs.set(need, needs.size);
      const indices = own.map((need) => needs.get(need) ?? -1);
      const compiled = {
        spec,
        expression: indices.length > 0 ? undefined : expressionOf(spec),
        needs: indices,
      };
      const first = indices[0] ?? -1;
      this.byNeed.set(first, [...(this.byNeed.get(first) ?? []), compiled]);
    }
    if (needs.size === 0) return;
    this.gate = new RE2Set(RE2Set.UNANCHORED, RE2JS.MULTILINE, AUTOMATON_BYTES);
    for (const need of needs.keys()) this.gate.add(need);
    this.gate.compile();
  }

  /** What of the needs stands in a text. */
  present(text: string): Present {
    const found = this.gate?.match(text);
    return found === undefined || found.length === 0 ? NONE : new Set(found);
  }

  /**
   * Every hit in the window, pattern by pattern, of patterns whose needs are present and that `wanted` still wants; it is asked again after
   * each hit. What stands before `from` can be looked back at, and is no place for a hit to begin. `tried` is told of each pattern that the window is searched for, and stops it all by false.
   */
  *hits(
    window: string,
    from: number,
    present: Present,
    wanted: (pattern: string) => boolean,
    tried: () => boolean,
  ): Generator<Hit, void, void> {
    for (const { pattern, start, end } of this.phrases?.find(window) ?? [])
      if (start >= from && wanted(pattern)) yield { pattern, start, end, at: start, length: end - start };
    for (const need of [-1, ...present]) {
      for (const compiled of this.byNeed.get(need) ?? []) {
        const { spec, needs } = compiled;
        if (!wanted(spec.id) || !needs.every((one) => present.has(one))) continue;
        compiled.expression ??= expressionOf(spec);
        const { expression } = compiled;
        // The automaton of one pattern says no faster than a search does.
        if (need === -1 && !expression.test(window)) continue;
        if (!tried()) return;
        const matcher = expression.matcher(window);
        for (let found = matcher.find(from); found; ) {
          const group = matcher.groupCount() > 0 && matcher.start(1) !== -1 ? 1 : 0;
          const [at, end] = [matcher.start(group), matcher.end(group)];
          if (spec.isReal === undefined || spec.isReal(window.slice(at, end))) {
            yield { pattern: spec.id, start: matcher.start(0), end: matcher.end(0), at, length: end - at };
            if (!wanted(spec.id)) break;
            found = matcher.find();
          }
          // What follows one that is none may be what the next begins with.
          else found = end > matcher.start(0) && matcher.find(end);
        }
      }
    }
  }
}
