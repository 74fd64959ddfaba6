/** Escapes of JSON text undone without reading its structure, so that text which is no JSON, or not yet whole, is no hole. */

const SIMPLE: Readonly<Record<string, string>> = { b: ' ', f: ' ', n: ' ', r: ' ', t: ' ' };
const WHITE = /[\t\n\v\f\r]/g;
/** An escaped quote until the quotes around strings are gone: raw control characters are none of JSON. */
const KEPT_QUOTE = '\u0001';

const point = (hex: string): string => {
  const letter = String.fromCharCode(Number.parseInt(hex, 16));
  // White space is a space, as outside of escapes; the sign that is kept for quotes would turn into one.
  return /\s/.test(letter) ? ' ' : letter === KEPT_QUOTE ? '' : letter;
};
const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|([\s\S]))/g;
const UNICODE_ESCAPE = /\\u([0-9a-fA-F]{4})/g;
/** Of what is left after one reading: JSON in a string of JSON. Not `\b` and `\f`, which nobody writes and paths have. */
const INNER_ESCAPE = /\\(?:u([0-9a-fA-F]{4})|([nrt"\\/]))/g;

const isHex = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66);

export type Escapes = 'json' | 'inner' | 'unicode';

/** Where an escape begins that the text breaks off in; the text's length where there is none. */
const unfinishedAt = (text: string, escapes: Escapes): number => {
  let at = text.length - 1;
  for (let digits = 0; digits < 3 && at >= 0 && isHex(text.charCodeAt(at)); digits++) at--;
  // Digits are of an escape only behind its u.
  if (text.charCodeAt(at) === 0x75) at--;
  else at = text.length - 1;
  let run = 0;
  while (text.charCodeAt(at - run) === 0x5c) run++;
  // Two of them are one, where that is read; else each could begin an escape.
  return run % 2 === 1 || (run > 0 && escapes === 'unicode') ? at : text.length;
};

/**
 * `json`: quotes around strings become LF, white space a space, escapes what they stand for. `inner`: what is left in strings that hold JSON
 * again; `unicode`: `\uXXXX` alone, for text of any type. The last two leave LF, which parts texts, as it is.
 */
export class Unescape {
  private readonly escapes: Escapes;
  private rest = '';

  constructor(escapes: Escapes) {
    this.escapes = escapes;
  }

  push(text: string): string {
    const whole = this.rest + text;
    const end = unfinishedAt(whole, this.escapes);
    this.rest = whole.slice(end);
    return this.undo(whole.slice(0, end));
  }

  /** What stays unfinished is text. */
  end(): string {
    const { rest } = this;
    this.rest = '';
    return rest;
  }

  private undo(text: string): string {
    if (this.escapes !== 'json') {
      if (!text.includes('\\')) return text;
      if (this.escapes === 'unicode') return text.replace(UNICODE_ESCAPE, (_, hex: string) => point(hex));
      return text.replace(INNER_ESCAPE, (_, hex?: string, letter = '') =>
        hex === undefined ? (SIMPLE[letter] ?? letter) : point(hex),
      );
    }
    const plain = text.replace(WHITE, ' ');
    if (!plain.includes('\\')) return plain.replaceAll('"', '\n');
    return plain
      .replaceAll(KEPT_QUOTE, '')
      .replace(ESCAPE, (_, hex?: string, letter = '') => {
        if (hex === undefined) return letter === '"' ? KEPT_QUOTE : (SIMPLE[letter] ?? letter);
        return point(hex) === '"' ? KEPT_QUOTE : point(hex);
      })
      .replaceAll('"', '\n')
      .replaceAll(KEPT_QUOTE, '"');
  }
}
