/** Reads and writes what a WebAssembly binary is made of (core specification 5). Throws for what is none. */

export class WasmFault extends Error {}

/** LEB128, as few octets as it takes. */
export const unsigned = (value: number): number[] => {
  const out: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    out.push(rest > 0 ? low + 128 : low);
  } while (rest > 0);
  return out;
};

export class WasmReader {
  readonly octets: Uint8Array;
  at: number;
  readonly end: number;

  constructor(octets: Uint8Array, at = 0, end = octets.length) {
    this.octets = octets;
    this.at = at;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }

  byte(): number {
    if (this.at >= this.end) throw new WasmFault('ends too early');
    return this.octets[this.at++] as number;
  }

  /** u32. */
  unsigned(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const octet = this.byte();
      value += (octet & 0x7f) * factor;
      if (value > 0xffff_ffff) throw new WasmFault('a number that is too large');
      if (octet < 0x80) return value;
    }
  }

  /** Passes a LEB128 number of any sign. */
  skipNumber(): void {
    while (this.byte() >= 0x80);
  }

  skip(count: number): void {
    if (count > this.end - this.at) throw new WasmFault('ends too early');
    this.at += count;
  }

  name(): string {
    const length = this.unsigned();
    const begin = this.at;
    this.skip(length);
    return Buffer.from(this.octets.subarray(begin, this.at)).toString('utf8');
  }

  /** What comes next, of a length that stands before it. */
  sized(): WasmReader {
    const length = this.unsigned();
    const begin = this.at;
    this.skip(length);
    return new WasmReader(this.octets, begin, this.at);
  }
}
