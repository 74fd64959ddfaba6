/**
 * The store in one SQLite file: write-ahead log, every commit on disk before it is acknowledged, one process at a time.
 * SQLite works synchronously: a commit takes one fsync of the event loop's time.
 */
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import { backup, DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { verifyLedgerTail } from '../ledger.ts';
import { migrate } from './migrations.ts';
import {
  type Change,
  ConflictError,
  type CopyableStore,
  type StoredEvent,
  type StoredValue,
  StoreError,
} from './store.ts';

const FILE = 'verifier.db';
/** Commits that fill this many pages move from the write-ahead log into the file. */
const CHECKPOINT_PAGES = 1000;
/** So many lines are checked at every start; `hopgate verifier events --verify` checks all. */
const TAIL_LINES = 1000;
const NO_LIMIT = -1;
const KEY = /^[\x20-\x7e]{1,4096}$/;
/** Behind every key that begins with the prefix, as keys are printable ASCII. */
const BEHIND = '\x7f';

const BUSY = 5;
const CORRUPT = 11;
const FULL = 13;
const NOT_A_DATABASE = 26;

type Row = Record<string, SQLOutputValue>;
type Listener = (revision: number, keys: readonly string[]) => void;

const storedOf = (row: Row): StoredValue => ({
  key: row.key as string,
  value: row.value as string,
  revision: row.revision as number,
});
const eventOf = (row: Row): StoredEvent => ({
  seq: row.seq as number,
  hash: row.hash as string,
  line: row.line as string,
});

/** What SQLite says, with what to do about it; anything else as it is. */
const explain = (error: unknown, file: string): unknown => {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code !== 'ERR_SQLITE_ERROR') return error;
  const { errcode = 0 } = error as Error & { readonly errcode?: number };
  const say = (message: string): StoreError => new StoreError(`${file}: ${message}`, { cause: error });
  switch (errcode & 0xff) {
    case BUSY:
      return say('another verifier is running on this directory; stop it, or name another directory');
    case FULL:
      return say('the disk is full; nothing was changed');
    case CORRUPT:
    case NOT_A_DATABASE:
      return say(
        'is damaged; restore a backup of the directory, then begin a new epoch: "hopgate verifier root epoch"',
      );
    default:
      return say(`${error.message} (SQLite ${errcode}); nothing was changed`);
  }
};

const STATEMENTS = {
  read: 'SELECT key, value, revision FROM records WHERE key = ?',
  // Two forms, each with one lower bound: with two, SQLite reads from the lower one.
  list: 'SELECT key, value, revision FROM records WHERE key >= ? AND key < ? ORDER BY key LIMIT ?',
  listAfter: 'SELECT key, value, revision FROM records WHERE key > ? AND key < ? ORDER BY key LIMIT ?',
  count: 'SELECT count(*) AS n FROM records WHERE key >= ? AND key < ?',
  put: 'INSERT INTO records (key, value, revision) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision',
  remove: 'DELETE FROM records WHERE key = ?',
  append: 'INSERT INTO ledger (seq, hash, line) VALUES (?, ?, ?)',
  events: 'SELECT seq, hash, line FROM ledger WHERE seq > ? ORDER BY seq LIMIT ?',
  last: 'SELECT seq, hash, line FROM ledger ORDER BY seq DESC LIMIT 1',
  revision: 'SELECT revision FROM head',
  advance: 'UPDATE head SET revision = ?',
} as const;
type Statements = Readonly<Record<keyof typeof STATEMENTS, StatementSync>>;

export interface SqliteStoreOptions {
  /** Hears what a watcher throws: its commit has happened, and others must hear of it too. */
  readonly onWatcherFault: (error: unknown) => void;
}

export class SqliteStore implements CopyableStore {
  readonly file: string;
  private readonly db: DatabaseSync;
  private readonly statements: Statements;
  private readonly options: SqliteStoreOptions;
  private readonly listeners = new Set<Listener>();
  private readonly unheard: { readonly revision: number; readonly keys: readonly string[] }[] = [];
  private telling = false;

  private constructor(file: string, db: DatabaseSync, options: SqliteStoreOptions) {
    this.file = file;
    this.db = db;
    this.options = options;
    this.statements = Object.fromEntries(
      Object.entries(STATEMENTS).map(([name, sql]) => [name, db.prepare(sql)]),
    ) as unknown as Statements;
  }

  /** Opens the store of a directory, which is made if need be. Throws {@link StoreError}. */
  static open(directory: string, options: SqliteStoreOptions): SqliteStore {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const file = path.join(directory, FILE);
    // SQLite gives its other files the mode of this one.
    closeSync(openSync(file, 'a', 0o600));
    // Of one that came back from a backup too, which may have come back with another.
    chmodSync(file, 0o600);
    let db: DatabaseSync | undefined;
    try {
      db = new DatabaseSync(file, { timeout: 1000, enableForeignKeyConstraints: false });
      // The lock is held until the end, and goes with the process, however that ends.
      db.exec(
        `PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON`,
      );
      db.exec('BEGIN EXCLUSIVE; COMMIT');
      migrate(db, file);
      const store = new SqliteStore(file, db, options);
      store.checkIntegrity();
      return store;
    } catch (error) {
      db?.close();
      throw explain(error, file);
    }
  }

