/**
 * The delegation tree of one task, from the decisions that its hops left in the logs (SPEC.md section 14).
 * An action is one permitted hop. Both of its sides record it; it counts once, for the agent that made it.
 */
import { covers, type ScopePattern } from '../delegation/scope.ts';
import type { AgentLink, DecisionRecord, Outcome } from './record.ts';

export interface TraceNode {
  /** SPIFFE ID. */
  readonly agent: string;
  /** How many links named this agent here: each request may bring a grant of its own. */
  readonly links: number;
  readonly actions: number;
  readonly denied: readonly { readonly reason: Outcome; readonly count: number }[];
  /** The granted patterns that covered what the actions required. */
  readonly scopes: readonly { readonly pattern: string; readonly count: number }[];
  /** Milliseconds since 1970; of the first and the last decision. */
  readonly first: number;
  readonly last: number;
  readonly children: readonly TraceNode[];
}

export interface Trace {
  readonly task: string;
  readonly principal: string;
  /** All of them, those that can't be traced too. */
  readonly actions: number;
  readonly denials: number;
  /** Agents that acted. */
  readonly agents: number;
  /** Actions whose chain of agents doesn't end in their caller, or contradicts another record. */
  readonly untraced: number;
  readonly first: number;
  readonly last: number;
  /** The principal's own delegatees. */
  readonly roots: readonly TraceNode[];
}

/** What a decision is, in a log or before it is in one. */
export type TracedDecision = DecisionRecord & { readonly time: number };

interface Branch {
  readonly agent: string;
  readonly links: Set<string>;
  actions: number;
  readonly denied: Map<Outcome, number>;
  readonly scopes: Map<string, number>;
  first: number;
  last: number;
  readonly children: Map<string, Branch>;
}

const newBranch = (agent: string, time: number): Branch => ({
  agent,
  links: new Set(),
  actions: 0,
  denied: new Map(),
  scopes: new Map(),
  first: time,
  last: time,
  children: new Map(),
});

const addOne = <K>(counts: Map<K, number>, key: K): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1);
};

/** Builds a trace from records in any order; holds hop ids and link ids, not records. */
export class TraceBuilder {
  private readonly task: string;
  private readonly principal: string;
  private readonly roots = new Map<string, Branch>();
  /** Link id to what it follows and whom it names. */
  private readonly parents = new Map<string, string>();
  private readonly acted = new Set<string>();
  private readonly denied = new Set<string>();
  private readonly actors = new Set<string>();
  private actions = 0;
  private denials = 0;
  private untraced = 0;
  private first = Number.POSITIVE_INFINITY;
  private last = Number.NEGATIVE_INFINITY;

  constructor(task: string, principal: string) {
    this.task = task;
    this.principal = principal;
  }

  /** Takes a decision; those of other tasks are passed over. */
  take(record: TracedDecision): void {
    if (record.task !== this.task || record.principal !== this.principal) return;
    if (!this.isNew(record)) return;
    this.first = Math.min(this.first, record.time);
    this.last = Math.max(this.last, record.time);
    const permitted = record.verdict === 'permit';
    const path = this.pathOf(record);
    if (permitted) {
      this.actions++;
      this.actors.add(record.caller);
      if (path === undefined) this.untraced++;
    } else this.denials++;
    const branch = path === undefined ? undefined : this.grow(path, record.time);
    if (branch === undefined) return;
    if (permitted) {
      branch.actions++;
      for (const scope of record.required) addOne(branch.scopes, authorityFor(scope, record.granted));
    } else addOne(branch.denied, record.reason);
  }

  /** Both sides log a permit of the same hop, and the same file may be named twice. */
  private isNew({ hop, verdict, direction }: TracedDecision): boolean {
    if (hop === '') return true;
    const seen = verdict === 'permit' ? this.acted : this.denied;
    const key = verdict === 'permit' ? hop : `${direction} ${hop}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  }

  /** The agents from the principal's delegatee to the caller, if the record can be believed about them. */
  private pathOf({ agents, caller }: TracedDecision): readonly AgentLink[] | undefined {
    if (agents.length === 0 || agents.at(-1)?.id !== caller) return undefined;
    // A link id is a hash that fixes parent and delegatee: two stories about one link can't both be true.
    const stories = agents.map(({ id, link }, index) => ({
      link,
      story: `${agents[index - 1]?.link ?? ''} ${id}`,
    }));
    if (stories.some(({ link, story }) => (this.parents.get(link) ?? story) !== story)) return undefined;
    for (const { link, story } of stories) this.parents.set(link, story);
    return agents;
  }

  private grow(path: readonly AgentLink[], time: number): Branch | undefined {
    let level = this.roots;
    let branch: Branch | undefined;
    for (const { id, link } of path) {
      // A rebind link names its parent's agent again: the same agent under a new key.
      if (branch?.agent !== id) {
        const next: Branch = level.get(id) ?? newBranch(id, time);
        level.set(id, next);
        branch = next;
        level = next.children;
      }
      branch.links.add(link);
      branch.first = Math.min(branch.first, time);
      branch.last = Math.max(branch.last, time);
    }
    return branch;
  }

  /** The tree so far. */
  trace(): Trace {
    return {
      task: this.task,
      principal: this.principal,
      actions: this.actions,
      denials: this.denials,
      agents: this.actors.size,
      untraced: this.untraced,
      first: this.first,
      last: this.last,
      roots: nodesOf(this.roots),
    };
  }
}

/** The granted pattern that covers a required scope: what an auditor asks for; the scope itself where none does. */
const authorityFor = (scope: string, granted: readonly string[]): string =>
  granted.find((pattern) => covers(pattern as ScopePattern, scope as ScopePattern)) ?? scope;

const nodesOf = (branches: ReadonlyMap<string, Branch>): readonly TraceNode[] =>
  [...branches.values()]
    .sort((a, b) => a.first - b.first || (a.agent < b.agent ? -1 : 1))
    .map(({ links, denied, scopes, children, ...branch }) => ({
      ...branch,
      links: links.size,
      denied: [...denied].sort(byCount).map(([reason, count]) => ({ reason, count })),
      scopes: [...scopes].sort(byCount).map(([pattern, count]) => ({ pattern, count })),
      children: nodesOf(children),
    }));

const byCount = (a: readonly [string, number], b: readonly [string, number]): number =>
  b[1] - a[1] || (a[0] < b[0] ? -1 : 1);

/** The tree of one task, from decisions in any order. */
export const buildTrace = (records: Iterable<TracedDecision>, task: string, principal: string): Trace => {
  const builder = new TraceBuilder(task, principal);
  for (const record of records) builder.take(record);
  return builder.trace();
};
