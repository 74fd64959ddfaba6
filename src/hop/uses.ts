/** Uses of `max_uses` caveats, counted last of all: each costs a write (SPEC.md section 13). */
import { CLOCK_SKEW_SECONDS } from '../core/limits.ts';
import { type Denial, deny } from '../core/verdict.ts';
import type { UseCounter } from '../ports.ts';
import type { Permit } from './permit.ts';

/** Whether a permit has to be counted before it is used. */
export const countsUses = ({ delegated }: Permit): boolean =>
  delegated.chain.leaf.caveats.some(({ type }) => type === 'max_uses');

/** Takes one use of every `max_uses` caveat, durably. Refuses with `caveat_max_uses`. */
export const takeUses = async ({ delegated }: Permit, counter: UseCounter): Promise<Denial | undefined> => {
  const { links, leaf } = delegated.chain;
  for (const [index, caveat] of leaf.caveats.entries()) {
    if (caveat.type !== 'max_uses') continue;
    // The link that brought the caveat in is the one that is counted: children share its uses.
    const source = links.find((link) => link.caveats.length > index) ?? leaf;
    if (!(await counter.take(source.id, index, caveat.uses, source.exp + CLOCK_SKEW_SECONDS)))
      return deny('caveat_max_uses', `all ${caveat.uses} uses are used up`);
  }
  return undefined;
};
