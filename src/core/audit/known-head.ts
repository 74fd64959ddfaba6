/** What is known of a log from elsewhere: the last checkpoint that a sidecar saw written (SPEC.md section 14, `audit_cut`). */
import { parseStrictObjectText } from '../encoding/json.ts';
import { checkMembers, isDigest, isInteger, isString } from '../encoding/members.ts';
import { type Denial, deny, grant, type Verdict } from '../verdict.ts';
import type { LogHead } from './record.ts';

/** A record that is known to have been written. */
export interface KnownHead {
  readonly log: string;
  readonly seq: number;
  readonly hash: string;
}

const MEMBERS = { log: isString, seq: isInteger(1, Number.MAX_SAFE_INTEGER), hash: isDigest } as const;

/** Reads `{log, seq, hash}`. Refuses with `json_*`, `claim_*`. */
export const parseKnownHead = (text: string): Verdict<KnownHead> => {
  const parsed = parseStrictObjectText(text);
  if (!parsed.ok) return parsed;
  const closed = checkMembers(parsed.value, MEMBERS, 'the head');
  return closed.ok ? grant(closed.value as unknown as KnownHead) : closed;
};

/** Asked for the head after each record: another log (`audit_order`), another record in its place (`audit_checkpoint`). */
export const checkKnownHead = (known: KnownHead, head: LogHead): Denial | undefined => {
  if (head.log !== known.log)
    return deny('audit_order', 'another log stands where the one with the known checkpoint stood');
  if (head.seq === known.seq && head.hash !== known.hash)
    return deny('audit_checkpoint', `record ${head.seq} is not the checkpoint that is known`);
  return undefined;
};

/** Asked once, at the end: refuses with `audit_cut` a log that doesn't reach what is known. */
export const checkReaches = (known: KnownHead, head: LogHead): Denial | undefined =>
  head.seq < known.seq
    ? deny(
        'audit_cut',
        `the log ends at record ${head.seq}, but record ${known.seq} is known to have been written`,
      )
    : undefined;
