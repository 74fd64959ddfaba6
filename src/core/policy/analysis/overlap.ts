/** Whether two routes, or two operations of one, have a request in common: of those that have, the first counts. */
import type { OperationRule, RouteRule } from '../model.ts';
import { idsMeet } from './selector-sets.ts';

const segmentsOf = (path: string): readonly string[] => path.split('/').slice(1);

const pathsMeet = (a: string, b: string): boolean => {
  const [aOpen, bOpen] = [a.endsWith('/*'), b.endsWith('/*')];
  const [one, other] = [segmentsOf(aOpen ? a.slice(0, -2) : a), segmentsOf(bOpen ? b.slice(0, -2) : b)];
  // An open path goes on for one segment at least.
  const isOfOneLength = (open: boolean, otherOpen: boolean, length: number, otherLength: number): boolean =>
    open ? otherOpen || otherLength > length : otherOpen || length === otherLength;
  if (!isOfOneLength(aOpen, bOpen, one.length, other.length)) return false;
  if (!isOfOneLength(bOpen, aOpen, other.length, one.length)) return false;
  return one
    .slice(0, other.length)
    .every((segment, at) => segment === other[at] || `${segment}${other[at]}`.includes('{'));
};

const listsMeet = (
  a: readonly string[] | undefined,
  b: readonly string[] | undefined,
  meet: (one: string, other: string) => boolean,
): boolean => a === undefined || b === undefined || a.some((one) => b.some((other) => meet(one, other)));

export const routesMeet = (a: RouteRule, b: RouteRule): boolean =>
  listsMeet(a.methods, b.methods, (one, other) => one === other) &&
  idsMeet(a.callees, b.callees) &&
  pathsMeet(a.path, b.path);

/** Either may end in `*`. */
const startsMeet = (a: string, b: string): boolean => {
  const [one, other] = [a.replace(/\*$/, ''), b.replace(/\*$/, '')];
  return (a === one ? one === other : other.startsWith(one)) || (b !== other && one.startsWith(other));
};

export const operationsMeet = (a: OperationRule, b: OperationRule): boolean =>
  listsMeet(a.methods, b.methods, startsMeet) && listsMeet(a.names, b.names, startsMeet);
