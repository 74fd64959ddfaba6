/** Where a log on disk ends, and where its last checkpoint is known to have been. */
import { fstatSync, readFileSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { type KnownHead, parseKnownHead } from '../../core/audit/known-head.ts';
import type { LogHead } from '../../core/audit/record.ts';
import { parseStrictObjectText } from '../../core/encoding/json.ts';

/** `<log>.head` holds the last checkpoint. A log that is shorter was cut. */
export const headFileOf = (file: string): string => `${file}.head`;

export const writeHeadFile = (file: string, { log, seq, hash }: LogHead): void => {
  const temporary = `${headFileOf(file)}.tmp`;
  writeFileSync(temporary, `${JSON.stringify({ log, seq, hash } satisfies KnownHead)}\n`, { mode: 0o600 });
  renameSync(temporary, headFileOf(file));
};

/** The head file of a log; `undefined` when there is none. Throws when it is not one. */
export const readHeadFile = (file: string): KnownHead | undefined => {
  let text: string;
  try {
    text = readFileSync(headFileOf(file), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const head = parseKnownHead(text);
  if (!head.ok) throw new Error(`${headFileOf(file)} is not a head file: ${head.detail}`);
  return head.value;
};

const CHUNK = 1 << 16;
// `s`: JSON text may hold U+2028 and U+2029 unescaped, which `.` alone doesn't match.
const RECORD = /^(\{.*),"hash":"([A-Za-z0-9_-]{43})"\}$/s;

interface End {
  /** Octets up to the last LF. */
  readonly size: number;
  readonly head: LogHead | undefined;
}

/** Reads a log backwards to its last checkpoint. Throws when it is no log, or was cut. */
export const readLogEnd = (fd: number, file: string): End => {
  const known = readHeadFile(file);
  const total = fstatSync(fd).size;
  let tail = Buffer.alloc(0);
  let from = total;
  let end: End | undefined;
  while (from > 0 && end === undefined) {
    const length = Math.min(CHUNK, from);
    const chunk = Buffer.alloc(length);
    readSync(fd, chunk, 0, length, from - length);
    from -= length;
    tail = Buffer.concat([chunk, tail]);
    end = endOf(tail, from, file);
  }
  if (end === undefined) {
    if (known !== undefined) throw cutError(file, known.seq, 0);
    return { size: 0, head: undefined };
  }
  const { head } = end;
  if (known !== undefined && (known.log !== head?.log || known.seq > head.seq))
    throw cutError(file, known.seq, head?.seq ?? 0);
  return end;
};

const cutError = (file: string, expected: number, found: number): Error =>
  new Error(
    `${file} ends at record ${found}, but checkpoint ${expected} was written (audit_cut). Keep the file as evidence: move it and ${headFileOf(file)} away to start a new log.`,
  );

/** The end of the log, if `tail` (from offset `from`) reaches back to a checkpoint or to the start. */
const endOf = (tail: Buffer, from: number, file: string): End | undefined => {
  const last = tail.lastIndexOf(0x0a);
  if (last === -1) return from === 0 ? { size: 0, head: undefined } : undefined;
  const lines = tail.subarray(0, last).toString('utf8').split('\n');
  // The first of them is whole only at the start of the file.
  if (from > 0) lines.shift();
  const record = parseRecord(lines.at(-1));
  if (record === undefined) {
    if (lines.length === 0) return undefined;
    throw new Error(`${file} does not end in an audit record; run "hopgate audit verify ${file}"`);
  }
  const checkpoint = lines.findLast((line) => line.includes('"kind":"checkpoint"'));
  if (checkpoint === undefined && from > 0) return undefined;
  const { log, seq, hash } = record;
  return { size: from + last + 1, head: { log, seq, hash, checkpoint: parseRecord(checkpoint)?.hash ?? '' } };
};

const parseRecord = (line: string | undefined): { log: string; seq: number; hash: string } | undefined => {
  const match = line === undefined ? null : RECORD.exec(line);
  if (match === null) return undefined;
  const parsed = parseStrictObjectText(`${match[1]}}`);
  if (!parsed.ok) return undefined;
  const { log, seq } = parsed.value;
  return typeof log === 'string' && typeof seq === 'number' ? { log, seq, hash: match[2] ?? '' } : undefined;
};
