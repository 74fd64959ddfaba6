/** What is wrong with a rule that decides about requests, above all with its condition (SPEC.md section 13). */
import type { Protocol } from '../message/message.ts';
import { compileCondition, isCondition } from './condition.ts';
import { type Attribute, ENVIRONMENT } from './environment.ts';
import { type PolicyFault, unknownFaults, within } from './fault.ts';
import type { AccessRule, RouteRule } from './model.ts';

export const noRoute = (name: string): string => `no route has the name "${name}"`;

/** Variables that have values only where messages of these protocols are read. */
const OF_MESSAGES: Readonly<Record<string, readonly Protocol[]>> = { mcp: ['mcp'], a2a: ['a2a', 'a2a-rest'] };

/** Of a message's operation alone: `mcp.server` is there before. */
const isOfOperation = (variable: string, member: string | undefined): boolean => {
  const members: Readonly<Record<string, Attribute>> =
    ENVIRONMENT[variable as keyof typeof ENVIRONMENT] ?? {};
  return member === undefined || members[member]?.lasts === 'operation';
};

/** A condition on messages, in a rule for routes whose messages nobody reads as such, could never hold. */
const strangeRead = (
  reads: ReadonlySet<string>,
  routes: readonly string[],
  known: ReadonlyMap<string, RouteRule>,
): string | undefined => {
  for (const name of reads) {
    const [variable = '', member] = name.split('.');
    const protocols = Object.hasOwn(OF_MESSAGES, variable) ? OF_MESSAGES[variable] : undefined;
    if (protocols === undefined || !isOfOperation(variable, member)) continue;
    const has = routes.some((route) => protocols.includes(known.get(route)?.protocol ?? 'http'));
    if (!has)
      return `reads ${name}, which there is only on routes with protocol ${protocols.join(' or ')}; none of the rule’s routes is one, so that it could never hold`;
  }
  return undefined;
};

const conditionFaults = function* (
  { when, routes }: AccessRule,
  known: ReadonlyMap<string, RouteRule>,
): Iterable<PolicyFault> {
  if (when === undefined) return;
  const made = compileCondition(when);
  if (!isCondition(made)) yield { path: ['when'], message: made.message, offset: made.offset };
  else if (routes !== undefined) {
    const message = strangeRead(made.reads, routes, known);
    if (message !== undefined) yield { path: ['when'], message };
  }
};

export const ruleFaults = function* (
  rule: AccessRule,
  known: ReadonlyMap<string, RouteRule>,
): Iterable<PolicyFault> {
  yield* within(['routes'], unknownFaults(rule.routes, known, noRoute));
  yield* conditionFaults(rule, known);
  if (rule.shadow && rule.effect === 'flag')
    yield { path: ['shadow'], message: 'a flag decides nothing anyway: it is logged as it is' };
};
