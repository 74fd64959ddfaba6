/** Publication: what changes is out at once, under a number of its own, and with a word on how fresh it is. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import type { TrustEvent } from '../../../../src/api/trust.ts';
import { jwkOf } from '../../../../src/core/keys.ts';
import type { IdPattern } from '../../../../src/core/spiffe-id.ts';
import { type Bundle, type BundleOrder, verifyBundle } from '../../../../src/core/trust/bundle.ts';
import { verifyTimestamp } from '../../../../src/core/trust/timestamp.ts';
import type { Verdict } from '../../../../src/core/verdict.ts';
import { makeSigningKey } from '../../../../src/edge/keys/signing-key.ts';
import { unpackBundle } from '../../../../src/edge/verifier/packed-bundle.ts';
import { SYSTEM } from '../../../../src/verifier/actor.ts';
import type { Authority } from '../../../../src/verifier/authority/authority.ts';
import type { AnchorEntry, RevocationEntry } from '../../../../src/verifier/publication/entries.ts';
import type { Publication } from '../../../../src/verifier/publication/publication.ts';
import type { Sources } from '../../../../src/verifier/publication/sources.ts';
import { Edit, kind, type Records } from '../../../../src/verifier/records.ts';
import { ConflictError } from '../../../../src/verifier/store/store.ts';
import { makeStage, openPublication, SILENT, type Stage } from '../../../testkit/authority.ts';
import { agentIdOf, must } from '../../../testkit/domain.ts';
import { MemoryStore } from '../../../testkit/memory-store.ts';

const revocation = kind('revocation', z.strictObject({ key: z.string() }));
const other = kind('other', z.strictObject({}));

const sourcesOf = (records: Records): Sources => ({
  ...SILENT,
  revocations: {
    kinds: ['revocation'],
    read: async () => (await records.list(revocation)).map(({ value }): RevocationEntry => value),
  },
});

const revoke = (records: Records, key = makeSigningKey().thumbprint): Promise<number> =>
  records.commit(
    { event: 'key.revoked', actor: SYSTEM, why: '', data: { key } },
    new Edit().set(revocation, key, { key }),
  );

const verify = (
  { current }: Publication,
  authority: Authority,
  now: number,
  last: BundleOrder = { epoch: 0, seq: 0 },
): Verdict<Bundle> =>
  verifyBundle(current.text, { trustDomain: 'company.com', root: authority.rootThumbprint, last, now });

const opened = async (stage: Stage = makeStage(onTestFinished)) => {
  const authority = await stage.open();
  const { records, clock } = stage;
  const publication = await openPublication({ records, authority, clock, sources: sourcesOf(records) });
  onTestFinished(() => publication.close());
  return { ...stage, authority, publication };
};

/** All that a subscriber hears from now on. */
const listen = (
  publication: Publication,
): { readonly heard: TrustEvent[]; readonly ended: Promise<void> } => {
  const heard: TrustEvent[] = [];
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const ended = (async () => {
    for await (const event of publication.subscribers.subscribe(stop.signal)) heard.push(event);
  })();
  return { heard, ended };
};

