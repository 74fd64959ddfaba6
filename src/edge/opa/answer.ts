/** What OPA says, read strictly: yes, no, nothing, or no answer that we know. The same over REST and in process. */
import { type Json, parseStrictObject, parseStrictObjectText } from '../../core/encoding/json.ts';
import type { ReasonCode } from '../../core/reasons.ts';
import { deny, grant } from '../../core/verdict.ts';
import type { PointNote, PointVerdict } from '../../ports.ts';

export const NO_NOTE: PointNote = { decisionId: '', revision: '' };

export const refuse = (reason: ReasonCode, detail: string, note: PointNote = NO_NOTE): PointVerdict => ({
  ...deny(reason, detail),
  ...note,
});

const MAX_REASON = 200;
/** A policy's own words, for the log and the caller: one line of bounded length. */
const reasonText = (reason: string): string => {
  const line = reason.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return line.length <= MAX_REASON ? line : `${line.slice(0, MAX_REASON - 1).toWellFormed()}…`;
};

/**
 * `true` and `{allow: true, …}` are yes; `false` and `{allow: false, reason?}` no. A document without `allow`, or with one that is
 * no boolean, is nothing that anybody meant. Refuses with `opa_denied`, `opa_undefined`, `opa_result`.
 */
export const judge = (result: unknown, note: PointNote): PointVerdict => {
  if (result === undefined) return refuse('opa_undefined', 'the rule is undefined for this request', note);
  let allow: unknown = result;
  let reason: unknown;
  if (typeof result === 'object' && result !== null && !Array.isArray(result)) {
    allow = Object.hasOwn(result, 'allow') ? (result as { allow: unknown }).allow : undefined;
    reason = Object.hasOwn(result, 'reason') ? (result as { reason: unknown }).reason : undefined;
  }
  if (allow === true) return { ...grant(true as const), ...note };
  if (allow !== false)
    return refuse('opa_result', 'the result is neither a boolean nor an object with allow', note);
  if (reason === undefined || reason === '') return refuse('opa_denied', 'the decision point says no', note);
  if (typeof reason !== 'string') return refuse('opa_result', 'the reason is no text', note);
  return refuse('opa_denied', reasonText(reason), note);
};

const DECISION_ID = /^[\x21-\x7e]{1,128}$/;

/** The body of an answer of `/v1/data`. Refuses as {@link judge}; what is no strict JSON object with `opa_result`. */
export const readAnswer = (octets: Uint8Array): PointVerdict => {
  const parsed = parseStrictObject(octets);
  if (!parsed.ok) return refuse('opa_result', `the answer can’t be read (${parsed.reason})`);
  const { decision_id: id, result }: { decision_id?: Json; result?: Json } = parsed.value;
  if (id !== undefined && (typeof id !== 'string' || !DECISION_ID.test(id)))
    return refuse('opa_result', 'the decision id is no id');
  return judge(result, { decisionId: id ?? '', revision: '' });
};

/** The result of a policy in this process, held to what an answer over REST is held to. Refuses as {@link judge}. */
export const judgeResult = (result: unknown, revision: string): PointVerdict => {
  const note = { decisionId: '', revision };
  if (typeof result !== 'object' || result === null) return judge(result, note);
  const parsed = parseStrictObjectText(JSON.stringify({ result }));
  return parsed.ok
    ? judge(parsed.value.result, note)
    : refuse('opa_result', `the result can’t be read (${parsed.reason})`, note);
};
