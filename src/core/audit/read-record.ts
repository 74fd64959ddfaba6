/** Records as readers see them: a body in the frame that sealing put around it (SPEC.md section 14). */
import type { Json } from '../encoding/json.ts';
import { isDigest, isObject } from '../encoding/members.ts';
import { deny, grant, type Verdict } from '../verdict.ts';
import type { AuditBody } from './record.ts';
import { checkRecordForm } from './record-form.ts';

/** What every record has besides its body. */
export interface RecordFrame {
  readonly log: string;
  readonly prev: string;
  readonly seq: number;
  /** Agent ID. */
  readonly sidecar: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly v: 1;
}

/** A record in form, less its hash. */
export type AuditRecord = AuditBody & RecordFrame;

/**
 * Reads a line for people: what it says, not whether it is true (only `LogVerifier` reads strictly and checks hash,
 * place and signature). Refuses with `audit_line`.
 */
export const readRecordLine = (line: string): Verdict<AuditRecord> => {
  if (!line.startsWith('{') || !line.endsWith('}')) return deny('audit_line', 'not a JSON object');
  let value: Json;
  try {
    value = JSON.parse(line) as Json;
  } catch {
    return deny('audit_line', 'not JSON');
  }
  if (!isObject(value)) return deny('audit_line', 'not a JSON object');
  const { hash, ...record } = value;
  if (!isDigest(hash ?? null)) return deny('audit_line', 'a record without its hash');
  return checkRecordForm(record) ?? grant(record as unknown as AuditRecord);
};
