/** Routes and operations that are never reached, never allowed, or only looked at. */
import type { FaultPath } from '../fault.ts';
import type { OperationRule, Policy, RouteRule } from '../model.ts';
import { isEgress } from '../routes.ts';
import { type Finding, fault, warning } from './finding.ts';
import { coversId } from './selector-sets.ts';

const isTemplate = (segment: string): boolean => segment.startsWith('{');

/** Whether a path pattern matches every path that another one does. */
const pathCovers = (wide: string, narrow: string): boolean => {
  const [wideOpen, narrowOpen] = [wide.endsWith('/*'), narrow.endsWith('/*')];
  const segments = (path: string, isOpen: boolean) => (isOpen ? path.slice(0, -2) : path).split('/').slice(1);
  const [wanted, given] = [segments(wide, wideOpen), segments(narrow, narrowOpen)];
  const isLong = wideOpen
    ? given.length >= wanted.length + (narrowOpen ? 0 : 1)
    : !narrowOpen && given.length === wanted.length;
  return (
    isLong &&
    wanted.every((segment, at) => {
      const own = given[at] ?? '';
      return isTemplate(segment) ? own !== '' : segment === own;
    })
  );
};

const each = <T>(list: readonly T[] | undefined): readonly (T | undefined)[] => list ?? [undefined];

const holds = <T>(
  wide: readonly T[] | undefined,
  one: T | undefined,
  covers: (wide: T, one: T) => boolean,
): boolean => wide === undefined || (one !== undefined && wide.some((other) => covers(other, one)));

const same = (a: string, b: string): boolean => a === b;

/** The earlier routes that together take every request of a route; none when one is left for it. */
const takenBy = (route: RouteRule, earlier: readonly RouteRule[]): readonly string[] => {
  const wide = earlier.filter(({ path }) => pathCovers(path, route.path));
  const names = new Set<string>();
  for (const callee of each(route.callees))
    for (const method of each(route.methods)) {
      const taker = wide.find(
        (one) => holds(one.callees, callee, coversId) && holds(one.methods, method, same),
      );
      if (taker === undefined) return [];
      names.add(taker.name);
    }
  return [...names];
};

const methodCovers = (wide: string, narrow: string): boolean =>
  wide.endsWith('/*') ? narrow.startsWith(wide.slice(0, -1)) : wide === narrow;

const nameCovers = (wide: string, narrow: string): boolean =>
  wide.endsWith('*') ? narrow.startsWith(wide.slice(0, -1)) : wide === narrow;

/** The places, from 1, of the earlier operations that together take every one of an operation. */
const operationTakenBy = (operation: OperationRule, earlier: readonly OperationRule[]): readonly number[] => {
  const places = new Set<number>();
  for (const method of each(operation.methods))
    for (const name of each(operation.names)) {
      const at = earlier.findIndex(
        (one) => holds(one.methods, method, methodCovers) && holds(one.names, name, nameCovers),
      );
      if (at === -1) return [];
      places.add(at + 1);
    }
  return [...places];
};

const operationFindings = function* ({ operations = [] }: RouteRule, path: FaultPath): Iterable<Finding> {
  for (const [at, operation] of operations.entries()) {
    const places = operationTakenBy(operation, operations.slice(0, at));
    if (places.length > 0)
      yield fault(
        'operation_unreachable',
        [...path, 'operations', at],
        `is never reached: operation ${places.join(' and ')} of this route takes all of it. The first that matches counts: put this one before it, or take it out`,
      );
  }
};

const observeFinding = (
  { observeUntil }: RouteRule,
  path: FaultPath,
  nowSeconds: number,
): Finding | undefined => {
  if (observeUntil === undefined) return undefined;
  const end = new Date(observeUntil * 1000).toISOString().replace('.000', '');
  return warning(
    'route_observed',
    [...path, 'observeUntil'],
    nowSeconds >= observeUntil
      ? `ended ${end}: the route is enforced. Take enforcement and observeUntil out`
      : `until ${end} what policy would deny here is let through. hopgate logs --observed shows what that is`,
  );
};

/** In the order of the policy. */
export const lintRoutes = function* ({ routes, egress = [] }: Policy, nowSeconds: number): Iterable<Finding> {
  yield* listFindings('routes', routes, nowSeconds);
  yield* listFindings('egress', egress, nowSeconds);
};

const listFindings = function* (
  list: 'routes' | 'egress',
  routes: readonly RouteRule[],
  nowSeconds: number,
): Iterable<Finding> {
  for (const [at, route] of routes.entries()) {
    const path = [list, at];
    const isSamePlace = (other: RouteRule): boolean =>
      !isEgress(route) || (isEgress(other) && other.destination === route.destination);
    const names = takenBy(route, routes.slice(0, at).filter(isSamePlace));
    if (names.length > 0)
      yield fault(
        'route_unreachable',
        path,
        `is never reached: ${names.join(' and ')} take${names.length === 1 ? 's' : ''} every request of it. The first route that matches counts: put this one before, or take it out`,
      );
    yield* operationFindings(route, path);
    const observed = observeFinding(route, path, nowSeconds);
    if (observed !== undefined) yield observed;
  }
};
