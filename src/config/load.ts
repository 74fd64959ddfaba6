/** YAML to a validated document; every fault with file, line, column and field, all of them at once. */
import type { z } from 'zod';
import { explainIssues } from './explain.ts';
import { ConfigError, type ConfigFault, formatPath, type Path } from './fault.ts';
import { parseYaml } from './yaml-document.ts';

export { ConfigError, type ConfigFault, formatFault } from './fault.ts';

/** A validated document that can still say where each of its parts stands. */
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

/** Reads one YAML document against its schema. Throws {@link ConfigError}, with the faults in the order of the text. */
export const parseConfig = <S extends z.ZodType>(
  text: string,
  file: string,
  schema: S,
): Source<z.output<S>> => {
  const { value, locate } = parseYaml(text, file);
  const parsed = schema.safeParse(value);
  if (parsed.success) return new Source(file, parsed.data, locate);
  throw new ConfigError(
    explainIssues(parsed.error.issues, value, schema)
      .map(({ path, message }) => ({ file, ...locate(path), field: formatPath(path), message }))
      .sort((a, b) => a.line - b.line || a.column - b.column),
  );
};
