/** Revocations for the bundle: those that still end something. */
import type { RevocationEntry } from '../publication/entries.ts';
import type { Source } from '../publication/sources.ts';
import type { Records } from '../records.ts';
import { REVOCATION } from './revocation-records.ts';

export const revocationSource = (records: Records): Source<readonly RevocationEntry[]> => ({
  kinds: [REVOCATION.prefix],
  read: async (now) => {
    const all = await records.list(REVOCATION);
    return all
      .filter(({ value: { until } }) => until === null || now < until)
      .map(({ value }) => value.revoked as RevocationEntry);
  },
});
