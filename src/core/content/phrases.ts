/**
 * Phrases: parts in order, each within so many characters of the one before. As one expression a gap would be a state for each of its places, and
 * RE2 takes a thousand times as long on text that is made of such parts (measured). Here an automaton that starts where words start finds all
 * parts, and each remembers where it ended: time is that of reading, whatever the text.
 */
import { lower, PartAutomaton } from './phrase-parts.ts';

export interface Phrase {
  /** `injection/ignore-previous`. Several may share one. */
  readonly id: string;
  readonly parts: readonly string[];
  /** Characters between one part and the next, at most; of `words` one at least. */
  readonly gaps: readonly number[];
  /** Each part is whole words, and what is between them begins and ends as words do. */
  readonly words: boolean;
}

/** Stands between two parts: a gap of up to so many characters within a string. */
export const gap = (most: number): string => `‹${most}›`;
const GAP = /‹([0-9]+)›/;

/** The alternatives of a phrase, at its top level. */
const alternatives = (source: string): string[] => {
  const found = [''];
  let depth = 0;
  let inClass = false;
  for (let at = 0; at < source.length; at++) {
    const letter = source.charAt(at);
    const text = letter === '\\' ? source.slice(at, at + 2) : letter;
    if (letter === '\\') at++;
    else if (inClass) inClass = letter !== ']';
    else if (letter === '[') inClass = true;
    else if (letter === '(') depth++;
    else if (letter === ')') depth--;
    if (letter === '‹' && depth > 0) throw new Error(`a gap within a group: ${source.slice(at, at + 40)}`);
    if (letter === '|' && depth === 0 && !inClass) found.push('');
    else found[found.length - 1] += text;
  }
  return found;
};

const phrasesOf = (id: string, source: string, words: boolean): readonly Phrase[] =>
  alternatives(source).map((one) => {
    const pieces = one.split(GAP);
    return {
      id,
      words,
      parts: pieces.filter((_, at) => at % 2 === 0),
      gaps: pieces.filter((_, at) => at % 2 === 1).map(Number),
    };
  });

/** Words of a language that has spaces between them; each alternative is a phrase of its own under the one id. */
export const words = (id: string, source: string): readonly Phrase[] => phrasesOf(id, source, true);
/** Whatever stands before and behind: signs, and languages whose words have endings or no spaces. */
export const signs = (id: string, source: string): readonly Phrase[] => phrasesOf(id, source, false);

interface State {
  readonly members: readonly number[];
  /** By character; of ASCII in an array. */
  readonly ascii: (State | null | undefined)[];
  readonly others: Map<number, State | null>;
  /** Parts that end here. */
  readonly accepts: readonly number[];
}

/** Where a phrase stands as far as it has come: the start of all of it, the end of its last part. */
interface Trail {
  readonly start: number;
  readonly end: number;
}

export interface PhraseHit {
  readonly pattern: string;
  readonly start: number;
  readonly end: number;
}

/** By phrase and place. */
type Trails = Map<number, Trail[]>;

/** A part that is longer than that is not looked for to its end. */
const LONGEST_PART = 96;
/** Ends of a part that are remembered at a time: the latest, which reach farthest. */
const MOST_TRAILS = 8;
/** Of a phrase. */
const MOST_PARTS = 8;

const isLetter = (code: number): boolean => code >= 0x61 && code <= 0x7a;
const BETWEEN = new Set([...' ,:;."\'*()[]-'].map((sign) => sign.charCodeAt(0)));
const APOSTROPHE = 0x27;
const LF = 0x0a;

export class PhraseMachine {
  private readonly phrases: readonly Phrase[];
  private readonly automaton = new PartAutomaton();
  private readonly states = new Map<string, State>();
  private readonly root: State;
  /** All that any part has: of other characters a text may have thousands, each of them as many times as it likes. */
  private readonly alphabet: ReadonlySet<number>;
  /** By part: phrases that have it, and in which place; from the last place to the first. */
  private readonly uses: (readonly [phrase: number, place: number])[][] = [];

  constructor(phrases: readonly Phrase[]) {
    this.phrases = phrases;
    const numbers = new Map<string, number>();
    for (const [phrase, { parts }] of phrases.entries()) {
      for (let place = parts.length - 1; place >= 0; place--) {
        const part = parts[place] ?? '';
        let number = numbers.get(part);
        if (number === undefined) {
          number = numbers.size;
          numbers.set(part, number);
          this.automaton.add(part, number);
          this.uses.push([]);
        }
        this.uses[number]?.push([phrase, place]);
      }
    }
    this.alphabet = new Set(this.automaton.steps.flat().flatMap(({ on }) => [...(on ?? [])]));
    this.root = this.stateOf(this.automaton.starts);
  }

  /** States that texts have led to so far: a number that the parts bound, whatever the texts. */
  get stateCount(): number {
    return this.states.size;
  }

