/** Single headers out of a list of name, value, name, value …. */

/** The values of a header, in any case and with `_` for `-`; more than one where a sender repeats it. */
export const headerValues = (list: readonly string[], name: string): readonly string[] => {
  const values: string[] = [];
  for (let at = 0; at < list.length; at += 2)
    if ((list[at] ?? '').toLowerCase().replaceAll('_', '-') === name) values.push(list[at + 1] ?? '');
  return values;
};
