/** TypeScript source without its comments and the contents of its strings, and the imports in it. Reads text; needs no compiler. */

/** After one of these a slash begins a regular expression; after anything else it divides. */
const BEFORE_REGEX =
  /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|void|throw|await|else|do|new|delete|instanceof|yield))\s*$/;

/**
 * Blanks comments and the insides of strings, templates and regular expressions with spaces, so that every other character
 * keeps its place. Code inside `${}` stays.
 */
export const codeOf = (source: string): string => {
  let out = '';
  let at = 0;
  const blank = (end: number): void => {
    out += source.slice(at, end).replace(/[^\n]/g, ' ');
    at = end;
  };
  const keep = (end: number): void => {
    out += source.slice(at, end);
    at = end;
  };
  const quoted = (quote: string): void => {
    keep(at + 1);
    let end = at;
    while (end < source.length && source[end] !== quote && source[end] !== '\n')
      end += source[end] === '\\' ? 2 : 1;
    blank(end);
    keep(end + 1);
  };
  const regex = (): void => {
    keep(at + 1);
    let end = at;
    let inClass = false;
    while (end < source.length && source[end] !== '\n' && (inClass || source[end] !== '/')) {
      if (source[end] === '[') inClass = true;
      if (source[end] === ']') inClass = false;
      end += source[end] === '\\' ? 2 : 1;
    }
    blank(end);
    keep(end + 1);
  };
  const template = (): void => {
    keep(at + 1);
    while (at < source.length && source[at] !== '`') {
      if (source[at] === '\\') blank(at + 2);
      else if (source.startsWith('${', at)) {
        keep(at + 2);
        code(true);
      } else blank(at + 1);
    }
    keep(at + 1);
  };
  const code = (untilBrace: boolean): void => {
    let depth = 0;
    while (at < source.length) {
      const c = source[at];
      if (source.startsWith('//', at) && !isRegex()) blank(lineEnd(source, at));
      else if (source.startsWith('/*', at)) {
        const end = source.indexOf('*/', at + 2);
        blank(end === -1 ? source.length : end + 2);
      } else if (c === "'" || c === '"') quoted(c);
      else if (c === '`') template();
      else if (c === '/' && isRegex()) regex();
      else {
        if (c === '{') depth++;
        keep(at + 1);
        if (c === '}' && depth-- === 0 && untilBrace) return;
      }
    }
  };
  const isRegex = (): boolean => source[at + 1] !== '/' && BEFORE_REGEX.test(out.slice(-40));
  code(false);
  return out;
};

const lineEnd = (source: string, from: number): number => {
  const end = source.indexOf('\n', from);
  return end === -1 ? source.length : end;
};

export interface Import {
  /** As written; `undefined` when it is computed. */
  readonly specifier: string | undefined;
  /** Names taken, without aliases; `*` for all, `default` for the default. Types are marked. */
  readonly names: readonly { readonly name: string; readonly type: boolean }[];
  /** Gone at run time: `import type` or `export type`. `{ type A }` alone still loads the file. */
  readonly typeOnly: boolean;
}

const CLAUSE = String.raw`\*(?:\s*as\s+[\w$]+)?|\{[^}]*\}|[\w$]+(?:\s*,\s*(?:\{[^}]*\}|\*\s*as\s+[\w$]+))?`;
const STATIC = new RegExp(
  String.raw`\b(?:import|export)\s*(type\s+(?!from\b))?(${CLAUSE})\s*from\s*(['"])( *)\3`,
  'g',
);
const BARE = /\bimport\s*(['"])( *)\1/g;
const DYNAMIC = /\bimport\s*\(\s*(?:(['"])( *)\1\s*\)|)/g;

const namesIn = (clause: string): Import['names'] => {
  const names: { name: string; type: boolean }[] = [];
  const braced = /\{([^}]*)\}/.exec(clause)?.[1];
  for (const part of braced?.split(',') ?? []) {
    const match = /^\s*(type\s+(?!as\b))?([\w$]+)/.exec(part);
    if (match?.[2] !== undefined) names.push({ name: match[2], type: match[1] !== undefined });
  }
  const rest = clause.replace(/\{[^}]*\}/, '');
  if (rest.includes('*')) names.push({ name: '*', type: false });
  if (/^\s*[\w$]/.test(rest)) names.push({ name: 'default', type: false });
  return names;
};

/** Every import, export-from and dynamic import of a source, in the order of their kinds. */
export const importsOf = (source: string): readonly Import[] => {
  const code = codeOf(source);
  const at = (end: number, length: number): string => source.slice(end - 1 - length, end - 1);
  const found: Import[] = [];
  for (const match of code.matchAll(STATIC)) {
    const end = match.index + match[0].length;
    const specifier = at(end, match[4]?.length ?? 0);
    found.push({ specifier, names: namesIn(match[2] ?? ''), typeOnly: match[1] !== undefined });
  }
  for (const match of code.matchAll(BARE))
    found.push({
      specifier: at(match.index + match[0].length, match[2]?.length ?? 0),
      names: [],
      typeOnly: false,
    });
  for (const match of code.matchAll(DYNAMIC)) {
    const inner =
      match[2] === undefined ? undefined : source.slice(match.index, match.index + match[0].length);
    const specifier = inner === undefined ? undefined : /(['"])(.*)\1/.exec(inner)?.[2];
    found.push({ specifier, names: [{ name: '*', type: false }], typeOnly: false });
  }
  return found;
};
