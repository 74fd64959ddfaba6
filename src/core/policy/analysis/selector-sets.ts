/** Selectors as sets: whether two have something in common, whether one holds all of the other. Undefined is everything. */
import { covers as coversScope, type ScopePattern } from '../../delegation/scope.ts';
import { type AgentId, agentTypeOf, type IdPattern, idMatches, trustDomainOf } from '../../spiffe-id.ts';
import type { PolicyLists } from '../model.ts';

type Ids = readonly IdPattern[] | undefined;
type Names = readonly string[] | undefined;

/** A pattern is an ID whose last segment is `*`, which no ID has: what matches it as one covers it. */
export const coversId = (wide: IdPattern, narrow: IdPattern): boolean =>
  wide === narrow || idMatches(wide, narrow as unknown as AgentId);

export const typeOfPattern = (pattern: IdPattern): string => agentTypeOf(pattern as unknown as AgentId);
export const domainOfPattern = (pattern: IdPattern): string => trustDomainOf(pattern);

const meetId = (a: IdPattern, b: IdPattern): boolean => coversId(a, b) || coversId(b, a);

export const idsMeet = (a: Ids, b: Ids): boolean =>
  a === undefined || b === undefined || a.some((one) => b.some((other) => meetId(one, other)));

export const idsCover = (wide: Ids, narrow: Ids): boolean =>
  wide === undefined || narrow?.every((one) => wide.some((other) => coversId(other, one))) === true;

export const namesCover = (wide: Names, narrow: Names): boolean =>
  wide === undefined || narrow?.every((one) => wide.includes(one)) === true;

export const scopesCover = (
  wide: readonly ScopePattern[] | undefined,
  narrow: readonly ScopePattern[] | undefined,
): boolean =>
  wide === undefined || narrow?.every((one) => wide.some((other) => coversScope(other, one))) === true;

/** Whether some agent that a pattern stands for may take part at all. */
export const takesPart = ({ allowAgents, blockAgents }: PolicyLists, pattern: IdPattern): boolean =>
  (allowAgents.length === 0 || allowAgents.some((one) => meetId(one, pattern))) &&
  !blockAgents.some((one) => coversId(one, pattern));