describe('a bundle', () => {
  it('is there at the start, verifies, and has a timestamp', async () => {
    const { authority, publication, clock } = await opened();
    const bundle = must(verify(publication, authority, clock.seconds));
    expect([bundle.epoch, bundle.seq]).toEqual([1, 1]);
    expect(must(verifyTimestamp(publication.timestamp, bundle, 0, clock.seconds)).exp).toBe(
      clock.seconds + 300,
    );
    expect(await unpackBundle(publication.current.packed)).toBe(publication.current.text);
  });

  it('carries a change as soon as its commit is told of', async () => {
    const { authority, publication, clock, records } = await opened();
    const key = makeSigningKey().thumbprint;
    await publication.whenPublished(await revoke(records, key));
    const bundle = must(verify(publication, authority, clock.seconds, { epoch: 1, seq: 1 }));
    expect(bundle.seq).toBe(2);
    expect(bundle.revocations.checkHolder(agentIdOf('company.com', 'planning/1'), key)?.reason).toBe(
      'revoked_key',
    );
    expect(verifyTimestamp(publication.timestamp, bundle, 0, clock.seconds).ok).toBe(true);
  });

  it('is one for a burst of changes', async () => {
    const { authority, publication, clock, records } = await opened();
    const revisions = await Promise.all(Array.from({ length: 100 }, () => revoke(records)));
    await Promise.all(revisions.map((revision) => publication.whenPublished(revision)));
    const bundle = must(verify(publication, authority, clock.seconds));
    expect(bundle.revocations.size).toBe(100);
    expect(bundle.seq).toBeLessThan(5);
  });

  it('is not made for what it doesn’t carry, and nobody waits for one', async () => {
    const { publication, records } = await opened();
    const { text } = publication.current;
    const revision = await records.commit(
      { event: 'other.changed', actor: SYSTEM, why: '', data: {} },
      new Edit().set(other, 'one', {}),
    );
    await publication.whenPublished(revision);
    expect(publication.current.text).toBe(text);
  });

  it('is signed anew at half its life, since time alone ends a revocation', async () => {
    const { publication, clock } = await opened();
    clock.advanceSeconds(43_199);
    publication.tick();
    await publication.settled();
    expect(publication.current.seq).toBe(1);
    clock.advanceSeconds(1);
    publication.tick();
    await publication.settled();
    expect([publication.current.seq, publication.current.exp]).toEqual([2, clock.seconds + 86_400]);
  });

  it('follows the root into a new epoch, and begins at 1 there', async () => {
    const { authority, publication, clock, records } = await opened();
    await publication.whenPublished(await revoke(records));
    const last = must(verify(publication, authority, clock.seconds));
    await authority.rotate({ role: 'policy', compromised: true }, SYSTEM, 'stolen');
    await publication.whenRolesPublished();
    const bundle = must(verify(publication, authority, clock.seconds, last));
    expect([bundle.epoch, bundle.seq]).toEqual([2, 1]);
    expect(verifyTimestamp(publication.timestamp, bundle, 0, clock.seconds).ok).toBe(true);
  });

  it('that no sidecar would take is not published, and who changed something hears of it', async () => {
    const stage = makeStage(onTestFinished);
    const authority = await stage.open();
    const { records, clock } = stage;
    const faults: unknown[] = [];
    const publication = await openPublication({
      records,
      authority,
      clock,
      // The value of a revocation is free here; the core knows better.
      sources: sourcesOf(records),
      onFault: (error) => faults.push(error),
    });
    onTestFinished(() => publication.close());
    const { text } = publication.current;
    const revision = await revoke(records, 'nonsense');
    await expect(publication.whenPublished(revision)).rejects.toMatchObject({ reason: 'api_unavailable' });
    expect(publication.current.text).toBe(text);
    expect(String(faults[0])).toContain('sidecars would refuse');
    const found = await records.get(revocation, 'nonsense');
    if (found === undefined) throw new Error('it is gone');
    const mended = await records.commit(
      { event: 'test.mended', actor: SYSTEM, why: '', data: {} },
      new Edit().remove(revocation, found),
    );
    await publication.whenPublished(mended);
    expect(publication.current.seq).toBe(2);
  });
});

