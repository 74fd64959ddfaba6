/** Octets that come in pieces, held until they are whole. */

/** Octets: a piece of less is copied behind others, since each that is kept costs some 300 besides. */
const SMALL = 1024;
const FIRST_BYTES = 1024;
const MOST_BYTES = 64 * 1024;

/** In about as much memory as they are octets, whatever size the pieces have: a body of a million single octets would be 250 MB. */
export class Gathered {
  private readonly kept: Uint8Array[] = [];
  /** Small pieces since the last that was kept. */
  private joined = new Uint8Array(0);
  private length = 0;
  /** Octets of all of it. */
  size = 0;

  push(piece: Uint8Array): void {
    this.size += piece.length;
    if (piece.length >= SMALL) {
      this.keepJoined();
      this.kept.push(piece);
      return;
    }
    this.grow(this.length + piece.length);
    this.joined.set(piece, this.length);
    this.length += piece.length;
  }

  private grow(needed: number): void {
    if (needed <= this.joined.length) return;
    if (needed > MOST_BYTES) {
      const over = needed - this.length;
      this.keepJoined();
      this.grow(over);
      return;
    }
    const grown = new Uint8Array(Math.max(FIRST_BYTES, 2 ** Math.ceil(Math.log2(needed))));
    grown.set(this.joined.subarray(0, this.length));
    this.joined = grown;
  }

  private keepJoined(): void {
    if (this.length === 0) return;
    this.kept.push(this.joined.slice(0, this.length));
    this.length = 0;
  }

  /** All of it, in one piece. */
  whole(): Buffer {
    this.keepJoined();
    return this.kept.length === 1
      ? asBuffer(this.kept[0] as Uint8Array)
      : Buffer.concat(this.kept, this.size);
  }
}

const asBuffer = (octets: Uint8Array): Buffer =>
  Buffer.isBuffer(octets) ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.length);
