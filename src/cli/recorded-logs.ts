/** What the commands over recorded decisions have in common: which logs, whether they are whole, and their records. */
import type { Options } from 'yargs';
import { type AuditRecord, readRecordLine } from '../core/audit/read-record.ts';
import { LogVerifier } from '../core/audit/verify-log.ts';
import { isDigest } from '../core/encoding/members.ts';
import type { Issuers } from '../core/trust/wit.ts';
import { decodeLine, mergeByTime, readLines } from '../edge/store/log-reader.ts';
import { readIssuers } from './audit-verify.ts';
import { CommandError } from './command.ts';
import { usageError } from './command-faults.ts';
import { checkReadable } from './log-file.ts';
import { printable } from './terminal.ts';

export interface LogOptions {
  readonly logs: readonly string[];
  readonly bundle: readonly string[] | undefined;
  readonly root: string | undefined;
}

export const LOG_OPTIONS = {
  bundle: {
    type: 'string',
    array: true,
    nargs: 1,
    describe:
      'Trust bundle with the keys of the logs’ signers, to verify signatures too; several for several times',
  },
  root: { type: 'string', requiresArg: true, describe: 'Thumbprint of the root key, with --bundle' },
} as const satisfies Readonly<Record<string, Options>>;

export interface CheckedLogs {
  readonly files: readonly string[];
  /** Whether checkpoints were verified too, and not the chain of hashes alone. */
  readonly signed: boolean;
  /** Records that no checkpoint signs yet; 0 where no signature was looked at. */
  readonly unsigned: number;
}

const checkOne = async (file: string, issuers: Issuers | undefined): Promise<number> => {
  await checkReadable(file);
  const verifier = new LogVerifier(issuers);
  for await (const line of readLines(file)) {
    if (line.state === 'unfinished') break;
    const text = line.state === 'oversize' ? undefined : decodeLine(line);
    const fault = text === undefined ? { reason: 'audit_line', detail: 'no record' } : verifier.next(text);
    if (fault !== undefined)
      throw new CommandError(
        `${printable(file)}:${line.number}: ${fault.reason}: ${printable(fault.detail)}; what was changed says nothing about what happened`,
      );
  }
  return verifier.state.head.seq - verifier.state.signedThrough;
};

/** Every log whole and unchanged, before anything is concluded from it. Throws what a person can act on. */
export const checkLogs = async ({ logs, bundle, root }: LogOptions): Promise<CheckedLogs> => {
  if ((bundle === undefined) !== (root === undefined))
    throw usageError('--bundle and --root belong together');
  if (root !== undefined && !isDigest(root))
    throw usageError('--root is a key thumbprint: 43 characters of base64url');
  const issuers = bundle === undefined || root === undefined ? undefined : await readIssuers(bundle, root);
  const files = [...new Set(logs)];
  let unsigned = 0;
  for (const file of files) unsigned += await checkOne(file, issuers);
  const signed = issuers !== undefined;
  return { files, signed, unsigned: signed ? unsigned : 0 };
};

/** What is to be said of it on stderr, for people. */
export const soundness = ({ signed, unsigned }: CheckedLogs): string => {
  if (!signed)
    return 'The logs are whole as they stand; signatures were not looked at: --bundle and --root, or hopgate audit verify.';
  return unsigned === 0
    ? 'The logs are whole and signed.'
    : `The logs are whole; the last ${unsigned} records are not signed yet.`;
};

async function* recordsIn(file: string): AsyncGenerator<AuditRecord> {
  for await (const line of readLines(file)) {
    if (line.state !== 'whole') return;
    const record = readRecordLine(decodeLine(line) ?? '');
    if (record.ok) yield record.value;
  }
}

/** The records of all logs, by their time. */
export const recordsOf = (files: readonly string[]): AsyncIterable<AuditRecord> =>
  mergeByTime(files.map(recordsIn), ({ time }) => time);