describe('a number', () => {
  /** Loses power at its next commit of a number: before it, or after it was durable. */
  class FailingStore extends MemoryStore {
    failing: 'before' | 'after' | undefined;
    override async commit(change: Parameters<MemoryStore['commit']>[0]): Promise<number> {
      const isNumber = change.put?.some(({ key }) => key.startsWith('bundle/')) ?? false;
      if (isNumber && this.failing === 'before') throw new Error('power lost');
      const revision = await super.commit(change);
      if (isNumber && this.failing === 'after') throw new Error('power lost');
      return revision;
    }
  }

  it.each(['before', 'after'] as const)(
    'is on disk before its bundle is told of; power lost %s that',
    async (failing) => {
      const store = new FailingStore();
      const stage = makeStage(onTestFinished, { store });
      const { records, clock } = stage;
      const authority = await stage.open();
      const publication = await openPublication({
        records,
        authority,
        clock,
        sources: sourcesOf(records),
        onFault: () => undefined,
      });
      const { heard } = listen(publication);
      store.failing = failing;
      await expect(publication.whenPublished(await revoke(records))).rejects.toThrow('on record');
      // Nothing has left the house.
      expect(publication.current.seq).toBe(1);
      expect(heard).toHaveLength(1);
      await publication.close();
      store.failing = undefined;

      const after = await opened(stage);
      const kept = must(verify(publication, authority, clock.seconds));
      const next = must(verify(after.publication, after.authority, clock.seconds, kept));
      expect(next.seq).toBe(failing === 'before' ? 2 : 3);
      expect(next.revocations.size).toBe(1);
    },
  );

  it('is never given twice, not by a second writer either', async () => {
    const { records, clock, open } = makeStage(onTestFinished);
    const authority = await open();
    const faults: unknown[] = [];
    const make = async () => {
      const onFault = (error: unknown) => faults.push(error);
      const sources = sourcesOf(records);
      const publication = await openPublication({ records, authority, clock, sources, onFault });
      onTestFinished(() => publication.close());
      return { publication, ...listen(publication) };
    };
    const [one, two] = [await make(), await make()];
    for (let count = 0; count < 5; count++) {
      await revoke(records);
      await Promise.all([one.publication.settled(), two.publication.settled()]);
      clock.advanceSeconds(5);
      one.publication.tick();
      await one.publication.settled();
    }
    const digests = new Map<number, Set<string>>();
    for (const event of [...one.heard, ...two.heard]) {
      if (event.event !== 'bundle') continue;
      digests.set(event.seq, (digests.get(event.seq) ?? new Set()).add(event.digest));
    }
    expect(digests.size).toBeGreaterThan(5);
    for (const [seq, ofSeq] of digests) expect(ofSeq.size, `seq ${seq}`).toBe(1);
    expect(faults.every((fault) => fault instanceof ConflictError)).toBe(true);
  });

  it('is asked for anew when it is unclear whether it was written', async () => {
    const store = new FailingStore();
    const { records, clock, open } = makeStage(onTestFinished, { store });
    const authority = await open();
    const sources = sourcesOf(records);
    const publication = await openPublication({
      records,
      authority,
      clock,
      sources,
      onFault: () => undefined,
    });
    onTestFinished(() => publication.close());
    store.failing = 'after';
    await expect(publication.whenPublished(await revoke(records))).rejects.toThrow('on record');
    store.failing = undefined;
    publication.tick();
    await publication.settled();
    expect(publication.current.seq).toBe(1);
    clock.advanceSeconds(5);
    publication.tick();
    await publication.settled();
    expect(publication.current.seq).toBe(3);
  });
});

describe('a restored backup', () => {
  it('is refused as a rollback until a new epoch is begun', async () => {
    const { authority, publication, clock, store, records, open } = await opened();
    // Through the watch alone: the backup is what the store held at this moment.
    const backup = new MemoryStore();
    await backup.commit({ put: (await store.list('')).map(({ key, value }) => ({ key, value })) });
    for (let count = 0; count < 3; count++) await publication.whenPublished(await revoke(records));
    await authority.rotate({ role: 'policy' }, SYSTEM, 'a drill, and lost with the database');
    await publication.whenRolesPublished();
    const last = must(verify(publication, authority, clock.seconds));
    expect([last.epoch, last.seq]).toEqual([2, 1]);

    const stage = makeStage(onTestFinished, { store: backup, clock });
    const restored = await open({ records: stage.records });
    const again = await openPublication({
      records: stage.records,
      authority: restored,
      clock,
      sources: sourcesOf(stage.records),
    });
    onTestFinished(() => again.close());
    expect(verify(again, restored, clock.seconds, last)).toMatchObject({
      ok: false,
      reason: 'bundle_rollback',
    });
    await restored.beginEpoch(SYSTEM, 'restored a backup');
    await again.whenRolesPublished();
    expect(must(verify(again, restored, clock.seconds, last)).seq).toBe(1);
    expect(restored.rootThumbprint).toBe(authority.rootThumbprint);
  });
});

