/** The embedded store on real files: conflicts, atomicity, order, and what it says of files that it can't open. */
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SYSTEM } from '../../../../src/verifier/actor.ts';
import { verifyLedger } from '../../../../src/verifier/ledger.ts';
import { Edit, kind, Records } from '../../../../src/verifier/records.ts';
import { SCHEMA_VERSION } from '../../../../src/verifier/store/migrations.ts';
import { SqliteStore } from '../../../../src/verifier/store/sqlite-store.ts';
import { ConflictError, type StoredEvent, StoreError } from '../../../../src/verifier/store/store.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

let directory: string;
let faults: unknown[];
const opened: SqliteStore[] = [];

const open = (): SqliteStore => {
  const store = SqliteStore.open(directory, { onWatcherFault: (error) => faults.push(error) });
  opened.push(store);
  return store;
};
const file = (): string => path.join(directory, 'verifier.db');

beforeEach(() => {
  directory = path.join(mkdtempSync(path.join(tmpdir(), 'hopgate-store-')), 'verifier');
  faults = [];
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  rmSync(path.dirname(directory), { recursive: true, force: true });
});

const put = (key: string, value = '1') => ({ put: [{ key, value }] });

describe('records', () => {
  it('keeps what was committed, with the revision that wrote it', async () => {
    const store = open();
    expect(await store.commit(put('a/1', '"one"'))).toBe(1);
    expect(await store.commit(put('a/2', '"two"'))).toBe(2);
    expect(await store.commit(put('a/1', '"three"'))).toBe(3);
    await store.close();
    const again = open();
    expect(await again.read('a/1')).toEqual({ key: 'a/1', value: '"three"', revision: 3 });
    expect(await again.read('a/2')).toEqual({ key: 'a/2', value: '"two"', revision: 2 });
    expect(await again.read('a/3')).toBeUndefined();
    expect(await again.commit({ remove: ['a/1'] })).toBe(4);
    expect(await again.read('a/1')).toBeUndefined();
  });

  it('lists a prefix in order, page by page, and nothing beside it', async () => {
    const store = open();
    const keys = ['a/1', 'a/10', 'a/2', 'a/~', 'a0', 'aa/1', 'a', 'b/1', 'A/1'];
    await store.commit({ put: keys.map((key) => ({ key, value: '1' })) });
    const names = async (...args: Parameters<SqliteStore['list']>) =>
      (await store.list(...args)).map(({ key }) => key);
    expect(await names('a/')).toEqual(['a/1', 'a/10', 'a/2', 'a/~']);
    expect(await names('a/', { limit: 2 })).toEqual(['a/1', 'a/10']);
    expect(await names('a/', { after: 'a/10', limit: 2 })).toEqual(['a/2', 'a/~']);
    expect(await names('a/', { after: 'a/~' })).toEqual([]);
    expect(await names('b/', { after: 'a/1' })).toEqual(['b/1']);
    expect(await names('')).toEqual([...keys].sort());
    expect(await store.count('a/')).toBe(4);
    expect(await store.count('c/')).toBe(0);
  });

  it('reads a prefix as one stretch of the index', async () => {
    await open().close();
    opened.length = 0;
    const db = new DatabaseSync(file());
    for (const bound of ['key >= ?', 'key > ?']) {
      const plan = db
        .prepare(`EXPLAIN QUERY PLAN SELECT key FROM records WHERE ${bound} AND key < ? ORDER BY key LIMIT ?`)
        .all('a', 'b', 1);
      expect(JSON.stringify(plan)).toContain('SEARCH records USING PRIMARY KEY');
      expect(JSON.stringify(plan)).not.toContain('TEMP B-TREE');
    }
    db.close();
  });

  it('takes printable ASCII keys only, since others could escape a prefix', async () => {
    const store = open();
    for (const key of ['', 'a/ä', 'a/\u{10ffff}', 'a/\n', 'a/\x7f', 'x'.repeat(4097)])
      await expect(store.commit(put(key)), JSON.stringify(key)).rejects.toThrow(TypeError);
    expect(await store.list('')).toEqual([]);
  });
});

describe('a change that does not fit', () => {
  it('is a conflict when a revision is another one', async () => {
    const store = open();
    await store.commit(put('a'));
    const wrong = [
      { key: 'a', revision: 0 },
      { key: 'a', revision: 2 },
      { key: 'b', revision: 1 },
    ];
    for (const one of wrong)
      await expect(store.commit({ ...put('a', '2'), expect: [one] })).rejects.toThrow(ConflictError);
    expect(await store.read('a')).toEqual({ key: 'a', value: '1', revision: 1 });
    await store.commit({
      ...put('b'),
      expect: [
        { key: 'a', revision: 1 },
        { key: 'b', revision: 0 },
      ],
    });
    // A failed commit takes no revision.
    expect((await store.read('b'))?.revision).toBe(2);
  });

  it('changes nothing at all, whichever part of it fails', async () => {
    const store = open();
    const event: StoredEvent = { seq: 1, hash: 'h', line: '{}' };
    await store.commit({ ...put('kept'), events: () => [event] });
    const heard: number[] = [];
    store.watch((revision) => heard.push(revision));
    const parts = {
      put: [{ key: 'new', value: '1' }],
      remove: ['kept'],
    };
    await expect(
      store.commit({
        ...parts,
        events: () => {
          throw new Error('no event');
        },
      }),
    ).rejects.toThrow('no event');
    // The ledger has this number already.
    await expect(store.commit({ ...parts, events: () => [event] })).rejects.toThrow(StoreError);
    expect(await store.read('new')).toBeUndefined();
    expect(await store.read('kept')).toBeDefined();
    expect(await store.events({ after: 0, limit: 10 })).toEqual([event]);
    expect(heard).toEqual([]);
    expect(await store.commit(put('next'))).toBe(2);
  });
});

