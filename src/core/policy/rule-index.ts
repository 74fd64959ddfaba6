/** Rules by what they select, so that a decision costs what can apply to it and not what there is. */
import { type AgentId, agentTypeOf, anyInstanceOf } from '../spiffe-id.ts';
import { type Condition, compileCondition, isCondition } from './condition.ts';
import { type Callee, leavesMesh } from './destination.ts';
import type { AccessRule } from './model.ts';

export interface CompiledRule {
  readonly rule: AccessRule;
  /** Its place in the policy: of several allows the first gives its name. */
  readonly place: number;
  readonly condition: Condition | undefined;
}

/** What rules are looked up by. */
export interface Selected {
  readonly route: string;
  readonly callee: Callee;
  readonly principal: string;
  readonly caller: AgentId;
  /** Every agent of the chain, the caller included. */
  readonly agents: readonly AgentId[];
}

type Table = Map<string, CompiledRule[]>;

const enter = (table: Table, keys: readonly string[], rule: CompiledRule): void => {
  for (const key of keys) {
    const list = table.get(key);
    if (list === undefined) table.set(key, [rule]);
    else list.push(rule);
  }
};

export class RuleIndex {
  private readonly byRoute: Table = new Map();
  private readonly byCallee: Table = new Map();
  private readonly byPrincipal: Table = new Map();
  private readonly byAgent: Table = new Map();
  private readonly byType: Table = new Map();
  private readonly rest: CompiledRule[] = [];

  constructor(rules: readonly AccessRule[]) {
    for (const [place, rule] of rules.entries()) {
      const made = rule.when === undefined ? undefined : compileCondition(rule.when);
      // Policies are read before they are compiled: one that is no condition was refused there. It must not vanish here.
      const condition = made === undefined || isCondition(made) ? made : NEVER_KNOWN;
      this.place({ rule, place, condition });
    }
  }

  /** Under the selector that tells most: each rule stands in one table. */
  private place(compiled: CompiledRule): void {
    const { routes, callees, principals, callers, callerTypes } = compiled.rule;
    if (routes !== undefined) enter(this.byRoute, routes, compiled);
    else if (callees !== undefined) enter(this.byCallee, callees, compiled);
    else if (principals !== undefined) enter(this.byPrincipal, principals, compiled);
    else if (callers !== undefined) enter(this.byAgent, callers, compiled);
    else if (callerTypes !== undefined) enter(this.byType, callerTypes, compiled);
    else this.rest.push(compiled);
  }

  /** Those that may match, in the order of the policy; their other selectors are not looked at. */
  candidates({ route, callee, principal, agents }: Selected): readonly CompiledRule[] {
    const found = new Set<CompiledRule>(this.rest);
    const add = (table: Table, key: string): void => {
      for (const rule of table.get(key) ?? []) found.add(rule);
    };
    add(this.byRoute, route);
    if (!leavesMesh(callee)) {
      add(this.byCallee, callee);
      add(this.byCallee, anyInstanceOf(callee));
    }
    add(this.byPrincipal, principal);
    if (this.byAgent.size + this.byType.size > 0) {
      for (const agent of agents) {
        add(this.byAgent, agent);
        add(this.byAgent, anyInstanceOf(agent));
        add(this.byType, agentTypeOf(agent));
      }
    }
    return [...found].sort((a, b) => a.place - b.place);
  }
}

/** A condition of which nothing is known: it has no value, ever. */
const NEVER_KNOWN: Condition = { reads: new Set(), lasts: 'operation', evaluate: () => undefined };
