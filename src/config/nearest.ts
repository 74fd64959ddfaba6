/** The known key that someone probably meant. */

const plain = (text: string): string => text.toLowerCase().replace(/[_-]/g, '');

/** Insertions, deletions, exchanges of a character, and swaps of two neighbours (optimal string alignment). */
const distance = (from: string, to: string): number => {
  let before: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const now = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let least = Math.min(
        (last[column] ?? 0) + 1,
        (now[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      );
      if (from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1])
        least = Math.min(least, (before[column - 2] ?? 0) + 1);
      now.push(least);
    }
    before = last;
    last = now;
  }
  return last[to.length] ?? 0;
};

/** The nearest of the known names, if it is so near that a slip is likely: a third of its letters at most. */
export const nearest = (given: string, known: readonly string[]): string | undefined => {
  if (given.length > 64) return undefined;
  const text = plain(given);
  let best: { readonly name: string; readonly steps: number } | undefined;
  for (const name of known) {
    const steps = distance(text, plain(name));
    if (
      steps <= Math.ceil(name.length / 3) &&
      steps < text.length &&
      (best === undefined || steps < best.steps)
    )
      best = { name, steps };
  }
  return best?.name;
};
