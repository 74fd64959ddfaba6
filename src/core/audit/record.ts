/** Audit records and their hash chain (SPEC.md section 14). */

import { canonicalJson } from '../encoding/json.ts';
import { sha256Base64url } from '../encoding/jws.ts';
import type { ReasonCode } from '../reasons.ts';

export type Direction = 'inbound' | 'outbound';
export type Outcome = ReasonCode | 'ok';

export interface AgentLink {
  readonly id: string;
  readonly link: string;
}

/** Who approved, and under which id the verifier knows it; nobody (yet) is `""`. */
export interface ApprovalNote {
  readonly approver: string;
  readonly id: string;
}

/** What a content rule found; never what it read. */
export interface ContentNote {
  readonly action: string;
  readonly pattern: string;
  readonly rule: string;
}

/** An operation of a message, as policy names it. */
export interface OperationNote {
  readonly method: string;
  /** Tool, prompt, resource or skill, else the task that it is about; '' for none. */
  readonly name: string;
}

/** Another decision point and its own id of its decision. */
export interface PointNote {
  readonly id: string;
  readonly point: string;
}

/**
 * How the caller has proven itself, where it was not by its handshake alone: by the signature of this request (`request`), by
 * both (`both`), or by its SVID and nothing else (`none`), as when the signature was refused.
 */
export type ProofNote = 'request' | 'both' | 'none';

/** A rule in shadow mode that would have decided. */
export interface ShadowRuleNote {
  readonly effect: string;
  readonly rule: string;
}

/** A tool that a server offers and nobody has approved as it is. */
export interface ToolNote {
  readonly change: 'changed' | 'unlisted';
  /** Of its definition, base64url SHA-256. */
  readonly digest: string;
  readonly name: string;
}

/** Members are listed in canonical order, as {@link sealDecision} writes them. Those with `?` are left out where there is nothing to say. */
export interface DecisionRecord {
  readonly agents: readonly AgentLink[];
  /** What a permit rests on, or what a denial waits for; left out where policy asks for no approval. */
  readonly approvals?: readonly ApprovalNote[];
  readonly bundle: string;
  readonly cached: boolean;
  readonly callee: string;
  readonly caller: string;
  readonly content?: readonly ContentNote[];
  /** `api.github.com:443`, where the request leaves the mesh; there is no callee then. */
  readonly destination?: string;
  readonly direction: Direction;
  /** Rules that mark what they match. */
  readonly flags?: readonly string[];
  readonly granted: readonly string[];
  readonly hop: string;
  readonly kind: 'decision';
  /** Of the data. */
  readonly labels?: readonly string[];
  readonly method: string;
  /** Reason code with which policy would have denied, had the route not been observed only. */
  readonly observed?: ReasonCode;
  readonly opa?: readonly PointNote[];
  readonly operations?: readonly OperationNote[];
  readonly policy: string;
  readonly principal: string;
  readonly proof?: ProofNote;
  readonly reason: Outcome;
  readonly required: readonly string[];
  readonly rule: string;
  readonly shadow?: readonly ShadowRuleNote[];
  readonly target: string;
  readonly task: string;
  /** Stage to µs. */
  readonly us: Readonly<Record<string, number>>;
  readonly verdict: 'permit' | 'deny';
}

export interface OutcomeRecord {
  readonly content?: readonly ContentNote[];
  readonly direction: Direction;
  readonly hop: string;
  readonly kind: 'outcome';
  /** Of the data that came back. */
  readonly labels?: readonly string[];
  readonly received: number;
  readonly result: Outcome;
  readonly sent: number;
  readonly status: number;
  readonly tools?: readonly ToolNote[];
  readonly us: number;
}

export interface RefusalsRecord {
  readonly from: number;
  readonly kind: 'refusals';
  readonly sources: readonly { readonly count: number; readonly reason: Outcome; readonly source: string }[];
  readonly to: number;
}

/** What became of a request that was kept aside; of the request itself as the decision has it. */
export interface QuarantineRecord {
  readonly action: 'kept' | 'inspected' | 'released' | 'passed' | 'dropped' | 'expired';
  /** The caller (kept, passed), a reviewer's name (inspected, released), `operator` or `retention`. */
  readonly by: string;
  readonly callee: string;
  readonly caller: string;
  /** Of the request that was kept, or that passed. */
  readonly hop: string;
  readonly id: string;
  /** Thumbprint of the reviewer's key; else ''. */
  readonly key: string;
  readonly kind: 'quarantine';
  readonly method: string;
  readonly principal: string;
  /** What whoever did it says of it; may be ''. */
  readonly reason: string;
  readonly rule: string;
  /** Path without query. */
  readonly target: string;
  readonly task: string;
}

export interface CheckpointRecord {
  readonly kind: 'checkpoint';
  readonly proof: string;
  readonly wit: string;
}

export interface StartRecord {
  readonly bundle: string;
  readonly kind: 'start';
  readonly policy: string;
  readonly version: string;
}

export interface StopRecord {
  readonly kind: 'stop';
  readonly reason: string;
}

export type AuditBody =
  | DecisionRecord
  | OutcomeRecord
  | RefusalsRecord
  | QuarantineRecord
  | CheckpointRecord
  | StartRecord
  | StopRecord;

