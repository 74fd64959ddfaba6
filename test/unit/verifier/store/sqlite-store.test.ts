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
import { TestClock } from '../../../testkit/test-clock.ts';

let directory: string;
const opened: SqliteStore[] = [];

const open = (): SqliteStore => {
  const store = SqliteStore.open(directory, { onWatcherFault: () => undefined });
  opened.push(store);
  return store;
};
const file = (): string => path.join(directory, 'verifier.db');

beforeEach(() => {
  directory = path.join(mkdtempSync(path.join(tmpdir(), 'hopgate-store-')), 'verifier');
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
