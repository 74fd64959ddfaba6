/** What is wrong with a policy whose every value has its form, and where: said once, for the reader of bundles and for people. */

/** Members and places, from the policy (or from the part that is named) down. */
export type FaultPath = readonly (string | number)[];

export interface PolicyFault {
  readonly path: FaultPath;
  /** A sentence that goes on from the name of the part. */
  readonly message: string;
  /** In the text of a condition: how many characters stand before the fault. */
  readonly offset?: number;
  /** A name that nothing has, and the names that there are. */
  readonly unknown?: { readonly name: string; readonly known: Iterable<string> };
}

export const within = function* (path: FaultPath, faults: Iterable<PolicyFault>): Iterable<PolicyFault> {
  for (const fault of faults) yield { ...fault, path: [...path, ...fault.path] };
};

export const firstOf = <T>(found: Iterable<T>): T | undefined => {
  for (const one of found) return one;
  return undefined;
};

/** Two of one name; those that `others` have are taken. */
export const twiceFaults = function* (
  list: readonly { readonly name: string }[],
  what: string,
  others: readonly { readonly name: string }[] = [],
): Iterable<PolicyFault> {
  const names = new Set(others.map(({ name }) => name));
  for (const [index, { name }] of list.entries()) {
    if (names.has(name)) yield { path: [index, 'name'], message: `${what} "${name}" is defined twice` };
    names.add(name);
  }
};

/** Names of a selector that nothing has: it would never match, and a deny with it would deny nothing. */
export const unknownFaults = function* (
  named: readonly string[] | undefined,
  known: { has(name: string): boolean } & { keys(): Iterable<string> },
  message: (name: string) => string,
): Iterable<PolicyFault> {
  for (const [at, name] of (named ?? []).entries())
    if (!known.has(name))
      yield { path: [at], message: message(name), unknown: { name, known: known.keys() } };
};
