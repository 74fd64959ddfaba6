/** YAML text to a value and the place of each of its parts. Throws {@link ConfigError}; never anything else. */
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  Lexer,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml';
import { ConfigError, formatPath, type Path } from './fault.ts';
import { sourceOffset } from './scalar-places.ts';

/** Unless its kind says otherwise. */
const MAX_TEXT_CHARACTERS = 1_048_576;
/** The parser recurses; what is deeper than any configuration could bring it down. */
const MAX_NESTING = 64;
const MAX_ALIASES = 100;

export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface YamlDocument {
  readonly value: unknown;
  /** Where the deepest existing part of a path begins; for a missing key, the map that lacks it. */
  readonly locate: (path: Path) => Place;
  /** Where a character of the text at a path stands, whatever the quotes, escapes, folds and indentation around it. */
  readonly locateWithin: (path: Path, offset: number) => Place;
}

export const parseYaml = (
  text: string,
  file: string,
  maxCharacters: number = MAX_TEXT_CHARACTERS,
): YamlDocument => {
  const lines = new LineCounter();
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const refuse = (offset: number, message: string, path: Path = []): never => {
    throw new ConfigError([{ file, ...place(offset), field: formatPath(path), message }]);
  };
  if (text.length > maxCharacters) refuse(0, `larger than ${maxCharacters} characters`);
  if (isNestedTooDeep(text)) refuse(0, `nested deeper than ${MAX_NESTING} levels`);
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    strict: true,
    version: '1.2',
    schema: 'core',
    merge: false,
    prettyErrors: false,
  });
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0)
    throw new ConfigError(
      broken.map((fault) => ({ file, ...place(fault.pos[0]), field: '', message: explainYaml(fault) })),
    );
  checkNodes(document, refuse);
  return {
    value: document.toJS({ maxAliasCount: MAX_ALIASES }),
    locate: (path) => place(offsetOf(document.contents, path)),
    locateWithin: (path, offset) =>
      place(sourceOffset(text, nodeAt(document, path), offset) ?? offsetOf(document.contents, path)),
  };
};

/** Lexical, without recursion: brackets that are open, indicators on one line, and the indentation itself. */
const isNestedTooDeep = (text: string): boolean => {
  let open = 0;
  let onLine = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') open++;
    else if (token === ']' || token === '}') open--;
    else if (open > 0) continue;
    else if (token === '-' || token === '?' || token === ':') onLine++;
    else if (token.startsWith('\n') || token.startsWith('\r')) onLine = 0;
    else if (/^ {128}/.test(token)) return true;
    if (open + onLine > MAX_NESTING) return true;
  }
  return false;
};

const YAML_MESSAGES: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this key stands twice in the same map',
  TAB_AS_INDENT: 'tabs can’t indent YAML: use spaces',
  MULTIPLE_DOCS: 'a second document begins here: one file, one document',
  RESOURCE_EXHAUSTION: `nested deeper than ${MAX_NESTING} levels`,
};
// Some of the parser's sentences end in a quotation, which may be part of a secret.
const explainYaml = ({ code, message }: { code: string; message: string }): string =>
  YAML_MESSAGES[code] ?? `not valid YAML: ${message.replace(/(?<=\w): .*$/s, '')}`;

type Refuse = (offset: number, message: string, path?: Path) => never;

/** What the parser lets pass and a configuration has no use for. */
const checkNodes = (document: Document, refuse: Refuse): void => {
  let aliases = 0;
  visit(document, {
    Alias: (_, alias) => {
      const offset = alias.range?.[0] ?? 0;
      const anchor = alias.resolve(document);
      if (anchor === undefined) refuse(offset, 'an alias without an anchor before it');
      if (++aliases > MAX_ALIASES) refuse(offset, `more than ${MAX_ALIASES} aliases`);
      visit(anchor as Node, {
        Alias: () => refuse(offset, 'an alias of something that holds an alias'),
      });
    },
    Pair: (_, pair) => {
      const offset = (pair.key as Node).range?.[0] ?? 0;
      if (isAlias(pair.key) || !isScalar(pair.key)) refuse(offset, 'a key must be plain text');
      const key = String((pair.key as { value: unknown }).value);
      if (key === '__proto__') refuse(offset, 'unknown key', [key]);
    },
    Node: (_, node) => {
      if (node.tag?.startsWith('!') || /:(?:binary|set|omap|pairs|timestamp)$/.test(node.tag ?? ''))
        refuse(node.range?.[0] ?? 0, 'YAML tags have no meaning here');
    },
  });
};

/** An alias stands for what it names: the text is there. */
const nodeAt = (document: Document, path: Path): unknown => {
  let node: unknown = document.contents;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    node = isCollection(node) ? node.get(step, true) : undefined;
  }
  return isAlias(node) ? node.resolve(document) : node;
};

const offsetOf = (root: Node | null, path: Path): number => {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === step);
      if (pair === undefined) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else {
      const item: unknown = (node as { items?: readonly unknown[] } | null)?.items?.[step as number];
      if (item === undefined) return offset;
      offset = (item as Node).range?.[0] ?? offset;
      node = item;
    }
  }
  return offset;
};
