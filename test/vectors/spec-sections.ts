/** The generated sections of src/core/SPEC.md: the table of reason codes and the worked examples. */
import { readFile, writeFile } from 'node:fs/promises';
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

/** What stands between the markers of a section. */
export const betweenMarkers = (text: string, name: 'reasons' | 'examples'): string =>
  text.slice(endOfMarker(text, `<!-- ${name}:begin`), text.indexOf(`<!-- ${name}:end -->`));

const endOfMarker = (text: string, marker: string): number => {
  const at = text.indexOf(marker);
  if (at === -1) throw new Error(`SPEC.md lacks ${marker}`);
  return text.indexOf('-->', at) + 3;
};

const replaceBetween = (text: string, name: 'reasons' | 'examples', content: string): string => {
  const [begin, end] = [endOfMarker(text, `<!-- ${name}:begin`), text.indexOf(`<!-- ${name}:end -->`)];
  if (end < begin) throw new Error(`SPEC.md lacks the end of ${name}`);
  return `${text.slice(0, begin)}\n\n${content}\n\n${text.slice(end)}`;
};

/** A specification with its generated sections made anew. */
export const updateSpecification = (text: string): string =>
  replaceBetween(replaceBetween(text, 'reasons', reasonTable()), 'examples', workedExamples());

export const writeSpecification = async (): Promise<void> =>
  writeFile(SPECIFICATION, updateSpecification(await readFile(SPECIFICATION, 'utf8')));
