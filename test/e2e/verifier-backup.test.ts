/** `hopgate verifier backup`, a lost disk, and the way back: the sidecars refuse the old number until a new epoch begins. */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { runCli } from '../testkit/cli-process.ts';
import { TestClock } from '../testkit/test-clock.ts';
import { makeVerifiedMesh, type VerifiedMesh } from '../testkit/verified-mesh.ts';

let folder: string;
let mesh: VerifiedMesh;
beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'hopgate-backup-'));
  // Commands read the wall clock.
  mesh = await makeVerifiedMesh({ clock: new TestClock(Date.now()) });
});
afterEach(async () => {
  await mesh.stop();
  rmSync(folder, { recursive: true, force: true });
});

const verifier = (...args: readonly string[]) =>
  runCli('verifier', ...args, '--verifier', mesh.running.directory);

it('restored, the trust domain goes on under a new epoch, and what came after the backup is to be said again', async () => {
  const inventory = await mesh.start('inventory/1');
  const order = () => inventory.source.trust.last.bundle;
  const revision = () => inventory.source.trust.last.policy.policy.revision;
  const saved = path.join(folder, 'saved');
  const made = await verifier('backup', saved, '--json');
  expect([made.stderr, made.code]).toEqual(['', 0]);
  expect(JSON.parse(made.stdout)).toMatchObject({ ok: true, hasRoot: true, hasPassphrase: false });
  expect(existsSync(path.join(mesh.running.directory, 'backup'))).toBe(false);
  expect((await runCli('verifier', '--dir', saved, '--check')).code).toBe(0);

  await mesh.publishPolicy({ revision: 'after-the-backup' });
  await mesh.revoke({ principal: 'mailto:alice@company.com' });
  await vi.waitFor(() => {
    expect(revision()).toBe('after-the-backup');
    expect(order().seq).toBe(mesh.running.verifier.rooms.publication.current.seq);
  }, 5000);
  const lost = { epoch: order().epoch, seq: order().seq };

  await mesh.stopVerifier();
  // What comes within seconds of something newer was on its way, and is no alarm.
  mesh.clock.advanceSeconds(6);
  rmSync(mesh.running.directory, { recursive: true });
  cpSync(saved, mesh.running.directory, { recursive: true });
  await mesh.restartVerifier();
  await vi.waitFor(
    () => expect(inventory.said.some(({ reason }) => reason === 'bundle_rollback')).toBe(true),
    10_000,
  );
  expect(order()).toMatchObject(lost);

  const begun = await verifier('root', 'epoch', '--why', 'the disk was lost', '--json');
  expect([begun.stderr, begun.code]).toEqual(['', 0]);
  await vi.waitFor(() => expect(order().epoch).toBeGreaterThan(1_000_000), 10_000);
  expect(revision()).toBe('test-1');
});

it('says what is wrong: a directory that is there, a verifier elsewhere, none at all', async () => {
  expect(await verifier('backup', folder)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('is there already'),
  });
  const elsewhere = await runCli(
    'verifier',
    'backup',
    path.join(folder, 'a'),
    '--verifier',
    'https://127.0.0.1:1',
  );
  expect(elsewhere.code).toBe(2);
  const nobody = await runCli('verifier', 'backup', path.join(folder, 'a'), '--verifier', folder);
  expect(nobody).toMatchObject({ code: 1, stderr: expect.stringContaining('verifier_unreachable') });
});
