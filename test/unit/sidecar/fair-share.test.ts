/** Who may have more of what there is little of. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mayTake } from '../../../src/sidecar/fair-share.ts';

const SHARES = { total: 400, ofOne: 64 };

test('one has its share and no more, and all together have what there is', () => {
  expect([mayTake(SHARES, 63, 63), mayTake(SHARES, 64, 64)]).toEqual(['yes', 'own']);
  expect([mayTake(SHARES, 0, 399), mayTake(SHARES, 0, 400)]).toEqual(['yes', 'all']);
});

test('the last quarter is for those who have little', () => {
  expect([mayTake(SHARES, 10, 299), mayTake(SHARES, 10, 300)]).toEqual(['yes', 'all']);
  expect([mayTake(SHARES, 3, 300), mayTake(SHARES, 4, 300)]).toEqual(['yes', 'all']);
});

test('where a share is small, one is little', () => {
  expect(mayTake({ total: 4, ofOne: 2 }, 0, 3)).toBe('yes');
  expect(mayTake({ total: 4, ofOne: 2 }, 1, 3)).toBe('all');
});

test('whatever a crowd takes, in whatever order, a newcomer finds a place as long as few of the crowd are many', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 2000 }), (wishes) => {
      const mine = new Map<number, number>();
      let taken = 0;
      for (const who of wishes) {
        const has = mine.get(who) ?? 0;
        if (mayTake(SHARES, has, taken) !== 'yes') continue;
        mine.set(who, has + 1);
        taken++;
      }
      expect(mayTake(SHARES, 0, taken)).toBe('yes');
    }),
  );
});
