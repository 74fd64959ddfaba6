/** The detectors that rules name, each a set of patterns that is made ready when it is first asked for. */
import { injectionPhrases } from './injection-patterns.ts';
import { PatternSet, type PatternSpec } from './pattern-set.ts';
import type { Phrase } from './phrases.ts';
import { PII } from './pii-patterns.ts';
import { SECRETS } from './secret-patterns.ts';

export interface DetectorSpec {
  readonly name: string;
  /** What it sees, for people. */
  readonly about: string;
  readonly phrases: () => readonly Phrase[];
  readonly patterns: readonly PatternSpec[];
  /** Whether it looks at bodies that are no text too. */
  readonly inOctets: boolean;
}

export const DETECTORS: readonly DetectorSpec[] = [
  {
    name: 'injection',
    about: 'words that tell a model to leave its instructions, to give them away, or to act unseen',
    phrases: injectionPhrases,
    patterns: [],
    inOctets: true,
  },
  {
    name: 'secrets',
    about: 'keys, tokens and passwords of known forms, and values of great entropy behind such names',
    phrases: () => [],
    patterns: SECRETS,
    inOctets: true,
  },
  {
    name: 'pii',
    about: 'card and account numbers, identity numbers, addresses, telephone numbers',
    phrases: () => [],
    patterns: PII,
    // Numbers in files are drawings as often as cards.
    inOctets: false,
  },
];

const made = new Map<string, PatternSet>();

/** The set of a detector; undefined where there is none of that name. */
export const detectorSet = (name: string): PatternSet | undefined => {
  const known = made.get(name);
  if (known !== undefined) return known;
  const spec = DETECTORS.find((one) => one.name === name);
  if (spec === undefined) return undefined;
  const set = new PatternSet(name, spec.patterns, spec.inOctets, spec.phrases());
  made.set(name, set);
  return set;
};
