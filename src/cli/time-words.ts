/** Times as people say them. */

const UNITS = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
] as const;

/** `42 min`, `3 h`, `90 s`: one unit, rounded down, so that nobody is promised more than is left. */
export const describeDuration = (seconds: number): string => {
  for (const [size, unit] of UNITS) if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${seconds} s`;
};

/** `in 42 min`, `3 h ago`, `now`. */
export const describeMoment = (time: number, now: number): string =>
  time === now
    ? 'now'
    : time > now
      ? `in ${describeDuration(time - now)}`
      : `${describeDuration(now - time)} ago`;

/** `2026-11-20T15:04:05Z` */
export const formatTime = (time: number): string => new Date(time * 1000).toISOString().replace('.000Z', 'Z');

/** `expires in 42 min (2026-11-20T15:04:05Z)`, `expired 3 min ago (…)`. */
export const describeExpiry = (exp: number, now: number): string =>
  `${exp > now ? 'expires' : 'expired'} ${describeMoment(exp, now)} (${formatTime(exp)})`;

/** Now in whole seconds: the one clock of the commands. */
export const nowSeconds = (): number => Math.floor(Date.now() / 1000);
