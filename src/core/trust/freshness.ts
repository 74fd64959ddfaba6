/** How old trust may be (SPEC.md sections 9 and 13). */
import { CLOCK_SKEW_SECONDS } from '../limits.ts';
import { type Denial, deny } from '../verdict.ts';

/** `freshAt`: when the verifier last said that this is its newest. All in seconds. Refuses with `bundle_stale`. */
export const checkAge = (freshAt: number, allowed: number, now: number): Denial | undefined => {
  // Our clock was set back: what is new is from the future by it and refused, and what is in force would never grow old.
  if (freshAt > now + CLOCK_SKEW_SECONDS)
    return deny('bundle_stale', `the verifier was heard at ${freshAt}, it is ${now}; compare both clocks`);
  if (now - freshAt > allowed)
    return deny(
      'bundle_stale',
      `nothing was heard of the verifier since ${freshAt}, it is ${now}; allowed are ${allowed} s`,
    );
  return undefined;
};
