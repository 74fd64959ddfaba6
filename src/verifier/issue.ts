export type { BundleOptions } from './local/bundle.ts';
export { issueBundle } from './local/bundle.ts';
export type { AnchorEntry, RevocationEntry } from './publication/entries.ts';
