/** The scope algebra against an oracle that knows only which literals a pattern stands for. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  covers,
  expandScope,
  findUncovered,
  isScopeLiteral,
  isScopePattern,
  meetScope,
  type ScopePattern,
} from '../../src/core/delegation/scope.ts';

const SEGMENTS = ['a', 'b', 'aa', 'ab'];

const join = (heads: readonly string[]): string[] =>
  heads.flatMap((head) => SEGMENTS.map((segment) => `${head}:${segment}`));
const ONE = SEGMENTS;
const TWO = join(ONE);
const THREE = join(TWO);
const LITERALS = [...ONE, ...TWO, ...THREE, ...join(THREE)];
const PATTERNS = [
  ...ONE,
  ...TWO,
  ...THREE,
  ...[...ONE, ...TWO].map((head) => `${head}:*`),
  ...[...TWO, ...THREE].map((head) => `${head}*`),
] as ScopePattern[];

/** SPEC.md section 5, said as a regular expression over literals. */
const stands = (pattern: string): RegExp => {
  const seg = '[A-Za-z0-9._/-]+';
  const quoted = (text: string) => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  if (pattern.endsWith(':*')) return new RegExp(`^${quoted(pattern.slice(0, -2))}(?::${seg})+$`);
  if (pattern.endsWith('*')) return new RegExp(`^${quoted(pattern.slice(0, -1))}(?:${seg})?$`);
  return new RegExp(`^${quoted(pattern)}$`);
};

/** Literals that only a pattern at least as wide can hold all of: "z" occurs in no pattern here. */
const witnesses = (pattern: string): string[] => {
  if (pattern.endsWith(':*')) return [`${pattern.slice(0, -1)}z`, `${pattern.slice(0, -1)}z:z`];
  if (pattern.endsWith('*')) return [pattern.slice(0, -1), `${pattern.slice(0, -1)}z`];
  return [pattern];
};

const segment = fc.oneof(
  fc.constantFrom('a', 'b', 'ab', 'a/b', 'a.b', 'A', '-', '_', '..a'),
  fc.stringMatching(/^[A-Za-y0-9_-]{1,4}$/),
);
const literal = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(':'));
const pattern = fc.oneof(
  literal,
  literal.map((text) => `${text}:*`),
  fc.tuple(literal, segment).map(([text, last]) => `${text}:${last}*`),
) as fc.Arbitrary<ScopePattern>;
/** A pattern and one derived from it, so that pairs that cover are not rare. */
const related = fc
  .tuple(pattern, segment, fc.constantFrom('', '*', ':*', ':x', ':x*', 'x', 'x*'))
  .map(([parent, more, tail]): readonly [ScopePattern, ScopePattern] => {
    const stem = parent.replace(/:?\*$/, '');
    return [parent, `${stem}:${more}${tail}` as ScopePattern];
  })
  .filter(([, child]) => isScopePattern(child));

describe('covers, over every pattern of a tiny alphabet', () => {
  const matched = new Map(
    PATTERNS.map((text) => [text, new Set(LITERALS.filter((l) => stands(text).test(l)))]),
  );

  test('every pattern used here is one', () => {
    expect(PATTERNS.filter((text) => !isScopePattern(text))).toEqual([]);
    expect(LITERALS.filter((text) => !isScopeLiteral(text))).toEqual([]);
    expect(LITERALS).toHaveLength(340);
  });

  test('sound: whatever the child stands for, the parent stands for', () => {
    const broken: string[] = [];
    for (const parent of PATTERNS)
      for (const child of PATTERNS)
        if (
          covers(parent, child) &&
          ![...(matched.get(child) ?? [])].every((l) => matched.get(parent)?.has(l))
        )
          broken.push(`${parent} covers ${child}`);
    expect(broken).toEqual([]);
  });

  test('complete: it covers whenever the parent stands for all of the child', () => {
    const broken: string[] = [];
    for (const parent of PATTERNS)
      for (const child of PATTERNS) {
        const whole = witnesses(child).every((text) => stands(parent).test(text));
        if (whole !== covers(parent, child)) broken.push(`${parent} and ${child}`);
      }
    expect(broken).toEqual([]);
  });

  test('two patterns meet in exactly the literals that both stand for', () => {
    const broken: string[] = [];
    for (const a of PATTERNS)
      for (const b of PATTERNS) {
        const met = meetScope([a], [b]);
        const both = LITERALS.filter((l) => matched.get(a)?.has(l) && matched.get(b)?.has(l));
        const held = LITERALS.filter((l) => met.some((pattern) => matched.get(pattern)?.has(l)));
        if (met.some((pattern) => !covers(a, pattern) || !covers(b, pattern)) || both.join() !== held.join())
          broken.push(`${a} and ${b}: ${met.join()}`);
      }
    expect(broken).toEqual([]);
  });

  test('agrees with matching when the child is a literal', () => {
    for (const parent of PATTERNS)
      for (const text of LITERALS)
        expect(covers(parent, text as ScopePattern)).toBe(matched.get(parent)?.has(text));
  });

  test('a partial order: reflexive, antisymmetric, transitive', () => {
    const below = PATTERNS.map((parent) => PATTERNS.map((child) => covers(parent, child)));
    for (const [i, row] of below.entries()) {
      expect(row[i]).toBe(true);
      for (const [j, ij] of row.entries()) {
        if (!ij) continue;
        if (i !== j) expect(below[j]?.[i]).toBe(false);
        const missing = below[j]?.findIndex((jk, k) => jk && !row[k]);
        expect(missing).toBe(-1);
      }
    }
  });
});

