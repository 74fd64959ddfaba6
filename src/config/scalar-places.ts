/**
 * Where in a file a character of a scalar's text stands, however the scalar is written. Every style keeps the characters that
 * are no white space, in their order; what is folded, indented or joined is white space alone. So they are counted.
 */
import { isScalar, type Scalar } from 'yaml';

/** What one stretch of the source adds to the text: how many characters that are no white space. */
type Stretch = readonly [source: RegExp, visible: (text: string) => number];

const isVisible = (character: string): boolean => !/\s/.test(character);
const visibleIn = (text: string): number => [...text.matchAll(/\S/g)].length;

const ONE = (): number => 1;
const BLANK: Stretch = [/\s+/y, () => 0];
const CHARACTER: Stretch = [/\S/y, ONE];
/** `\n`, `\t`, `\ `, `\_` and the like, and the end of a line: white space. */
const BLANK_ESCAPE: Stretch = [/\\(?:[tnvfr \t_NLP]|\r?\n)/y, () => 0];
const CODE_ESCAPE: Stretch = [
  /\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})/y,
  (text) => visibleIn(String.fromCodePoint(Number.parseInt(text.slice(2), 16))),
];
const ESCAPE: Stretch = [/\\[^xuU]/y, ONE];

const STYLES: Readonly<Record<string, readonly Stretch[]>> = {
  QUOTE_DOUBLE: [BLANK_ESCAPE, CODE_ESCAPE, ESCAPE, BLANK, CHARACTER],
  QUOTE_SINGLE: [[/''/y, ONE], BLANK, CHARACTER],
  PLAIN: [BLANK, CHARACTER],
  BLOCK_LITERAL: [BLANK, CHARACTER],
  BLOCK_FOLDED: [BLANK, CHARACTER],
};

/** Behind the quotation mark, or behind the line of `|` or `>`. */
const beginningOf = ({ type }: Scalar, source: string, from: number): number => {
  if (type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE') return from + 1;
  if (type !== 'BLOCK_LITERAL' && type !== 'BLOCK_FOLDED') return from;
  const end = source.indexOf('\n', from);
  return end === -1 ? source.length : end + 1;
};

/** Offset in `source` of the character at `offset` of the scalar's text; of its end where there is none. */
export const sourceOffset = (source: string, node: unknown, offset: number): number | undefined => {
  if (!isScalar(node) || typeof node.value !== 'string' || node.range == null) return undefined;
  const [from, to] = node.range;
  const text = node.value;
  const at = Math.min(offset, text.length);
  const isGap = at === text.length || !isVisible(text.charAt(at));
  // White space may stand anywhere or nowhere: what is asked for is behind the last character before it.
  let wanted = visibleIn(text.slice(0, at)) - (isGap ? 1 : 0);
  let place = beginningOf(node, source, from);
  if (wanted < 0) return place;
  const stretches = STYLES[node.type ?? 'PLAIN'] ?? [];
  while (place < to) {
    const found = stretchAt(stretches, source, place);
    if (found === undefined) return place;
    const [length, visible] = found;
    if (visible > wanted) return isGap ? place + length : place;
    wanted -= visible;
    place += length;
  }
  return to;
};

const stretchAt = (
  stretches: readonly Stretch[],
  source: string,
  at: number,
): readonly [length: number, visible: number] | undefined => {
  for (const [pattern, visible] of stretches) {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0];
    if (text !== undefined) return [text.length, visible(text)];
  }
  return undefined;
};
