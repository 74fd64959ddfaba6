/**
 * Checks the ledger: lines of canonical JSON, each with its own hash at the end and the hash of the one before it within.
 * Whoever knows a later hash (a printed one, a backup) can tell with it that nothing before was changed or cut.
 */
import { canonicalJson, type JsonObject, parseStrictObjectText } from '../core/encoding/json.ts';
import { sha256Base64url } from '../core/encoding/jws.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import type { LedgerLine } from './records.ts';
import type { Store, StoredEvent } from './store/store.ts';

// `s`: JSON text may hold U+2028 and U+2029 unescaped, which `.` alone doesn't match.
const LINE = /^(\{.*),"hash":"([A-Za-z0-9_-]{43})"\}$/s;
const PAGE = 1000;

export interface LedgerFault extends Denial {
  /** The first line that is wrong, or missing. */
  readonly seq: number;
}

export interface LedgerHead {
  readonly seq: number;
  readonly hash: string;
}

const isLedgerLine = (line: JsonObject): boolean =>
  line.v === 1 &&
  Number.isInteger(line.seq) &&
  typeof line.prev === 'string' &&
  Number.isInteger(line.time) &&
  typeof line.event === 'string' &&
  typeof line.actor === 'string' &&
  typeof line.why === 'string' &&
  typeof line.data === 'object' &&
  Object.keys(line).length === 8;

/** One line with its hash. Refuses with `audit_line`, `audit_hash`. */
export const readLedgerLine = (text: string): Verdict<LedgerLine & { readonly hash: string }> => {
  const match = LINE.exec(text);
  if (match === null) return deny('audit_line', 'not an event with its hash at the end');
  const [, start = '', hash = ''] = match;
  const body = `${start}}`;
  const parsed = parseStrictObjectText(body);
  if (!parsed.ok) return deny('audit_line', `${parsed.reason}: ${parsed.detail}`);
  if (!isLedgerLine(parsed.value)) return deny('audit_line', 'not an event of a ledger');
  if (canonicalJson(parsed.value) !== body) return deny('audit_line', 'not in canonical form');
  if (sha256Base64url(body) !== hash) return deny('audit_hash', 'its hash differs: it was changed');
  return grant({ ...(parsed.value as unknown as LedgerLine), hash });
};

/** Takes events in order. */
export class LedgerVerifier {
  private last: LedgerHead | undefined;

  /** From the beginning; from amidst, it takes the first line's word for what was before it. */
  constructor(from: 'beginning' | 'amidst') {
    this.last = from === 'beginning' ? { seq: 0, hash: '' } : undefined;
  }

  get head(): LedgerHead {
    return this.last ?? { seq: 0, hash: '' };
  }

  next(event: StoredEvent): LedgerFault | undefined {
    const { last } = this;
    const seq = last === undefined ? event.seq : last.seq + 1;
    const fault = (reason: Denial['reason'], detail: string): LedgerFault => ({
      ...deny(reason, `event ${seq}: ${detail}`),
      seq,
    });
    if (event.seq !== seq) return fault('audit_gap', `is missing; event ${event.seq} stands in its place`);
    const read = readLedgerLine(event.line);
    if (!read.ok) return fault(read.reason, read.detail);
    if (read.value.seq !== seq || read.value.hash !== event.hash)
      return fault('audit_order', 'the line is another than the ledger’s index says');
    if (last !== undefined && read.value.prev !== last.hash)
      return fault('audit_order', 'does not follow the one before it');
    this.last = { seq, hash: event.hash };
    return undefined;
  }
}

/** Checks the lines after `from`, the first of them by itself. */
export const verifyLedgerTail = (events: readonly StoredEvent[], from: number): LedgerFault | undefined => {
  const verifier = new LedgerVerifier(from === 0 ? 'beginning' : 'amidst');
  for (const event of events) {
    const fault = verifier.next(event);
    if (fault !== undefined) return fault;
  }
  return undefined;
};

/** Checks a whole ledger, page by page. Refuses with `audit_*`, naming the first line at fault. */
export const verifyLedger = async (
  events: Store['events'],
): Promise<{ readonly ok: true; readonly head: LedgerHead } | LedgerFault> => {
  const verifier = new LedgerVerifier('beginning');
  for (;;) {
    const some = await events({ after: verifier.head.seq, limit: PAGE });
    for (const event of some) {
      const fault = verifier.next(event);
      if (fault !== undefined) return fault;
    }
    if (some.length < PAGE) return { ok: true, head: verifier.head };
  }
};
