/** What a request says that it is a part of: taken as W3C Trace Context has it, or not at all. */
import { describe, expect, it } from 'vitest';
import {
  formatTraceparent,
  parseTraceparent,
  readTraceparent,
  takeTraceparent,
} from '../../../../src/edge/telemetry/otlp/trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const GOOD = `00-${TRACE}-${SPAN}-01`;

describe('traceparent', () => {
  it('is read and written', () => {
    expect(parseTraceparent(GOOD)).toEqual({ traceId: TRACE, spanId: SPAN, sampled: true });
    expect(formatTraceparent({ traceId: TRACE, spanId: SPAN, sampled: true })).toBe(GOOD);
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-00`)?.sampled).toBe(false);
    // Flags that nobody knows yet, and what a later version adds.
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-ff`)?.sampled).toBe(true);
    expect(parseTraceparent(`01-${TRACE}-${SPAN}-01-more`)?.traceId).toBe(TRACE);
  });

  it.each([
    ['', 'nothing'],
    [`ff-${TRACE}-${SPAN}-01`, 'the version that is none'],
    [`00-${TRACE}-${SPAN}-01-more`, 'more than version 00 has'],
    [`00-${'0'.repeat(32)}-${SPAN}-01`, 'no trace'],
    [`00-${TRACE}-${'0'.repeat(16)}-01`, 'no span'],
    [GOOD.toUpperCase(), 'upper case'],
    [` ${GOOD}`, 'a blank'],
    [`${GOOD},${GOOD}`, 'two in one'],
    [`00-${TRACE}-${SPAN}`, 'too little'],
    [`01-${TRACE}-${SPAN}-01-${'x'.repeat(300)}`, 'too much'],
    [`01-${TRACE}-${SPAN}-01-\n`, 'a line end'],
  ])('%s is none: %s', (text) => expect(parseTraceparent(text)).toBeUndefined());

  it('is taken out in every case of its name, and what stands beside it stays', () => {
    const headers = ['Accept', 'a', 'TraceParent', GOOD, 'tracestate', 'v=1', 'x', 'traceparent'];
    expect(readTraceparent(headers)?.spanId).toBe(SPAN);
    expect(takeTraceparent(headers)?.spanId).toBe(SPAN);
    // The last is a value that reads like the name.
    expect(headers).toEqual(['Accept', 'a', 'tracestate', 'v=1', 'x', 'traceparent']);
  });

  it.each([
    ['two that differ', [GOOD, `00-${TRACE}-${SPAN}-00`]],
    ['twice the same', [GOOD, GOOD]],
    ['one that is malformed', ['x']],
    ['none', []],
  ])('%s is no parent, and takes the state of the trace with it', (_, values) => {
    const headers = [
      ...values.flatMap((value) => ['traceparent', value]),
      'a',
      'b',
      'Tracestate',
      'v=1',
      'tracestate',
      'w=2',
    ];
    expect(readTraceparent(headers)).toBeUndefined();
    expect(takeTraceparent(headers)).toBeUndefined();
    expect(headers).toEqual(['a', 'b']);
  });
});
