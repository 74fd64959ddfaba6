/** What the logs of the mesh say. */
import { setTimeout as delay } from 'node:timers/promises';
import { type AuditRecord, readRecordLine } from '../../core/audit/read-record.ts';
import { type Trace, TraceBuilder } from '../../core/audit/trace.ts';
import { decodeLine, readLines } from '../../edge/store/log-reader.ts';
import type { Outcome } from './attacker.ts';

/** The whole records of a log, which may be growing. Throws on a line that is none. */
export async function* readLog(file: string): AsyncGenerator<AuditRecord> {
  for await (const line of readLines(file)) {
    if (line.state !== 'whole') return;
    const record = readRecordLine(decodeLine(line) ?? '');
    if (!record.ok) throw new Error(`${file}:${line.number}: ${record.detail}`);
    yield record.value;
  }
}

/** The delegation tree of a task, from all logs. */
export const readTrace = async (
  files: readonly string[],
  task: string,
  principal: string,
): Promise<Trace> => {
  const builder = new TraceBuilder(task, principal);
  for (const file of files)
    for await (const record of readLog(file)) if (record.kind === 'decision') builder.take(record);
  return builder.trace();
};

const isEvidence = (record: AuditRecord, { reason, hop, target }: Outcome): boolean => {
  if (record.kind === 'decision') {
    if (record.verdict !== 'deny' || record.reason !== reason) return false;
    // What a sidecar refuses its own agent has no hop id: it was no hop.
    return hop === '' ? record.direction === 'outbound' && record.target === target : record.hop === hop;
  }
  // Before there is a session, refusals are counted, not written down one by one.
  return record.kind === 'refusals' && hop === '' && record.sources.some((row) => row.reason === reason);
};

const LOOKS = 50;
const LOOK_MS = 100;

/** Whether a refusal is on record in a log; counted ones are written down after a second. */
export const isOnRecord = async (file: string, outcome: Outcome): Promise<boolean> => {
  for (let look = 0; look < LOOKS; look++) {
    for await (const record of readLog(file)) if (isEvidence(record, outcome)) return true;
    await delay(LOOK_MS);
  }
  return false;
};
