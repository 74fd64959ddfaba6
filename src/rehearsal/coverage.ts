/** Which parts of a policy have had a say in the requests that were tried. */

import type { ScopeLiteral } from '../core/delegation/scope.ts';
import { isConcerned } from '../core/policy/demands.ts';
import type { FaultPath } from '../core/policy/fault.ts';
import type { Policy, RouteRule } from '../core/policy/model.ts';
import { operationRuleFor } from '../core/policy/operations.ts';
import type { Rehearsed } from './rehearse.ts';

export interface Uncovered {
  readonly kind: 'rule' | 'route' | 'operation' | 'demand' | 'content rule';
  readonly name: string;
  readonly path: FaultPath;
}

export interface Coverage {
  readonly parts: number;
  readonly covered: number;
  /** In whole per cent, rounded down; 100 where there is nothing to cover. */
  readonly percent: number;
  readonly uncovered: readonly Uncovered[];
}

const routeParts = (list: 'routes' | 'egress', routes: readonly RouteRule[]): readonly Uncovered[] =>
  routes.flatMap(({ name, operations = [] }, at): Uncovered[] => [
    { kind: 'route', name, path: [list, at] },
    ...operations.map(
      (_, index): Uncovered => ({
        kind: 'operation',
        name: `${name} ${index + 1}`,
        path: [list, at, 'operations', index],
      }),
    ),
  ]);

const partsOf = ({ routes, egress = [], rules, demands, content = [] }: Policy): readonly Uncovered[] => [
  ...routeParts('routes', routes),
  ...routeParts('egress', egress),
  ...rules.map(({ name }, at): Uncovered => ({ kind: 'rule', name, path: ['rules', at] })),
  ...demands.map((_, at): Uncovered => ({ kind: 'demand', name: String(at + 1), path: ['demands', at] })),
  ...content.map(({ name }, at): Uncovered => ({ kind: 'content rule', name, path: ['content', at] })),
];

const keyOf = ({ kind, name }: Pick<Uncovered, 'kind' | 'name'>): string => `${kind} ${name}`;

/** A rule counts when it decided, marked, or would have decided; a route when it matched; a demand when it was about the request. */
export class CoverageCount {
  private readonly policy: Policy;
  private readonly seen = new Set<string>();

  constructor(policy: Policy) {
    this.policy = policy;
  }

  take({ rule, route, flags, shadow, content, message, required, labels }: Rehearsed): void {
    for (const name of [rule, ...flags, ...shadow.map((note) => note.rule)]) this.see('rule', name);
    for (const note of content) this.see('content rule', note.rule);
    if (route === undefined) return;
    this.see('route', route.name);
    for (const operation of message?.operations ?? []) {
      const used = operationRuleFor(route, operation);
      const at = used === undefined ? -1 : (route.operations ?? []).indexOf(used);
      if (at !== -1) this.see('operation', `${route.name} ${at + 1}`);
    }
    for (const [at, demand] of this.policy.demands.entries())
      if (isConcerned(demand, required as readonly ScopeLiteral[], labels))
        this.see('demand', String(at + 1));
  }

  private see(kind: Uncovered['kind'], name: string): void {
    this.seen.add(keyOf({ kind, name }));
  }

  count(): Coverage {
    const parts = partsOf(this.policy);
    const uncovered = parts.filter((part) => !this.seen.has(keyOf(part)));
    const covered = parts.length - uncovered.length;
    return {
      parts: parts.length,
      covered,
      percent: parts.length === 0 ? 100 : Math.floor((covered / parts.length) * 100),
      uncovered,
    };
  }
}
