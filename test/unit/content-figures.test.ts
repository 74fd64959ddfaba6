/** What docs/content.md says of the detectors is what is measured. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CORPORA, type DetectorName, figures, measure } from '../corpus/measure.ts';

const page = readFileSync(new URL('../../docs/content.md', import.meta.url), 'utf8');

test('the figures are those that are measured (node test/corpus/measure.ts --markdown)', () => {
  const published = /<!-- figures -->\n(.*?)\n<!-- \/figures -->/s.exec(page)?.[1];
  expect(published).toBe(figures());
});

describe.each(Object.keys(CORPORA) as DetectorName[])('the corpus of %s', (detector) => {
  test('has hundreds of texts, in two halves, and is seen', () => {
    const { recall, falsePositives } = measure(detector);
    for (const split of ['tune', 'held-out'] as const) {
      expect(recall[split].all).toBeGreaterThan(75);
      expect(falsePositives[split].all).toBeGreaterThan(90);
      expect(recall[split].found / recall[split].all).toBeGreaterThan(0.6);
      expect(falsePositives[split].found / falsePositives[split].all).toBeLessThan(0.2);
    }
  });

  test('holds nothing that looks like a key or a number of a person', () => {
    const text = readFileSync(new URL(`../corpus/${CORPORA[detector]}.jsonl`, import.meta.url), 'utf8');
    expect(text).not.toMatch(
      /\b(?:gh[pousr]_(?!x{36})[A-Za-z0-9]{36}|sk-ant-api[0-9]{2}-[A-Za-z0-9]{20}|AIza[A-Za-z0-9_-]{35}|xox[bp]-[0-9]{10})/,
    );
  });
});
