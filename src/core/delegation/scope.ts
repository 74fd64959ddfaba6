/** The scope algebra: patterns, what covers what, and scope sets (SPEC.md section 5). */
import { MAX_SCOPE_BYTES, MAX_SCOPE_PATTERNS, MAX_SCOPE_SET_NESTING } from '../limits.ts';
import { deny, grant, type Verdict } from '../verdict.ts';

declare const pattern: unique symbol;
declare const literal: unique symbol;
/** A literal, `A:*` or `A:p*`. */
export type ScopePattern = string & { readonly [pattern]: true };
/** A pattern without a wildcard: what a request requires. */
export type ScopeLiteral = ScopePattern & { readonly [literal]: true };

const SEGMENT = /^[A-Za-z0-9._/-]+$/;
const PATTERN = /^[A-Za-z0-9._/-]+(?::[A-Za-z0-9._/-]+)*(?::(?:[A-Za-z0-9._/-]+)?\*)?$/;
const BAD_PART = /(?:^|[:/])(?:\.{0,2})(?=[:/]|$)/;

/** One scope segment: path parts joined by `/`, none of them empty, `.` or `..`. */
export const isScopeSegment = (text: string): boolean => SEGMENT.test(text) && !BAD_PART.test(text);

export const isScopePattern = (text: string): text is ScopePattern => {
  if (text.length > MAX_SCOPE_BYTES || !PATTERN.test(text)) return false;
  return !BAD_PART.test(
    text.endsWith(':*') ? text.slice(0, -2) : text.endsWith('*') ? text.slice(0, -1) : text,
  );
};

export const isScopeLiteral = (text: string): text is ScopeLiteral =>
  isScopePattern(text) && !text.endsWith('*');

/** A scope list: 1–64 distinct patterns. Refuses with `scope_empty`, `scope_invalid`. */
export const parseScope = (list: readonly unknown[]): Verdict<readonly ScopePattern[]> => {
  if (list.length === 0) return deny('scope_empty', 'an empty scope list grants nothing');
  if (list.length > MAX_SCOPE_PATTERNS)
    return deny('scope_invalid', `more than ${MAX_SCOPE_PATTERNS} patterns`);
  for (const [index, item] of list.entries()) {
    if (typeof item !== 'string' || !isScopePattern(item))
      return deny('scope_invalid', `pattern ${index + 1} of the scope list is not in the grammar`);
  }
  if (new Set(list).size !== list.length)
    return deny('scope_invalid', 'a pattern occurs twice in the scope list');
  return grant(list as readonly ScopePattern[]);
};

const segmentsOf = (text: string): number => {
  let count = 1;
  for (let at = text.indexOf(':'); at !== -1; at = text.indexOf(':', at + 1)) count++;
  return count;
};

/** Whether one parent pattern covers a child pattern (or a required literal). */
export const covers = (parent: ScopePattern, child: ScopePattern): boolean => {
  if (parent === child) return true;
  if (!parent.endsWith('*')) return false;
  const prefix = parent.slice(0, -1);
  if (!child.startsWith(prefix)) return false;
  if (parent.endsWith(':*')) return true;
  return !child.endsWith(':*') && segmentsOf(child) === segmentsOf(parent);
};

export const isCovered = (parents: readonly ScopePattern[], child: ScopePattern): boolean => {
  for (const parent of parents) if (covers(parent, child)) return true;
  return false;
};

/** The first child pattern that no single parent pattern covers; `undefined` when the list is narrower or equal. */
export const findUncovered = (
  parents: readonly ScopePattern[],
  children: readonly ScopePattern[],
): ScopePattern | undefined => {
  for (const child of children) if (!isCovered(parents, child)) return child;
  return undefined;
};

/**
 * The greatest scope that both lists cover. Two patterns are nested or disjoint, so that pairwise comparison is exact.
 * May be empty: nothing in common.
 */
export const meetScope = (
  a: readonly ScopePattern[],
  b: readonly ScopePattern[],
): readonly ScopePattern[] => {
  const met = new Set<ScopePattern>();
  for (const one of a) {
    for (const other of b) {
      if (covers(one, other)) met.add(other);
      else if (covers(other, one)) met.add(one);
    }
  }
  return [...met];
};

/** Names for scope lists; a member that is itself a name stands for that set. */
export type ScopeSets = Readonly<Record<string, readonly string[]>>;

const TOO_DEEP = `scope sets nest deeper than ${MAX_SCOPE_SET_NESTING}`;

/**
 * What is wrong with scope sets, as a sentence: a name that is no literal, a member that is neither a set nor a pattern, a
 * circle, sets nested too deep. Each set is walked once, and never deeper than the limit.
 */
export const scopeSetsFault = (sets: ScopeSets): string | undefined => {
  const heights = new Map<string, number>();
  /** Sets on the longest way down from here, or what is wrong. */
  const heightOf = (name: string, path: readonly string[]): number | string => {
    const known = heights.get(name);
    if (known !== undefined) return known;
    if (path.includes(name)) return `scope sets form a circle: ${[...path, name].join(' → ')}`;
    if (path.length >= MAX_SCOPE_SET_NESTING) return TOO_DEEP;
    let below = 0;
    for (const member of sets[name] ?? []) {
      if (Object.hasOwn(sets, member)) {
        const height = heightOf(member, [...path, name]);
        if (typeof height === 'string') return height;
        below = Math.max(below, height);
      } else if (!isScopePattern(member)) return `"${member}" is neither a scope set nor a scope pattern`;
    }
    heights.set(name, below + 1);
    return below < MAX_SCOPE_SET_NESTING ? below + 1 : TOO_DEEP;
  };
  for (const name of Object.keys(sets)) {
    if (!isScopeLiteral(name)) return `"${name}" is no name of a scope set: a name is a literal`;
    const height = heightOf(name, []);
    if (typeof height === 'string') return height;
  }
  return undefined;
};

/**
 * Expands scope names to patterns, in order, each once. What is no name of a set must be a pattern.
 * @returns the patterns, or a sentence that says what is wrong (an unknown form, a circle).
 */
export const expandScope = (
  names: readonly string[],
  sets: ScopeSets,
): { readonly patterns: readonly ScopePattern[] } | { readonly fault: string } => {
  const patterns = new Set<ScopePattern>();
  // A set that many sets share is walked once, or time would double with each level.
  const expanded = new Set<string>();
  const visit = (name: string, path: readonly string[]): string | undefined => {
    if (!Object.hasOwn(sets, name)) {
      if (!isScopePattern(name)) return `"${name}" is neither a scope set nor a scope pattern`;
      patterns.add(name);
      return undefined;
    }
    if (path.includes(name)) return `scope sets form a circle: ${[...path, name].join(' → ')}`;
    if (expanded.has(name)) return undefined;
    if (path.length >= MAX_SCOPE_SET_NESTING) return TOO_DEEP;
    for (const member of sets[name] ?? []) {
      const fault = visit(member, [...path, name]);
      if (fault !== undefined) return fault;
    }
    expanded.add(name);
    return undefined;
  };
  for (const name of names) {
    const fault = visit(name, []);
    if (fault !== undefined) return { fault };
  }
  return { patterns: [...patterns] };
};
