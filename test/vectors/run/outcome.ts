/** What a run of one vector yields, in the form of `expect`. */
import type { Verdict } from '../../../src/core/verdict.ts';

export type Outcome = Readonly<Record<string, unknown>> & { readonly reason: string };

/** The reason of a verdict, or `ok` with what `further` makes of its value. */
export const outcomeOf = <T>(
  verdict: Verdict<T>,
  further: (value: T) => Readonly<Record<string, unknown>> = () => ({}),
): Outcome => (verdict.ok ? { reason: 'ok', ...further(verdict.value) } : { reason: verdict.reason });

/** For what the vectors themselves must hold; a fault here is one of the generator. */
export const must = <T>(verdict: Verdict<T>): T => {
  if (!verdict.ok) throw new Error(`the vector is unsound: ${verdict.reason}: ${verdict.detail}`);
  return verdict.value;
};
