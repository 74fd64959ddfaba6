/** Verification of a log, line by line (SPEC.md section 14). Streams: holds the head, not the file. */
import { canonicalJson, type JsonObject, parseStrictObjectText } from '../encoding/json.ts';
import { sha256Base64url } from '../encoding/jws.ts';
import type { Issuers } from '../trust/wit.ts';
import { type Denial, deny } from '../verdict.ts';
import { verifyCheckpoint } from './checkpoint.ts';
import type { CheckpointRecord, LogHead } from './record.ts';
import { checkRecordForm } from './record-form.ts';

// `s`: JSON text may hold U+2028 and U+2029 unescaped, which `.` alone doesn't match.
const LINE = /^(\{.*),"hash":"([A-Za-z0-9_-]{43})"\}$/s;

export interface LogFault extends Denial {
  /** 1-based. */
  readonly line: number;
}

/** What is known of a log so far. */
export interface LogState {
  readonly head: LogHead;
  readonly sidecar: string;
  readonly lines: number;
  /** seq of the last checkpoint that verified; all up to it is signed. */
  readonly signedThrough: number;
  /** Whether the last records are `stop` and its checkpoint. */
  readonly closed: boolean;
}

export class LogVerifier {
  private readonly issuers: Issuers | undefined;
  private head: LogHead = { log: '', seq: 0, hash: '', checkpoint: '' };
  private sidecar = '';
  private lines = 0;
  private signedThrough = 0;
  private stopped = false;
  private closed = false;

  /** Without issuers no signature is looked at: what is then found whole was chained so by whoever wrote it. */
  constructor(issuers: Issuers | undefined) {
    this.issuers = issuers;
  }

  get state(): LogState {
    const { head, sidecar, lines, signedThrough, closed } = this;
    return { head, sidecar, lines, signedThrough, closed };
  }

  /** Takes the next line, without LF. A fault ends the log: nothing after it can be trusted. */
  next(line: string): LogFault | undefined {
    this.lines++;
    const denial = this.check(line);
    return denial === undefined ? undefined : { ...denial, line: this.lines };
  }

  private check(line: string): Denial | undefined {
    const match = LINE.exec(line);
    if (match === null) return deny('audit_line', 'not a record with its hash at the end');
    const [, start = '', hash = ''] = match;
    const text = `${start}}`;
    const parsed = parseStrictObjectText(text);
    if (!parsed.ok) return deny('audit_line', `${parsed.reason}: ${parsed.detail}`);
    const record = parsed.value;
    if (canonicalJson(record) !== text) return deny('audit_line', 'not in canonical form');
    const form = checkRecordForm(record);
    if (form !== undefined) return form;
    const seq = record.seq as number;
    if (sha256Base64url(text) !== hash) return deny('audit_hash', `record ${seq} was changed`);
    return this.place(record, seq, hash);
  }

  private place(record: JsonObject, seq: number, hash: string): Denial | undefined {
    const { head } = this;
    const first = this.lines === 1;
    if (!first && record.log !== head.log) return deny('audit_order', 'a record of another log');
    if (!first && record.sidecar !== this.sidecar) return deny('audit_order', 'a record of another sidecar');
    if (seq !== head.seq + 1)
      return deny(seq > head.seq ? 'audit_gap' : 'audit_order', `record ${seq} follows record ${head.seq}`);
    if (record.prev !== head.hash)
      return deny('audit_order', `record ${seq} does not follow the one before it`);
    const at = first ? { ...head, log: record.log as string } : head;
    const isCheckpoint = record.kind === 'checkpoint';
    if (isCheckpoint && this.issuers !== undefined) {
      const denial = verifyCheckpoint(
        record as unknown as CheckpointRecord,
        at,
        record.sidecar as string,
        record.time as number,
        this.issuers,
      );
      if (denial !== undefined) return denial;
      this.signedThrough = seq;
    }
    this.sidecar = record.sidecar as string;
    this.head = { log: at.log, seq, hash, checkpoint: isCheckpoint ? hash : at.checkpoint };
    this.closed = this.stopped && isCheckpoint;
    this.stopped = record.kind === 'stop';
    return undefined;
  }
}
