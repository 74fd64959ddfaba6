/** The work of `hopgate audit verify`: each log alone, then all against each other. */
import { readFile } from 'node:fs/promises';
import { CrossCheck, HopIndex, type Unmatched } from '../core/audit/cross-check.ts';
import { checkKnownHead, checkReaches, type KnownHead, parseKnownHead } from '../core/audit/known-head.ts';
import { type AuditRecord, readRecordLine } from '../core/audit/read-record.ts';
import { type LogFault, LogVerifier } from '../core/audit/verify-log.ts';
import { verifyBundleAsHistory } from '../core/trust/bundle-history.ts';
import type { Issuers } from '../core/trust/wit.ts';
import { type Denial, deny, type Verdict } from '../core/verdict.ts';
import { decodeLine, type LogLine, readLines } from '../edge/store/log-reader.ts';
import { CommandError } from './command.ts';
import { checkReadable, progressOf } from './log-file.ts';
import { printable } from './terminal.ts';

export interface LogReport {
  readonly file: string;
  readonly log: string;
  readonly sidecar: string;
  /** Records before the first fault. */
  readonly records: number;
  /** Records 1 to this are signed; 0: none. */
  readonly signedThrough: number;
  readonly unsigned: number;
  /** The last records are `stop` and its checkpoint. */
  readonly endedCleanly: boolean;
  /** The file ends in a line without LF: a write that was cut short, or is under way. */
  readonly unfinished: boolean;
  readonly fault: LogFault | undefined;
}

export interface AuditReport {
  readonly ok: boolean;
  readonly files: readonly LogReport[];
  readonly unmatched: readonly Unmatched[];
}

/** WIT issuer keys from bundles, however old, that the root vouches for. */
export const readIssuers = async (bundles: readonly string[], root: string): Promise<Issuers> => {
  const issuers: Map<string, Issuers extends ReadonlyMap<string, infer Keys> ? Keys : never> = new Map();
  for (const file of bundles) {
    await checkReadable(file);
    const bundle = verifyBundleAsHistory((await readFile(file, 'utf8')).trim(), root);
    if (!bundle.ok) throw new CommandError(`${printable(file)}: ${bundle.reason}: ${bundle.detail}`);
    for (const [domain, keys] of bundle.value.issuers)
      issuers.set(domain, new Map([...(issuers.get(domain) ?? []), ...keys]));
  }
  return issuers;
};

interface Input {
  readonly file: string;
  readonly known: KnownHead | Denial | undefined;
  /** Octets when the first look was taken: whatever a log shows up to here, the others show by the second look. */
  readonly shownBytes: number;
  readonly bytes: number;
}

/** Verifies logs, which may be growing. Throws {@link CommandError} for what can't be read. */
export const verifyLogs = async (files: readonly string[], issuers: Issuers): Promise<AuditReport> => {
  const inputs = await lookAt(files);
  const reports: LogReport[] = [];
  const indexes: HopIndex[] = [];
  for (const input of inputs) {
    const { report, index } = await verifyOne(input, issuers);
    reports.push(report);
    if (index !== undefined && report.fault === undefined) indexes.push(index);
  }
  const unmatched =
    new Set(reports.map(({ sidecar }) => sidecar)).size > 1 ? await crossCheck(inputs, reports, indexes) : [];
  const judged = reports.map((report) => withCut(report, unmatched));
  return { ok: judged.every(({ fault }) => fault === undefined), files: judged, unmatched };
};

/** Heads before sizes, and sizes twice: a log only grows, so that nothing seems cut off that was just being written. */
const lookAt = async (files: readonly string[]): Promise<readonly Input[]> => {
  const first: Omit<Input, 'bytes'>[] = [];
  for (const file of files)
    first.push({ file, known: await readKnownHead(`${file}.head`), shownBytes: await checkReadable(file) });
  const inputs: Input[] = [];
  for (const look of first) inputs.push({ ...look, bytes: await checkReadable(look.file) });
  return inputs;
};

