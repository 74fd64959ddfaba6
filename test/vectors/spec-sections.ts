/** The generated sections of src/core/SPEC.md: reason codes, what conditions can read, and the worked examples. */
import { readFile, writeFile } from 'node:fs/promises';
import { type Attribute, ENVIRONMENT, NOW as TIME } from '../../src/core/policy/environment.ts';
import { REASONS } from '../../src/core/reasons.ts';
import { NOW } from './make/case.ts';
import { EXAMPLES, type Example } from './make/examples.ts';

export const SPECIFICATION = new URL('../../src/core/SPEC.md', import.meta.url);
const COLUMNS = 116;

/** One row a code, in the order of the table in the code. */
export const reasonTable = (): string => {
  const rows = Object.entries(REASONS).map(
    ([code, { stage, status, peer, meaning }]) =>
      `| *${code}* | ${stage} | ${status} | ${peer ? 'yes' : 'no'} | ${meaning} |`,
  );
  return ['| code | stage | status | peer | meaning |', '| --- | --- | --- | --- | --- |', ...rows].join(
    '\n',
  );
};

/** One row an attribute, in the order of the code. */
export const environmentTable = (): string => {
  const row = (name: string, { type, meaning }: Attribute): string =>
    `| \`${name}\` | \`${type}\` | ${meaning} |`;
  const rows = Object.entries(ENVIRONMENT).flatMap(([variable, members]) =>
    Object.entries(members as Readonly<Record<string, Attribute>>).map(([member, attribute]) =>
      row(`${variable}.${member}`, attribute),
    ),
  );
  return ['| attribute | type | what |', '| --- | --- | --- |', ...rows, row('now', TIME)].join('\n');
};

const wrap = (text: string): string => {
  const characters = [...text];
  const lines: string[] = [];
  for (let at = 0; at < characters.length; at += COLUMNS)
    lines.push(characters.slice(at, at + COLUMNS).join(''));
  return lines.join('\n');
};

const section = ({ title, text, blocks }: Example, index: number): string =>
  [
    `### 17.${index + 1} ${title}`,
    text,
    ...Object.entries(blocks).map(([name, content]) => `\`\`\`text ${name}\n${wrap(content)}\n\`\`\``),
  ].join('\n\n');

/** Markdown; each block is fenced and named, its line breaks being for the eye only. */
export const workedExamples = (): string =>
  [
    `Now is ${NOW}. The name of a block stands behind its fence. Line breaks in a block are not part of it.`,
    ...EXAMPLES.map(section),
  ].join('\n\n');

const BLOCK = /^```text (\S+)\n([^`]*)\n```$/gm;

/** The named blocks of a text, joined again. */
export const readBlocks = (text: string): ReadonlyMap<string, string> =>
  new Map(
    [...text.matchAll(BLOCK)].map(([, name = '', content = '']) => [name, content.replaceAll('\n', '')]),
  );

type Generated = 'reasons' | 'environment' | 'examples';

/** What stands between the markers of a section. */
export const betweenMarkers = (text: string, name: Generated): string =>
  text.slice(endOfMarker(text, `<!-- ${name}:begin`), text.indexOf(`<!-- ${name}:end -->`));

const endOfMarker = (text: string, marker: string): number => {
  const at = text.indexOf(marker);
  if (at === -1) throw new Error(`SPEC.md lacks ${marker}`);
  return text.indexOf('-->', at) + 3;
};

const replaceBetween = (text: string, name: Generated, content: string): string => {
  const [begin, end] = [endOfMarker(text, `<!-- ${name}:begin`), text.indexOf(`<!-- ${name}:end -->`)];
  if (end < begin) throw new Error(`SPEC.md lacks the end of ${name}`);
  return `${text.slice(0, begin)}\n\n${content}\n\n${text.slice(end)}`;
};

/** A specification with its generated sections made anew. */
export const updateSpecification = (text: string): string =>
  Object.entries({ reasons: reasonTable, environment: environmentTable, examples: workedExamples }).reduce(
    (made, [name, content]) => replaceBetween(made, name as Generated, content()),
    text,
  );

export const writeSpecification = async (): Promise<void> =>
  writeFile(SPECIFICATION, updateSpecification(await readFile(SPECIFICATION, 'utf8')));
