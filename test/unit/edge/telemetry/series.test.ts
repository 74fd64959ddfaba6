/** The Prometheus text format, and what is counted in it. */
import { describe, expect, it } from 'vitest';
import {
  Histogram,
  histogramFamily,
  labelled,
  readFamily,
  Tally,
  textOf,
} from '../../../../src/edge/telemetry/series.ts';

describe('figures as text', () => {
  it('have help, type, and a line for each series', () => {
    const family = readFamily('counter', 'a_total', 'Back\\slash and\nline.', ['x'], (put) => {
      put(3, labelled({ x: 'one' }));
      put(0.5);
    });
    expect(textOf([family])).toBe(
      '# HELP a_total Back\\\\slash and\\nline.\n# TYPE a_total counter\na_total{x="one"} 3\na_total 0.5\n',
    );
  });

  it('write what is no number of JavaScript’s spelling', () => {
    const family = readFamily('gauge', 'a', 'A.', [], (put) => {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e21]) put(value);
    });
    expect(textOf([family]).split('\n').slice(2, 6)).toEqual(['a NaN', 'a +Inf', 'a -Inf', 'a 1e+21']);
  });

  it('let no label value end its line or its quotes', () => {
    expect(labelled({ a: 'x"y\\z\nw', b: 1 })).toBe('a="x\\"y\\\\z\\nw",b="1"');
    expect(labelled({ a: '\ud800' })).toBe('a="\ufffd"');
  });
});

describe('a histogram', () => {
  it('counts each observation in every bucket whose bound it does not exceed', () => {
    const histogram = new Histogram([0.1, 1]);
    for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value);
    const family = histogramFamily('a_seconds', 'A.', ['x'], () => [['x="1"', histogram]]);
    expect(textOf([family]).split('\n').slice(2)).toEqual([
      'a_seconds_bucket{x="1",le="0.1"} 2',
      'a_seconds_bucket{x="1",le="1"} 3',
      'a_seconds_bucket{x="1",le="+Inf"} 4',
      'a_seconds_sum{x="1"} 7.65',
      'a_seconds_count{x="1"} 4',
      '',
    ]);
  });

  it('has its labels alone where the family has none', () => {
    const family = histogramFamily('a_seconds', 'A.', [], () => [['', new Histogram([1])]]);
    expect(textOf([family])).toContain(
      'a_seconds_bucket{le="1"} 0\na_seconds_bucket{le="+Inf"} 0\na_seconds_sum 0\n',
    );
  });
});

it('a tally has a series for each value that came', () => {
  const tally = new Tally();
  tally.add('a');
  tally.add('b', 2);
  tally.add('a');
  const family = readFamily('counter', 'a_total', 'A.', ['way', 'reason'], (put) =>
    tally.write(put, 'reason', labelled({ way: 'in' })),
  );
  expect(textOf([family]).split('\n').slice(2, 4)).toEqual([
    'a_total{way="in",reason="a"} 2',
    'a_total{way="in",reason="b"} 2',
  ]);
});
