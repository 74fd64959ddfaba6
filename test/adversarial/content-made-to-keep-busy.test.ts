/** Text that is made to keep detectors busy: the work is counted, so that no clock of a busy machine decides. */
import { describe, expect, test } from 'vitest';
import { DETECTORS, detectorSet } from '../../src/core/content/detectors.ts';
import { injectionPhrases } from '../../src/core/content/injection-patterns.ts';
import { inspectBody } from '../../src/core/content/inspect-body.ts';
import { PhraseMachine } from '../../src/core/content/phrases.ts';
import { Scanner, SightingCount } from '../../src/core/content/scanner.ts';
import { octetsOf, selectionOf, TEXT_HEAD } from '../testkit/content.ts';

/** Counts what a text makes us search for. */
class CountedWork extends SightingCount {
  work = 0;
  override readonly tried = (): boolean => {
    this.work++;
    return true;
  };
}

const sets = DETECTORS.map(({ name }) => detectorSet(name)).filter((set) => set !== undefined);
const workOn = (text: string): number => {
  const counts = new CountedWork();
  const scanner = new Scanner(sets, 'text', counts);
  scanner.push(text);
  scanner.end();
  return counts.work;
};

const repeated = (text: string, length: number): string =>
  text.repeat(Math.ceil(length / text.length)).slice(0, length);
const vocabulary = DETECTORS.flatMap(({ phrases, patterns }) => [
  ...phrases().flatMap(({ parts }) => parts),
  ...patterns.map(({ source }) => source),
]).flatMap((source) => source.match(/[a-z]{3,}/gi) ?? []);
const shuffled = (length: number, start = 7): string => {
  let [text, seed] = ['', start];
  while (text.length < length) {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    text += `${vocabulary[(seed >> 8) % vocabulary.length]}${[' ', ': ', '.', '=', '@', ' 4111 '][seed % 6]}`;
  }
  return text;
};

const CASES: readonly (readonly [string, (length: number) => string])[] = [
  ['one word', (length) => repeated('ignore ', length)],
  [
    'beginnings',
    (length) => repeated('ignore send show pass read your system prior password: token= eyJabc. ', length),
  ],
  ['digits', (length) => repeated('4111 ', length)],
  ['names and dots', (length) => repeated('a@a.', length)],
  ['open URLs', (length) => repeated('a://b:c', length)],
  ['backslashes', (length) => repeated('\\', length)],
  ['gaps that never end', (length) => repeated('ignore all all all all ', length)],
  ['all words of all patterns', (length) => shuffled(length)],
];

describe('the work grows as the text does', () => {
  test.each(CASES)('%s', (_name, textOf) => {
    const [small, large] = [workOn(textOf(40_000)), workOn(textOf(160_000))];
    expect(large).toBeLessThanOrEqual(4 * small + 200);
  });
});

test('an automaton of parts has few states, whatever it reads', () => {
  const machine = new PhraseMachine(injectionPhrases());
  const parts = injectionPhrases()
    .flatMap((phrase) => phrase.parts)
    .join('').length;
  for (const [, textOf] of CASES) machine.find(textOf(100_000));
  // As one expression, the same phrases have states without end on such text.
  expect(machine.stateCount).toBeLessThan(parts);
  machine.find(shuffled(100_000, 99));
  const before = machine.stateCount;
  machine.find(shuffled(100_000, 1234));
  expect(machine.stateCount - before).toBeLessThan(parts / 20);
});

test('what is made of needs alone is refused, and not looked at for ever', () => {
  const dense = selectionOf({ detectors: ['secrets', 'pii'] });
  // Each line has what a dozen patterns need, and none of the patterns.
  const line =
    'password: x, token: y, tel 12 dob 12 ssn 12 passport 12 account 12 routing 12 mobile 12 cell 12 cpf 12 itin 12 @a.b sin 12 tfn 12 mrn 12 nir 12 pan 12 idnr 12 nhs 12 ghp_ gsk_ xai- npm_ hf_ r8_ hvs. eyJ pul- dapi shpat_ SG. AIza AKIA pplx- glpat- whsec_ ATBB ';
  const { denial } = inspectBody(dense, { ...TEXT_HEAD, octets: octetsOf(repeated(line, 150_000)) });
  expect(denial).toMatchObject({ reason: 'content_unreadable' });
  expect(
    inspectBody(dense, { ...TEXT_HEAD, octets: octetsOf(repeated(line, 10_000)) }).denial,
  ).toBeUndefined();
});
