/** Trust that can't be read or believed: what, where, and why. */
export class TrustError extends Error {}