const readKnownHead = async (file: string): Promise<KnownHead | Denial | undefined> => {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CommandError(`${printable(file)} can't be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const known = parseKnownHead(text.trim());
  return known.ok ? known.value : deny('audit_line', `${printable(file)}: ${known.detail}`);
};

const verifyOne = async (
  { file, known, bytes }: Input,
  issuers: Issuers,
): Promise<{ readonly report: LogReport; readonly index: HopIndex | undefined }> => {
  const verifier = new LogVerifier(issuers);
  const head = known !== undefined && !('ok' in known) ? known : undefined;
  let fault: LogFault | undefined = known !== undefined && 'ok' in known ? { ...known, line: 1 } : undefined;
  let index: HopIndex | undefined;
  let unfinished = false;
  const onProgress = progressOf(file, bytes);
  for await (const line of readLines(file, { maxBytes: bytes, ...(onProgress && { onProgress }) })) {
    if (fault !== undefined) break;
    if (line.state === 'unfinished') {
      unfinished = true;
      break;
    }
    const taken = takeLine(verifier, line, head);
    if (!taken.ok) {
      fault = { ...taken, line: line.number };
      break;
    }
    index ??= new HopIndex(file, verifier.state.sidecar);
    index.take(taken.value);
  }
  const { state } = verifier;
  const records = fault === undefined ? state.head.seq : fault.line - 1;
  if (fault === undefined && head !== undefined) {
    const denial = checkReaches(head, state.head);
    if (denial !== undefined) fault = { ...denial, line: records + 1 };
  }
  const { sidecar } = state;
  const signedThrough = Math.min(state.signedThrough, records);
  return {
    index,
    report: {
      file,
      log: state.head.log,
      sidecar,
      records,
      signedThrough,
      unsigned: records - signedThrough,
      endedCleanly: state.closed && fault === undefined,
      unfinished,
      fault,
    },
  };
};

/** The next record: in form, unchanged, in its place, and not another one than is known. */
const takeLine = (
  verifier: LogVerifier,
  line: LogLine,
  known: KnownHead | undefined,
): Verdict<AuditRecord> => {
  if (line.state === 'oversize') return deny('audit_line', 'longer than any record');
  const text = decodeLine(line);
  if (text === undefined) return deny('audit_line', 'not UTF-8');
  const denial =
    verifier.next(text) ?? (known === undefined ? undefined : checkKnownHead(known, verifier.state.head));
  return denial ?? readRecordLine(text);
};

const crossCheck = async (
  inputs: readonly Input[],
  reports: readonly LogReport[],
  indexes: readonly HopIndex[],
): Promise<readonly Unmatched[]> => {
  const unmatched: Unmatched[] = [];
  for (const [at, { file, shownBytes }] of inputs.entries()) {
    const check = new CrossCheck(file, indexes);
    const onProgress = progressOf(file, shownBytes);
    for await (const line of readLines(file, { maxBytes: shownBytes, ...(onProgress && { onProgress }) })) {
      // What comes after a fault proves nothing about others.
      if (line.number > (reports[at]?.records ?? 0)) break;
      const record = readRecordLine(decodeLine(line) ?? '');
      if (record.ok) check.take(record.value, line.number);
    }
    unmatched.push(...check.finish());
  }
  return unmatched;
};

/** A log that others show to have gone on is at fault. */
const withCut = (report: LogReport, unmatched: readonly Unmatched[]): LogReport => {
  const cut = unmatched.find(({ kind, name }) => kind === 'audit_cut' && name === report.file);
  if (cut === undefined || report.fault !== undefined) return report;
  const { count, direction, shownBy, example } = cut;
  const detail = `the log ends at record ${report.records}, but ${printable(shownBy)} shows ${count} later ${direction} hop${count === 1 ? '' : 's'} of this sidecar, the first in line ${example.line}`;
  return {
    ...report,
    endedCleanly: false,
    fault: { ...deny('audit_cut', detail), line: report.records + 1 },
  };
};