  /** All of them in a text, in the order in which they end; of one phrase those that share a start count once. */
  find(given: string): PhraseHit[] {
    // A few letters are two when they are small; of text with such the places would not be those of the text.
    const small = given.toLowerCase();
    const text = small.length === given.length ? small : given;
    const found: PhraseHit[] = [];
    const trails: Trails = new Map();
    let before = LF;
    for (let at = 0; at < text.length; at++) {
      const code = lower(text.charCodeAt(at));
      // Not within a word; of other letters each may be the first, since there need be no spaces between words.
      if (!isLetter(before) || !isLetter(code)) {
        const first = this.next(this.root, code);
        if (first !== null) this.follow(text, at, first, trails, found);
      }
      before = code;
    }
    return found;
  }

  /** From the start of a word, as long as any part goes on; each part counts in its longest form. */
  private follow(text: string, start: number, first: State, trails: Trails, found: PhraseHit[]): void {
    let ends: Map<number, number> | undefined;
    let state: State | null = first;
    for (let at = start + 1; state !== null; at++) {
      if (state.accepts.length > 0) {
        ends ??= new Map();
        for (const part of state.accepts) ends.set(part, at);
      }
      if (at > text.length || at - start > LONGEST_PART) break;
      state = this.next(state, at === text.length ? LF : lower(text.charCodeAt(at)));
    }
    if (ends === undefined) return;
    for (const [part, end] of ends)
      for (const [phrase, place] of this.uses[part] ?? [])
        this.advance(text, phrase, place, start, end, trails, found);
  }

  private advance(
    text: string,
    number: number,
    place: number,
    start: number,
    end: number,
    trails: Trails,
    found: PhraseHit[],
  ): void {
    const phrase = this.phrases[number] as Phrase;
    let from = start;
    if (place > 0) {
      const most = (phrase.gaps[place - 1] ?? 0) + (phrase.words ? 2 : 0);
      const reach = trails
        .get(number * MOST_PARTS + place - 1)
        ?.findLast((trail) => this.reaches(text, trail, start, most, phrase.words));
      if (reach === undefined) return;
      from = reach.start;
    }
    if (place < phrase.parts.length - 1) {
      const key = number * MOST_PARTS + place;
      const list = trails.get(key) ?? [];
      if (list.length === 0) trails.set(key, list);
      list.push({ start: from, end });
      if (list.length > MOST_TRAILS) list.shift();
      return;
    }
    const after = lower(text.charCodeAt(end));
    // Where the end of the string was a part of it, nothing follows.
    const isOver = end >= text.length || text.charCodeAt(end - 1) === LF;
    if (phrase.words && !isOver && (isLetter(after) || after === APOSTROPHE)) return;
    const known = found.some((hit) => hit.pattern === phrase.id && hit.start === from);
    if (!known) found.push({ pattern: phrase.id, start: from, end: Math.min(end, text.length) });
  }

  private reaches(text: string, trail: Trail, start: number, most: number, isWords: boolean): boolean {
    const distance = start - trail.end;
    if (distance < (isWords ? 1 : 0) || distance > most) return false;
    if (isWords && !(BETWEEN.has(text.charCodeAt(trail.end)) && BETWEEN.has(text.charCodeAt(start - 1))))
      return false;
    const border = text.indexOf('\n', trail.end);
    return border === -1 || border >= start;
  }

  private next(state: State, code: number): State | null {
    const known = code < 128 ? state.ascii[code] : state.others.get(code);
    if (known !== undefined) return known;
    if (!this.alphabet.has(code)) return null;
    const reached = state.members.flatMap((member) =>
      (this.automaton.steps[member] ?? []).filter(({ on }) => on?.has(code)).map(({ to }) => to),
    );
    const next = reached.length === 0 ? null : this.stateOf(reached);
    if (code < 128) state.ascii[code] = next;
    else state.others.set(code, next);
    return next;
  }

  private stateOf(reached: readonly number[]): State {
    const members = new Set<number>();
    const open = [...reached];
    for (let member = open.pop(); member !== undefined; member = open.pop()) {
      if (members.has(member)) continue;
      members.add(member);
      for (const { on, to } of this.automaton.steps[member] ?? []) if (on === undefined) open.push(to);
    }
    const sorted = [...members].sort((a, b) => a - b);
    const key = sorted.join();
    const known = this.states.get(key);
    if (known !== undefined) return known;
    const accepts = sorted
      .map((member) => this.automaton.accepts.get(member))
      .filter((part) => part !== undefined);
    // Only what leads on by a character matters from here.
    const state = {
      members: sorted.filter((member) => this.automaton.steps[member]?.some(({ on }) => on)),
      ascii: new Array(128),
      others: new Map(),
      accepts,
    };
    this.states.set(key, state);
    return state;
  }
}
