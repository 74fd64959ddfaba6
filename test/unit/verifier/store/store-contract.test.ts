/** What the store's port promises, held against the embedded engine and against the one of the unit tests. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SqliteStore } from '../../../../src/verifier/store/sqlite-store.ts';
import {
  ConflictError,
  type Store,
  type StoredEvent,
  StoreError,
} from '../../../../src/verifier/store/store.ts';
import { MemoryStore } from '../../../testkit/memory-store.ts';

const put = (key: string, value = '1') => ({ put: [{ key, value }] });

describe.each<[string, (directory: string, onWatcherFault: (error: unknown) => void) => Store]>([
  ['on disk', (directory, onWatcherFault) => SqliteStore.open(directory, { onWatcherFault })],
  ['in memory', (_, onWatcherFault) => new MemoryStore(onWatcherFault)],
])('a store %s', (_, open) => {
  let directory: string;
  let store: Store;
  let faults: unknown[];
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'hopgate-store-'));
    faults = [];
    store = open(path.join(directory, 'verifier'), (error) => faults.push(error));
  });
  afterEach(async () => {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('keeps what was committed, with the revision that wrote it', async () => {
    expect(await store.commit(put('a/1', '"one"'))).toBe(1);
    expect(await store.commit(put('a/1', '"two"'))).toBe(2);
    expect(await store.read('a/1')).toEqual({ key: 'a/1', value: '"two"', revision: 2 });
    expect(await store.read('a/2')).toBeUndefined();
    expect(await store.commit({ remove: ['a/1'] })).toBe(3);
    expect(await store.read('a/1')).toBeUndefined();
  });

  it('has a ledger that is read from any place', async () => {
    const events = [1, 2, 3].map((seq): StoredEvent => ({ seq, hash: `h${seq}`, line: '{}' }));
    expect(await store.lastEvent()).toBeUndefined();
    await store.commit({ events: (last) => (last === undefined ? events.slice(0, 2) : []) });
    await store.commit({ events: (last) => (last?.seq === 2 ? events.slice(2) : []) });
    expect(await store.events({ after: 0, limit: 2 })).toEqual(events.slice(0, 2));
    expect(await store.events({ after: 2, limit: 2 })).toEqual(events.slice(2));
    expect(await store.lastEvent()).toEqual(events[2]);
  });

  it('lists a prefix in order, page by page, and nothing beside it', async () => {
    const keys = ['a/1', 'a/10', 'a/2', 'a/~', 'a0', 'aa/1', 'a', 'b/1', 'A/1'];
    await store.commit({ put: keys.map((key) => ({ key, value: '1' })) });
    const names = async (...args: Parameters<Store['list']>) =>
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

  it('takes printable ASCII keys only, since others could escape a prefix', async () => {
    for (const key of ['', 'a/ä', 'a/\u{10ffff}', 'a/\n', 'a/\x7f', 'x'.repeat(4097)])
      await expect(store.commit(put(key)), JSON.stringify(key)).rejects.toThrow(TypeError);
    expect(await store.list('')).toEqual([]);
  });
  describe('a change that does not fit', () => {
    it('is a conflict when a revision is another one', async () => {
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
});
