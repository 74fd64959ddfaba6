/** What base64 in a text says, where that is text too. Once: base64 within base64 is not undone again. */
import { foldText } from './fold.ts';

const SHORTEST = 24;
/** A longer run is read in pieces of so many characters. */
const PIECE = 4096;
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

const alphabet = new Uint8Array(128);
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_')
  alphabet[letter.charCodeAt(0)] = 1;

/** One in ten may be no text: a piece can begin or end within a character. */
const isText = (text: string): boolean => {
  let strange = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) || code === 0x7f || code === 0xfffd)
      strange++;
  }
  return strange * 10 <= text.length;
};

/** Finds runs of base64 in text that comes in pieces; what comes out does not depend on them. */
export class Base64Text {
  /** What was not read yet of the run that the text before ended in, and how long all of that run is. */
  private run = '';
  private runLength = 0;
  private wasText = false;

  /** What the runs in this piece of text say, folded; LF between them, unless a single space parted them (lines of 76). */
  push(text: string): string {
    let found = '';
    let start = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code < 128 && alphabet[code] === 1) continue;
      const isLong = this.runLength + at - start >= SHORTEST;
      if (isLong && code === 0x20) {
        // A line ends, wherever in a group of four: what it has left over is of the next.
        found += this.take(text.slice(start, at)) + this.endLine();
        start = at + 1;
        continue;
      }
      if (isLong) found += this.take(text.slice(start, at)) + this.end();
      else this.run = '';
      this.runLength = 0;
      if (this.wasText && code !== 0x20) {
        found += '\n';
        this.wasText = false;
      }
      start = at + 1;
    }
    return found + this.take(text.slice(start));
  }

  end(): string {
    const found = this.runLength >= SHORTEST && this.run !== '' ? this.say(this.run) : '';
    this.run = '';
    return found;
  }

  private endLine(): string {
    const whole = this.run.length - (this.run.length % 4);
    const found = whole === 0 ? '' : this.say(this.run.slice(0, whole));
    this.run = this.run.slice(whole);
    this.runLength = Math.max(SHORTEST, this.run.length);
    return found;
  }

  private take(more: string): string {
    let found = '';
    this.run += more;
    this.runLength += more.length;
    for (; this.run.length >= PIECE; this.run = this.run.slice(PIECE))
      found += this.say(this.run.slice(0, PIECE));
    return found;
  }

  private say(run: string): string {
    const text = lenient.decode(Buffer.from(run, 'base64'));
    if (!isText(text)) return '';
    this.wasText = true;
    return foldText(text.replace(/\s+/g, ' '));
  }
}
