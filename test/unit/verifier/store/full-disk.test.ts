/** The store on a full disk: a commit that can't be written is refused, nothing of it is there, and it goes on when there is room. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { verifyLedger } from '../../../../src/verifier/ledger.ts';
import { Records } from '../../../../src/verifier/records.ts';
import { SqliteStore } from '../../../../src/verifier/store/sqlite-store.ts';
import { StoreError } from '../../../../src/verifier/store/store.ts';
import { type SmallDisk, smallDisks } from '../../../testkit/small-disk.ts';
import { AT_ONCE, COUNTED, commitNumber } from '../../../testkit/store-writer.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const disks = smallDisks();

it('can be tried here', () => expect(disks.length).toBeGreaterThan(0));

describe.each(disks)('$name', (disk: SmallDisk) => {
  let directory = '';
  let store: SqliteStore | undefined;
  afterEach(async () => {
    disk.free();
    await store?.close();
    disk.remove();
    rmSync(path.dirname(directory), { recursive: true, force: true });
  });

  it('refuses, changes nothing, and goes on when there is room', async () => {
    directory = path.join(mkdtempSync(path.join(tmpdir(), 'hopgate-full-')), 'verifier');
    disk.prepare(directory);
    store = SqliteStore.open(directory, { onWatcherFault: () => undefined });
    let records = new Records(store, new TestClock());
    await commitNumber(records, 1);
    disk.fill(path.join(directory, 'verifier.db-wal'));
    let n = 1;
    let refused: unknown;
    // The last free octets may take a commit more.
    while (refused === undefined && n < 100)
      await commitNumber(records, n + 1).then(
        () => n++,
        (error: unknown) => {
          refused = error;
        },
      );
    expect(refused).toBeInstanceOf(StoreError);
    expect(String(refused)).toMatch(/nothing was changed/);
    // Read from the same connection, while the disk is full.
    expect(await records.count(COUNTED)).toBe(n * AT_ONCE);
    expect((await store.lastEvent())?.seq).toBe(n);
    await expect(commitNumber(records, n + 1)).rejects.toThrow(StoreError);
    disk.free();
    await commitNumber(records, n + 1);
    await store.close();
    store = SqliteStore.open(directory, { onWatcherFault: () => undefined });
    records = new Records(store, new TestClock());
    expect(await records.count(COUNTED)).toBe((n + 1) * AT_ONCE);
    expect(await verifyLedger((page) => (store as SqliteStore).events(page))).toMatchObject({
      ok: true,
      head: { seq: n + 1 },
    });
  });
});
