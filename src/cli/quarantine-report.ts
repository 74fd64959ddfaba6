/** What operators and reviewers see of the quarantine. A body is somebody's attack, until it is known that it isn't. */
import type { QuarantineEntry, QuarantineStatus } from '../edge/store/quarantine.ts';
import type { Unsealed } from '../edge/store/quarantine-seal.ts';
import { paint, print, printable, printError, printJson, table } from './terminal.ts';
import { describeMoment, formatTime, nowSeconds } from './time-words.ts';

const NONE = '–';
const COLOURS = { kept: 'yellow', released: 'green', passed: 'dim', damaged: 'red' } as const;

const octetWords = (octets: number): string =>
  octets < 10_240
    ? `${octets} B`
    : octets < 10_485_760
      ? `${Math.floor(octets / 1024)} KiB`
      : `${Math.floor(octets / 1_048_576)} MiB`;

const rowOf = (
  { id, state, label, kept, ends, release }: QuarantineEntry,
  now: number,
): readonly string[] => [
  id,
  paint(
    COLOURS[state],
    release === undefined ? state : `${state} by ${release.by}, ends ${describeMoment(release.exp, now)}`,
  ),
  describeMoment(kept, now),
  label === undefined ? NONE : printable(`${label.method} ${label.path}`),
  label === undefined ? NONE : printable(label.caller),
  label === undefined ? NONE : printable(label.rule),
  label === undefined ? NONE : `${octetWords(label.octets)} ${label.type}`.trim(),
  describeMoment(ends, now),
];

export const printStatus = (status: QuarantineStatus, json: boolean): void => {
  if (json) {
    printJson({ ok: true, ...status });
    return;
  }
  const { items, octets, maxItems, maxBytes, reviewers } = status;
  if (items.length === 0) printError('Nothing is in quarantine.');
  else {
    const now = nowSeconds();
    print(
      table(
        ['ID', 'STATE', 'KEPT', 'WHAT', 'CALLER', 'RULE', 'BODY', 'DELETED'],
        items.map((item) => rowOf(item, now)),
      ),
    );
  }
  printError(
    `${items.length} of ${maxItems}, ${octetWords(octets)} of ${octetWords(maxBytes)}; reviewers: ${reviewers.map(({ name }) => name).join(', ')}`,
  );
};

const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu;

/** Every character that moves a cursor or can't be seen is named: what hides in a text is what a reviewer looks for. */
export const visible = (text: string): string =>
  text.replace(UNSEEN, (character) => {
    const code = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
    return `<U+${code}>`;
  });

const HEX_BYTES = 256;
const hexLines = (octets: Buffer): readonly string[] => {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(octets.length, HEX_BYTES); at += 16)
    lines.push(
      octets
        .subarray(at, at + 16)
        .toString('hex')
        .replace(/(..)(?=.)/g, '$1 '),
    );
  return lines;
};

const textOf = (octets: Buffer): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    return undefined;
  }
};

/** Its lines behind a bar, so that no line of it passes for one of ours. */
export const bodyLines = (body: Buffer, most: number): readonly string[] => {
  if (body.length === 0) return ['(no body)'];
  const text = textOf(body);
  const lines = text === undefined ? hexLines(body) : text.slice(0, most).split('\n').map(visible);
  const isCut = text === undefined ? body.length > HEX_BYTES : text.length > most;
  return [
    ...(text === undefined ? ['(not text: the first octets in hex)'] : []),
    ...lines.map((line) => `│ ${line}`),
    ...(isCut ? [`(${body.length} octets in all; inspect --out FILE writes them)`] : []),
  ];
};

export const printUnsealed = ({ label, head, body }: Unsealed, most: number): void => {
  const rows: readonly (readonly [string, string])[] = [
    ['id', label.id],
    ['kept', `${formatTime(label.time)} by ${label.sidecar}`],
    ['rule', label.rule],
    ['findings', label.findings.join(' ') || NONE],
    ['principal', label.principal],
    ['caller', label.caller],
    ['callee', label.callee],
    ['task', label.task],
    ['method', label.method],
    ['target', head.target],
    ['type', head.type || NONE],
    ...(head.encoding === '' ? [] : [['encoding', head.encoding] as const]),
    ['body', `${body.length} octets`],
  ];
  print(paint('bold', 'request in quarantine'));
  for (const [name, value] of rows) print(`  ${name.padEnd(10)}${visible(value)}`);
  print('');
  for (const line of bodyLines(body, most)) print(line);
};

export const printUnsealedJson = ({ label, head, body }: Unsealed): void => {
  const { target, type, encoding } = head;
  printJson({ ok: true, label, target, type, encoding, body: body.toString('base64') });
};
