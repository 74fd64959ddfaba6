/** The store's port in memory, for unit tests: the same contract as the embedded engine's, and nothing on disk. */
import {
  type Change,
  ConflictError,
  type Store,
  type StoredEvent,
  type StoredValue,
  StoreError,
} from '../../src/verifier/store/store.ts';

const KEY = /^[\x20-\x7e]{1,4096}$/;

type Listener = (revision: number, keys: readonly string[]) => void;

export class MemoryStore implements Store {
  private readonly values = new Map<string, StoredValue>();
  private readonly ledger: StoredEvent[] = [];
  private readonly listeners = new Set<Listener>();
  private readonly unheard: { readonly revision: number; readonly keys: readonly string[] }[] = [];
  private readonly onWatcherFault: (error: unknown) => void;
  private telling = false;
  private revision = 0;

  constructor(
    onWatcherFault = (error: unknown): void => {
      throw error;
    },
  ) {
    this.onWatcherFault = onWatcherFault;
  }

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
    const keys = [...put.map(({ key }) => key), ...remove];
    if (!keys.every((key) => KEY.test(key)))
      throw new TypeError('a key is 1–4096 printable ASCII characters');
    for (const { key, revision } of expect) {
      if ((this.values.get(key)?.revision ?? 0) !== revision) throw new ConflictError(`${key} has changed`);
    }
    const lines = events?.(this.ledger.at(-1)) ?? [];
    if (lines.some(({ seq }, index) => seq !== this.ledger.length + index + 1))
      throw new StoreError('the ledger has this number already');
    this.revision++;
    for (const { key, value } of put) this.values.set(key, { key, value, revision: this.revision });
    for (const key of remove) this.values.delete(key);
    this.ledger.push(...lines);
    const { revision } = this;
    this.unheard.push({ revision, keys });
    this.tell();
    return revision;
  }

  private tell(): void {
    if (this.telling) return;
    this.telling = true;
    for (let next = this.unheard.shift(); next !== undefined; next = this.unheard.shift())
      for (const listener of [...this.listeners])
        try {
          listener(next.revision, next.keys);
        } catch (error) {
          this.onWatcherFault(error);
        }
    this.telling = false;
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
