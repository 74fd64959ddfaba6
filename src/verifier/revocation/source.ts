/** Revocations for the bundle: those that still end something. */
import type { RevocationEntry } from '../publication/entries.ts';
import type { Source } from '../publication/sources.ts';
import type { Records } from '../records.ts';
import { REVOCATION } from './revocation-records.ts';

const PREFIX = `${REVOCATION.prefix}/`;

interface Live {
  readonly entry: RevocationEntry;
  readonly until: number | null;
}

/**
 * Kept in memory, and of the store only what has changed is read again: a bundle with ten thousand revocations is made
 * anew with each one more.
 */
export const revocationSource = (records: Records): Source<readonly RevocationEntry[]> => {
  const live = new Map<string, Live>();
  const stale = new Set<string>();
  let isLoaded = false;
  records.store.watch((_revision, keys) => {
    for (const key of keys) if (key.startsWith(PREFIX)) stale.add(key.slice(PREFIX.length));
  });
  const load = async (): Promise<void> => {
    stale.clear();
    for (const { name, value } of await records.list(REVOCATION))
      live.set(name, { entry: value.revoked as RevocationEntry, until: value.until });
    isLoaded = true;
  };
  const refresh = async (name: string): Promise<void> => {
    // First: what changes while it is read is read once more.
    stale.delete(name);
    try {
      const found = await records.get(REVOCATION, name);
      if (found === undefined) live.delete(name);
      else live.set(name, { entry: found.value.revoked as RevocationEntry, until: found.value.until });
    } catch (error) {
      stale.add(name);
      throw error;
    }
  };
  return {
    kinds: [REVOCATION.prefix],
    read: async (now) => {
      if (!isLoaded) await load();
      for (const name of [...stale]) await refresh(name);
      for (const [name, { until }] of live) if (until !== null && until <= now) live.delete(name);
      return [...live.values()].map(({ entry }) => entry);
    },
  };
};
