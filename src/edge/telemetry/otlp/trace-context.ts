/**
 * W3C Trace Context in the headers of a request (https://www.w3.org/TR/trace-context/). Whoever sends a request chooses these ids:
 * they say which spans belong together, and nothing else is ever found by them.
 */

/** Of what a request says it is a part of. */
export interface TraceParent {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  readonly sampled: boolean;
}

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x20-\x7e]*)?$/;
/** Later versions may say more; nobody knows one that does. */
const MAX_CHARACTERS = 256;
const SAMPLED = 1;

/** Undefined for what is malformed, of no valid version, or names nothing. */
export const parseTraceparent = (text: string): TraceParent | undefined => {
  if (text.length > MAX_CHARACTERS) return undefined;
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', more] = match;
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
};

export const formatTraceparent = ({ traceId, spanId, sampled }: TraceParent): string =>
  `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;

const isNamed = (header: string | undefined, name: string): boolean =>
  header !== undefined && header.length === name.length && header.toLowerCase() === name;

/** Takes every header of this name out of `headers` (name, value …); their values. */
const takeAll = (headers: string[], name: string): string[] => {
  const values: string[] = [];
  for (let at = headers.length - 2; at >= 0; at -= 2)
    if (isNamed(headers[at], name)) values.push(...headers.splice(at, 2).slice(1));
  return values;
};

/** What the headers say, without a change to them. */
export const readTraceparent = (headers: readonly string[]): TraceParent | undefined => {
  const values = headers.filter((_, at) => at % 2 === 1 && isNamed(headers[at - 1], 'traceparent'));
  return values.length === 1 ? parseTraceparent(values[0] ?? '') : undefined;
};

/** The same, taken out. Without a valid one the request begins a trace, and no state of another one goes with it (§3.3). */
export const takeTraceparent = (headers: string[]): TraceParent | undefined => {
  const values = takeAll(headers, 'traceparent');
  const parent = values.length === 1 ? parseTraceparent(values[0] ?? '') : undefined;
  if (parent === undefined) takeAll(headers, 'tracestate');
  return parent;
};
