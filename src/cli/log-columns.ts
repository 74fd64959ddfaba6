/** Records as rows of fixed columns: each row is laid out alone, so that a tail never has to be set anew. */
import type { DecisionRecord, QuarantineRecord } from '../core/audit/record.ts';
import { type AgentId, agentTypeOf, isAgentId, trustDomainOf } from '../core/spiffe-id.ts';
import type { ShownRecord } from './log-filter.ts';
import { paint, printable } from './terminal.ts';

export interface RowOptions {
  /** Columns of the terminal; `undefined` where there is none, and nothing is cut short. */
  readonly terminalColumns: number | undefined;
  /** Full IDs, task and hop, whatever the width. */
  readonly wide: boolean;
}

interface Row {
  readonly style: 'green' | 'red' | 'dim';
  readonly verdict: string;
  readonly direction: string;
  readonly who: string;
  readonly what: string;
  readonly scope: string;
  readonly reason: string;
  readonly micros: string;
  readonly more: string;
}

interface Widths {
  readonly who: number;
  readonly what: number;
  readonly scope: number;
}

const TIME = 12;
const VERDICT = 6;
const DIRECTION = 3;
const REASON = 22;
const MICROS = 9;
const GAP = '  ';
const FIXED = TIME + VERDICT + DIRECTION + REASON + MICROS + 7 * GAP.length;
const LEAST: Widths = { who: 24, what: 18, scope: 14 };
const UNBOUNDED: Widths = { who: 44, what: 36, scope: 28 };

const widthsFor = ({ terminalColumns, wide }: RowOptions): Widths => {
  if (terminalColumns === undefined || wide) return UNBOUNDED;
  const room = terminalColumns - FIXED;
  const who = Math.max(LEAST.who, Math.floor(room * 0.4));
  const what = Math.max(LEAST.what, Math.floor(room * 0.35));
  return { who, what, scope: Math.max(LEAST.scope, room - who - what) };
};

const NONE = '–';

/** `inventory/def456`, or `inventory/def456@other.com` where it isn't of the domain that the log is of. */
export const shortId = (id: string, domain: string): string => {
  if (!isAgentId(id)) return id === '' ? NONE : id;
  const name = `${agentTypeOf(id)}/${id.slice(id.lastIndexOf('/') + 1)}`;
  const own = trustDomainOf(id);
  return own === domain ? name : `${name}@${own}`;
};

