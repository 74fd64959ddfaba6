/** Ways in which the same words are hidden. Each is applied to the plain texts of the injection corpus. */

const mapLetters = (text: string, of: (code: number) => number): string =>
  text.replace(/[a-z]/g, (letter) => String.fromCodePoint(of(letter.charCodeAt(0))));
const LOOK_ALIKE: Readonly<Record<string, string>> = {
  a: 'а',
  c: 'с',
  e: 'е',
  i: 'і',
  o: 'о',
  p: 'р',
  s: 'ѕ',
  x: 'х',
  y: 'у',
};
const LEET: Readonly<Record<string, string>> = { a: '4', e: '3', i: '1', o: '0', s: '5' };

/** Text to the JSON of a body that says it. */
export const EVASIONS: Readonly<Record<string, (text: string) => string>> = {
  'capital letters': (text) => JSON.stringify(text.toUpperCase()),
  'line breaks for spaces': (text) => JSON.stringify(text.replaceAll(' ', '\n  ')),
  'JSON escapes': (text) =>
    `"${[...text].map((letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`,
  'JSON within JSON': (text) => JSON.stringify(JSON.stringify({ text })),
  base64: (text) => JSON.stringify(Buffer.from(text).toString('base64')),
  'zero-width characters': (text) => JSON.stringify([...text].join('\u200b')),
  'full-width letters': (text) => JSON.stringify(mapLetters(text, (code) => code + 0xfee0)),
  'mathematical letters': (text) => JSON.stringify(mapLetters(text, (code) => code + 0x1d5ee - 0x61)),
  'Cyrillic look-alikes': (text) =>
    JSON.stringify(text.replace(/[aceiopsxy]/g, (letter) => LOOK_ALIKE[letter] ?? letter)),
  'tag characters': (text) =>
    JSON.stringify(
      `Hello.${[...text].map((letter) => String.fromCodePoint(letter.charCodeAt(0) + 0xe0000)).join('')}`,
    ),
  'combining marks': (text) => JSON.stringify([...text].join('\u0336')),
  'HTML comment': (text) => JSON.stringify(`<p>Welcome</p><!-- ${text} -->`),
  'quotation marks around words': (text) => JSON.stringify(text.replace(/(\w+) (\w+)/g, '"$1" $2')),
  'digits for letters': (text) =>
    JSON.stringify(text.replace(/[aeios]/g, (letter) => LEET[letter] ?? letter)),
  'spaces between letters': (text) => JSON.stringify([...text.replaceAll(' ', '')].join(' ')),
  'base64 twice': (text) =>
    JSON.stringify(Buffer.from(Buffer.from(text).toString('base64')).toString('base64')),
  hex: (text) => JSON.stringify(Buffer.from(text).toString('hex')),
  ROT13: (text) =>
    JSON.stringify(
      text.replace(/[a-z]/gi, (letter) =>
        String.fromCharCode(letter.charCodeAt(0) + (letter.toLowerCase() < 'n' ? 13 : -13)),
      ),
    ),
  'letters written backwards': (text) => JSON.stringify([...text].reverse().join('')),
};
