/** Which records `hopgate logs` shows. */
import { LRUCache } from 'lru-cache';
import type { AuditRecord, RecordFrame } from '../core/audit/read-record.ts';
import type {
  DecisionRecord,
  Direction,
  OutcomeRecord,
  QuarantineRecord,
  RefusalsRecord,
} from '../core/audit/record.ts';
import { isReasonCode, OK } from '../core/reasons.ts';
import { isAgentId } from '../core/spiffe-id.ts';
import { CommandError, EXIT } from './command.ts';

export interface LogFilter {
  readonly verdict?: 'permit' | 'deny' | undefined;
  /** A prefix. */
  readonly task?: string | undefined;
  /** Part of the ID of the caller, the callee or an agent of the chain, or of where it left the mesh for. */
  readonly agent?: string | undefined;
  readonly reason?: string | undefined;
  readonly direction?: Direction | undefined;
  /** Name of a rule that marked it. */
  readonly flag?: string | undefined;
  /** Of its data. */
  readonly label?: string | undefined;
  /** Only where a rule in shadow would have had a say. */
  readonly shadow?: boolean | undefined;
  /** Only what was let through because its route is observed. */
  readonly observed?: boolean | undefined;
  /** Milliseconds since 1970. */
  readonly since?: number | undefined;
  readonly outcomes: boolean;
}

/** A record to show; an outcome with the decision that it ends, if that was seen. */
export type ShownRecord =
  | (DecisionRecord & RecordFrame)
  | (RefusalsRecord & RecordFrame)
  | (QuarantineRecord & RecordFrame)
  | (OutcomeRecord & RecordFrame & { readonly decision: DecisionRecord | undefined });

/** Outcomes name only their hop; so this many decisions are kept in mind until their outcome comes. */
const REMEMBERED = 4096;

/** Picks records in the order in which they come. */
export class LogSelection {
  private readonly filter: LogFilter;
  private readonly decisions = new LRUCache<string, DecisionRecord>({ max: REMEMBERED });

  constructor(filter: LogFilter) {
    this.filter = filter;
  }

  /** The record as it is to be shown; `undefined` when it isn't. */
  select(record: AuditRecord): ShownRecord | undefined {
    const { filter } = this;
    if (record.kind === 'decision') {
      if (filter.outcomes && record.hop !== '') this.decisions.set(keyOf(record), record);
      return isSince(record, filter) && matchesDecision(record, filter) ? record : undefined;
    }
    if (!isSince(record, filter)) return undefined;
    if (record.kind === 'refusals') return matchesRefusals(record, filter) ? record : undefined;
    if (record.kind === 'quarantine') return matchesQuarantine(record, filter) ? record : undefined;
    if (record.kind !== 'outcome' || !filter.outcomes) return undefined;
    const shown = { ...record, decision: this.decisions.get(keyOf(record)) };
    return matchesOutcome(shown, filter) ? shown : undefined;
  }
}

const keyOf = ({ log, direction, hop }: RecordFrame & { direction: Direction; hop: string }): string =>
  `${log} ${direction} ${hop}`;

const isSince = ({ time }: RecordFrame, { since }: LogFilter): boolean =>
  since === undefined || time >= since;

const matchesParties = (record: DecisionRecord, { task, agent }: LogFilter): boolean =>
  (task === undefined || record.task.startsWith(task)) &&
  (agent === undefined ||
    record.caller.includes(agent) ||
    record.callee.includes(agent) ||
    record.destination?.includes(agent) === true ||
    record.agents.some(({ id }) => id.includes(agent)));

/** What policy has noted of it beside the verdict. */
const matchesNotes = (
  record: Pick<DecisionRecord, 'flags' | 'labels' | 'shadow' | 'observed' | 'content'>,
  { flag, label, shadow, observed }: LogFilter,
): boolean =>
  (flag === undefined || record.flags?.includes(flag) === true) &&
  (label === undefined || record.labels?.includes(label) === true) &&
  (shadow !== true || record.shadow !== undefined || isShadowed(record.content)) &&
  (observed !== true || record.observed !== undefined);

const isShadowed = (content: DecisionRecord['content']): boolean =>
  content?.some(({ action }) => action === 'shadow') === true;

/** Only decisions have notes. */
const asksForNotes = ({ flag, label, shadow, observed }: LogFilter): boolean =>
  flag !== undefined || label !== undefined || shadow === true || observed === true;

const matchesDecision = (record: DecisionRecord, filter: LogFilter): boolean =>
  (filter.verdict === undefined || record.verdict === filter.verdict) &&
  (filter.reason === undefined || record.reason === filter.reason) &&
  (filter.direction === undefined || record.direction === filter.direction) &&
  matchesNotes(record, filter) &&
  matchesParties(record, filter);

const matchesRefusals = ({ sources }: RefusalsRecord, filter: LogFilter): boolean =>
  filter.verdict !== 'permit' &&
  !asksForNotes(filter) &&
  filter.direction !== 'outbound' &&
  filter.task === undefined &&
  sources.some(
    ({ source, reason }) =>
      (filter.agent === undefined || (isAgentId(source) && source.includes(filter.agent))) &&
      (filter.reason === undefined || reason === filter.reason),
  );

/** It decides nothing and has no direction; its reason is a person's. */
const matchesQuarantine = ({ task, caller, callee, by }: QuarantineRecord, filter: LogFilter): boolean =>
  filter.verdict === undefined &&
  !asksForNotes(filter) &&
  filter.direction === undefined &&
  filter.reason === undefined &&
  (filter.task === undefined || task.startsWith(filter.task)) &&
  (filter.agent === undefined || [caller, callee, by].some((one) => one.includes(filter.agent ?? '')));

const matchesOutcome = (
  { result, direction, decision }: OutcomeRecord & { readonly decision: DecisionRecord | undefined },
  filter: LogFilter,
): boolean => {
  if (filter.reason !== undefined && result !== filter.reason) return false;
  if (filter.direction !== undefined && direction !== filter.direction) return false;
  if (filter.verdict !== undefined && decision?.verdict !== filter.verdict) return false;
  if (filter.task === undefined && filter.agent === undefined && !asksForNotes(filter)) return true;
  return decision !== undefined && matchesNotes(decision, filter) && matchesParties(decision, filter);
};

const AGO = /^([1-9][0-9]{0,5})(s|m|h|d)$/;
const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const ISO = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})?)?$/;

/** `10m` ago, or an ISO 8601 time (local where it names no zone), as milliseconds since 1970. */
export const parseSince = (text: string, nowMs: number): number => {
  const ago = AGO.exec(text);
  if (ago !== null) return nowMs - Number(ago[1]) * UNIT_MS[ago[2] as keyof typeof UNIT_MS];
  // A date alone would be midnight in UTC; people mean their own.
  const time = ISO.test(text) ? Date.parse(text.includes('T') ? text : `${text}T00:00`) : Number.NaN;
  if (Number.isNaN(time))
    throw new CommandError(
      `--since "${text}" is neither a span (30s, 10m, 2h, 1d) nor a time (2026-11-20T13:59)`,
      EXIT.usage,
    );
  return time;
};

/** A reason that can occur: a mistyped one would match nothing, which reads like good news. */
export const parseReason = (text: string): string => {
  if (text === OK || isReasonCode(text)) return text;
  throw new CommandError(
    `--reason "${text}" is no reason code; src/core/SPEC.md section 16 lists them`,
    EXIT.usage,
  );
};
