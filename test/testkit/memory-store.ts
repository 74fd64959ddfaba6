/** The store's port in memory, for unit tests: the same contract as the embedded engine's, and nothing on disk. */
import {
  type Change,
  ConflictError,
  type Store,
  type StoredEvent,
  type StoredValue,
} from '../../src/verifier/store/store.ts';

type Listener = (revision: number, keys: readonly string[]) => void;

export class MemoryStore implements Store {
  private readonly values = new Map<string, StoredValue>();
  private readonly ledger: StoredEvent[] = [];
  private readonly listeners = new Set<Listener>();
  private revision = 0;

  async read(key: string): Promise<StoredValue | undefined> {
    return this.values.get(key);
  }

  async list(
    prefix: string,
    { after, limit }: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly StoredValue[]> {
    const found = [...this.values.values()]
      .filter(({ key }) => key.startsWith(prefix) && (after === undefined || octetsBefore(after, key)))
      .sort((one, other) => (octetsBefore(one.key, other.key) ? -1 : 1));
    return limit === undefined ? found : found.slice(0, limit);
  }

  async count(prefix: string): Promise<number> {
    return [...this.values.keys()].filter((key) => key.startsWith(prefix)).length;
  }

  async commit({ put = [], remove = [], expect = [], events }: Change): Promise<number> {
    for (const { key, revision } of expect) {
      if ((this.values.get(key)?.revision ?? 0) !== revision) throw new ConflictError(`${key} has changed`);
    }
    const lines = events?.(this.ledger.at(-1)) ?? [];
    this.revision++;
    for (const { key, value } of put) this.values.set(key, { key, value, revision: this.revision });
    for (const key of remove) this.values.delete(key);
    this.ledger.push(...lines);
    const keys = [...put.map(({ key }) => key), ...remove];
    for (const listener of this.listeners) listener(this.revision, keys);
    return this.revision;
  }

  async events({
    after,
    limit,
  }: {
    readonly after: number;
    readonly limit: number;
  }): Promise<readonly StoredEvent[]> {
    return this.ledger.filter(({ seq }) => seq > after).slice(0, limit);
  }

  async lastEvent(): Promise<StoredEvent | undefined> {
    return this.ledger.at(-1);
  }

  watch(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.listeners.clear();
  }
}

const octetsBefore = (one: string, other: string): boolean =>
  Buffer.compare(Buffer.from(one), Buffer.from(other)) < 0;
