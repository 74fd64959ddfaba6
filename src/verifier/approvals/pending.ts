/** How many approvals wait for somebody: kept in memory, and of the store only what has changed is read again. */
import type { Records } from '../records.ts';
import { APPROVAL } from './approval-records.ts';

const PREFIX = `${APPROVAL.prefix}/`;
const PAGE = 1000;
/** Changes to remember while nobody asks; with more, all is read anew. */
const MAX_STALE = 10_000;

export class PendingApprovals {
  private readonly records: Records;
  /** When each ends, in seconds. */
  private readonly ends = new Map<string, number>();
  private readonly stale = new Set<string>();
  /** From the first question on. */
  private isFollowing = false;

  constructor(records: Records, mostStale = MAX_STALE) {
    this.records = records;
    records.store.watch((_revision, keys) => {
      if (!this.isFollowing) return;
      for (const key of keys) if (key.startsWith(PREFIX)) this.stale.add(key.slice(PREFIX.length));
      if (this.stale.size > mostStale) this.forget();
    });
  }

  async count(now: number): Promise<number> {
    if (!this.isFollowing)
      await this.load().catch((error: unknown) => {
        this.forget();
        throw error;
      });
    for (const name of [...this.stale]) await this.refresh(name);
    let waiting = 0;
    for (const [name, ends] of this.ends) {
      if (ends > now) waiting++;
      else this.ends.delete(name);
    }
    return waiting;
  }

  private forget(): void {
    this.isFollowing = false;
    this.ends.clear();
    this.stale.clear();
  }

  private async load(): Promise<void> {
    this.ends.clear();
    // Before anything is read: what changes meanwhile is read once more.
    this.isFollowing = true;
    let after: string | undefined;
    for (;;) {
      const page = await this.records.list(APPROVAL, { limit: PAGE, ...(after !== undefined && { after }) });
      for (const { name, value } of page) if (value.state === 'pending') this.ends.set(name, value.ends);
      if (page.length < PAGE) return;
      after = page.at(-1)?.name;
    }
  }

  private async refresh(name: string): Promise<void> {
    // First: what changes while it is read is read once more.
    this.stale.delete(name);
    try {
      const found = await this.records.get(APPROVAL, name);
      if (found?.value.state === 'pending') this.ends.set(name, found.value.ends);
      else this.ends.delete(name);
    } catch (error) {
      this.stale.add(name);
      throw error;
    }
  }
}
