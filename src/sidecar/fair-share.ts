/** What there is little of is for everybody: nobody has more than a share, and the last of it is for those who have little. */
export interface Shares {
  readonly total: number;
  readonly ofOne: number;
}

/** From here on, of all there is, only those get more who have little. */
const OPEN_PART = 3 / 4;
/** Little: this part of what one may have. */
const LITTLE_PART = 1 / 16;

/**
 * Whether somebody who has `mine` may have `more`, when all together have `taken`. `own`: it has its share. `all`: there is no more,
 * or only for those who have less.
 */
export const mayTake = (
  { total, ofOne }: Shares,
  mine: number,
  taken: number,
  more = 1,
): 'yes' | 'own' | 'all' => {
  if (mine + more > ofOne) return 'own';
  if (taken + more > total) return 'all';
  const isLittle = mine + more <= Math.max(1, ofOne * LITTLE_PART);
  return taken + more <= total * OPEN_PART || isLittle ? 'yes' : 'all';
};