describe('a timestamp', () => {
  it('is made every minute', async () => {
    const { authority, publication, clock } = await opened();
    const bundle = must(verify(publication, authority, clock.seconds));
    const first = must(verifyTimestamp(publication.timestamp, bundle, 0, clock.seconds));
    clock.advanceSeconds(59);
    publication.tick();
    expect(must(verifyTimestamp(publication.timestamp, bundle, 0, clock.seconds)).iat).toBe(first.iat);
    clock.advanceSeconds(1);
    publication.tick();
    const second = must(verifyTimestamp(publication.timestamp, bundle, first.iat, clock.seconds));
    expect(second.iat).toBe(first.iat + 60);
  });

  it('is refused over another bundle than the newest', async () => {
    const { authority, publication, clock, records } = await opened();
    const old = must(verify(publication, authority, clock.seconds));
    await publication.whenPublished(await revoke(records));
    expect(verifyTimestamp(publication.timestamp, old, 0, clock.seconds)).toMatchObject({
      reason: 'bundle_rollback',
    });
  });
});

describe('a subscriber', () => {
  it('hears the present first, then each bundle with its timestamp, then timestamps', async () => {
    const { publication, clock, records, authority } = await opened();
    const { heard } = listen(publication);
    await publication.whenPublished(await revoke(records));
    clock.advanceSeconds(60);
    publication.tick();
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard.map(({ event }) => event)).toEqual(['bundle', 'bundle', 'timestamp']);
    const [, second, third] = heard;
    if (second?.event !== 'bundle' || third?.event !== 'timestamp') throw new Error('other events');
    const bundle = must(verify(publication, authority, clock.seconds));
    expect([second.digest, await unpackBundle(second.packed ?? '')]).toEqual([
      bundle.digest,
      publication.current.text,
    ]);
    expect(verifyTimestamp(second.timestamp ?? '', bundle, 0, clock.seconds).ok).toBe(true);
    expect(verifyTimestamp(third.timestamp, bundle, 0, clock.seconds).ok).toBe(true);
    const late = listen(publication);
    await new Promise((resolve) => setImmediate(resolve));
    expect(late.heard).toEqual([{ ...second, timestamp: third.timestamp }]);
  });

  it('gets the same object as all others', async () => {
    const { publication, records } = await opened();
    const all = Array.from({ length: 200 }, () => listen(publication));
    await publication.whenPublished(await revoke(records));
    await new Promise((resolve) => setImmediate(resolve));
    expect(publication.subscribers.size).toBe(200);
    expect(new Set(all.map(({ heard }) => heard[1])).size).toBe(1);
  });

  it('that doesn’t keep up is dropped, and others are not', async () => {
    const { publication, clock } = await opened();
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    publication.subscribers.subscribe(stop.signal);
    const { heard } = listen(publication);
    for (let count = 0; count < 20; count++) {
      clock.advanceSeconds(60);
      publication.tick();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(publication.subscribers.size).toBe(1);
    expect(heard).toHaveLength(21);
  });

  it('is told of a large bundle by name', async () => {
    const { publication, records } = await opened();
    const { heard } = listen(publication);
    await Promise.all(
      Array.from({ length: 1500 }, () => revoke(records)).map(async (one) =>
        publication.whenPublished(await one),
      ),
    );
    await new Promise((resolve) => setImmediate(resolve));
    const last = heard.at(-1);
    if (last?.event !== 'bundle') throw new Error('no bundle');
    expect(last.packed).toBeUndefined();
    expect(last.digest).toBe(publication.current.digest);
  });

  it('goes when the publication closes', async () => {
    const { publication } = await opened();
    const { ended } = listen(publication);
    await publication.close();
    await ended;
    expect(publication.subscribers.size).toBe(0);
  });
});

it('what is read while it changes is read again', async () => {
  const stage = makeStage(onTestFinished);
  const { records, clock } = stage;
  const authority = await stage.open();
  let during: Promise<number> | undefined;
  const sources = sourcesOf(records);
  const publication = await openPublication({
    records,
    authority,
    clock,
    sources: {
      ...sources,
      revocations: {
        kinds: ['revocation'],
        read: async (now) => {
          const read = await sources.revocations.read(now);
          if (read.length === 1) during ??= revoke(records);
          await during;
          return read;
        },
      },
    },
  });
  onTestFinished(() => publication.close());
  await publication.whenPublished(await revoke(records));
  const revision = await during;
  await publication.whenPublished(revision ?? 0);
  expect(must(verify(publication, authority, clock.seconds)).revocations.size).toBe(2);
});

