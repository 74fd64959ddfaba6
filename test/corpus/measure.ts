/**
 * What the detectors see of the corpora, and what they take for something that it isn't.
 *
 *   node test/corpus/measure.ts [--json | --markdown] [--misses] [--attacks FILE] [--benign FILE]
 *
 * `--markdown` is what stands in docs/content.md. FILE is text that somebody else collected: a JSON array of strings, JSON lines with `text`, or a text a line.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { detectorSet } from '../../src/core/content/detectors.ts';
import { inspectBody } from '../../src/core/content/inspect-body.ts';
import { JSON_HEAD, octetsOf, selectionOf } from '../testkit/content.ts';
import { EVASIONS } from './evasions.ts';
import { withMadeValues } from './made-values.ts';

interface Entry {
  readonly id: number;
  readonly split: 'tune' | 'held-out';
  readonly attack: boolean;
  readonly kind: string;
  readonly text: string;
}

/** `found` of `all`. */
export interface Rate {
  readonly found: number;
  readonly all: number;
}

export interface Measured {
  readonly corpus: string;
  readonly detector: string;
  readonly recall: Readonly<Record<Entry['split'], Rate>>;
  readonly falsePositives: Readonly<Record<Entry['split'], Rate>>;
  /** Recall of the held-out half, by what kind of text it is. */
  readonly kinds: Readonly<Record<string, Rate>>;
  /** Texts of the corpus in which a pattern found something: rightly and wrongly. */
  readonly patterns: Readonly<Record<string, { readonly right: number; readonly wrong: number }>>;
}

export const CORPORA = {
  injection: 'hopgate-injection-1',
  secrets: 'hopgate-secrets-1',
  pii: 'hopgate-pii-1',
} as const;
export type DetectorName = keyof typeof CORPORA;