/** The local time of day with milliseconds. */
export const localTime = (ms: number): string => {
  const at = new Date(ms);
  const two = (part: number): string => String(part).padStart(2, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`;
};

/** The local date, ISO 8601. */
export const localDate = (ms: number): string => {
  const at = new Date(ms);
  const two = (part: number): string => String(part).padStart(2, '0');
  return `${String(at.getFullYear()).padStart(4, '0')}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
};

/** Sidecars write a `total`; without one the stages are summed up. */
const totalOf = (us: Readonly<Record<string, number>>): number =>
  us.total ?? Object.values(us).reduce((sum, stage) => sum + stage, 0);

/** By whom it was approved, and as what; or what it waits for. */
const approvalsOf = ({ approvals = [] }: Pick<DecisionRecord, 'approvals'>): string =>
  approvals
    .map(({ approver, id }) => (approver === '' ? ` approval=${id}` : ` approval=${id} by ${approver}`))
    .join('');

/** What would have been said of a permit, were all of its policy in force: of its route first, then by its first rule. */
const wouldOf = ({ observed, shadow = [] }: DecisionRecord): string => {
  if (observed !== undefined) return `would: ${observed}`;
  const [first] = shadow.filter(({ effect }) => effect !== 'allow');
  return first === undefined ? '' : `would: ${first.effect} ${first.rule}`;
};

const NOTED = ['flags', 'labels'] as const;

const notesOf = (record: DecisionRecord): string => {
  const { shadow = [], observed, proof } = record;
  const lists = NOTED.flatMap((name) =>
    record[name] === undefined ? [] : [` ${name}=${record[name].join(',')}`],
  );
  const would = shadow.map(({ effect, rule }) => `${effect}:${rule}`).join(',');
  return `${lists.join('')}${would === '' ? '' : ` shadow=${would}`}${observed === undefined ? '' : ` observed=${observed}`}${proof === undefined ? '' : ` proof=${proof}`}`;
};

const rowsOf = (record: ShownRecord, wide: boolean): readonly Row[] => {
  const domain = trustDomainOf(record.sidecar as AgentId);
  const name = (id: string): string => (wide && id !== '' ? id : shortId(id, domain));
  const parties = (caller: string, callee: string): string => `${name(caller)} → ${name(callee)}`;
  switch (record.kind) {
    case 'decision':
      return [
        {
          style: record.verdict === 'permit' ? 'green' : 'red',
          verdict: record.verdict,
          direction: record.direction === 'inbound' ? 'in' : 'out',
          who: parties(record.caller, record.destination ?? record.callee),
          what: `${record.method} ${record.target}`,
          scope: record.required.join(' '),
          reason: record.reason === 'ok' ? wouldOf(record) : record.reason,
          micros: `${totalOf(record.us)} µs`,
          more: wide
            ? `task=${record.task || NONE} hop=${record.hop || NONE} rule=${record.rule || NONE}${approvalsOf(record)}${notesOf(record)}`
            : '',
        },
      ];
    case 'outcome': {
      const { decision } = record;
      return [
        {
          style: 'dim',
          verdict: record.status === 0 ? NONE : String(record.status),
          direction: record.direction === 'inbound' ? 'in' : 'out',
          who:
            decision === undefined
              ? `hop ${record.hop}`
              : parties(decision.caller, decision.destination ?? decision.callee),
          what: decision === undefined ? NONE : `${decision.method} ${decision.target}`,
          scope: `sent ${record.sent}, got ${record.received}`,
          reason: record.result === 'ok' ? '' : record.result,
          micros: `${record.us} µs`,
          more: wide ? `hop=${record.hop || NONE}` : '',
        },
      ];
    }
    case 'quarantine':
      return [quarantineRow(record, wide, parties)];
    case 'refusals':
      return record.sources.map(({ source, reason, count }) => ({
        style: 'red',
        verdict: 'deny',
        direction: source === record.sidecar ? 'out' : 'in',
        who: `${isAgentId(source) ? name(source) : source} → ${name(record.sidecar)}`,
        what: `${count} × ${isAgentId(source) ? 'more' : 'unauthenticated'}`,
        scope: '',
        reason,
        micros: '',
        more: '',
      }));
  }
};

/** Who did what with it, and what it is: the request's own columns stay where a decision has them. */
const quarantineRow = (
  record: QuarantineRecord,
  wide: boolean,
  parties: (caller: string, callee: string) => string,
): Row => {
  const { action, by, caller, callee, id, method, target, reason, rule, task, hop } = record;
  const isOwn = action === 'kept' || action === 'passed';
  return {
    style: action === 'passed' ? 'green' : 'dim',
    verdict: NONE,
    direction: '',
    who: parties(caller, callee),
    what: method === '' ? NONE : `${method} ${target}`,
    scope: isOwn ? action : `${action} by ${by}`,
    reason: 'quarantine',
    micros: '',
    more: wide
      ? `id=${id} rule=${rule || NONE} task=${task || NONE}${hop === '' ? '' : ` hop=${hop}`}${reason === '' ? '' : ` why=${reason}`}`
      : '',
  };
};

const cell = (text: string, width: number, cut: boolean): string => {
  const clean = printable(text);
  return cut && clean.length > width ? `${clean.slice(0, width - 1)}…` : clean.padEnd(width);
};

/** Lays out records; says the date on a line of its own whenever it changes. */
export class LogColumns {
  private readonly options: RowOptions;
  private readonly widths: Widths;
  private date = '';

  constructor(options: RowOptions) {
    this.options = options;
    this.widths = widthsFor(options);
  }

  header(): string {
    const { who, what, scope } = this.widths;
    return paint(
      'bold',
      [
        'TIME'.padEnd(TIME),
        'RESULT'.padEnd(VERDICT),
        'DIR',
        'CALLER → CALLEE'.padEnd(who),
        'WHAT'.padEnd(what),
        'SCOPE'.padEnd(scope),
        'REASON'.padEnd(REASON),
        'TOOK'.padStart(MICROS),
      ].join(GAP),
    );
  }

  /** The lines for one record. */
  lines(record: ShownRecord): readonly string[] {
    const lines = rowsOf(record, this.options.wide).map((row) => this.line(row, localTime(record.time)));
    const date = localDate(record.time);
    if (date === this.date || lines.length === 0) return lines;
    this.date = date;
    return [paint('dim', `— ${date} —`), ...lines];
  }

  private line(row: Row, time: string): string {
    const { widths, options } = this;
    const cut = options.terminalColumns !== undefined && !options.wide;
    const colour = (text: string): string => paint(row.style, text);
    const rest = [
      row.direction.padEnd(DIRECTION),
      cell(row.who, widths.who, cut),
      cell(row.what, widths.what, cut),
      cell(row.scope, widths.scope, cut),
    ].join(GAP);
    const reason = cell(row.reason, REASON, false);
    const micros = row.micros.padStart(MICROS);
    return [
      row.style === 'dim' ? colour(time) : time,
      colour(cell(row.verdict, VERDICT, cut)),
      row.style === 'dim' ? colour(rest) : rest,
      row.reason === '' ? reason : paint(row.style === 'dim' ? 'yellow' : 'red', reason),
      paint('dim', micros),
      ...(row.more === '' ? [] : [paint('dim', printable(row.more))]),
    ]
      .join(GAP)
      .trimEnd();
  }
}
