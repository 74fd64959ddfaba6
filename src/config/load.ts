/** YAML to a validated document; every fault with file, line, column and field, all of them at once. */
import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';

export interface ConfigFault {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
  /** `outbound.routes[0].peer`; empty for the document. */
  readonly field: string;
  readonly message: string;
}

export class ConfigError extends Error {
  readonly faults: readonly ConfigFault[];
  constructor(faults: readonly ConfigFault[]) {
    super(faults.map(formatFault).join('\n'));
    this.faults = faults;
  }
}

export const formatFault = ({ file, line, column, field, message }: ConfigFault): string =>
  `${file}:${line}:${column}: ${field === '' ? '' : `${field}: `}${message}`;

type Path = readonly (string | number)[];

const formatPath = (path: Path): string =>
  path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  );

/** Gives each fault its place in the text. */
export class Source<T> {
  readonly file: string;
  readonly value: T;
  private readonly locate: (path: Path) => { line: number; column: number };

  constructor(file: string, value: T, locate: (path: Path) => { line: number; column: number }) {
    this.file = file;
    this.value = value;
    this.locate = locate;
  }

  fault(path: Path, message: string): ConfigFault {
    return { file: this.file, ...this.locate(path), field: formatPath(path), message };
  }
}

/** Reads one YAML document against its schema. Throws {@link ConfigError}. */
export const parseConfig = <S extends z.ZodType>(
  text: string,
  file: string,
  schema: S,
): Source<z.output<S>> => {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    strict: true,
    version: '1.2',
    schema: 'core',
    merge: false,
  });
  const position = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    throw new ConfigError(
      broken.map((error) => ({
        file,
        ...position(error.pos[0]),
        field: '',
        message: error.message.split('\n')[0]?.replace(/ at line .*$/, '') ?? 'not YAML',
      })),
    );
  }
  const locate = (path: Path) => position(offsetOf(document.contents, path));
  const parsed = schema.safeParse(document.toJS({ maxAliasCount: 100 }));
  if (parsed.success) return new Source(file, parsed.data, locate);
  throw new ConfigError(
    parsed.error.issues
      .flatMap((issue) => explain(issue))
      .map(({ path, message }) => ({ file, ...locate(path), field: formatPath(path), message })),
  );
};

/** Unknown keys are named one by one, where they stand. */
const explain = (issue: z.core.$ZodIssue): { path: Path; message: string }[] => {
  const path = issue.path as Path;
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...path, key], message: 'unknown key' }));
  if (issue.code === 'invalid_type' && issue.input === undefined && issue.message.includes('undefined'))
    return [{ path, message: 'is missing' }];
  if (issue.code === 'invalid_union') {
    const deepest = issue.errors.flat().sort((a, b) => b.path.length - a.path.length)[0];
    if (deepest !== undefined)
      return [{ path: [...path, ...(deepest.path as Path)], message: deepest.message }];
  }
  return [{ path, message: issue.message.replace(/^Invalid input: /, '') }];
};

/** Where the deepest existing part of a path begins; for a missing key, the map that lacks it. */
const offsetOf = (root: Node | null, path: Path): number => {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
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