it('a bundle by a key that was dropped while its number was written stays in the house', async () => {
  class HookedStore extends MemoryStore {
    before: (() => Promise<void>) | undefined;
    override async commit(change: Parameters<MemoryStore['commit']>[0]): Promise<number> {
      const { before } = this;
      if (before !== undefined && change.put?.some(({ key }) => key.startsWith('bundle/'))) {
        this.before = undefined;
        await before();
      }
      return super.commit(change);
    }
  }
  const store = new HookedStore();
  const { publication, authority, records } = await opened(makeStage(onTestFinished, { store }));
  const { heard } = listen(publication);
  store.before = () => authority.rotate({ role: 'policy', compromised: true }, SYSTEM, 'stolen');
  await publication.whenPublished(await revoke(records));
  await new Promise((resolve) => setImmediate(resolve));
  expect(heard.map((event) => event.event === 'bundle' && [event.epoch, event.seq])).toEqual([
    [1, 1],
    [2, 1],
  ]);
});

it('only what has changed is read again, until time may have changed all of it', async () => {
  const { records, clock, open } = makeStage(onTestFinished);
  const reads: string[] = [];
  const counted = <T>(name: string, kinds: readonly string[], value: T) => ({
    kinds,
    read: (): T => {
      reads.push(name);
      return value;
    },
  });
  const sources: Sources = {
    ...SILENT,
    anchors: counted('anchors', ['principal'], []),
    revocations: counted('revocations', ['revocation'], []),
  };
  const authority = await open();
  const publication = await openPublication({ records, authority, clock, sources });
  onTestFinished(() => publication.close());
  await publication.whenPublished(await revoke(records));
  expect(reads).toEqual(['anchors', 'revocations', 'revocations']);
  clock.advanceSeconds(43_200);
  publication.tick();
  await publication.settled();
  expect(reads.slice(3)).toEqual(['anchors', 'revocations']);
});

it('without a timestamp key there are bundles, and no word on how fresh they are', async () => {
  const stage = makeStage(onTestFinished);
  const { records, clock, directory } = stage;
  const authority = await stage.open();
  const faults: unknown[] = [];
  const sources = sourcesOf(records);
  const publication = await openPublication({
    records,
    authority,
    clock,
    sources,
    onFault: (error) => faults.push(error),
  });
  onTestFinished(() => publication.close());
  rmSync(path.join(directory, 'root.key'));
  await authority.rotate(
    { role: 'timestamp', compromised: true },
    SYSTEM,
    'stolen, and the root is elsewhere',
  );
  await publication.whenPublished(await revoke(records));
  expect(publication.current.seq).toBeGreaterThan(1);
  expect(publication.timestampOrNone).toBeUndefined();
  expect(() => publication.timestamp).toThrow('no timestamp');
  const count = faults.length;
  for (let second = 0; second < 10; second++) {
    clock.advanceSeconds(1);
    publication.tick();
  }
  expect(faults.length - count).toBe(2);
});

it.each(['before', 'while'] as const)(
  'a source that asks the authority is asked again when a key was dropped %s it was read',
  async (when) => {
    const { records, clock, open } = makeStage(onTestFinished);
    const authority = await open();
    let during: (() => Promise<void>) | undefined;
    const publication = await openPublication({
      records,
      authority,
      clock,
      sources: {
        ...SILENT,
        anchors: {
          kinds: [],
          read: async () => {
            const keys = authority.rootIssuers();
            await during?.();
            return keys.map(
              (x): AnchorEntry => ({
                kind: 'root-issuer',
                jwk: jwkOf(x),
                principals: ['*'],
                human: true,
                delegatees: ['spiffe://company.com/client/*' as IdPattern],
                domains: ['company.com'],
                scope: ['cloud:read'],
                max_ttl: 3600,
                max_depth: 3,
              }),
            );
          },
        },
      },
    });
    onTestFinished(() => publication.close());
    const rotate = () => authority.rotate({ role: 'root-issuer', compromised: true }, SYSTEM, 'stolen');
    if (when === 'before') await rotate();
    else {
      during = () => {
        during = undefined;
        return rotate();
      };
      await authority.rotate({ role: 'timestamp' }, SYSTEM, 'a drill');
    }
    await publication.whenRolesPublished();
    const { anchors } = must(verify(publication, authority, clock.seconds));
    expect([...anchors.keys()]).toEqual([authority.signer('root-issuer').thumbprint]);
  },
);
