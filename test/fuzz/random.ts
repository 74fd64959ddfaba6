/** A small generator (xorshift128) of numbers that one seed repeats. */
export class Random {
  private a: number;
  private b = 0x9e37_79b9;
  private c = 0x243f_6a88;
  private d = 0xb7e1_5162;

  constructor(seed: number) {
    this.a = seed | 0 || 1;
    for (let warm = 0; warm < 16; warm++) this.next();
  }

  /** An unsigned integer of 32 bits. */
  next(): number {
    let t = this.d;
    const s = this.a;
    this.d = this.c;
    this.c = this.b;
    this.b = s;
    t ^= t << 11;
    t ^= t >>> 8;
    this.a = t ^ s ^ (s >>> 19);
    return this.a >>> 0;
  }

  /** 0 … below - 1. */
  below(limit: number): number {
    return this.next() % limit;
  }

  /** True one time in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(from: readonly T[]): T {
    const one = from[this.below(from.length)];
    if (one === undefined && from.length === 0) throw new RangeError('nothing to pick from');
    return one as T;
  }
}
