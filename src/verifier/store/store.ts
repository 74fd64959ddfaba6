/**
 * What the verifier keeps: a key-value store with revisions, and a ledger of events that only grows. The port is shaped
 * so that an embedded engine and a distributed one can both fill it: one atomic commit with preconditions, ordered reads by
 * prefix, a watch. Filled by `sqlite-store.ts`.
 */

export interface StoredValue {
  /** `kind/name`, see `records.ts`: 1–4096 printable ASCII characters. */
  readonly key: string;
  /** JSON. */
  readonly value: string;
  /** The commit that wrote it; grows with every commit of the store. */
  readonly revision: number;
}

/** A line of the ledger: canonical JSON with its hash, as the audit log's lines are (SPEC.md section 14). */
export interface StoredEvent {
  /** 1, 2, … without gap. */
  readonly seq: number;
  /** base64url SHA-256, 43 characters. */
  readonly hash: string;
  readonly line: string;
}

/** One atomic change: all of it or nothing, durable when the promise resolves. */
export interface Change {
  readonly put?: readonly { readonly key: string; readonly value: string }[];
  readonly remove?: readonly string[];
  /** Revision that each key must have; 0: it must not exist. Else {@link ConflictError}. */
  readonly expect?: readonly { readonly key: string; readonly revision: number }[];
  /** Makes the next events from the last one; called inside the transaction. */
  readonly events?: (last: StoredEvent | undefined) => readonly StoredEvent[];
}

/** Somebody else changed what this change rests on: read again. */
export class ConflictError extends Error {}

/** The store can't be opened, read or written: what, where, and what to do. Nothing has changed. */
export class StoreError extends Error {}

export interface Store {
  read(key: string): Promise<StoredValue | undefined>;
  /** In key order, from after `after`. */
  list(
    prefix: string,
    page?: { readonly after?: string; readonly limit?: number },
  ): Promise<readonly StoredValue[]>;
  count(prefix: string): Promise<number>;
  /** Resolves with the commit's revision when it is on disk. Throws {@link ConflictError} or {@link StoreError}: then nothing has changed. */
  commit(change: Change): Promise<number>;
  events(page: { readonly after: number; readonly limit: number }): Promise<readonly StoredEvent[]>;
  lastEvent(): Promise<StoredEvent | undefined>;
  /** Hears of every commit, in order, with the keys that it touched. Returns a stop. */
  watch(listener: (revision: number, keys: readonly string[]) => void): () => void;
  close(): Promise<void>;
}

/** A store that can be copied while it is in use. */
export interface CopyableStore extends Store {
  /**
   * Writes a copy into a directory, under the name by which it opens there: all of one moment, between the call and the end of it.
   * Throws {@link StoreError}.
   */
  copyInto(directory: string): Promise<void>;
}
