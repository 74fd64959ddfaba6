/** YAML to a validated document; every fault with file, line, column and field, all of them at once. */
import type { z } from 'zod';
import { explainIssues } from './explain.ts';
import { ConfigError, type ConfigFault, formatPath, type Path } from './fault.ts';
import { parseYaml, type YamlDocument } from './yaml-document.ts';

export { ConfigError, type ConfigFault, formatFault, formatPath } from './fault.ts';

/** A validated document that can still say where each of its parts stands. */
export class Source<T> {
  readonly file: string;
  readonly value: T;
  private readonly document: YamlDocument;

  constructor(file: string, value: T, document: YamlDocument) {
    this.file = file;
    this.value = value;
    this.document = document;
  }

  /** `offset`: of a character within the text at the path, which the fault then points at. */
  fault(path: Path, message: string, offset?: number): ConfigFault {
    const place =
      offset === undefined ? this.document.locate(path) : this.document.locateWithin(path, offset);
    return { file: this.file, ...place, field: formatPath(path), message };
  }
}

/** Zod makes a function for each kind of object that it meets: 30 ms that a document of so many characters at most never pays back. */
const FEW_CHARACTERS = 65_536;

/** Reads one YAML document against its schema. Throws {@link ConfigError}, with the faults in the order of the text. */
export const parseConfig = <S extends z.ZodType>(
  text: string,
  file: string,
  schema: S,
  maxCharacters?: number,
): Source<z.output<S>> => {
  const document = parseYaml(text, file, maxCharacters);
  const { value, locate } = document;
  const parsed = schema.safeParse(value, { jitless: text.length <= FEW_CHARACTERS });
  if (parsed.success) return new Source(file, parsed.data, document);
  throw new ConfigError(
    explainIssues(parsed.error.issues, value, schema)
      .map(({ path, message }) => ({ file, ...locate(path), field: formatPath(path), message }))
      .sort((a, b) => a.line - b.line || a.column - b.column),
  );
};
