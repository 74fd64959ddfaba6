/** Backups of a running verifier: whole under load, with the keys, and nothing for whoever is not on its machine. */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { backupEndpoints } from '../../../src/api/backups.ts';
import { registryEndpoints } from '../../../src/api/registry.ts';
import { roleBindingEndpoints } from '../../../src/api/role-bindings.ts';
import { BACKUP_FOLDER } from '../../../src/verifier/backups.ts';
import { LedgerVerifier } from '../../../src/verifier/ledger.ts';
import { SqliteStore } from '../../../src/verifier/store/sqlite-store.ts';
import { RunningVerifier } from '../../testkit/running-verifier.ts';

let running: RunningVerifier;
beforeEach(async () => {
  running = await RunningVerifier.start();
});
afterEach(() => running.stop());

const copy = (): string => path.join(running.directory, BACKUP_FOLDER);
const make = (client = running.local()) =>
  client.call(backupEndpoints.makeBackup, { body: { why: 'a test' } });
const addEntry = (instance: number) =>
  running.local().call(registryEndpoints.addEntry, {
    body: {
      id: `spiffe://company.com/agent/worker/${instance}`,
      selectors: [`join:id=spiffe://company.com/agent/worker/${instance}`],
      why: 'a test',
    },
  });

it('holds every change before it, and of those during it none in part', async () => {
  for (let instance = 0; instance < 20; instance++) await addEntry(instance);
  const before = await running.verifier.rooms.store.lastEvent();
  let isMade = false;
  const made = make().finally(() => {
    isMade = true;
  });
  let during = 0;
  while (!isMade) await addEntry(1000 + during++);
  const { head, hasRoot, hasPassphrase } = await made;
  expect([hasRoot, hasPassphrase]).toEqual([true, false]);
  const store = SqliteStore.open(copy(), { onWatcherFault: () => undefined });
  try {
    const verifier = new LedgerVerifier('beginning');
    const seen: string[] = [];
    for (const event of await store.events({ after: 0, limit: 10_000 })) {
      expect(verifier.next(event)).toBeUndefined();
      seen.push(`${event.seq}:${event.hash}`);
    }
    expect(seen).toContain(`${before?.seq}:${before?.hash}`);
    expect(seen).toContain(head);
    const added = (await store.events({ after: 0, limit: 10_000 })).filter(({ line }) =>
      line.includes('agent/worker/'),
    );
    expect(await store.count('entry/')).toBe(added.length);
  } finally {
    await store.close();
  }
});

it('is private, has the keys and nothing of a backup before it', async () => {
  await make();
  await make();
  expect(readdirSync(copy(), { recursive: true }).sort()).toEqual([
    'keys',
    'keys/kek',
    'keys/root.key',
    'verifier.db',
  ]);
  for (const name of ['', 'keys']) expect(statSync(path.join(copy(), name)).mode & 0o777).toBe(0o700);
  for (const name of ['verifier.db', 'keys/kek', 'keys/root.key'])
    expect(statSync(path.join(copy(), name)).mode & 0o777, name).toBe(0o600);
});

it('is for the socket alone: an admin elsewhere is refused', async () => {
  const admin = await running.identity('client/admin');
  await running
    .local()
    .call(roleBindingEndpoints.addRoleBinding, { body: { subject: admin.id, role: 'admin', why: 'a test' } });
  await expect(make(running.client(admin))).rejects.toMatchObject({ reason: 'api_forbidden' });
  expect(readdirSync(running.directory)).not.toContain(BACKUP_FOLDER);
});

it('two at once are one and a refusal', async () => {
  const results = await Promise.allSettled([make(), make()]);
  const refused = results.filter((one) => one.status === 'rejected').map(({ reason }) => reason.reason);
  expect(refused).toEqual(['api_conflict']);
});

it('a verifier starts on it, with the keys and the root that it had', async () => {
  const { rootThumbprint } = running.verifier.rooms.authority;
  await make();
  const restored = await RunningVerifier.start({ directory: copy(), clock: running.clock });
  try {
    expect(restored.verifier.isFirst).toBe(false);
    expect(restored.verifier.rooms.authority.rootThumbprint).toBe(rootThumbprint);
    expect(restored.authorities).toEqual(running.authorities);
  } finally {
    await restored.stop();
  }
});
