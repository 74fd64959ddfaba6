/** Who a decision point is asked about: what one caller asks must not decide what becomes of others. */

/** Callers that a decision point remembers something of. */
export const MOST_CALLERS = 1024;

/** Agent ID; '' where the question is by nobody. */
export const callerOf = ({ caller }: Readonly<Record<string, unknown>>): string => {
  const { id } = (caller ?? {}) as { readonly id?: unknown };
  return typeof id === 'string' ? id : '';
};
