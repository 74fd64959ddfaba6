/** Names as readers see them that don't heed case. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant.
const ASCII = /^[\x00-\x7f]*$/;

/**
 * Two names whose simple case foldings are equal (Unicode CaseFolding.txt, statuses C and S) have equal results: `ſ` is `s`
 * and the Kelvin sign `k`. Some more have, such as `ß` and `ss`: a name is rather refused than missed.
 */
export const caseFold = (name: string): string =>
  ASCII.test(name)
    ? name.toLowerCase()
    : // One by one, since a sigma at the end of a word has a lower case of its own.
      Array.from(name, (one) => one.toLowerCase().toUpperCase().toLowerCase()).join('');