const read = (corpus: string): readonly Entry[] =>
  readFileSync(new URL(`${corpus}.jsonl`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Entry)
    .map((entry) => ({ ...entry, text: withMadeValues(entry.text, `${corpus} ${entry.id}`) }));

/** Patterns of a detector that find something in a body of JSON. */
const found = (detector: string, json: string): ReadonlySet<string> => {
  const selection = selectionOf({ detectors: [detector], action: 'flag', mode: 'stream' });
  return new Set(
    inspectBody(selection, { ...JSON_HEAD, octets: octetsOf(json) }).findings.map(({ pattern }) => pattern),
  );
};
const inBody = (text: string): string => JSON.stringify({ id: 1, text });

const rate = (entries: readonly Entry[], hits: ReadonlyMap<Entry, ReadonlySet<string>>): Rate => ({
  found: entries.filter((entry) => (hits.get(entry)?.size ?? 0) > 0).length,
  all: entries.length,
});

export const measure = (
  detector: DetectorName,
): Measured & { readonly misses: readonly Entry[]; readonly mistakes: readonly Entry[] } => {
  const entries = read(CORPORA[detector]);
  const hits = new Map(entries.map((entry) => [entry, found(detector, inBody(entry.text))]));
  const of = (attack: boolean, split: Entry['split']): Rate =>
    rate(
      entries.filter((entry) => entry.attack === attack && entry.split === split),
      hits,
    );
  const attacks = entries.filter(({ attack }) => attack);
  const heldOut = attacks.filter(({ split }) => split === 'held-out');
  const kinds = [...new Set(heldOut.map(({ kind }) => kind))];
  const patterns: Record<string, { right: number; wrong: number }> = {};
  for (const [{ attack }, names] of hits)
    for (const name of names) {
      patterns[name] ??= { right: 0, wrong: 0 };
      patterns[name][attack ? 'right' : 'wrong']++;
    }
  return {
    corpus: CORPORA[detector],
    detector,
    recall: { tune: of(true, 'tune'), 'held-out': of(true, 'held-out') },
    falsePositives: { tune: of(false, 'tune'), 'held-out': of(false, 'held-out') },
    kinds: Object.fromEntries(
      kinds.map((kind) => [
        kind,
        rate(
          heldOut.filter((entry) => entry.kind === kind),
          hits,
        ),
      ]),
    ),
    patterns: Object.fromEntries(Object.entries(patterns).sort(([a], [b]) => (a < b ? -1 : 1))),
    misses: attacks.filter((entry) => hits.get(entry)?.size === 0),
    mistakes: entries.filter((entry) => !entry.attack && (hits.get(entry)?.size ?? 0) > 0),
  };
};

/** Of plain English texts that are seen as they are: those that are seen hidden, too. */
export const measureEvasions = (): Readonly<Record<string, Rate>> => {
  const plain = read(CORPORA.injection).filter(
    ({ attack, kind, text }) =>
      attack && ['direct', 'leak', 'jailbreak'].includes(kind) && found('injection', inBody(text)).size > 0,
  );
  return Object.fromEntries(
    Object.entries(EVASIONS).map(([name, hide]) => [
      name,
      {
        found: plain.filter(({ text }) => found('injection', hide(text)).size > 0).length,
        all: plain.length,
      },
    ]),
  );
};

const texts = (file: string): readonly string[] => {
  const content = readFileSync(file, 'utf8');
  if (content.trimStart().startsWith('[')) return JSON.parse(content) as string[];
  const lines = content.split('\n').filter((line) => line.trim() !== '');
  return content.startsWith('{') ? lines.map((line) => (JSON.parse(line) as { text: string }).text) : lines;
};

const percent = ({ found: some, all }: Rate): string =>
  `${all === 0 ? '–' : ((100 * some) / all).toFixed(1)} %`;
const words = (rate: Rate): string => `${percent(rate).padStart(8)}  (${rate.found} of ${rate.all})`;

const cell = (one: Rate): string => `${percent(one)} (${one.found} of ${one.all})`;

/** The figures as docs/content.md has them. */
export const figures = (): string => {
  const all = (Object.keys(CORPORA) as DetectorName[]).map(measure);
  const lines = [
    '| detector, corpus | split | recall | false positives |',
    '|---|---|---|---|',
    ...all.flatMap(({ detector, corpus, recall, falsePositives }) =>
      (['tune', 'held-out'] as const).map(
        (split) =>
          `| \`${detector}\`, ${corpus} | ${split} | ${cell(recall[split])} | ${cell(falsePositives[split])} |`,
      ),
    ),
    '',
    '| held-out injections of kind | found |',
    '|---|---|',
    ...Object.entries(all[0]?.kinds ?? {}).map(([kind, one]) => `| ${kind} | ${cell(one)} |`),
    '',
    '| the same words, hidden as | found |',
    '|---|---|',
    ...Object.entries(measureEvasions()).map(([name, one]) => `| ${name} | ${cell(one)} |`),
    '',
    '| pattern | rightly | wrongly |',
    '|---|---|---|',
    ...all.flatMap(({ patterns }) =>
      Object.entries(patterns).map(([name, { right, wrong }]) => `| \`${name}\` | ${right} | ${wrong} |`),
    ),
  ];
  return lines.join('\n');
};

const report = (misses: boolean): string[] => {
  const lines: string[] = [];
  for (const detector of Object.keys(CORPORA) as DetectorName[]) {
    const measured = measure(detector);
    lines.push('', `${detector}, on ${measured.corpus}`);
    for (const split of ['tune', 'held-out'] as const)
      lines.push(
        `  ${split.padEnd(9)} recall ${words(measured.recall[split])}   false positives ${words(measured.falsePositives[split])}`,
      );
    for (const [kind, one] of Object.entries(measured.kinds))
      lines.push(`    ${kind.padEnd(14)} ${words(one)}`);
    for (const [name, { right, wrong }] of Object.entries(measured.patterns))
      lines.push(
        `    ${name.padEnd(36)} ${String(right).padStart(4)} right ${String(wrong).padStart(4)} wrong`,
      );
    if (misses)
      for (const { id, split, kind, text } of measured.misses)
        lines.push(`  missed ${id} ${split} ${kind}: ${text.slice(0, 110).replaceAll('\n', ' ')}`);
    if (misses)
      for (const { id, split, text } of measured.mistakes)
        lines.push(
          `  wrong ${id} ${split}: ${text.slice(0, 110).replaceAll('\n', ' ')}  ${[...found(detector, inBody(text))].join(' ')}`,
        );
  }
  lines.push('', 'the same injections, hidden');
  for (const [name, one] of Object.entries(measureEvasions()))
    lines.push(`    ${name.padEnd(30)} ${words(one)}`);
  return lines;
};

const main = (): void => {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      misses: { type: 'boolean', default: false },
      attacks: { type: 'string' },
      benign: { type: 'string' },
    },
  });
  if (values.markdown) {
    process.stdout.write(`${figures()}\n`);
    return;
  }
  const others = [values.attacks, values.benign]
    .filter((file) => file !== undefined)
    .map((file) => ({
      file,
      ...Object.fromEntries(
        Object.keys(CORPORA)
          .filter((name) => detectorSet(name) !== undefined)
          .map((name) => {
            const all = texts(file);
            return [
              name,
              { found: all.filter((text) => found(name, inBody(text)).size > 0).length, all: all.length },
            ];
          }),
      ),
    }));
  if (values.json) {
    const measured = (Object.keys(CORPORA) as DetectorName[]).map((detector) => {
      const { misses, mistakes, ...rest } = measure(detector);
      return { ...rest, missed: misses.map(({ id }) => id), mistaken: mistakes.map(({ id }) => id) };
    });
    process.stdout.write(`${JSON.stringify({ measured, evasions: measureEvasions(), others }, null, 2)}\n`);
    return;
  }
  const foreign = others.flatMap(({ file, ...rates }) => [
    '',
    file,
    ...Object.entries(rates as Record<string, Rate>).map(
      ([name, one]) => `    ${name.padEnd(14)} ${words(one)}`,
    ),
  ]);
  process.stdout.write(`${[...report(values.misses), ...foreign].join('\n').trim()}\n`);
};

if (import.meta.main) main();