describe('watching', () => {
  it('hears of every commit in order, and of one made by a watcher after the one that it heard of', async () => {
    const store = open();
    const heard: string[] = [];
    const inner: Promise<number>[] = [];
    store.watch((revision, keys) => {
      heard.push(`first ${revision} ${keys}`);
      if (keys.includes('a')) inner.push(store.commit({ ...put('b'), remove: ['gone'] }));
    });
    const stop = store.watch((revision, keys) => heard.push(`second ${revision} ${keys}`));
    await store.commit(put('a'));
    await Promise.all(inner);
    stop();
    await store.commit(put('c'));
    expect(heard).toEqual(['first 1 a', 'second 1 a', 'first 2 b,gone', 'second 2 b,gone', 'first 3 c']);
  });

  it('goes on when a watcher fails: the commit has happened', async () => {
    const store = open();
    const heard: number[] = [];
    store.watch(() => {
      throw new Error('a bug');
    });
    store.watch((revision) => heard.push(revision));
    expect(await store.commit(put('a'))).toBe(1);
    expect(heard).toEqual([1]);
    expect(faults.map(String)).toEqual(['Error: a bug']);
  });
});

const NOTE = kind('note', z.strictObject({ n: z.int() }));
const write = async (store: SqliteStore, count: number): Promise<void> => {
  const records = new Records(store, new TestClock());
  for (let n = 1; n <= count; n++)
    await records.commit(
      { event: 'note.made', actor: SYSTEM, why: 'a test', data: { n } },
      new Edit().set(NOTE, `${n}`, { n }),
    );
};

describe('opening', () => {
  it('makes files for nobody else', async () => {
    const store = open();
    await store.commit(put('a'));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const files = readdirSync(directory);
    expect(files).toContain('verifier.db-wal');
    for (const name of files) expect(statSync(path.join(directory, name)).mode & 0o777, name).toBe(0o600);
  });

  it('is its owner’s alone again where a backup came back readable for all', async () => {
    await open().close();
    chmodSync(file(), 0o644);
    open();
    expect(statSync(file()).mode & 0o777).toBe(0o600);
  });

  it('is for one verifier at a time', async () => {
    const first = open();
    expect(open).toThrow(/another verifier is running on this directory/);
    await first.commit(put('a'));
    await first.close();
    expect(await open().read('a')).toBeDefined();
  });

  it('refuses the schema of a newer hopgate, and touches nothing of it', async () => {
    await open().close();
    const db = new DatabaseSync(file());
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    db.close();
    expect(open).toThrow(
      new RegExp(`has schema ${SCHEMA_VERSION + 1}, this hopgate knows ${SCHEMA_VERSION}`),
    );
    const after = new DatabaseSync(file());
    expect(after.prepare('PRAGMA user_version').get()).toEqual({ user_version: SCHEMA_VERSION + 1 });
    after.close();
  });

  it('refuses a database that is not ours, and files that are none', async () => {
    await open().close();
    rmSync(file());
    const db = new DatabaseSync(file());
    db.exec('CREATE TABLE theirs (a)');
    db.close();
    expect(open).toThrow(/is not a verifier's store/);
    writeFileSync(file(), 'no database, but long enough to be taken for one. '.repeat(100));
    expect(open).toThrow(/is damaged; restore a backup/);
  });

  it('finds damage to the records', async () => {
    const store = open();
    await write(store, 200);
    await store.close();
    const { size } = statSync(file());
    truncateSync(file(), size - 8192);
    expect(open).toThrow(/is damaged.*restore a backup.*new epoch/);
  });

  it('finds a ledger that was changed behind our back, at its end', async () => {
    const store = open();
    await write(store, 20);
    await store.close();
    const db = new DatabaseSync(file());
    db.exec(`UPDATE ledger SET line = replace(line, '"why":"a test"', '"why":"a lie"') WHERE seq = 17`);
    db.close();
    expect(open).toThrow(/the ledger was changed: event 17: its hash differs/);
  });

  it('checks the end of a long ledger at the start, and all of it when asked', async () => {
    const store = open();
    await write(store, 1100);
    await store.close();
    const db = new DatabaseSync(file());
    db.exec(`UPDATE ledger SET line = replace(line, '"why":"a test"', '"why":"a lie"') WHERE seq = 17`);
    db.close();
    const again = open();
    expect(await verifyLedger((page) => again.events(page))).toMatchObject({
      ok: false,
      seq: 17,
      reason: 'audit_hash',
    });
  });
});
