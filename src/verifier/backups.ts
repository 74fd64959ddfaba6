/** Copies of all that a verifier keeps, made while it runs: a directory on which a verifier can be started. */
import { chmodSync, cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { BackupAnswer } from '../api/backups.ts';
import type { Actor } from './actor.ts';
import { keyFilesIn } from './authority/root-key.ts';
import { KEYS_FOLDER, type Layout } from './layout.ts';
import { Edit, type Records } from './records.ts';
import { Refusal } from './refusal.ts';
import type { CopyableStore } from './store/store.ts';

export const BACKUP_FOLDER = 'backup';
const UNFINISHED = `${BACKUP_FOLDER}.unfinished`;

export interface BackupsOptions {
  readonly store: CopyableStore;
  readonly records: Records;
  readonly layout: Layout;
  /** Whether the key-encryption key is sealed with a passphrase. */
  readonly hasPassphrase: boolean;
}

export class Backups {
  private readonly options: BackupsOptions;
  private underway: Promise<unknown> | undefined;

  constructor(options: BackupsOptions) {
    this.options = options;
  }

  /**
   * Copies store and keys; what is committed meanwhile is in the copy or not, never in part. Throws `Refusal` `api_forbidden` for
   * whoever didn't come through the socket: the copy holds every key; and `api_conflict` while another one is made.
   */
  async make(actor: Actor, why: string): Promise<BackupAnswer> {
    if (actor.kind !== 'local')
      throw new Refusal(
        'api_forbidden',
        'a backup holds every key of the trust domain: it is made on the verifier’s machine, through its socket',
      );
    if (this.underway !== undefined) throw new Refusal('api_conflict', 'another backup is being made');
    const work = this.copy(actor, why);
    this.underway = work;
    try {
      return await work;
    } finally {
      this.underway = undefined;
    }
  }

  private async copy(actor: Actor, why: string): Promise<BackupAnswer> {
    const { store, records, layout, hasPassphrase } = this.options;
    const unfinished = path.join(layout.directory, UNFINISHED);
    const finished = path.join(layout.directory, BACKUP_FOLDER);
    const hasRoot = existsSync(keyFilesIn(layout.keys).root);
    // First, so that the copy knows of itself.
    await records.commit({ event: 'backup.made', actor, why, data: { root: hasRoot } }, new Edit());
    const last = await store.lastEvent();
    for (const folder of [unfinished, finished]) rmSync(folder, { recursive: true, force: true });
    mkdirSync(unfinished, { mode: 0o700 });
    try {
      await store.copyInto(unfinished);
      const keys = path.join(unfinished, KEYS_FOLDER);
      cpSync(layout.keys, keys, { recursive: true });
      chmodSync(keys, 0o700);
      renameSync(unfinished, finished);
    } catch (error) {
      rmSync(unfinished, { recursive: true, force: true });
      throw error;
    }
    return { folder: BACKUP_FOLDER, head: `${last?.seq ?? 0}:${last?.hash ?? ''}`, hasRoot, hasPassphrase };
  }

  /** Resolves when none is being made: the store must not be closed before. */
  async close(): Promise<void> {
    await this.underway?.catch(() => undefined);
  }
}