describe('covers, over arbitrary patterns', () => {
  test('sound and complete against witnesses', () => {
    fc.assert(
      fc.property(fc.oneof(related, fc.tuple(pattern, pattern)), ([parent, child]) => {
        expect(covers(parent, child)).toBe(witnesses(child).every((text) => stands(parent).test(text)));
      }),
      { numRuns: 3000 },
    );
  });

  test('transitive and antisymmetric along chains of narrowing', () => {
    fc.assert(
      fc.property(related, segment, fc.constantFrom('', '*', ':*'), ([top, middle], more, tail) => {
        const bottom = `${middle.replace(/:?\*$/, '')}:${more}${tail}` as ScopePattern;
        fc.pre(isScopePattern(bottom));
        if (covers(top, middle) && covers(middle, bottom)) expect(covers(top, bottom)).toBe(true);
        if (covers(top, middle) && covers(middle, top)) expect(top).toBe(middle);
      }),
      { numRuns: 2000 },
    );
  });

  test('a list is covered only when one parent covers each child by itself', () => {
    fc.assert(
      fc.property(
        fc.array(pattern, { minLength: 1, maxLength: 4 }),
        fc.array(pattern, { minLength: 1, maxLength: 4 }),
        (parents, children) => {
          const uncovered = children.find((child) => !parents.some((parent) => covers(parent, child)));
          expect(findUncovered(parents, children)).toBe(uncovered);
        },
      ),
    );
  });
});

/** The grammar of SPEC.md section 5, read by hand. */
const isPatternByHand = (text: string): boolean => {
  if (text.length === 0 || text.length > 256) return false;
  const isSegment = (part: string): boolean =>
    [...part].every((c) => /[A-Za-z0-9._/-]/.test(c)) &&
    part.split('/').every((piece) => piece !== '' && piece !== '.' && piece !== '..');
  const parts = text.split(':');
  const last = parts.pop() ?? '';
  if (!parts.every(isSegment)) return false;
  if (!last.endsWith('*')) return isSegment(last);
  return parts.length > 0 && (last === '*' || isSegment(last.slice(0, -1)));
};

describe('the grammar', () => {
  test('accepts exactly what a reader of the specification accepts', () => {
    const soup = fc.oneof(
      fc.string({ unit: fc.constantFrom('a', 'B', '0', '.', '/', ':', '*', '-', '_', '%', ' ', '\n') }),
      pattern,
      fc
        .tuple(pattern, fc.constantFrom(':', '*', '/', '.', '/..', ':.', ':..*', '/*', '\n'))
        .map((t) => t.join('')),
    );
    fc.assert(
      fc.property(soup, (text) => {
        expect(isScopePattern(text)).toBe(isPatternByHand(text));
        expect(isScopeLiteral(text)).toBe(isPatternByHand(text) && !text.includes('*'));
      }),
      { numRuns: 5000 },
    );
  });

  test('ends at 256 octets', () => {
    expect(isScopePattern('a'.repeat(256))).toBe(true);
    expect(isScopePattern('a'.repeat(257))).toBe(false);
    expect(isScopePattern(`a:${'b'.repeat(253)}*`)).toBe(true);
    expect(isScopePattern(`a:${'b'.repeat(254)}*`)).toBe(false);
  });
});

describe('scope sets', () => {
  const names = ['set:0', 'set:1', 'set:2', 'set:3', 'set:4'];
  /** A set names only later sets: acyclic. */
  const sets = fc
    .tuple(
      ...names.map((_, index) =>
        fc.array(fc.oneof(pattern, fc.constantFrom('x:y', ...names.slice(index + 1))), { maxLength: 4 }),
      ),
    )
    .map((lists) => Object.fromEntries(names.map((name, index) => [name, lists[index] ?? []])));

  test('expansion holds what the sets say and not one pattern more', () => {
    fc.assert(
      fc.property(
        sets,
        fc.array(fc.oneof(fc.constantFrom(...names), pattern), { maxLength: 3 }),
        (all, asked) => {
          const leaves = (name: string): string[] =>
            name in all ? (all[name] ?? []).flatMap(leaves) : [name];
          const expanded = expandScope(asked, all);
          expect(expanded).toEqual({ patterns: [...new Set(asked.flatMap(leaves))] });
        },
      ),
    );
  });

  test('a circle is named and grants nothing', () => {
    expect(expandScope(['set:0'], { 'set:0': ['set:1'], 'set:1': ['set:0'] })).toEqual({
      fault: 'scope sets form a circle: set:0 → set:1 → set:0',
    });
  });

  test('sets that share sets cost no more than their number', () => {
    const deep = Object.fromEntries(
      Array.from({ length: 60 }, (_, level) => [
        `level:${level}`,
        level === 59 ? ['cloud:read'] : [`level:${level + 1}`, `level:${level + 1}`],
      ]),
    );
    expect(expandScope(['level:0'], deep)).toEqual({ patterns: ['cloud:read'] });
  });

  test('a name that the language knows is not a set', () => {
    expect(expandScope(['constructor'], {})).toEqual({ patterns: ['constructor'] });
    expect(expandScope(['__proto__'], {})).toEqual({ patterns: ['__proto__'] });
  });
});