/** Where a log stands: what the next record follows. */
export interface LogHead {
  /** 22 characters, random, made when the log begins. */
  readonly log: string;
  /** Of the last record; 0 before the first. */
  readonly seq: number;
  /** Hash of the last record; empty before the first. */
  readonly hash: string;
  /** Hash of the last checkpoint; empty before the first. */
  readonly checkpoint: string;
}

export interface SealedRecord {
  /** Canonical JSON with its hash, without LF. */
  readonly line: string;
  readonly head: LogHead;
}

/**
 * Seals a record onto a log: every member of it is under the hash, and the hash is under the next record's.
 * `time` is milliseconds. The frame members are spliced in canonical order: JSON text is built, never re-sorted.
 */
export const sealRecord = (body: AuditBody, head: LogHead, sidecar: string, timeMs: number): SealedRecord => {
  const seq = head.seq + 1;
  const text = canonicalJson({ ...body, log: head.log, prev: head.hash, seq, sidecar, time: timeMs, v: 1 });
  return finishRecord(text, body.kind, head, seq);
};

/** Names, revisions and paths recur from record to record; what senders choose can't fill memory. */
const quoted = new Map<string, string>();
const quote = (text: string): string => {
  const known = quoted.get(text);
  if (known !== undefined) return known;
  if (quoted.size >= 1024) quoted.clear();
  const json = JSON.stringify(text);
  quoted.set(text, json);
  return json;
};

/** Lists recur with their chain, and are put into JSON once. */
const listTexts = new WeakMap<object, string>();
const listText = (list: readonly unknown[]): string => {
  const known = listTexts.get(list);
  if (known !== undefined) return known;
  const text = canonicalJson(list);
  listTexts.set(list, text);
  return text;
};

/** `{@link sealRecord}` for decisions, written out member by member: the hot path. */
export const sealDecision = (
  r: DecisionRecord,
  head: LogHead,
  sidecar: string,
  timeMs: number,
): SealedRecord => {
  const seq = head.seq + 1;
  const text =
    `{"agents":${listText(r.agents)}${r.approvals === undefined ? '' : `,"approvals":${canonicalJson(r.approvals)}`}` +
    `,"bundle":${quote(r.bundle)},"cached":${r.cached},"callee":${quote(r.callee)}` +
    `,"caller":${quote(r.caller)}${member('content', r.content)}${member('destination', r.destination)}` +
    `,"direction":"${r.direction}"${member('flags', r.flags)}` +
    `,"granted":${listText(r.granted)},"hop":${JSON.stringify(r.hop)},"kind":"decision"${member('labels', r.labels)}` +
    `,"log":${quote(head.log)},"method":${quote(r.method)}${member('observed', r.observed)}${member('opa', r.opa)}` +
    `${member('operations', r.operations)},"policy":${quote(r.policy)}` +
    `,"prev":"${head.hash}","principal":${quote(r.principal)}${member('proof', r.proof)},"reason":"${r.reason}","required":${listText(r.required)}` +
    `,"rule":${quote(r.rule)},"seq":${seq}${member('shadow', r.shadow)}` +
    `,"sidecar":${quote(sidecar)},"target":${quote(r.target)},"task":${quote(r.task)}` +
    `,"time":${timeMs},"us":${stagesText(r.us)},"v":1,"verdict":"${r.verdict}"}`;
  return finishRecord(text, r.kind, head, seq);
};

/** A member that most records do not have. */
const member = (name: string, value: unknown): string =>
  value === undefined ? '' : `,"${name}":${canonicalJson(value)}`;

/** Stages come in the order in which they were measured; these few names need no quoting. */
const stagesText = (us: Readonly<Record<string, number>>): string => {
  const { decide, total, verify } = us;
  return decide !== undefined && total !== undefined && verify !== undefined && Object.keys(us).length === 3
    ? `{"decide":${decide},"total":${total},"verify":${verify}}`
    : canonicalJson(us);
};

/** `{@link sealRecord}` for outcomes: the other half of the hot path. */
export const sealOutcome = (
  r: OutcomeRecord,
  head: LogHead,
  sidecar: string,
  timeMs: number,
): SealedRecord => {
  const seq = head.seq + 1;
  const text =
    `{${r.content === undefined ? '' : `"content":${canonicalJson(r.content)},`}"direction":"${r.direction}"` +
    `,"hop":${JSON.stringify(r.hop)},"kind":"outcome"${member('labels', r.labels)},"log":${quote(head.log)}` +
    `,"prev":"${head.hash}","received":${r.received},"result":"${r.result}","sent":${r.sent},"seq":${seq}` +
    `,"sidecar":${quote(sidecar)},"status":${r.status},"time":${timeMs}${member('tools', r.tools)},"us":${r.us},"v":1}`;
  return finishRecord(text, r.kind, head, seq);
};

const finishRecord = (text: string, kind: AuditBody['kind'], head: LogHead, seq: number): SealedRecord => {
  const hash = sha256Base64url(text);
  return {
    line: `${text.slice(0, -1)},"hash":"${hash}"}`,
    head: { log: head.log, seq, hash, checkpoint: kind === 'checkpoint' ? hash : head.checkpoint },
  };
};
