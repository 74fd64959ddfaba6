/** What people see: tables and colour on a terminal, plain text elsewhere, JSON for programs. */
import { styleText } from 'node:util';
import Table from 'cli-table3';

type Style = Parameters<typeof styleText>[0];

/** Colours text when stdout is a terminal that wants it (`NO_COLOR` and pipes don't). */
export const paint = (style: Style, text: string): string =>
  styleText(style, text, { stream: process.stdout });

export const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

export const printError = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

/** One JSON document on one line. */
export const printJson = (value: unknown): void => print(JSON.stringify(value));

/** Text from outside, fit for a terminal: control characters can't move the cursor or forge a line. */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{fffd}');

const NONE = '';
const BORDERLESS = {
  top: NONE,
  'top-mid': NONE,
  'top-left': NONE,
  'top-right': NONE,
  bottom: NONE,
  'bottom-mid': NONE,
  'bottom-left': NONE,
  'bottom-right': NONE,
  left: NONE,
  'left-mid': NONE,
  mid: NONE,
  'mid-mid': NONE,
  right: NONE,
  'right-mid': NONE,
  middle: '  ',
};

/** A borderless table with a header row. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const out = new Table({
    chars: BORDERLESS,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  out.push(
    head.map((title) => paint('bold', title)),
    ...rows.map((row) => [...row]),
  );
  return out
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
};
