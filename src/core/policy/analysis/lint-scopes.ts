/** Patterns that match more than they seem to, and scope sets that grant nothing. */
import { covers, expandScope, isScopePattern, type ScopePattern } from '../../delegation/scope.ts';
import type { FaultPath } from '../fault.ts';
import type { Policy } from '../model.ts';
import { type Finding, warning } from './finding.ts';
import { literalOf, mayCover, type RequiredScope } from './required-scope.ts';
import { scopesOf, targetsOf } from './targets.ts';

interface Placed {
  readonly pattern: ScopePattern;
  readonly path: FaultPath;
  /** It gives something, so that too wide a pattern gives too much. */
  readonly gives: boolean;
}

const patternsIn = function* ({ rules, demands, scopeSets }: Policy): Iterable<Placed> {
  for (const [name, members] of Object.entries(scopeSets))
    for (const [at, member] of members.entries())
      if (!Object.hasOwn(scopeSets, member) && isScopePattern(member))
        yield { pattern: member, path: ['scopeSets', name, at], gives: true };
  for (const [index, { scopes = [], effect }] of rules.entries())
    for (const [at, pattern] of scopes.entries())
      yield { pattern, path: ['rules', index, 'scopes', at], gives: effect === 'allow' };
  for (const [index, { scopes = [] }] of demands.entries())
    for (const [at, pattern] of scopes.entries())
      yield { pattern, path: ['demands', index, 'scopes', at], gives: false };
};

const listed = (literals: readonly string[]): string =>
  literals.slice(0, 3).join(', ') + (literals.length > 3 ? `, and ${literals.length - 3} more` : '');

/** `cloud:read*` was meant for what begins with the word, and takes in words that begin with its letters. */
const prefixFinding = ({ pattern, path }: Placed, literals: readonly ScopePattern[]): Finding | undefined => {
  if (!pattern.endsWith('*') || pattern.endsWith(':*')) return undefined;
  const stem = pattern.slice(0, -1);
  const more = literals.filter(
    (literal) =>
      covers(pattern, literal) && /[A-Za-z]$/.test(stem) && /^[a-z]/.test(literal.slice(stem.length)),
  );
  return more.length === 0
    ? undefined
    : warning(
        'scope_prefix',
        path,
        `"${pattern}" also matches ${listed(more)}, another word that begins so: write the scopes that are meant`,
      );
};

const FEW = 3;

/** Everything below a name is also what will be named below it later. */
const openFinding = (
  { pattern, path, gives }: Placed,
  literals: readonly ScopePattern[],
  required: readonly RequiredScope[],
): Finding | undefined => {
  if (!gives || path[0] !== 'rules' || !pattern.endsWith(':*')) return undefined;
  const met = required.filter((scope) => mayCover(pattern, scope));
  const below = literals.filter((literal) => literal !== pattern && covers(pattern, literal));
  const isKnown = met.every((scope) => literalOf(scope) !== undefined);
  return isKnown && below.length > 0 && below.length <= FEW
    ? warning(
        'scope_open',
        path,
        `"${pattern}" stands for whatever is below, now and later, and this policy knows ${listed(below)} alone: name what is meant`,
      )
    : undefined;
};

const setFindings = function* ({ scopeSets }: Policy, required: readonly RequiredScope[]): Iterable<Finding> {
  for (const name of Object.keys(scopeSets)) {
    const expanded = expandScope([name], scopeSets);
    if ('fault' in expanded) continue;
    if (!expanded.patterns.some((pattern) => required.some((scope) => mayCover(pattern, scope))))
      yield warning(
        'set_idle',
        ['scopeSets', name],
        `grants nothing: no route requires a scope that it covers. Take it out, or write it as the routes do`,
      );
  }
};

export const lintScopes = function* (policy: Policy): Iterable<Finding> {
  const required = targetsOf(policy).flatMap(scopesOf);
  const placed = [...patternsIn(policy)];
  const used = [...required.map(literalOf), ...placed.map(({ pattern }) => pattern)];
  const literals = [
    ...new Set(used.filter((one) => one !== undefined && isScopePattern(one) && !one.endsWith('*'))),
  ] as ScopePattern[];
  for (const one of placed)
    for (const finding of [prefixFinding(one, literals), openFinding(one, literals, required)])
      if (finding !== undefined) yield finding;
  yield* setFindings(policy, required);
};
