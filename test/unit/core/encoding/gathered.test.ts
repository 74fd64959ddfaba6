import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Gathered } from '../../../../src/core/encoding/gathered.ts';

test('what was gathered is what came, whatever size its pieces have', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(3), fc.nat(1100), fc.constantFrom(1023, 1024, 65_536))),
      fc.nat(255),
      (sizes, seed) => {
        const gathered = new Gathered();
        const pieces = sizes.map((size, at) => Buffer.alloc(size, (seed + at) % 256));
        for (const piece of pieces) gathered.push(piece);
        const all = Buffer.concat(pieces);
        expect(gathered.size).toBe(all.length);
        expect(gathered.whole().equals(all)).toBe(true);
      },
    ),
  );
});

test('a small piece that its giver writes to again is what it was', () => {
  const gathered = new Gathered();
  const piece = Buffer.from('once');
  gathered.push(piece);
  piece.fill('x');
  expect(gathered.whole().toString()).toBe('once');
});
