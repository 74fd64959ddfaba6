/**
 * Characters as a reader takes them: compatibility forms in their plain form (NFKD), without marks, zero-width characters, directions and
 * controls; letters that look Latin as Latin; tag characters as the ASCII that they hide. One character at a time and without context,
 * so that text means the same however it comes in. Patterns are folded with the same table.
 */

/** Cyrillic and Greek letters that pass for Latin ones, and signs that pass for ASCII. */
const LOOK_ALIKE = new Map(
  [
    'аaеeоoрpсcуyхxіiјjѕsԁdһhԛqԝwАAВBЕEКKМMНHОOРPСCТTУYХXІIЈJЅSӏl',
    'οoαaνvρpκkιiΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧXϲc',
    'ıiɡgɑaʟlɴnʀrꜱsᴄcᴏoᴜuᴠvᴡwᴢzᴀaʙbᴅdᴇeɢgʜhɪiᴊjᴋkᴍmᴘpᴛtʏyłløođdħh',
    '‘\'’\'‚\'‛\'“"”"„"«"»"‐-‑-‒-–-—-―-−-⁄/∕/׃:꞉:',
  ].flatMap((pairs) => {
    const letters = [...pairs];
    return letters
      .filter((_, at) => at % 2 === 0)
      .map((from, at): [string, string] => [from, letters[2 * at + 1] ?? '']);
  }),
);
// Marks, formats (zero width, directions, soft hyphens), controls, halves of a pair, and what stands for broken text.
const DROPPED = /[\p{M}\p{Cf}\p{Cc}\p{Cs}\ufffd\u115f\u1160\u3164\uffa0]/gu;
const SPACES = /[\p{Z}]/gu;
const TAGS = { first: 0xe0020, last: 0xe007e, ascii: 0xe0000 };

const foldOne = (letter: string): string => {
  const point = letter.codePointAt(0) ?? 0;
  if (point >= TAGS.first && point <= TAGS.last) return String.fromCharCode(point - TAGS.ascii);
  const like = LOOK_ALIKE.get(letter);
  if (like !== undefined) return like;
  let folded = '';
  for (const part of letter.normalize('NFKD').replace(SPACES, ' ').replace(DROPPED, ''))
    folded += LOOK_ALIKE.get(part) ?? part;
  return folded;
};

const MOST_KNOWN = 8192;
const known = new Map<string, string>();

const foldKnown = (letter: string): string => {
  const folded = known.get(letter);
  if (folded !== undefined) return folded;
  if (known.size >= MOST_KNOWN) known.clear();
  const fresh = foldOne(letter);
  known.set(letter, fresh);
  return fresh;
};

const foldRun = (run: string): string => {
  let folded = '';
  for (const letter of run) folded += foldKnown(letter);
  return folded;
};

/** LF stays, since it parts texts from each other here; all other controls go. */
export const foldText = (text: string): string => text.replace(/[^\n\x20-\x7e]+/g, foldRun);
