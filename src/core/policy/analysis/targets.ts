/** All that a policy can be asked: each route, or each operation of one, with what it requires. */
import type { FaultPath } from '../fault.ts';
import type { Policy, RouteRule } from '../model.ts';
import { operationScopesOf, type RequiredScope, routeScopes } from './required-scope.ts';

export interface Target {
  readonly route: RouteRule;
  /** Where it stands: a route, or an operation of one. */
  readonly path: FaultPath;
  /** Required together. */
  readonly base: readonly RequiredScope[];
  /** Of an operation: the same scope with other values, one of each kind is required. */
  readonly ofOperation: readonly RequiredScope[];
}

export const targetsOf = ({ routes, egress = [] }: Policy): readonly Target[] => [
  ...targetsIn('routes', routes),
  ...targetsIn('egress', egress),
];

const targetsIn = (list: 'routes' | 'egress', routes: readonly RouteRule[]): readonly Target[] =>
  routes.flatMap((route, at): readonly Target[] => {
    const base = routeScopes(route);
    const { operations = [] } = route;
    if (operations.length === 0) return [{ route, path: [list, at], base, ofOperation: [] }];
    return operations.map((operation, index) => ({
      route,
      path: [list, at, 'operations', index],
      base,
      ofOperation: operationScopesOf(route, operation),
    }));
  });

export const scopesOf = ({ base, ofOperation }: Target): readonly RequiredScope[] => [
  ...base,
  ...ofOperation,
];

/** Of each scope of the operation in the policy, what it may become. */
export const alternatives = ({ ofOperation }: Target): readonly (readonly RequiredScope[])[] => [
  ...Map.groupBy(ofOperation, ({ template }) => template).values(),
];
