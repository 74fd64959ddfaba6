/** What was really used: hops that were permitted on every side that recorded them, each once. */
import type { AuditRecord } from '../../audit/read-record.ts';
import type { OutcomeRecord } from '../../audit/record.ts';
import { type AgentId, type IdPattern, isAgentId } from '../../spiffe-id.ts';
import { depthOf, isDecision, type RecordedDecision } from './recorded.ts';

export interface UsedHop {
  readonly record: RecordedDecision & { readonly caller: AgentId; readonly callee: AgentId };
  /** Policy would have denied it, had its route not been observed only. */
  readonly observed: boolean;
  /** A definition that nobody had approved, as it was offered: name to digest. */
  readonly tools: ReadonlyMap<string, string>;
}

/** `spiffe://company.com/agent/planning/*` of one of them. */
export const typePattern = (id: AgentId): IdPattern => `${id.slice(0, id.lastIndexOf('/'))}/*` as IdPattern;

interface Sides {
  record: RecordedDecision;
  denied: boolean;
  observed: boolean;
  tools: Map<string, string>;
}

const isAgents = (record: RecordedDecision): record is UsedHop['record'] =>
  isAgentId(record.caller) && isAgentId(record.callee);

export class Usage {
  private readonly hops = new Map<string, Sides>();

  /** Records in the order of their time; what was refused, and what isn't a hop, is passed over. */
  take(record: AuditRecord): void {
    if (record.kind === 'outcome') this.takeOutcome(record);
    if (!isDecision(record) || record.hop === '') return;
    const known = this.hops.get(record.hop);
    const denied = record.verdict === 'deny' || known?.denied === true;
    const observed = record.observed !== undefined || known?.observed === true;
    // The callee's side knows more: it has read what the caller's may have passed on.
    const kept = known === undefined || record.direction === 'inbound' ? record : known.record;
    this.hops.set(record.hop, { record: kept, denied, observed, tools: known?.tools ?? new Map() });
  }

  private takeOutcome({ hop, tools = [] }: OutcomeRecord): void {
    const known = this.hops.get(hop);
    // What has changed since it was approved is for people to look at.
    for (const { change, name, digest } of tools) if (change === 'unlisted') known?.tools.set(name, digest);
  }

  used(): readonly UsedHop[] {
    return [...this.hops.values()].flatMap(({ record, denied, observed, tools }) =>
      denied || !isAgents(record) ? [] : [{ record, observed, tools }],
    );
  }
}

/** What a kind of agent was granted, and which of it the hops needed that it stood behind. */
export interface GrantedUse {
  readonly agent: IdPattern;
  readonly granted: readonly string[];
  readonly used: readonly string[];
}

/** Of every kind of agent that called: all that was required of a chain it stands in counts as its use. */
export const grantedUses = (hops: readonly UsedHop[]): readonly GrantedUse[] => {
  const granted = new Map<IdPattern, Set<string>>();
  const used = new Map<IdPattern, Set<string>>();
  const add = (table: Map<IdPattern, Set<string>>, key: IdPattern, values: readonly string[]): void => {
    const set = table.get(key) ?? new Set();
    for (const value of values) set.add(value);
    table.set(key, set);
  };
  for (const { record } of hops) {
    add(granted, typePattern(record.caller), record.granted);
    for (const { id } of record.agents) if (isAgentId(id)) add(used, typePattern(id), record.required);
  }
  return [...granted].map(([agent, patterns]) => ({
    agent,
    granted: [...patterns].sort(),
    used: [...(used.get(agent) ?? [])].sort(),
  }));
};

export const deepest = (hops: readonly UsedHop[]): number =>
  hops.reduce((most, { record }) => Math.max(most, depthOf(record)), 1);
