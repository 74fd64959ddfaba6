/** The lines of a head or of trailers, held while they come in pieces. Bounded, and refused as soon as no more could mend them. */
import { CR, IS_TEXT, LF } from './h1-fields.ts';

/** Octets of a head or of a trailer section, the empty line at its end with them. */
export const MAX_LINES_OCTETS = 32 * 1024;
export const TOO_MANY_OCTETS = `more than ${MAX_LINES_OCTETS} octets of fields`;

export const END_OF_LINES = Buffer.from('\r\n\r\n');
const NOTHING = Buffer.alloc(0);
const FIRST_BYTES = 1024;

export class HeldLines {
  octets: Buffer = NOTHING;
  length = 0;
  fault: string | undefined;

  /**
   * Takes what belongs to the lines from `chunk` at `at` on. Returns where it ends in `chunk` once the empty line was there
   * (then `length` octets are whole), and -1 where more is to come or `fault` says why not.
   */
  take(chunk: Buffer, at: number): number {
    const before = this.length;
    const taken = Math.min(chunk.length - at, MAX_LINES_OCTETS - before);
    this.grow(before + taken);
    chunk.copy(this.octets, before, at, at + taken);
    this.length = before + taken;
    const end = this.endIn(before);
    if (end !== -1) {
      this.length = end;
      return at + end - before;
    }
    if (this.length === MAX_LINES_OCTETS) this.fault = TOO_MANY_OCTETS;
    else this.fault = this.faultIn(before);
    return -1;
  }

  private endIn(before: number): number {
    // A section without any line is its empty line alone.
    if (this.length >= 2 && this.octets[0] === CR && this.octets[1] === LF) return 2;
    const found = this.octets.subarray(0, this.length).indexOf(END_OF_LINES, Math.max(0, before - 3));
    return found === -1 ? -1 : found + 4;
  }

  /** Who sends a bare LF never sends the empty line either: without this it would have until the timeout. */
  private faultIn(before: number): string | undefined {
    let last = before === 0 ? 0 : (this.octets[before - 1] as number);
    for (let at = before; at < this.length; at++) {
      const octet = this.octets[at] as number;
      if ((last === CR) !== (octet === LF)) return 'a CR or LF alone';
      if (IS_TEXT[octet] !== 1 && octet !== CR && octet !== LF) return 'a control character among the fields';
      last = octet;
    }
    return undefined;
  }

  private grow(needed: number): void {
    if (needed <= this.octets.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 ** Math.ceil(Math.log2(needed))));
    this.octets.copy(grown, 0, 0, this.length);
    this.octets = grown;
  }

  clear(): void {
    this.octets = NOTHING;
    this.length = 0;
    this.fault = undefined;
  }
}
