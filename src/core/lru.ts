/** Bounds of caches that few fill. */

const one = (): number => 1;

/**
 * Options for an `LRUCache` of at most so many entries that takes memory as it fills. With `max`, lru-cache lays out every entry when
 * it is made: 65,536 of them are 2 MiB and 11 ms of a start, whoever comes. For caches of a thousand or so `max` is as good.
 */
export const upTo = (most: number): { readonly maxSize: number; readonly sizeCalculation: () => number } => ({
  maxSize: most,
  sizeCalculation: one,
});
