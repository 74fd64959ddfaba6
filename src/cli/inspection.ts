/** What `hopgate inspect` found out about one object, in a form that a table and a program can show. */
import { REASONS } from '../core/reasons.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import { type Denial, deny, type Verdict } from '../core/verdict.ts';
import { paint, print, printable, printJson } from './terminal.ts';
import { describeExpiry, describeMoment, formatTime } from './time-words.ts';

export interface Section {
  readonly heading: string;
  readonly rows: readonly (readonly [label: string, value: string])[];
}

export interface Inspection {
  /** `delegation chain`, `WIT`, … */
  readonly kind: string;
  readonly sections: readonly Section[];
  /** A denial; or how far the object was verified. */
  readonly result: Verdict<{ readonly verified: boolean; readonly how: string }>;
  readonly notes: readonly string[];
  /** Holds no key and no signature. */
  readonly data: object;
}

export const sound = (how: string): Inspection['result'] => ({ ok: true, value: { verified: true, how } });
export const unverified = (how: string): Inspection['result'] => ({
  ok: true,
  value: { verified: false, how },
});

/** An object that can't even be read. */
export const unreadable = (kind: string, denial: Denial): Inspection => ({
  kind,
  sections: [],
  result: denial,
  notes: [],
  data: {},
});

/** `planning/1` of an agent's ID. */
export const shortId = (id: AgentId): string => id.slice(id.indexOf('/', 9) + 1).replace(/^agent\//, '');

export const issuedRow = (iat: number, now: number): readonly [string, string] => [
  'issued',
  `${describeMoment(iat, now)} (${formatTime(iat)})`,
];
export const expiryRow = (exp: number, now: number): readonly [string, string] => {
  const text = describeExpiry(exp, now);
  const mark = text.indexOf(' ');
  return [text.slice(0, mark), text.slice(mark + 1)];
};

export const timesData = (iat: number, exp: number) => ({
  issued: formatTime(iat),
  expires: formatTime(exp),
});

export const expiredIf = (
  reason: Denial['reason'],
  what: string,
  exp: number,
  now: number,
): Denial | undefined => (now >= exp ? deny(reason, `${what} expired at ${exp}, it is ${now}`) : undefined);

export const printInspection = ({ kind, sections, result, notes, data }: Inspection, json: boolean): void => {
  if (json) {
    printJson({
      kind,
      ...(result.ok
        ? { ok: true, ...result.value }
        : {
            ok: false,
            reason: result.reason,
            meaning: REASONS[result.reason].meaning,
            detail: result.detail,
          }),
      ...(notes.length > 0 && { notes }),
      ...data,
    });
    return;
  }
  const width = Math.max(0, ...sections.flatMap(({ rows }) => rows.map(([label]) => label.length)));
  for (const { heading, rows } of sections) {
    print(paint('bold', printable(heading)));
    for (const [label, value] of rows) print(`  ${label.padEnd(width)}  ${printable(value)}`);
    print('');
  }
  if (!result.ok) {
    print(`${paint('red', 'not valid')}: ${result.reason}: ${REASONS[result.reason].meaning}`);
    print(`  ${printable(result.detail)}`);
  } else if (result.value.verified) print(`${paint('green', 'valid')}: ${printable(result.value.how)}`);
  else print(`${paint('yellow', 'not verified')}: ${printable(result.value.how)}`);
  for (const note of notes) print(`note: ${printable(note)}`);
};
