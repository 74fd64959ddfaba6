/** Forms that endpoints of several subjects share. */
import { z } from 'zod';

/** An endpoint without parameters in its path, or without a query. */
export const none = z.strictObject({});
/** An endpoint without a body. */
export const noBody = z.undefined();

/** In the words of who changes something; goes into the ledger. */
export const why = z.string().trim().min(1).max(500).describe('Why, in your words; it goes into the ledger.');

/** A whole number in a query: there it arrives as text. */
export const queryInteger = (least: number, most: number) =>
  z
    .union([
      z.int(),
      z
        .string()
        .regex(/^(?:0|[1-9][0-9]{0,15})$/, 'a whole number')
        .transform(Number),
    ])
    .pipe(z.int().min(least).max(most));

/** Part of a long list: entries after the one named, in order. */
export const page = z.strictObject({
  after: z.string().min(1).max(2048).optional().describe('Name of the last entry that is known.'),
  limit: queryInteger(1, 1000).default(100).describe('The most that is answered.'),
});
