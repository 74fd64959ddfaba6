/** Files that a reader sees whole or not at all, and a lock for a folder of them. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface FileContent {
  readonly file: string;
  readonly content: string | Buffer;
  /** By default 0600: most of what we write is secret. */
  readonly mode?: number;
}

const temporaryFor = (file: string): string =>
  path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}.tmp`);

/**
 * Writes files through temporary ones in the same folder: all are on disk before the first takes its name, so that what
 * belongs together (a certificate and its key) changes within microseconds. Throws on I/O, and leaves no temporary file.
 */
export const writeFilesAtomic = (files: readonly FileContent[]): void => {
  const pending = files.map(({ file, content, mode = 0o600 }) => ({
    file,
    content,
    mode,
    temporary: temporaryFor(file),
  }));
  try {
    for (const { temporary, content, mode } of pending) {
      const descriptor = openSync(temporary, 'wx', mode);
      try {
        writeFileSync(descriptor, content);
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
    }
    for (const { temporary, file } of pending) renameSync(temporary, file);
  } finally {
    for (const { temporary } of pending) rmSync(temporary, { force: true });
  }
};

/** One file (0600) in the same way, off the event loop: for what is large, or written while requests are served. */
export const writeFileAtomic = async (file: string, content: string): Promise<void> => {
  const temporary = temporaryFor(file);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

const tryLock = (file: string): boolean => {
  try {
    const descriptor = openSync(file, 'wx', 0o600);
    writeSync(descriptor, `${process.pid}\n`);
    closeSync(descriptor);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  }
};

const LOCK_WAIT_MS = 10_000;
const LOCK_POLL_MS = 50;

/** A folder that another process is changing, and goes on changing for longer than we wait. */
export class LockedError extends Error {}

/** Runs `work` while no other process changes the folder. The lock of a process that died is taken over. */
export const withLock = async <T>(directory: string, work: () => Promise<T>): Promise<T> => {
  const file = path.join(directory, '.lock');
  const deadline = Date.now() + LOCK_WAIT_MS;
  while (!tryLock(file)) {
    let owner = 0;
    try {
      owner = Number(readFileSync(file, 'utf8'));
    } catch {
      continue;
    }
    if (owner > 0 && !isAlive(owner)) {
      rmSync(file, { force: true });
      continue;
    }
    if (Date.now() > deadline)
      throw new LockedError(`process ${owner} is changing ${directory}; if it is not, remove ${file}`);
    await delay(LOCK_POLL_MS);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
};
