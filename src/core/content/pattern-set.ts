/** Patterns that are looked for together: one automaton says which occur, in linear time, and only those are then located. */
import { RE2JS, RE2Set } from 're2js';

export interface PatternSpec {
  /** `injection/ignore-previous`. */
  readonly id: string;
  /** RE2, over folded text. Group 1, where there is one, is what is found; else all of it. */
  readonly source: string;
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
  readonly expression: RE2JS;
}

/** Of the automaton: states beyond that are forgotten and made again. */
const AUTOMATON_BYTES = 33_554_432;

export const flagsOf = ({ caseMatters }: Pick<PatternSpec, 'caseMatters'>): number =>
  caseMatters === true ? RE2JS.MULTILINE : RE2JS.MULTILINE | RE2JS.CASE_INSENSITIVE;

export class PatternSet {
  readonly detector: string;
  /** Whether it is looked for in what is no text, too. */
  readonly inOctets: boolean;
  private readonly patterns: readonly Compiled[];
  private readonly sets: readonly { readonly set: RE2Set; readonly first: number }[];

  constructor(detector: string, specs: readonly PatternSpec[], inOctets: boolean) {
    this.detector = detector;
    this.inOctets = inOctets;
    // A set has one kind of letters.
    const sorted = [...specs].sort((a, b) => flagsOf(a) - flagsOf(b));
    this.patterns = sorted.map((spec) => ({ spec, expression: RE2JS.compile(spec.source, flagsOf(spec)) }));
    this.sets = [...new Set(sorted.map(flagsOf))].map((flags) => {
      const set = new RE2Set(RE2Set.UNANCHORED, flags, AUTOMATON_BYTES);
      for (const spec of sorted) if (flagsOf(spec) === flags) set.add(spec.source);
      set.compile();
      return { set, first: sorted.findIndex((spec) => flagsOf(spec) === flags) };
    });
  }

  /** Every hit in the window, pattern by pattern, of those that `wanted` still wants; it is asked again after each. */
  *hits(window: string, wanted: (pattern: string) => boolean): Generator<Hit, void, void> {
    for (const { set, first } of this.sets) {
      for (const index of set.match(window)) {
        const { spec, expression } = this.patterns[first + index] as Compiled;
        if (!wanted(spec.id)) continue;
        const matcher = expression.matcher(window);
        while (matcher.find()) {
          const group = matcher.groupCount() > 0 && matcher.start(1) !== -1 ? 1 : 0;
          const [at, end] = [matcher.start(group), matcher.end(group)];
          if (spec.isReal !== undefined && !spec.isReal(window.slice(at, end))) continue;
          yield { pattern: spec.id, start: matcher.start(0), end: matcher.end(0), at, length: end - at };
          if (!wanted(spec.id)) break;
        }
      }
    }
  }
}
