/** How much a quarantine holds. Nothing that is kept makes room for something else: who could push out what others sent could hide it. */
import type { AgentId } from '../../core/spiffe-id.ts';
import { type Denial, deny } from '../../core/verdict.ts';
import type { KeptFile } from './quarantine-files.ts';

export interface QuarantineLimits {
  readonly retentionSeconds: number;
  /** Octets of the files. */
  readonly maxBytes: number;
  readonly maxItems: number;
  /** The same of one caller, so that none can fill it up for the others. */
  readonly maxBytesPerCaller: number;
  readonly maxItemsPerCaller: number;
}

/** Why a file of so many octets has no place beside the others. Refuses with `quarantine_unavailable`. */
export const noRoomFor = (
  octets: number,
  caller: AgentId,
  others: readonly KeptFile[],
  { maxItems, maxBytes, maxItemsPerCaller, maxBytesPerCaller }: QuarantineLimits,
): Denial | undefined => {
  const own = others.filter(({ label }) => label?.caller === caller);
  const sum = (files: readonly KeptFile[]): number =>
    files.reduce((total, one) => total + one.octets, octets);
  if (others.length >= maxItems || sum(others) > maxBytes)
    return deny('quarantine_unavailable', 'the quarantine is full');
  if (own.length >= maxItemsPerCaller || sum(own) > maxBytesPerCaller)
    return deny('quarantine_unavailable', 'this caller has as much in quarantine as one may');
  return undefined;
};