  /** The records wholly; of the ledger, which only grows, the end. */
  private checkIntegrity(): void {
    for (const table of ['records', 'head']) {
      const [first] = this.db.prepare(`PRAGMA quick_check(${table})`).all();
      const verdict = Object.values(first ?? {})[0];
      if (verdict !== 'ok')
        throw new StoreError(
          `${this.file}: is damaged (${String(verdict)}); restore a backup of the directory, then begin a new epoch: "hopgate verifier root epoch"`,
        );
    }
    const last = this.statements.last.get();
    if (last === undefined) return;
    const from = Math.max(0, (last.seq as number) - TAIL_LINES);
    const fault = verifyLedgerTail(this.statements.events.all(from, TAIL_LINES).map(eventOf), from);
    if (fault !== undefined)
      throw new StoreError(
        `${this.file}: the ledger was changed: ${fault.detail}; restore a backup of the directory and find out who could write here`,
      );
  }

  private guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explain(error, this.file);
    }
  }

  async read(key: string): Promise<StoredValue | undefined> {
    const row = this.guarded(() => this.statements.read.get(key));
    return row === undefined ? undefined : storedOf(row);
  }

  async list(
    prefix: string,
    { after = '', limit = NO_LIMIT }: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly StoredValue[]> {
    const { list, listAfter } = this.statements;
    const [statement, from] = after >= prefix && after !== '' ? [listAfter, after] : [list, prefix];
    return this.guarded(() => statement.all(from, prefix + BEHIND, limit).map(storedOf));
  }

  async count(prefix: string): Promise<number> {
    return this.guarded(() => this.statements.count.get(prefix, prefix + BEHIND)?.n as number);
  }

  async events({
    after,
    limit,
  }: {
    readonly after: number;
    readonly limit: number;
  }): Promise<readonly StoredEvent[]> {
    return this.guarded(() => this.statements.events.all(after, limit).map(eventOf));
  }

  async lastEvent(): Promise<StoredEvent | undefined> {
    const row = this.guarded(() => this.statements.last.get());
    return row === undefined ? undefined : eventOf(row);
  }

  async commit(change: Change): Promise<number> {
    const keys = [...(change.put ?? []).map(({ key }) => key), ...(change.remove ?? [])];
    for (const key of keys)
      if (!KEY.test(key)) throw new TypeError('a key is 1–4096 printable ASCII characters');
    const revision = this.guarded(() => this.write(change));
    this.unheard.push({ revision, keys });
    this.tell();
    return revision;
  }

  private write(change: Change): number {
    this.db.exec('BEGIN IMMEDIATE');
    try {
      const revision = this.writeWithin(change);
      this.db.exec('COMMIT');
      return revision;
    } catch (error) {
      // SQLite has undone it already where the disk failed.
      if (this.db.isTransaction) this.db.exec('ROLLBACK');
      throw error;
    }
  }

  private writeWithin(change: Change): number {
    const { read, put, remove, append, advance } = this.statements;
    for (const { key, revision } of change.expect ?? []) {
      const found = (read.get(key)?.revision as number | undefined) ?? 0;
      if (found !== revision)
        throw new ConflictError(`${key} has revision ${found}, not ${revision}: read it again`);
    }
    const revision = (this.statements.revision.get()?.revision as number) + 1;
    advance.run(revision);
    for (const { key, value } of change.put ?? []) put.run(key, value, revision);
    for (const key of change.remove ?? []) remove.run(key);
    const last = this.statements.last.get();
    for (const { seq, hash, line } of change.events?.(last === undefined ? undefined : eventOf(last)) ?? [])
      append.run(seq, hash, line);
    return revision;
  }

  watch(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  /** A watcher may commit: what it did is told after what it heard of. */
  private tell(): void {
    if (this.telling) return;
    this.telling = true;
    for (let next = this.unheard.shift(); next !== undefined; next = this.unheard.shift()) {
      for (const listener of [...this.listeners]) {
        try {
          listener(next.revision, next.keys);
        } catch (error) {
          this.options.onWatcherFault(error);
        }
      }
    }
    this.telling = false;
  }

  async copyInto(directory: string): Promise<void> {
    const file = path.join(directory, FILE);
    closeSync(openSync(file, 'wx', 0o600));
    try {
      // In steps beside the event loop; what is committed between two of them goes into both files.
      await backup(this.db, file);
    } catch (error) {
      throw explain(error, file);
    }
  }

  async close(): Promise<void> {
    this.listeners.clear();
    if (this.db.isOpen) this.db.close();
  }
}
